//! What subscribers get when a log is recreated, truncated or unavailable.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::cluster::{Log, LogRecord};
use super::together::{TIME, hub, hub_that_keeps, log, publish};
use crate::cursor::{
    IdEntry, IdForm, LogId, MovedReason, Offset, Partition, Requested, RequestedPosition,
    TimestampMs, TopicIdentity,
};
use crate::event::Format;
use crate::fanout::{
    Batch, Bound, Hub, HubPartition, LogStart, Moved, SubscribeRequest, Subscription, subscribe,
};

/// Far longer than any of these tests waits for a question to Kafka.
const LIMIT: Duration = Duration::from_secs(30);

/// What a subscriber received.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Event(i64),
    Moved(Requested, Offset, MovedReason),
    /// A notice in the feed, which all live subscribers share.
    Notice(String),
}

fn request(position: Option<RequestedPosition>) -> SubscribeRequest {
    let entry = |position| IdEntry {
        topic: "eqiad.a".into(),
        partition: Some(Partition(0)),
        position,
    };
    SubscribeRequest {
        topics: vec!["eqiad.a".into()],
        format: Format::Sse,
        selection: None,
        fields: None,
        ids: IdForm::Auto,
        last_event_id: position.map(entry).into_iter().collect(),
        since: None,
        client: None,
        last_events: None,
        bound: Bound::default(),
        lookup_client: None,
    }
}

fn at(next: i64) -> SubscribeRequest {
    request(Some(RequestedPosition::Offset(Offset(next))))
}

/// Everything that a subscriber can get now.
async fn drain(subscription: &mut Subscription) -> Vec<Got> {
    let mut got = Vec::new();
    for _ in 0..50 {
        tokio::select! {
            biased;
            batch = subscription.next() => match batch {
                Batch::Frames { pieces, .. } => {
                    got.extend(frames(&pieces));
                }
                Batch::Moved(Moved { requested, actual, reason, .. }) => {
                    got.push(Got::Moved(requested, actual, reason));
                }
                other => panic!("{other:?}"),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    got
}

fn frames(pieces: &[Bytes]) -> Vec<Got> {
    let text: String = pieces
        .iter()
        .map(|piece| str::from_utf8(piece).unwrap())
        .collect();
    text.split_terminator("\n\n").map(frame).collect()
}

fn frame(text: &str) -> Got {
    if let Some(notice) = text.strip_prefix(": moved: ") {
        return Got::Notice(notice.to_owned());
    }
    let data = text.split_once("data: ").expect("an event").1;
    let event: serde_json::Value = serde_json::from_str(data).expect("JSON");
    Got::Event(event["meta"]["offset"].as_i64().expect("a number"))
}

fn events(range: std::ops::Range<i64>) -> Vec<Got> {
    range.map(Got::Event).collect()
}

fn partition(hub: &Hub) -> Arc<HubPartition> {
    Arc::clone(&hub.partitions(&"eqiad.a".into())[0])
}

fn records(log: &Log, range: std::ops::Range<usize>) -> &[LogRecord] {
    &log.records[range]
}

fn new_log() -> LogId {
    LogId::new("0", TopicIdentity::Id([9; 16]))
}

/// A subscriber that is far behind: in tests, one step delivers three entries.
async fn behind(hub: &Arc<Hub>) -> (Subscription, Vec<Got>) {
    let mut subscription = subscribe(hub, at(0)).await.expect("it starts").subscription;
    let Batch::Frames { pieces, .. } = subscription.next().await else {
        panic!("frames come")
    };
    let got = frames(&pieces);
    (subscription, got)
}

#[tokio::test]
async fn a_recreated_topic_is_sent_from_its_start_after_a_notice() {
    let old = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&old));
    let mut live = subscribe(&hub, request(None))
        .await
        .expect("it starts")
        .subscription;
    let (mut late, had) = behind(&hub).await;
    let start = LogStart::of_log(Offset(0));
    let new = hub.recreate_partition(&partition(&hub), Some(new_log()), start);
    // Fewer records than the old log had, and with earlier times.
    let log = log(0, 0, &[5; 4]);
    publish(&hub, &new, &log.records);

    let notice = "topic=eqiad.a; partition=0; asked=20; actual=0; reason=topic_recreated";
    let mut expected = vec![Got::Notice(notice.to_owned())];
    expected.extend(events(0..4));
    assert_eq!(drain(&mut live).await, expected);

    let next = Offset(i64::try_from(had.len()).unwrap());
    let moved = Got::Moved(
        Requested::Offset(next),
        Offset(0),
        MovedReason::TopicRecreated,
    );
    let mut expected = vec![moved];
    expected.extend(events(0..4));
    assert_eq!(drain(&mut late).await, expected, "nothing of the old log");
}

#[tokio::test]
async fn an_id_of_a_deleted_topic_starts_the_recreated_one_with_a_notice() {
    let old = log(0, 0, &[TIME; 20]);
    let (hub, requests) = hub_that_keeps(1 << 20, std::slice::from_ref(&old));
    let new = hub.recreate_partition(
        &partition(&hub),
        Some(new_log()),
        LogStart::of_log(Offset(0)),
    );
    let log = log(0, 0, &[5; 30]);
    publish(&hub, &new, &log.records);
    // The offset also exists in the new log.
    let position = RequestedPosition::Both {
        next: Offset(12),
        timestamp: TimestampMs(TIME),
        log: old.identity,
    };
    let (started, ()) = tokio::join!(subscribe(&hub, request(Some(position))), async {
        let lookup = requests
            .lookups
            .recv()
            .await
            .expect("a look-up of the log's start");
        lookup
            .reply
            .send(log.answer(lookup.question))
            .expect("it is awaited");
    });
    let mut started = started.expect("it starts");
    let moved = started.moved.pop().expect("it is moved");
    assert_eq!(moved.reason, MovedReason::TopicRecreated);
    assert_eq!(moved.requested, Requested::Offset(Offset(12)));
    assert_eq!(drain(&mut started.subscription).await, events(0..30));
}

/// Another process has discovered the recreated topic, and this one has not.
#[tokio::test]
async fn an_id_of_a_recreated_topic_waits_for_its_discovery() {
    let old = log(0, 0, &[TIME; 20]);
    let (hub, requests) = hub_that_keeps(1 << 20, std::slice::from_ref(&old));
    let position = RequestedPosition::Both {
        next: Offset(12),
        timestamp: TimestampMs(TIME),
        log: Some(new_log()),
    };
    let (started, ()) = tokio::join!(subscribe(&hub, request(Some(position))), async {
        let discovery = timeout(Duration::from_secs(20), requests.rediscover.recv()).await;
        discovery
            .expect("in time")
            .expect("the topics are looked up");
        let start = LogStart::of_log(Offset(0));
        let new = hub.recreate_partition(&partition(&hub), Some(new_log()), start);
        publish(&hub, &new, &log(0, 0, &[TIME; 30]).records);
    });
    let mut started = started.expect("it starts");
    assert_eq!(started.moved, []);
    assert_eq!(drain(&mut started.subscription).await, events(12..30));
}

/// Kafka lost the last five records and continues with others: subscribers below the cut are not
/// moved.
#[tokio::test]
async fn a_subscriber_below_the_cut_of_a_log_loses_nothing() {
    let log = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&log));
    let mut live = subscribe(&hub, request(None))
        .await
        .expect("it starts")
        .subscription;
    let (mut late, had) = behind(&hub).await;
    assert!(had.len() < 15);
    let new = hub.truncate_partition(&partition(&hub), Offset(15));
    publish(&hub, &new, records(&log, 15..18));

    let notice = "topic=eqiad.a; partition=0; asked=20; actual=15; reason=log_truncated";
    let mut expected = vec![Got::Notice(notice.to_owned())];
    expected.extend(events(15..18));
    assert_eq!(drain(&mut live).await, expected);

    let from = i64::try_from(had.len()).unwrap();
    assert_eq!(
        drain(&mut late).await,
        events(from..18),
        "no notice, no gap, no repeat"
    );
}

/// A subscriber that had read the lost records and falls behind after the cut continues there.
#[tokio::test]
async fn a_subscriber_beyond_the_cut_continues_there_after_a_notice() {
    let log = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&log));
    let mut live = subscribe(&hub, request(None))
        .await
        .expect("it starts")
        .subscription;
    let new = hub.truncate_partition(&partition(&hub), Offset(15));
    publish(&hub, &new, records(&log, 15..18));
    // Its frames leave the feed before it has read them.
    hub.rewrite(|_, _| None);
    let moved = Got::Moved(
        Requested::Offset(Offset(20)),
        Offset(15),
        MovedReason::LogTruncated,
    );
    let mut expected = vec![moved];
    expected.extend(events(15..18));
    assert_eq!(drain(&mut live).await, expected);
}

#[tokio::test]
async fn a_partition_without_a_leader_does_not_hold_up_the_others() {
    let logs = [log(0, 0, &[TIME; 10]), log(1, 0, &[TIME + 1; 10])];
    // Memory holds only the second partition.
    let (hub, requests) = hub_that_keeps(1500, &logs);
    let sick = hub.partitions(&"eqiad.a".into())[0].clone();
    assert!(sick.memory_start().0 > 0);
    hub.set_available(&sick, false);
    let id = [(0, 0), (1, 8)].map(|(number, next)| IdEntry {
        topic: "eqiad.a".into(),
        partition: Some(Partition(number)),
        position: RequestedPosition::Both {
            next: Offset(next),
            timestamp: TimestampMs(TIME),
            log: logs[0].identity,
        },
    });
    let error = subscribe(
        &hub,
        SubscribeRequest {
            last_event_id: id.to_vec(),
            ..request(None)
        },
    )
    .await;
    assert!(error.is_err(), "its start position cannot be looked up");

    hub.set_available(&sick, true);
    let (started, ()) = tokio::join!(
        subscribe(
            &hub,
            SubscribeRequest {
                last_event_id: id.to_vec(),
                ..request(None)
            }
        ),
        async {
            let lookup = timeout(LIMIT, requests.lookups.recv())
                .await
                .expect("it comes in time")
                .expect("memory does not reach back so far");
            lookup
                .reply
                .send(logs[0].answer(lookup.question))
                .expect("it is awaited");
        }
    );
    let mut subscription = started.expect("it starts").subscription;
    hub.set_available(&sick, false);
    assert_eq!(
        drain(&mut subscription).await,
        events(8..10),
        "of the other partition"
    );
    hub.set_available(&sick, true);
    let (got, ()) = tokio::join!(drain(&mut subscription), async {
        let replay = timeout(LIMIT, requests.replays[0].recv())
            .await
            .expect("it comes in time")
            .expect("reading continues");
        replay
            .reply
            .send(logs[0].replay(&replay.range, 100))
            .expect("it is awaited");
    });
    assert_eq!(
        got,
        events(0..10),
        "all of the partition that is available again"
    );
}

/// An id without `log`, like those of the Node service and those written by hand.
#[tokio::test]
async fn an_offset_without_a_log_needs_a_matching_record_before_it_or_none() {
    let mut log = log(0, 0, &[TIME, TIME + 1, TIME + 1, TIME + 2]);
    log.append(Some(4), TIME + 3, true, 2);
    let hub = hub(std::slice::from_ref(&log));
    let first_of = async |next, timestamp| {
        let (next, timestamp) = (Offset(next), TimestampMs(timestamp));
        let position = RequestedPosition::Both {
            next,
            timestamp,
            log: None,
        };
        let started = subscribe(&hub, request(Some(position)))
            .await
            .expect("it starts");
        let mut subscription = started.subscription;
        drain(&mut subscription).await.into_iter().next()
    };
    assert_eq!(
        first_of(3, TIME + 1).await,
        Some(Got::Event(3)),
        "the record before agrees"
    );
    assert_eq!(
        first_of(3, TIME + 2).await,
        Some(Got::Event(3)),
        "another log: the time counts"
    );
    assert_eq!(
        first_of(4, TIME + 1).await,
        Some(Got::Event(1)),
        "another log: the time counts"
    );
    assert_eq!(
        first_of(6, TIME + 9).await,
        Some(Got::Event(6)),
        "no record lies before it"
    );
}

/// The clock of a producer may be ahead of this machine's.
#[tokio::test]
async fn an_id_whose_time_is_ahead_loses_nothing_on_another_cluster() {
    let ahead = TimestampMs::now().0 + 60_000;
    let log = log(0, 0, &[TIME, ahead, ahead + 1, ahead + 1]);
    let hub = hub(std::slice::from_ref(&log));
    let position = RequestedPosition::Both {
        next: Offset(700),
        timestamp: TimestampMs(ahead),
        log: Some(LogId::new("another cluster", TopicIdentity::Id([9; 16]))),
    };
    let started = subscribe(&hub, request(Some(position))).await;
    let mut subscription = started.expect("it starts").subscription;
    assert_eq!(drain(&mut subscription).await, events(1..4));
}
