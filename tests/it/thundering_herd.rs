//! Many clients at once: some reconnect in the same second, some read a long history while others
//! read live. The tests check what they receive and only print how fast. Run the long ones as a
//! release build:
//!
//! ```sh
//! cargo test --release --test it -- --ignored --nocapture thundering_herd::
//! ```

use std::time::{Duration, Instant};

use crate::support::admin::{NewRecord, Producer};
use crate::support::brokers::kafka_available;
use crate::support::crowd::{Crowd, crowd_records};
use crate::support::kafka::KafkaBroker;
use crate::support::numbered::{TIME, now_ms, to_i64};
use crate::support::process::ServerProcess;
use crate::support::server::Settings;
use crate::support::wire::Request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_reconnecting_clients_are_served_from_memory() {
    reconnect_at_once(500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: see the module"]
async fn five_thousand_reconnecting_clients_are_served_from_memory() {
    reconnect_at_once(5000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_replays_leave_live_clients_undisturbed() {
    read_backlog(50_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: see the module"]
async fn twenty_replays_of_a_million_records_leave_live_clients_alone() {
    read_backlog(1_000_000).await;
}

/// All clients reconnect with an id that is two minutes old, on a stream with an event of 1.3 kB a
/// second.
async fn reconnect_at_once(clients: usize) {
    const EVENTS: usize = 120;
    if !kafka_available().await {
        return;
    }
    let broker = KafkaBroker::start("of a thundering herd").await;
    let cluster = broker.cluster();
    cluster.create_topic("eqiad.herd", 1).await;
    let server = ServerProcess::start(
        &broker.bootstrap,
        &Settings::default().stream("herd", &["eqiad.herd"]),
    )
    .await;
    let mut first = Request::get("/v2/stream/herd")
        .subscribe(server.address)
        .await;
    let past = now_ms() - 120_000;
    let padding = "x".repeat(1300);
    let records = (0..EVENTS).map(|n| {
        let value = format!(r#"{{"n":{n},"ms":{TIME},"padding":"{padding}"}}"#);
        NewRecord::new("eqiad.herd", 0, past + to_i64(n) * 1000, value)
    });
    cluster.produce_many("none", records).await;
    let id = first.event().await.id;
    first.events(EVENTS - 1).await;
    let begun = Instant::now();
    let herd = Crowd::start(
        server.address,
        &Request::get("/v2/stream/herd"),
        vec![id; clients],
        &[1],
    );
    herd.wait_for_events(EVENTS - 1).await;
    let took = begun.elapsed();
    let [reads, lookups] = [
        "eventstreams_replay_reads_total",
        "eventstreams_lookups_total",
    ]
    .map(|name| server.metric(name));
    assert_eq!((reads.await, lookups.await), (0, 0), "Kafka was not read");
    println!(
        "{clients} clients reconnect at once, {} events of 1.3 kB behind: \
         all caught up after {} ms; process {} MiB",
        EVENTS - 1,
        took.as_millis(),
        server.resident_bytes() >> 20
    );
    assert_eq!(
        herd.sum(|client| &client.opened),
        clients,
        "no client had to reconnect"
    );
    cluster
        .produce_many(
            "none",
            [NewRecord::new(
                "eqiad.herd",
                0,
                now_ms(),
                format!(r#"{{"n":{EVENTS},"ms":{TIME}}}"#),
            )],
        )
        .await;
    herd.wait_for_events(EVENTS).await;
}

/// Produces records of the past, in portions.
async fn produce_backlog(producer: &Producer, records: usize) {
    for from in (0..records).step_by(50_000) {
        let record = |n: usize| {
            let value = format!(r#"{{"n":{n},"ms":{TIME},"padding":"{}"}}"#, "x".repeat(100));
            NewRecord::new("eqiad.backlog", 0, TIME + to_i64(n), value)
        };
        producer
            .produce_many((from..records.min(from + 50_000)).map(record))
            .await;
    }
}

/// 500 live clients get 20 events a second; then 20 others read `records` from Kafka.
async fn read_backlog(records: usize) {
    if !kafka_available().await {
        return;
    }
    let broker = KafkaBroker::start("with a long history").await;
    let cluster = broker.cluster();
    for topic in ["eqiad.backlog", "eqiad.now"] {
        cluster.create_topic(topic, 1).await;
    }
    let producer = cluster.producer("lz4");
    produce_backlog(&producer, records).await;
    let settings = Settings::default()
        .stream("backlog", &["eqiad.backlog"])
        .stream("now", &["eqiad.now"]);
    let settings = settings.key("memory_log_bytes_max", "1048576");
    let server = ServerProcess::start(&broker.bootstrap, &settings).await;
    let request = Request::get("/v2/stream/now");
    let live = Crowd::start(server.address, &request, vec![None; 500], &[0]);
    live.wait_until_opened(1).await;
    let mut count = 0;
    let mut tick = async || {
        tokio::time::sleep(Duration::from_millis(50)).await;
        producer
            .produce_many(crowd_records("eqiad.now", 1, std::iter::once(count)))
            .await;
        count += 1;
        count
    };
    for _ in 0..100 {
        tick().await;
    }
    live.wait_for_events(100).await;
    let before = live.delays();
    let begun = Instant::now();
    let request = Request::get("/v2/stream/backlog?since=0");
    let past = Crowd::start(server.address, &request, vec![None; 20], &[0]);
    let complete = past.wait_for_events(records);
    tokio::pin!(complete);
    let mut last = 100;
    loop {
        tokio::select! {
            biased;
            () = &mut complete => break,
            now = tick() => last = now,
        }
    }
    let took = begun.elapsed();
    live.check();
    let during = live.delays();
    println!(
        "20 clients read {records} records each in {} ms; 500 live clients got {last} events, \
         delays before: {}; meanwhile: {}",
        took.as_millis(),
        before,
        during
    );
    assert!(server.metric("eventstreams_replay_reads_total").await > 0);
    assert_eq!(
        live.sum(|client| &client.opened) + past.sum(|client| &client.opened),
        520,
        "no client had to reconnect"
    );
    let end = cluster.watermarks("eqiad.now", 0).await.1;
    live.wait_for_events(usize::try_from(end).expect("an offset"))
        .await;
}
