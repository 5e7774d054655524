//! Times in logs whose oldest segments were deleted.
//!
//! Apache Kafka finds a time in the first segment whose newest record is of that time or later. It
//! answers "none" when that record was deleted, although later segments have records of that time.

use crate::support::admin::{Cluster, unique};
use crate::support::numbered::{TIME, now_ms, numbers, record, to_i64};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// A topic of one partition with a record of each time, in order. A record that is more than 100
/// ms newer than the first one of its segment begins another segment.
async fn topic_of_segments(cluster: &Cluster, times: impl Iterator<Item = i64>) -> String {
    let topic = unique("eqiad.segments");
    let settings = [("segment.ms", "100")];
    cluster.create_topic_with(&topic, 1, &settings).await;
    let producer = cluster.producer("none");
    for (n, time) in times.enumerate() {
        producer.produce_many([record(&topic, 0, time, n)]).await;
    }
    topic
}

async fn server(cluster: &Cluster, topic: &str) -> TestServer {
    let settings = Settings::default().stream("segments", &[topic]);
    TestServer::start(cluster, &settings).await
}

async fn since(server: &TestServer, time: i64) -> Subscriber {
    Request::get(format!("/v2/stream/segments?since={time}"))
        .subscribe(server.address)
        .await
}

/// Of ten records, a second apart, the first five are deleted.
async fn half_deleted(cluster: &Cluster, begin: i64) -> (String, TestServer) {
    let times = (0..10).map(|n| begin + n * 1000);
    let topic = topic_of_segments(cluster, times).await;
    cluster.delete_records(&topic, 0, 5).await;
    let server = server(cluster, &topic).await;
    (topic, server)
}

/// What a client gets that asks for the time of a record, in the log of [`half_deleted`].
async fn check_times(topic: &str, server: &TestServer, begin: i64) {
    for n in 0..10_usize {
        let time = begin + to_i64(n) * 1000;
        let id = format!(r#"[{{"topic":"{topic}","partition":0,"timestamp":{time}}}]"#);
        let resumed = Request::get("/v2/stream/segments")
            .last_event_id(&id)
            .subscribe(server.address)
            .await;
        for mut subscriber in [since(server, time).await, resumed] {
            let first = n.max(5);
            let moved = subscriber.response.header("x-eventstreams-moved");
            let is_announced = moved.is_some_and(|moved| {
                moved.contains("actual=5; ") && moved.contains("reason=below_log_start")
            });
            assert_eq!(is_announced, n <= 5, "record {n}: {moved:?}");
            let events = numbers(&subscriber.events(10 - first).await);
            assert_eq!(events, (first..10).collect::<Vec<_>>(), "record {n}");
        }
    }
}

on_both_brokers!(
    async fn a_time_is_found_behind_deleted_segments(cluster: Cluster) {
        let (topic, server) = half_deleted(&cluster, TIME).await;
        check_times(&topic, &server, TIME).await;
    }

    /// Memory begins at the end of the log, and answers for no time that lies before it.
    async fn a_recent_time_is_found_behind_deleted_segments(cluster: Cluster) {
        let begin = now_ms() - 60_000;
        let (topic, server) = half_deleted(&cluster, begin).await;
        check_times(&topic, &server, begin).await;
    }

    /// The first segment has records of the time, but only one that is earlier was not deleted.
    async fn a_time_is_found_behind_a_segment_that_lost_it(cluster: Cluster) {
        let times = [0, 90, 10, 1000, 2000].map(|time| TIME + time);
        let topic = topic_of_segments(&cluster, times.into_iter()).await;
        cluster.delete_records(&topic, 0, 2).await;
        let server = server(&cluster, &topic).await;
        let mut subscriber = since(&server, TIME + 50).await;
        assert_eq!(numbers(&subscriber.events(2).await), [3, 4]);
    }
);
