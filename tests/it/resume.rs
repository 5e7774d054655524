//! Resuming: a disconnected client continues exactly after its last event.

use crate::support::admin::{Cluster, unique};
use crate::support::numbered::{TIME, numbers, offsets, offsets_in_log, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{End, Request};

/// Topics of three streams in both datacenters, with one to three partitions.
async fn three_streams(cluster: &Cluster) -> (Settings, Vec<(String, i32)>) {
    let mut settings = Settings::default();
    let mut topics = Vec::new();
    for (partitions, stream) in (1..).zip(["first", "second", "third"]) {
        let own = [
            unique(&format!("eqiad.{stream}")),
            unique(&format!("codfw.{stream}")),
        ];
        for topic in &own {
            cluster.create_topic(topic, partitions).await;
            topics.push((topic.clone(), partitions));
        }
        settings = settings.stream(stream, &[&own[0], &own[1]]);
    }
    (settings, topics)
}

/// Produces `count` records over all partitions, four per millisecond, numbered from `first`.
async fn produce(cluster: &Cluster, topics: &[(String, i32)], first: usize, count: usize) {
    let positions: Vec<_> = topics
        .iter()
        .flat_map(|(topic, partitions)| (0..*partitions).map(move |p| (topic, p)))
        .collect();
    let records = (first..first + count).map(|n| {
        let (topic, partition) = positions[n * 7 % positions.len()];
        record(topic, partition, TIME + to_i64(n / 4), n)
    });
    cluster.produce_many("none", records).await;
}

fn names(topics: &[(String, i32)]) -> Vec<String> {
    topics.iter().map(|(topic, _)| topic.clone()).collect()
}

on_both_brokers!(
    async fn ten_events_of_a_millisecond_resume_after_the_third(cluster: Cluster) {
        let topic = unique("eqiad.burst");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("burst", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/burst")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let first = subscriber.events(3).await;
        let id = first[2].id.clone().expect("an id");
        drop(subscriber);
        let mut subscriber = Request::get("/v2/stream/burst")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        let rest = subscriber.events(7).await;
        assert_eq!(numbers(&first), [0, 1, 2]);
        assert_eq!(numbers(&rest), [3, 4, 5, 6, 7, 8, 9]);
    }

    /// The server started later and has none of it in memory.
    async fn a_burst_that_only_kafka_has_resumes_inside_it(cluster: Cluster) {
        let topic = unique("eqiad.burst");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default().stream("burst", &[&topic]);
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/burst")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let id = subscriber.events(3).await[2].id.clone().expect("an id");
        assert!(
            id.contains(&format!("\"timestamp\":{TIME}")),
            "the third of a run: {id}"
        );
        let later = TestServer::start(&cluster, &settings).await;
        let mut subscriber = Request::get("/v2/stream/burst")
            .last_event_id(id)
            .subscribe(later.address)
            .await;
        assert_eq!(numbers(&subscriber.events(7).await), [3, 4, 5, 6, 7, 8, 9]);
    }

    async fn a_topic_with_events_only_after_the_disconnect_is_read(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.silent"), unique("codfw.silent"));
        cluster.create_topic(&eqiad, 1).await;
        cluster.create_topic(&codfw, 1).await;
        let server = TestServer::start(
            &cluster,
            &Settings::default().stream("silent", &[&eqiad, &codfw]),
        )
        .await;
        let mut subscriber = Request::get("/v2/stream/silent")
            .subscribe(server.address)
            .await;
        cluster.produce(record(&eqiad, 0, TIME + 5, 0)).await;
        subscriber.events(1).await;
        let id = subscriber.last_id().expect("an id").to_owned();
        drop(subscriber);
        cluster.produce(record(&codfw, 0, TIME, 1)).await;
        cluster.produce(record(&codfw, 0, TIME + 1, 2)).await;
        let mut subscriber = Request::get("/v2/stream/silent")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        assert_eq!(numbers(&subscriber.events(2).await), [1, 2]);
    }

    async fn a_disconnect_inside_a_frame_resumes_after_the_last_one(cluster: Cluster) {
        let topic = unique("eqiad.cut");
        cluster.create_topic(&topic, 1).await;
        let server =
            TestServer::start(&cluster, &Settings::default().stream("cut", &[&topic])).await;
        cluster
            .produce_many("none", (0..8).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let mut subscriber = Request::get("/v2/stream/cut?since=0")
            .subscribe(server.address)
            .await;
        let ends: Vec<usize> = subscriber
            .events(8)
            .await
            .iter()
            .map(|frame| frame.end)
            .collect();
        drop(subscriber);
        // Right after a frame, one byte into the next, in its id, before its last byte.
        let positions = [
            (ends[2], 3),
            (ends[2] + 1, 3),
            (ends[2] + 60, 3),
            (ends[3] - 1, 3),
            (ends[3], 4),
        ];
        for (bytes, complete) in positions {
            let subscriber = Request::get("/v2/stream/cut?since=0")
                .subscribe(server.address)
                .await;
            let remains = subscriber.cut_at(bytes).await;
            assert_eq!(
                numbers(&remains.events),
                (0..complete).collect::<Vec<_>>(),
                "cut at {bytes}"
            );
            let id = remains.last_id.expect("an id");
            let mut subscriber = Request::get("/v2/stream/cut")
                .last_event_id(id)
                .subscribe(server.address)
                .await;
            let rest = numbers(&subscriber.events(8 - complete).await);
            assert_eq!(
                rest,
                (complete..8).collect::<Vec<_>>(),
                "after a cut at {bytes}"
            );
        }
    }

    async fn composite_streams_of_several_partitions_resume(cluster: Cluster) {
        let (settings, topics) = three_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/third,first,second");
        let mut subscriber = request.clone().subscribe(server.address).await;
        produce(&cluster, &topics, 0, 100).await;
        let mut events = subscriber.events(37).await;
        let id = events[36].id.clone().expect("an id");
        drop(subscriber);
        produce(&cluster, &topics, 100, 80).await;
        let mut subscriber = request
            .clone()
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        events.extend(subscriber.events(100).await);
        let id = events[136].id.clone().expect("an id");
        drop(subscriber);
        let mut subscriber = request.last_event_id(id).subscribe(server.address).await;
        produce(&cluster, &topics, 180, 20).await;
        events.extend(subscriber.events(63).await);
        assert_eq!(
            offsets(&events),
            offsets_in_log(&cluster, &names(&topics)).await
        );
        let mut sorted = numbers(&events);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..200).collect::<Vec<_>>());
    }

    async fn ids_outlive_the_server_that_wrote_them(cluster: Cluster) {
        let (settings, topics) = three_streams(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/first,second,third");
        let mut subscriber = request.clone().subscribe(server.address).await;
        produce(&cluster, &topics, 0, 60).await;
        let mut events = subscriber.events(25).await;
        let id = events[24].id.clone().expect("an id");
        server.stop().await;
        produce(&cluster, &topics, 60, 40).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscriber = request.last_event_id(id).subscribe(server.address).await;
        produce(&cluster, &topics, 100, 20).await;
        events.extend(subscriber.events(95).await);
        assert_eq!(
            offsets(&events),
            offsets_in_log(&cluster, &names(&topics)).await
        );
        assert_eq!(events.len(), 120);
    }

    async fn a_client_alternates_between_two_servers_of_a_cluster(cluster: Cluster) {
        let (settings, topics) = three_streams(&cluster).await;
        let servers = [
            TestServer::start(&cluster, &settings).await,
            TestServer::start(&cluster, &settings).await,
        ];
        let request = Request::get("/v2/stream/first,second,third");
        let mut subscriber = request.clone().subscribe(servers[0].address).await;
        let mut events = Vec::new();
        for hop in 0..30 {
            // The next server may not have read yet what the last one sent.
            produce(&cluster, &topics, hop * 5, 5).await;
            events.extend(subscriber.events(if hop % 3 == 0 { 2 } else { 6 }).await);
            let id = events.last().expect("events").id.clone().expect("an id");
            drop(subscriber);
            subscriber = request
                .clone()
                .last_event_id(id)
                .subscribe(servers[hop % 2].address)
                .await;
        }
        events.extend(subscriber.events(150 - events.len()).await);
        assert_eq!(
            offsets(&events),
            offsets_in_log(&cluster, &names(&topics)).await
        );
    }

    async fn streams_end_at_shutdown_with_a_retry_and_resume_later(cluster: Cluster) {
        let topic = unique("eqiad.leaving");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("leaving", &[&topic])
            .key("drain_ms", "300");
        let server = TestServer::start(&cluster, &settings).await;
        let mut subscribers = Vec::new();
        for _ in 0..5 {
            subscribers.push(
                Request::get("/v2/stream/leaving")
                    .subscribe(server.address)
                    .await,
            );
        }
        cluster
            .produce_many("none", (0..500).map(|n| record(&topic, 0, TIME, n)))
            .await;
        for subscriber in &mut subscribers {
            subscriber.events(1).await;
        }
        server.stop().await;
        let server = TestServer::start(&cluster, &settings).await;
        for mut subscriber in subscribers {
            let (more, end) = subscriber.rest().await;
            assert_eq!(end, End::Complete);
            let body = String::from_utf8(subscriber.response.body.clone()).expect("text");
            let (_, last) = body
                .trim_end_matches('\n')
                .rsplit_once("\n\n")
                .expect("frames");
            let wait: u64 = last
                .strip_prefix("retry: ")
                .expect("`retry:` is the last frame")
                .parse()
                .expect("ms");
            assert!((500..3000).contains(&wait), "{wait}");
            let id = subscriber.last_id().expect("an id").to_owned();
            let mut subscriber = Request::get("/v2/stream/leaving")
                .last_event_id(id)
                .subscribe(server.address)
                .await;
            let rest = numbers(&subscriber.events(499 - more.len()).await);
            assert_eq!(rest, (1 + more.len()..500).collect::<Vec<_>>());
        }
    }
);
