//! Coming back: a client that was cut goes on right after what it has, whole.

use crate::support::admin::{NewRecord, unique};
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Frame;
use crate::support::wire::Request;

/// Some time of 2023: the tests' records are older than any reach-back.
const TIME: i64 = 1_700_000_000_000;

fn record(topic: &str, partition: i32, timestamp: i64, n: usize) -> NewRecord {
    NewRecord::new(topic, partition, timestamp, format!(r#"{{"n":{n}}}"#))
}

fn numbers(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.json()["n"].as_u64().expect("a number")).collect()
}

on_both_brokers! {
    async fn ten_events_of_one_millisecond_cut_after_the_third(cluster: Cluster) {
        let topic = unique("eqiad.burst");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("burst", &[&topic])).await;
        let mut subscriber = Request::get("/v2/stream/burst").subscribe(server.address).await;
        cluster.produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n))).await;
        let first = subscriber.events(3).await;
        let id = first[2].id.clone().expect("an id");
        drop(subscriber);
        let mut subscriber = Request::get("/v2/stream/burst").last_event_id(id).subscribe(server.address).await;
        let rest = subscriber.events(7).await;
        assert_eq!(numbers(&first), [0, 1, 2]);
        assert_eq!(numbers(&rest), [3, 4, 5, 6, 7, 8, 9]);
    }

    async fn a_datacenter_silent_before_the_cut_speaks_after_it(cluster: Cluster) {
        let (eqiad, codfw) = (unique("eqiad.silent"), unique("codfw.silent"));
        cluster.create_topic(&eqiad, 1).await;
        cluster.create_topic(&codfw, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("silent", &[&eqiad, &codfw])).await;
        let mut subscriber = Request::get("/v2/stream/silent").subscribe(server.address).await;
        cluster.produce(record(&eqiad, 0, TIME + 5, 0)).await;
        subscriber.events(1).await;
        let id = subscriber.last_id().expect("an id").to_owned();
        drop(subscriber);
        cluster.produce(record(&codfw, 0, TIME, 1)).await;
        cluster.produce(record(&codfw, 0, TIME + 1, 2)).await;
        let mut subscriber = Request::get("/v2/stream/silent").last_event_id(id).subscribe(server.address).await;
        assert_eq!(numbers(&subscriber.events(2).await), [1, 2]);
    }
}
