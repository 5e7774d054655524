//! The ring and its wake-ups under every schedule: one publisher and two subscribers, three events.
//!
//! The fan-out is the program's own, with other locks: at each of them the model checker decides
//! who goes on. A wake-up that is lost leaves everybody waiting, which the checker tells as a
//! deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventstreams::cursor::{
    IdEntry, IdForm, LogAnswer, Offset, Partition, RequestedPosition, TimestampMs,
};
use eventstreams::event::{self, Format, Record, RedactionKind, RedactionRules};
use eventstreams::fanout::upstream::{UpstreamRequests, upstream};
use eventstreams::fanout::{
    Arrival, Batch, Bound, Hub, HubLimits, HubPartition, LogStart, StepLimits, SubscribeRequest,
    Subscribed, subscribe,
};
use eventstreams::stream::Topic;
use eventstreams::telemetry::metrics::Metrics;
use eventstreams_schedules::FewPreemptions;
use shuttle::{Config, Runner, future, thread};

const EVENTS: usize = 3;
const SUBSCRIBERS: usize = 2;

/// Enough for everything.
const ROOMY: usize = 1 << 20;
/// The ring holds one frame.
const TIGHT: usize = 1;

fn topic() -> Topic {
    "eqiad.a".into()
}

/// Runs it in every schedule of at most `MAX_PREEMPTIONS`, or 2, preemptions.
fn in_every_schedule(run: impl Fn() + Send + Sync + 'static) {
    let max = std::env::var("MAX_PREEMPTIONS").map_or(2, |text| text.parse().expect("a number"));
    // Nobody waits for its timers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    Runner::new(FewPreemptions::new(max), Config::new()).run(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        run();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} schedules of at most {max} preemptions");
    assert!(runs > 1000, "hardly anything was tried: {runs}");
}

fn hub(feed_bytes_max: usize) -> (Arc<Hub>, Arc<HubPartition>, UpstreamRequests) {
    let (to_kafka, requests) = upstream(SUBSCRIBERS, 1);
    let limits = HubLimits {
        memory_log_bytes_max: ROOMY,
        feed_bytes_max,
        feeds_bytes_max: None,
        memory_bytes_max: 1 << 30,
        replays_max: 1,
        replays_per_client_max: None,
        replay_queue_max: 1,
        step: StepLimits::default(),
    };
    let hub = Hub::new(limits, to_kafka, Arc::new(Metrics::default()));
    let start = LogStart::of_log(Offset(0));
    let partition = hub.add_partition(&topic(), Partition(0), None, start);
    hub.set_ready(true);
    (hub, partition, requests)
}

fn publish(hub: &Hub, partition: &Arc<HubPartition>, offset: usize) {
    let (topic, partition) = (topic(), Arc::clone(partition));
    let (offset, timestamp) = (
        Offset(i64::try_from(offset).expect("few")),
        TimestampMs(1000),
    );
    let record = Record {
        topic: &topic,
        partition: Partition(0),
        offset,
        timestamp,
        key: None,
        value: Some(b"{}"),
    };
    let prepared = event::prepare(
        &record,
        &RedactionRules::default(),
        RedactionKind::strictest(),
        100,
    )
    .expect("an event");
    hub.publish(vec![Arrival {
        partition,
        offset,
        timestamp,
        event: Some(prepared.event),
    }]);
}

async fn begin(hub: &Arc<Hub>, last_event_id: Vec<IdEntry>) -> Subscribed {
    let request = SubscribeRequest {
        topics: vec![topic()],
        format: Format::Ndjson,
        selection: None,
        fields: None,
        ids: IdForm::Auto,
        last_event_id,
        since: None,
        client: None,
        last_events: None,
        bound: Bound::default(),
        lookup_client: None,
    };
    subscribe(hub, request).await.expect("it begins")
}

/// Reads as many events as there are, and fails unless they are those, each once and in order.
async fn read_all(started: Subscribed) {
    read_from(0, started).await;
}

/// The same from an offset on.
async fn read_from(first: usize, mut started: Subscribed) {
    let mut text = String::new();
    while text.lines().count() < EVENTS - first {
        let Batch::Frames { pieces, .. } = started.subscription.next().await else {
            panic!("only frames")
        };
        text.extend(
            pieces
                .iter()
                .map(|piece| std::str::from_utf8(piece).expect("UTF-8")),
        );
    }
    let expected: String = (first..EVENTS)
        .map(|offset| {
            format!("{{\"meta\":{{\"topic\":\"eqiad.a\",\"partition\":0,\"offset\":{offset}}}}}\n")
        })
        .collect();
    assert_eq!(text, expected);
}

/// Everybody is live when the first event comes.
fn live_subscribers(feed_bytes_max: usize) {
    let (hub, partition, _) = hub(feed_bytes_max);
    let begun: Vec<Subscribed> = (0..SUBSCRIBERS)
        .map(|_| future::block_on(begin(&hub, Vec::new())))
        .collect();
    let reading: Vec<_> = begun
        .into_iter()
        .map(|started| thread::spawn(|| future::block_on(read_all(started))))
        .collect();
    (0..EVENTS).for_each(|offset| publish(&hub, &partition, offset));
    reading
        .into_iter()
        .for_each(|thread| thread.join().expect("it does not panic"));
}

#[test]
fn live_subscribers_get_every_event_in_every_schedule() {
    in_every_schedule(|| live_subscribers(ROOMY));
}

#[test]
fn subscribers_that_fall_behind_a_ring_of_one_frame_get_every_event_in_every_schedule() {
    in_every_schedule(|| live_subscribers(TIGHT));
}

/// So many come back with an offset, after `published` events, and while the others arrive.
fn returning_subscribers(count: usize, published: usize, offset: usize) {
    let (hub, partition, requests) = hub(ROOMY);
    let answering =
        (offset > published).then(|| thread::spawn(|| future::block_on(answer(requests))));
    (0..published).for_each(|offset| publish(&hub, &partition, offset));
    let reading: Vec<_> = (0..count)
        .map(|_| {
            let hub = Arc::clone(&hub);
            thread::spawn(move || {
                future::block_on(async {
                    let position =
                        RequestedPosition::Offset(Offset(i64::try_from(offset).expect("few")));
                    let id = vec![IdEntry {
                        topic: topic(),
                        partition: Some(Partition(0)),
                        position,
                    }];
                    read_from(offset, begin(&hub, id).await).await;
                });
            })
        })
        .collect();
    (published..EVENTS).for_each(|offset| publish(&hub, &partition, offset));
    reading
        .into_iter()
        .for_each(|thread| thread.join().expect("it does not panic"));
    drop(hub);
    answering
        .into_iter()
        .for_each(|thread| thread.join().expect("it does not panic"));
}

/// Answers as a log that holds all the events, whose reader may not have come as far.
async fn answer(requests: UpstreamRequests) {
    while let Ok(request) = requests.lookups.recv().await {
        let (low, high) = (Offset(0), Offset(i64::try_from(EVENTS).expect("few")));
        let before = Some(TimestampMs(1000));
        let _ = request.reply.send(LogAnswer {
            low,
            high,
            before,
            after: None,
            by_time: None,
            last: None,
        });
    }
}

#[test]
fn who_comes_back_while_events_arrive_gets_every_event_in_every_schedule() {
    in_every_schedule(|| returning_subscribers(SUBSCRIBERS, 1, 0));
}

#[test]
fn who_comes_back_with_the_offset_of_the_end_gets_no_event_twice_in_any_schedule() {
    in_every_schedule(|| returning_subscribers(SUBSCRIBERS, 1, 1));
}

#[test]
fn who_has_read_further_than_this_server_gets_no_event_twice_in_any_schedule() {
    // One alone: with the questions to Kafka there are many more schedules.
    in_every_schedule(|| returning_subscribers(1, 1, 2));
}
