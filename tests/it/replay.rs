//! Replays from Kafka of what memory no longer holds, and clients that are too slow for the feed.

use crate::support::admin::{NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, numbers, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// Records of two kilobytes, ten per millisecond.
fn records(topic: &str, partition: i32, numbers: impl Iterator<Item = usize>) -> Vec<NewRecord> {
    let padding = "x".repeat(2000);
    let record = |n: usize| {
        let timestamp = TIME + to_i64(n / 10);
        NewRecord::new(
            topic,
            partition,
            timestamp,
            format!(r#"{{"n":{n},"padding":"{padding}"}}"#),
        )
    };
    numbers.map(record).collect()
}

/// The smallest possible memory log and feeds.
fn little_memory(topics: &[&str]) -> Settings {
    Settings::default()
        .stream("past", topics)
        .key("memory_log_bytes_max", "1048576")
        .key("feeds_bytes_max", "65536")
}

async fn resume(server: &TestServer, id: &str) -> Subscriber {
    Request::get("/v2/stream/past")
        .last_event_id(id)
        .subscribe(server.address)
        .await
}

on_both_brokers!(
    async fn events_no_longer_in_memory_are_read_from_kafka(cluster: Cluster) {
        let topics = [unique("eqiad.past"), unique("codfw.past")];
        for topic in &topics {
            cluster.create_topic(topic, 1).await;
        }
        let server = TestServer::start(&cluster, &little_memory(&[&topics[0], &topics[1]])).await;
        for (number, topic) in topics.iter().enumerate() {
            cluster
                .produce_many(
                    "zstd",
                    records(topic, 0, (0..4000).filter(|n| n / 10 % 2 == number)),
                )
                .await;
        }
        let mut subscriber = Request::get("/v2/stream/past?since=0")
            .subscribe(server.address)
            .await;
        let events = subscriber.events(4000).await;
        assert_eq!(
            numbers(&events),
            (0..4000).collect::<Vec<_>>(),
            "merged by time"
        );
        assert!(server.metric("eventstreams_replay_reads_total").await > 0);
        for index in [0, 17, 1994, 3500] {
            let mut subscriber = resume(&server, events[index].id.as_ref().expect("an id")).await;
            assert_eq!(
                numbers(&subscriber.events(3999 - index).await),
                (index + 1..4000).collect::<Vec<_>>()
            );
        }
        cluster
            .produce_many("none", records(&topics[1], 0, 4000..4003))
            .await;
        assert_eq!(numbers(&subscriber.events(3).await), [4000, 4001, 4002]);
    }

    async fn a_reader_that_falls_far_behind_gets_everything_in_order(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &little_memory(&[&topic])).await;
        let mut slow = Request::get("/v2/stream/past")
            .subscribe(server.address)
            .await;
        let mut quick = Request::get("/v2/stream/past")
            .subscribe(server.address)
            .await;
        for thousand in 0..8 {
            cluster
                .produce_many(
                    "zstd",
                    records(&topic, 0, thousand * 1000..thousand * 1000 + 1000),
                )
                .await;
            quick.events(1000).await;
        }
        assert_eq!(
            numbers(&slow.events(8000).await),
            (0..8000).collect::<Vec<_>>()
        );
        assert!(
            server
                .metric("eventstreams_subscribers_fallen_behind_total")
                .await
                > 0
        );
        cluster
            .produce_many("none", records(&topic, 0, 8000..8002))
            .await;
        assert_eq!(numbers(&slow.events(2).await), [8000, 8001]);
    }

    async fn an_offset_below_the_log_start_moves_to_it_with_a_notice(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many("none", records(&topic, 0, 0..50))
            .await;
        cluster.delete_records(&topic, 0, 20).await;
        let server = TestServer::start(&cluster, &little_memory(&[&topic])).await;
        let moved =
            format!("topic={topic}; partition=0; asked=5; actual=20; reason=below_log_start");
        for position in [
            r#""offset":5"#.to_owned(),
            format!(r#""offset":5,"timestamp":{TIME}"#),
        ] {
            let id = format!(r#"[{{"topic":"{topic}","partition":0,{position}}}]"#);
            let mut subscriber = resume(&server, &id).await;
            assert_eq!(
                subscriber.response.header("x-eventstreams-moved"),
                Some(moved.as_str()),
                "{id}"
            );
            let events = subscriber.events(30).await;
            assert_eq!(numbers(&events), (20..50).collect::<Vec<_>>(), "{id}");
            let before = String::from_utf8(subscriber.response.body[..events[0].end].to_vec())
                .expect("text");
            assert!(
                before.starts_with(&format!(":ok\n\n: moved: {moved}\n\nevent: message\n")),
                "{before}"
            );
        }
        assert_eq!(
            server
                .metric(r#"eventstreams_positions_moved_total{reason="below_log_start"}"#)
                .await,
            2
        );
        // The start of the log, the earliest offset and an earlier time request nothing that is
        // gone.
        for id in [
            format!(r#"[{{"topic":"{topic}","partition":0,"offset":20}}]"#),
            format!(r#"[{{"topic":"{topic}","partition":0,"offset":-2}}]"#),
        ] {
            let mut subscriber = resume(&server, &id).await;
            assert_eq!(
                subscriber.response.header("x-eventstreams-moved"),
                None,
                "{id}"
            );
            assert_eq!(numbers(&subscriber.events(1).await), [20]);
        }
    }

    async fn retention_that_overtakes_a_replay_is_reported(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many("none", records(&topic, 0, 0..12_000))
            .await;
        let server = TestServer::start(&cluster, &little_memory(&[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/past?since=0")
            .subscribe(server.address)
            .await;
        subscriber.event().await;
        // The client does not read, so its replay stops: the number of reads stays.
        let mut reads = 0;
        eventually("the replay to stand still", async || {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let before = std::mem::replace(
                &mut reads,
                server.metric("eventstreams_replay_reads_total").await,
            );
            (before > 0 && reads == before).then_some(())
        })
        .await;
        cluster.delete_records(&topic, 0, 11_000).await;
        let rest = numbers(
            &subscriber
                .events_until(|frame| frame.record().2 == 11_999)
                .await,
        );
        let gap = rest
            .iter()
            .zip(1..)
            .position(|(n, expected)| *n != expected)
            .expect("a gap");
        let asked = gap + 1;
        assert_eq!(rest[gap..], (11_000..12_000).collect::<Vec<_>>());
        let moved = format!(
            "moved: topic={topic}; partition=0; asked={asked}; actual=11000; reason=below_log_start"
        );
        assert_eq!(
            subscriber
                .comments
                .iter()
                .filter(|comment| comment.trim() == moved)
                .count(),
            1,
            "{:?}",
            subscriber.comments
        );
        assert_eq!(
            server
                .metric(r#"eventstreams_positions_moved_total{reason="below_log_start"}"#)
                .await,
            1
        );
    }

    async fn a_replay_without_a_permit_is_queued_with_a_notice(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        cluster
            .produce_many("none", records(&topic, 0, 0..12_000))
            .await;
        let server = TestServer::start(
            &cluster,
            &little_memory(&[&topic]).key("replay_places_max", "1"),
        )
        .await;
        let mut first = Request::get("/v2/stream/past?since=0")
            .subscribe(server.address)
            .await;
        first.event().await;
        let mut second = Request::get("/v2/stream/past?since=0")
            .subscribe(server.address)
            .await;
        second
            .comment("waiting to replay history, 1 in the queue")
            .await;
        drop(first);
        assert_eq!(
            numbers(&second.events(100).await),
            (0..100).collect::<Vec<_>>()
        );
    }
);
