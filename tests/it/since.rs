//! `since`: the history, oldest first, then live without a gap (docs/protocol.md).

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::{TIME, now_ms, numbers, offsets, offsets_in_log, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// Two topics of two partitions with `count` numbered records, a millisecond apart, spread over the
/// four, and a server that started before the second half of them.
async fn filled(cluster: &Cluster, begin: i64, count: usize) -> ([String; 2], TestServer) {
    let topics = [unique("eqiad.since"), unique("codfw.since")];
    for topic in &topics {
        cluster.create_topic(topic, 2).await;
    }
    let records = |range: std::ops::Range<usize>| {
        let topics = topics.clone();
        range.map(move |n| {
            let partition = i32::from(n % 4 > 1);
            record(&topics[n % 2], partition, begin + to_i64(n), n)
        })
    };
    cluster.produce_many("none", records(0..count / 2)).await;
    let server = TestServer::start(
        cluster,
        &Settings::default().stream("since", &[&topics[0], &topics[1]]),
    )
    .await;
    cluster
        .produce_many("none", records(count / 2..count))
        .await;
    (topics, server)
}

async fn first(server: &TestServer, since: &str, count: usize) -> Vec<usize> {
    let request = Request::get(format!("/v2/stream/since?since={since}"));
    numbers(&request.subscribe(server.address).await.events(count).await)
}

on_both_brokers!(
    /// TIME is 2023-11-14T22:13:20Z.
    async fn every_form_of_a_time_is_equal_and_topics_merge_by_time(cluster: Cluster) {
        let (_topics, server) = filled(&cluster, TIME, 40).await;
        for since in [
            "1700000000012",
            "2023-11-14T22:13:20.012Z",
            "2023-11-14T23:13:20.012%2B01:00",
            "2023-11-14T22:13:20.012",
            "1700000000012.5",
        ] {
            assert_eq!(
                first(&server, since, 28).await,
                (12..40).collect::<Vec<_>>(),
                "{since}"
            );
        }
        for since in [
            "0",
            "2023-11",
            "2023-11-14",
            "1700000000000",
            // As JavaScript's `Date` and HTTP write it, with what a client may leave unescaped.
            "Tue%20Nov%2014%202023%2022:13:20%20GMT+0000%20(Coordinated%20Universal%20Time)",
            "Tue%20Nov%2014%202023%2023:13:20%20GMT%2B0100",
            "Tue,%2014%20Nov%202023%2022:13:20%20GMT",
            "Tuesday,+14-Nov-23+22:13:20+GMT",
            "Tue+Nov+14+22:13:20+2023",
        ] {
            assert_eq!(
                first(&server, since, 40).await,
                (0..40).collect::<Vec<_>>(),
                "{since}"
            );
        }
    }

    async fn recent_events_come_from_memory(cluster: Cluster) {
        let begin = now_ms() - 60_000;
        let (_topics, server) = filled(&cluster, begin, 40).await;
        assert_eq!(
            first(&server, &(begin + 7).to_string(), 33).await,
            (7..40).collect::<Vec<_>>()
        );
        assert_eq!(server.metric("eventstreams_replay_reads_total").await, 0);
    }

    async fn history_continues_live_without_a_gap(cluster: Cluster) {
        let (topics, server) = filled(&cluster, TIME, 200).await;
        let mut subscriber = Request::get("/v2/stream/since?since=0")
            .subscribe(server.address)
            .await;
        let mut events = subscriber.events(10).await;
        for n in 200..260 {
            cluster
                .produce(record(
                    &topics[n % 2],
                    i32::from(n % 3 > 0),
                    TIME + to_i64(n),
                    n,
                ))
                .await;
            events.extend(subscriber.events(if n < 250 { 3 } else { 1 }).await);
        }
        events.extend(subscriber.events(260 - events.len()).await);
        assert_eq!(offsets(&events), offsets_in_log(&cluster, &topics).await);
    }

    async fn a_time_in_the_future_starts_live(cluster: Cluster) {
        let (topics, server) = filled(&cluster, TIME, 8).await;
        let mut all = Vec::new();
        let tomorrow = (now_ms() + 86_400_000).to_string();
        for since in [
            &*tomorrow,
            "9999-12-31T23:59:59Z",
            "%2B275760-09-13T00:00:00.000Z",
            "99999999999999999999",
        ] {
            all.push((
                since,
                Request::get(format!("/v2/stream/since?since={since}"))
                    .subscribe(server.address)
                    .await,
            ));
        }
        cluster.produce(record(&topics[1], 1, TIME, 8)).await;
        for (since, mut subscriber) in all {
            assert_eq!(numbers(&subscriber.events(1).await), [8], "{since}");
        }
    }

    /// The clock of a producer was a year ahead: a client that starts in the future does not get
    /// that record.
    async fn a_future_time_starts_live_despite_records_of_the_future(cluster: Cluster) {
        let (topics, server) = filled(&cluster, TIME, 8).await;
        let year = 365 * 86_400_000;
        cluster
            .produce(record(&topics[1], 1, now_ms() + year, 8))
            .await;
        cluster.produce(record(&topics[1], 1, TIME, 9)).await;
        eventually("both to be there", async || {
            (first(&server, "1700000000000", 10).await.len() == 10).then_some(())
        })
        .await;
        let since = now_ms() + year / 2;
        let mut subscriber = Request::get(format!("/v2/stream/since?since={since}"))
            .subscribe(server.address)
            .await;
        cluster.produce(record(&topics[1], 1, TIME, 10)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [10]);
    }

    async fn topics_missing_in_the_id_start_at_since(cluster: Cluster) {
        let (topics, server) = filled(&cluster, TIME, 40).await;
        let [named, other] = &topics;
        let id: Vec<_> = (0..2)
            .map(|p| format!(r#"{{"topic":"{named}","partition":{p},"offset":9}}"#))
            .collect();
        let request = Request::get(format!("/v2/stream/since?since={}", TIME + 30))
            .last_event_id(format!("[{}]", id.join(",")));
        let events = request.subscribe(server.address).await.events(7).await;
        let mut found = numbers(&events);
        found.sort_unstable();
        assert_eq!(found, [31, 33, 35, 36, 37, 38, 39], "{named} {other}");
    }
);
