//! Brokers that die, are absent or hold records that are too large, and a server that is killed.
//! Each test has its own Apache Kafka.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::admin::{Cluster, NewRecord};
use crate::support::brokers::kafka_available;
use crate::support::crowd::{Crowd, crowd_records};
use crate::support::deadline::{eventually, within};
use crate::support::kafka::KafkaBroker;
use crate::support::numbered::{TIME, now_ms, numbers, record, to_i64};
use crate::support::process::ServerProcess;
use crate::support::server::{Settings, TestServer};
use crate::support::sse::Subscriber;
use crate::support::wire::Request;

/// A stream of one topic.
fn settings(stream: &str, topic: &str) -> Settings {
    Settings::default().stream(stream, &[topic])
}

async fn create_topic(cluster: &Cluster, topic: &str, partitions: i32) {
    cluster.create_topic(topic, partitions).await;
}

/// 100 subscribers; the broker is away for 20 seconds, and heartbeats continue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_a_killed_broker_costs_no_event_and_no_stream() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("killed under a hundred subscribers").await;
    let cluster = broker.cluster();
    create_topic(&cluster, "eqiad.live", 2).await;
    let server = TestServer::start(
        &cluster,
        &settings("live", "eqiad.live").key("heartbeat_ms", "1000"),
    )
    .await;
    let crowd = Crowd::start(
        server.address,
        &Request::get("/v2/stream/live"),
        vec![None; 100],
        &[0, 1],
    );
    crowd.wait_until_opened(1).await;
    cluster
        .produce_many("none", crowd_records("eqiad.live", 2, 0..100))
        .await;
    crowd.wait_for_events(100).await;
    broker.kill();
    let before = crowd.sum(|client| &client.comments);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // Each client expects one a second; half of that shows that they continue.
    let heartbeats = crowd.sum(|client| &client.comments) - before;
    eventually("ten heartbeats for each", async || {
        (crowd.sum(|client| &client.comments) >= before + 1000).then_some(())
    })
    .await;
    let begun = Instant::now();
    broker.restart().await;
    let (up, begun) = (begun.elapsed(), Instant::now());
    cluster
        .produce_many("none", crowd_records("eqiad.live", 2, 100..200))
        .await;
    crowd.wait_for_events(200).await;
    println!(
        "broker killed for 20 s under 100 subscribers: {heartbeats} heartbeats meanwhile; \
         broker up after {} ms, all events {} ms later",
        up.as_millis(),
        begun.elapsed().as_millis()
    );
    assert_eq!(
        crowd.sum(|client| &client.opened),
        100,
        "no client reconnected"
    );
    // A new client is served, also from Kafka.
    let mut past = Request::get("/v2/stream/live?since=0")
        .subscribe(server.address)
        .await;
    past.events(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_becomes_ready_when_the_broker_appears() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("absent at start").await;
    create_topic(&broker.cluster(), "eqiad.late", 1).await;
    broker
        .cluster()
        .produce(record("eqiad.late", 0, TIME, 0))
        .await;
    broker.stop();
    let server =
        TestServer::start_without_waiting(&broker.bootstrap, &settings("late", "eqiad.late"));
    let refused = async || {
        let mut refused = Request::get("/v2/stream/late").send(server.address).await;
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("5"))
        );
        assert_eq!(refused.json().await["type"], "unavailable");
        assert_eq!(Request::get("/readyz").send(server.admin).await.status, 503);
    };
    refused().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    refused().await;
    let begun = Instant::now();
    broker.restart().await;
    server.wait_until_ready().await;
    println!(
        "broker absent at start: ready {} ms after the broker was started",
        begun.elapsed().as_millis()
    );
    let mut subscriber = Request::get("/v2/stream/late?since=0")
        .subscribe(server.address)
        .await;
    broker
        .cluster()
        .produce(record("eqiad.late", 0, TIME, 1))
        .await;
    assert_eq!(numbers(&subscriber.events(2).await), [0, 1]);
}

/// The largest event is delivered and a larger one is skipped and counted, live and from Kafka,
/// among small ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_ten_megabytes_are_delivered_or_counted() {
    const LARGEST: usize = 10_485_760;
    if !kafka_available().await {
        return;
    }
    let broker = KafkaBroker::start("with large records").await;
    let cluster = broker.cluster();
    create_topic(&cluster, "eqiad.large", 1).await;
    let settings = settings("large", "eqiad.large");
    let server = TestServer::start(&cluster, &settings).await;
    let mut live = Request::get("/v2/stream/large")
        .subscribe(server.address)
        .await;
    let sized = |n: usize, bytes: usize| {
        let empty = format!(r#"{{"n":{n},"padding":""}}"#);
        NewRecord::new(
            "eqiad.large",
            0,
            TIME,
            empty.replace(
                r#""""#,
                &format!(r#""{}""#, "x".repeat(bytes - empty.len())),
            ),
        )
    };
    let records = [
        sized(0, 100),
        sized(1, LARGEST),
        sized(2, LARGEST + 1),
        sized(3, 100),
        sized(4, 11_000_000),
        sized(5, 100),
    ];
    cluster.produce_many("none", records).await;
    let expect = async |subscriber: &mut Subscriber| {
        let mut found = Vec::new();
        while found.last() != Some(&5) {
            let event = subscriber.event().await;
            let bytes = event.data.as_ref().map_or(0, String::len);
            found.push(numbers(std::slice::from_ref(&event))[0]);
            assert_eq!(bytes > LARGEST, found.last() == Some(&1), "{bytes} bytes");
        }
        assert_eq!(found, [0, 1, 3, 5]);
    };
    expect(&mut live).await;
    let skipped = "eventstreams_records_skipped_total{reason=\"too_large\"}";
    assert_eq!(server.metric(skipped).await, 2);
    let forgetful =
        TestServer::start(&cluster, &settings.key("memory_log_bytes_max", "1048576")).await;
    expect(
        &mut Request::get("/v2/stream/large?since=0")
            .subscribe(forgetful.address)
            .await,
    )
    .await;
    assert!(forgetful.metric("eventstreams_replay_reads_total").await > 0);
    assert!(forgetful.metric(skipped).await >= 2);
}

/// A broker that dies with records that no replica has: they were delivered and are lost, and
/// others take their offsets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_log_is_followed_from_its_new_end() {
    if !kafka_available().await {
        return;
    }
    let mut broker = KafkaBroker::start("whose log loses its end").await;
    let cluster = broker.cluster();
    for (topic_name, more) in [("eqiad.shorter", 3), ("eqiad.longer", 9)] {
        create_topic(&cluster, topic_name, 1).await;
        let server = TestServer::start(&cluster, &settings("cut", topic_name)).await;
        let mut live = Request::get("/v2/stream/cut")
            .subscribe(server.address)
            .await;
        let now = now_ms();
        let records = |numbers: std::ops::Range<usize>| {
            numbers
                .map(|n| record(topic_name, 0, now + to_i64(n), n))
                .collect::<Vec<_>>()
        };
        cluster.produce_many("none", records(0..5)).await;
        let segment = broker.segment(topic_name, 0);
        let kept = segment.metadata().expect("the segment").len();
        cluster.produce_many("none", records(5..10)).await;
        let id = live.events(10).await[9].id.clone().expect("an id");
        broker.kill();
        let file = std::fs::File::options()
            .write(true)
            .open(&segment)
            .expect("the segment opens");
        file.set_len(kept).expect("the segment is truncated");
        broker.restart().await;
        assert_eq!(cluster.watermarks(topic_name, 0).await, (0, 5));
        cluster.produce_many("none", records(10..10 + more)).await;
        let expected: Vec<_> = (10..10 + more).collect();
        assert_eq!(numbers(&live.events(more).await), expected, "{topic_name}");
        let mut resumed = Request::get("/v2/stream/cut")
            .last_event_id(id)
            .subscribe(server.address)
            .await;
        assert_eq!(
            numbers(&resumed.events(more).await),
            expected,
            "{topic_name}, resumed"
        );
        let moved = resumed
            .response
            .header("x-eventstreams-moved")
            .unwrap_or_default();
        assert!(
            moved.contains("asked=10; actual=5; reason=log_truncated"),
            "{topic_name}: {moved}"
        );
    }
}

/// 500 reconnecting clients; the process is killed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_a_killed_server_costs_no_event() {
    const CLIENTS: usize = 500;
    if !kafka_available().await {
        return;
    }
    let broker = KafkaBroker::start("behind a server that is killed").await;
    let cluster = broker.cluster();
    create_topic(&cluster, "eqiad.killed", 3).await;
    let mut server =
        ServerProcess::start(&broker.bootstrap, &settings("killed", "eqiad.killed")).await;
    let crowd = Crowd::start(
        server.address,
        &Request::get("/v2/stream/killed"),
        vec![None; CLIENTS],
        &[0, 1, 2],
    );
    crowd.wait_until_opened(1).await;
    let producer = cluster.producer("none");
    producer
        .produce_many(crowd_records("eqiad.killed", 3, 0..30))
        .await;
    crowd.wait_for_events(30).await;
    let mut total = 30;
    for death in 1..=2 {
        // Inside a batch, and with events while it is down.
        let during = producer.produce_many(crowd_records("eqiad.killed", 3, total..total + 90));
        let killed = async {
            let seen = crowd.sum(|client| &client.events);
            within("some of them to be delivered", async {
                while crowd.sum(|client| &client.events) == seen {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            server.kill();
        };
        tokio::join!(during, killed);
        producer
            .produce_many(crowd_records("eqiad.killed", 3, total + 90..total + 120))
            .await;
        total += 120;
        let begun = Instant::now();
        server.restart().await;
        let (ready, begun) = (begun.elapsed(), Instant::now());
        crowd.wait_for_events(total).await;
        println!(
            "server killed -9, {CLIENTS} clients, death {death}: \
             ready after {} ms, all have caught up {} ms later",
            ready.as_millis(),
            begun.elapsed().as_millis()
        );
    }
    assert!(
        crowd
            .clients
            .iter()
            .all(|client| client.opened.load(Ordering::Relaxed) >= 3),
        "every client reconnected twice"
    );
}
