//! Cases that random runs do not reach: subscribers of one feed share its frames, and a permit for
//! a replay is held no longer than necessary.

use std::sync::Arc;

use crate::cursor::{
    IdEntry, IdForm, Offset, Partition, Requested, RequestedPosition, TimestampMs,
};
use crate::event::Format;
use crate::fanout::upstream::{UpstreamRequests, upstream};
use crate::fanout::{
    Arrival, Batch, Bound, Hub, HubLimits, HubPartition, LogStart, SubscribeRequest, subscribe,
};
use crate::telemetry::metrics::Metrics;

use super::TINY_STEPS;
use super::cluster::{Log, LogRecord};

pub(super) const TIME: i64 = 1_700_000_000_000;

/// A log of `fillers` older records, then records with these timestamps.
pub(super) fn log(partition: i32, fillers: i64, timestamps: &[i64]) -> Log {
    let mut log = Log::new(0, "eqiad.a".into(), partition);
    for filler in 0..fillers {
        log.append(None, filler, false, 0);
    }
    for (index, timestamp) in timestamps.iter().enumerate() {
        log.append(Some(index), *timestamp, true, 0);
    }
    log
}

/// A hub that has read all of the logs.
pub(super) fn hub(logs: &[Log]) -> Arc<Hub> {
    hub_that_keeps(1 << 20, logs).0
}

pub(super) fn hub_that_keeps(
    memory_log_bytes_max: usize,
    logs: &[Log],
) -> (Arc<Hub>, UpstreamRequests) {
    let (to_kafka, requests) = upstream(1, 1);
    let limits = HubLimits {
        memory_log_bytes_max,
        feed_bytes_max: 1 << 20,
        feeds_bytes_max: None,
        memory_bytes_max: 1 << 30,
        replays_max: 1,
        replays_per_client_max: None,
        replay_queue_max: 1,
        step: TINY_STEPS,
    };
    let hub = Hub::new(limits, to_kafka, Arc::new(Metrics::default()));
    for log in logs {
        let start = LogStart::of_log(Offset(0));
        let partition = hub.add_partition(&log.topic, log.partition, log.identity, start);
        publish(&hub, &partition, &log.records);
    }
    hub.set_ready(true);
    (hub, requests)
}

pub(super) fn publish(hub: &Hub, partition: &Arc<HubPartition>, records: &[LogRecord]) {
    let arrivals = records.iter().map(|record| Arrival {
        partition: Arc::clone(partition),
        offset: Offset(record.offset),
        timestamp: TimestampMs(record.timestamp),
        event: record.event.clone(),
    });
    hub.publish(arrivals.collect());
}

pub(super) fn from_offset_0() -> SubscribeRequest {
    let position = RequestedPosition::Offset(Offset(0));
    let id = vec![IdEntry {
        topic: "eqiad.a".into(),
        partition: Some(Partition(0)),
        position,
    }];
    SubscribeRequest {
        topics: vec!["eqiad.a".into()],
        format: Format::Sse,
        selection: None,
        fields: None,
        ids: IdForm::Auto,
        last_event_id: id,
        since: None,
        client: None,
        last_events: None,
        bound: Bound::default(),
        lookup_client: None,
    }
}

/// Answers one look-up and one replay. `between` changes the log between them.
async fn answer(requests: &UpstreamRequests, mut log: Log, between: impl FnOnce(&mut Log)) {
    let lookup = requests
        .lookups
        .recv()
        .await
        .expect("offset 0 is not in memory");
    lookup
        .reply
        .send(log.answer(lookup.question))
        .expect("it is awaited");
    let replay = requests.replays[0]
        .recv()
        .await
        .expect("the first records are not in memory");
    between(&mut log);
    replay
        .reply
        .send(log.replay(&replay.range, 100))
        .expect("it is awaited");
}

#[tokio::test]
async fn a_subscriber_that_continues_from_memory_returns_its_permit() {
    let log = log(0, 0, &[TIME; 10]);
    let (hub, requests) = hub_that_keeps(1000, std::slice::from_ref(&log));
    let read = async {
        let mut subscription = subscribe(&hub, from_offset_0())
            .await
            .expect("it starts")
            .subscription;
        let forgotten =
            u64::try_from(hub.partitions(&"eqiad.a".into())[0].memory_start().0).expect("few");
        let mut count = 0;
        while count < 10 {
            let Batch::Frames { delivered, .. } = subscription.next().await else {
                panic!("only frames")
            };
            count += delivered.iter().map(|topic| topic.events).sum::<u64>();
            assert_eq!(
                hub.replay_permits.in_use(),
                usize::from(count <= forgotten),
                "after {count} events, of which {forgotten} are forgotten"
            );
        }
        assert!(!subscription.is_live(), "a live one has no permit anyway");
    };
    tokio::join!(answer(&requests, log, |_| ()), read);
}

/// Retention has deleted every record, and the log's start is now above the feed's position: the
/// log's last offset holds no record. The subscriber may wait for long, until the next record.
#[tokio::test]
async fn a_subscriber_that_waits_for_the_feed_returns_its_permit() {
    let log = log(0, 0, &[TIME; 10]);
    let (hub, requests) = hub_that_keeps(1000, std::slice::from_ref(&log));
    let delete_all = |log: &mut Log| {
        log.end_transaction();
        log.low = log.high;
    };
    let read = async {
        let mut subscription = subscribe(&hub, from_offset_0())
            .await
            .expect("it starts")
            .subscription;
        let Batch::Moved(moved) = subscription.next().await else {
            panic!("missing records cause a notice")
        };
        assert_eq!(
            (moved.requested, moved.actual),
            (Requested::Offset(Offset(0)), Offset(11))
        );
        assert_eq!(hub.replay_permits.in_use(), 1);
        tokio::select! {
            biased;
            batch = subscription.next() => panic!("nothing is left: {batch:?}"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(hub.replay_permits.in_use(), 0);
    };
    tokio::join!(answer(&requests, log, delete_all), read);
}

/// Two subscribers that are live on all partitions get the same bytes, not equal copies: event and
/// id are rendered once.
#[tokio::test]
async fn an_event_is_rendered_once_for_all_subscribers_of_a_feed() {
    let mut logs = [log(0, 0, &[TIME]), log(1, 0, &[TIME])];
    let hub = hub(&logs);
    let request = || SubscribeRequest {
        topics: vec!["eqiad.a".into()],
        format: Format::Sse,
        selection: None,
        fields: None,
        ids: IdForm::Auto,
        last_event_id: Vec::new(),
        since: None,
        client: None,
        last_events: None,
        bound: Bound::default(),
        lookup_client: None,
    };
    let mut one = subscribe(&hub, request())
        .await
        .expect("it starts")
        .subscription;
    let mut other = subscribe(&hub, request())
        .await
        .expect("it starts")
        .subscription;
    logs[0].append(Some(1), TIME + 1, true, 0);
    publish(
        &hub,
        &hub.partitions(&logs[0].topic)[0],
        &logs[0].records[1..],
    );
    let (Batch::Frames { pieces, .. }, Batch::Frames { pieces: others, .. }) =
        (one.next().await, other.next().await)
    else {
        panic!("frames come");
    };
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].as_ptr(), others[0].as_ptr());
    assert_eq!(pieces, others);
}
