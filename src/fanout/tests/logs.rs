//! What subscribers get when a log is made again, cut at its end, or out of reach.

use std::sync::Arc;

use bytes::Bytes;

use super::cluster::{Log, LogRecord};
use super::together::{TIME, hub, hub_that_keeps, log, publish};
use crate::cursor::{
    IdEntry, LogId, MovedReason, Offset, Partition, Requested, RequestedPosition, TimestampMs,
    TopicIdentity,
};
use crate::event::Format;
use crate::fanout::{
    Batch, Hub, HubPartition, LogStart, Moved, SubscribeRequest, Subscription, subscribe,
};

/// What a subscriber was handed: offsets of events, and notices.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Event(i64),
    Moved(Requested, Offset, MovedReason),
    /// A notice inside the feed, which everybody who is live shares.
    Notice(String),
}

fn asked(position: Option<RequestedPosition>) -> SubscribeRequest {
    let entry = |position| IdEntry {
        topic: "eqiad.a".into(),
        partition: Some(Partition(0)),
        position,
    };
    SubscribeRequest {
        topics: vec!["eqiad.a".into()],
        format: Format::Sse,
        last_event_id: position.map(entry).into_iter().collect(),
        since: None,
        client: None,
        lookup_client: None,
    }
}

fn at(next: i64) -> SubscribeRequest {
    asked(Some(RequestedPosition::Offset(Offset(next))))
}

/// Everything that there is for a subscriber now.
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

/// The hub's limits in tests hold three entries a step: this one is far behind after one step.
async fn behind(hub: &Arc<Hub>) -> (Subscription, Vec<Got>) {
    let mut subscription = subscribe(hub, at(0)).await.expect("it begins").subscription;
    let Batch::Frames { pieces, .. } = subscription.next().await else {
        panic!("frames come")
    };
    let got = frames(&pieces);
    (subscription, got)
}

#[tokio::test]
async fn a_recreated_topic_is_sent_from_its_start_to_everybody_with_notice() {
    let old = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&old));
    let mut live = subscribe(&hub, asked(None))
        .await
        .expect("it begins")
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
    assert_eq!(
        drain(&mut late).await,
        expected,
        "nothing of the old memory"
    );
}

#[tokio::test]
async fn an_id_of_the_old_topic_begins_at_the_start_of_the_new_one_with_notice() {
    let old = log(0, 0, &[TIME; 20]);
    let (hub, requests) = hub_that_keeps(1 << 20, std::slice::from_ref(&old));
    let new = hub.recreate_partition(
        &partition(&hub),
        Some(new_log()),
        LogStart::of_log(Offset(0)),
    );
    let log = log(0, 0, &[5; 30]);
    publish(&hub, &new, &log.records);
    // Its offset is one of the new log's too.
    let position = RequestedPosition::Both {
        next: Offset(12),
        timestamp: TimestampMs(TIME),
        log: old.identity,
    };
    let (started, ()) = tokio::join!(subscribe(&hub, asked(Some(position))), async {
        let lookup = requests.lookups.recv().await.expect("where the log begins");
        lookup
            .reply
            .send(log.answer(lookup.question))
            .expect("it waits");
    });
    let mut started = started.expect("it begins");
    let moved = started.moved.pop().expect("it is moved");
    assert_eq!(moved.reason, MovedReason::TopicRecreated);
    assert_eq!(moved.requested, Requested::Offset(Offset(12)));
    assert_eq!(drain(&mut started.subscription).await, events(0..30));
}

/// Kafka lost the last five records and goes on with others: subscribers below the cut are not
/// moved.
#[tokio::test]
async fn whoever_is_below_the_cut_of_a_log_loses_nothing() {
    let log = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&log));
    let mut live = subscribe(&hub, asked(None))
        .await
        .expect("it begins")
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

/// One that fell behind after the cut, and had read the lost records, goes on at the cut.
#[tokio::test]
async fn whoever_is_beyond_the_cut_goes_on_there_with_notice() {
    let log = log(0, 0, &[TIME; 20]);
    let hub = hub(std::slice::from_ref(&log));
    let mut live = subscribe(&hub, asked(None))
        .await
        .expect("it begins")
        .subscription;
    let new = hub.truncate_partition(&partition(&hub), Offset(15));
    publish(&hub, &new, records(&log, 15..18));
    // Its frames have left the feed before it read them.
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
async fn the_others_do_not_wait_for_a_partition_without_a_leader() {
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
            ..asked(None)
        },
    )
    .await;
    assert!(error.is_err(), "where to begin in it cannot be looked up");

    hub.set_available(&sick, true);
    let (started, ()) = tokio::join!(
        subscribe(
            &hub,
            SubscribeRequest {
                last_event_id: id.to_vec(),
                ..asked(None)
            }
        ),
        async {
            let lookup = requests
                .lookups
                .recv()
                .await
                .expect("memory does not reach back");
            lookup
                .reply
                .send(logs[0].answer(lookup.question))
                .expect("it waits");
        }
    );
    let mut subscription = started.expect("it begins").subscription;
    hub.set_available(&sick, false);
    assert_eq!(
        drain(&mut subscription).await,
        events(8..10),
        "of the other partition"
    );
    hub.set_available(&sick, true);
    let (got, ()) = tokio::join!(drain(&mut subscription), async {
        let replay = requests.replays[0].recv().await.expect("it is read on");
        replay
            .reply
            .send(logs[0].replay(&replay.range, 100))
            .expect("it waits");
    });
    assert_eq!(got, events(0..10), "all of the one that is back");
}

/// An id without `log`, as the Node service and hand-written ones are.
#[tokio::test]
async fn in_memory_an_offset_without_a_log_counts_where_the_record_before_agrees_or_is_none() {
    let mut log = log(0, 0, &[TIME, TIME + 1, TIME + 1, TIME + 2]);
    log.append(Some(4), TIME + 3, true, 2);
    let hub = hub(std::slice::from_ref(&log));
    let begins = async |next, timestamp| {
        let (next, timestamp) = (Offset(next), TimestampMs(timestamp));
        let position = RequestedPosition::Both {
            next,
            timestamp,
            log: None,
        };
        let started = subscribe(&hub, asked(Some(position)))
            .await
            .expect("it begins");
        let mut subscription = started.subscription;
        drain(&mut subscription).await.into_iter().next()
    };
    assert_eq!(
        begins(3, TIME + 1).await,
        Some(Got::Event(3)),
        "the record before agrees"
    );
    assert_eq!(
        begins(3, TIME + 2).await,
        Some(Got::Event(3)),
        "another log: the time counts"
    );
    assert_eq!(
        begins(4, TIME + 1).await,
        Some(Got::Event(1)),
        "another log: the time counts"
    );
    assert_eq!(
        begins(6, TIME + 9).await,
        Some(Got::Event(6)),
        "no record lies before it"
    );
}

/// The clock of a producer may be ahead of this machine's.
#[tokio::test]
async fn an_id_of_another_cluster_loses_nothing_if_its_time_is_ahead() {
    let ahead = TimestampMs::now().0 + 60_000;
    let log = log(0, 0, &[TIME, ahead, ahead + 1, ahead + 1]);
    let hub = hub(std::slice::from_ref(&log));
    let position = RequestedPosition::Both {
        next: Offset(700),
        timestamp: TimestampMs(ahead),
        log: Some(LogId::new("another cluster", TopicIdentity::Id([9; 16]))),
    };
    let started = subscribe(&hub, asked(Some(position))).await;
    let mut subscription = started.expect("it begins").subscription;
    assert_eq!(drain(&mut subscription).await, events(1..4));
}
