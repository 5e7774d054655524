//! How the streams of one client affect other clients: joining does not wait for rendering, and a
//! full memory budget loses no event.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::cursor::{IdForm, Offset, Partition, TimestampMs};
use crate::event::Format;
use crate::fanout::upstream::upstream;
use crate::fanout::{
    Arrival, Batch, Bound, FeedKey, Hub, HubLimits, HubPartition, LogStart, SubscribeRequest,
    subscribe,
};
use crate::memory::Use;
use crate::stream::Topic;
use crate::telemetry::metrics::Metrics;

use super::TINY_STEPS;
use super::cluster::Log;

const TIME: i64 = 1_700_000_000_000;
const BUDGET: usize = 1 << 20;

fn topic() -> Topic {
    "eqiad.a".into()
}

fn hub() -> (Arc<Hub>, Arc<HubPartition>) {
    let limits = HubLimits {
        memory_log_bytes_max: 1 << 20,
        feed_bytes_max: 1 << 20,
        feeds_bytes_max: None,
        memory_bytes_max: BUDGET,
        replays_max: 1,
        replays_per_client_max: None,
        replay_queue_max: 1,
        step: TINY_STEPS,
    };
    let hub = Hub::new(limits, upstream(1, 1).0, Arc::new(Metrics::default()));
    let start = LogStart::of_log(Offset(0));
    let partition = hub.add_partition(&topic(), Partition(0), None, start);
    hub.set_ready(true);
    (hub, partition)
}

/// Publishes `count` events from index `first` of the log on.
fn publish(hub: &Hub, partition: &Arc<HubPartition>, first: usize, count: usize) {
    let mut log = Log::new(0, topic(), 0);
    (0..first + count).for_each(|number| log.append(Some(number), TIME, true, 0));
    let arrivals = log.records[first..].iter().map(|record| Arrival {
        partition: Arc::clone(partition),
        offset: Offset(record.offset),
        timestamp: TimestampMs(record.timestamp),
        event: record.event.clone(),
    });
    hub.publish(arrivals.collect());
}

fn request() -> SubscribeRequest {
    let (topics, last_event_id) = (vec![topic()], Vec::new());
    SubscribeRequest {
        topics,
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
    }
}

/// While an event is rendered for all feeds of a partition, a stream starts and ends on it.
#[test]
fn a_feed_joins_and_leaves_while_an_event_is_rendered() {
    let (hub, partition) = hub();
    let rendering = partition.followers.admit();
    let (done, is_done) = mpsc::channel();
    let joining = Arc::clone(&hub);
    std::thread::spawn(move || {
        drop(joining.join(&FeedKey {
            topics: [topic()].into(),
            format: Format::Ndjson,
            selection: None,
            fields: None,
            ids: IdForm::Auto,
        }));
        done.send(()).expect("the test waits");
    });
    is_done
        .recv_timeout(Duration::from_mins(1))
        .expect("it does not wait");
    drop(rendering);
}

#[tokio::test(start_paused = true)]
async fn events_without_memory_are_delivered_once_there_is_memory() {
    let (hub, partition) = hub();
    let mut subscription = subscribe(&hub, request())
        .await
        .expect("it starts")
        .subscription;
    publish(&hub, &partition, 0, 1);
    assert!(matches!(
        subscription.next().await,
        Batch::Frames { live: Some(_), .. }
    ));
    let all = hub.memory().hold(Use::Streams, BUDGET);
    publish(&hub, &partition, 1, 2);
    tokio::select! {
        batch = subscription.next() => panic!("there is no memory: {batch:?}"),
        () = tokio::time::sleep(Duration::from_mins(1)) => {}
    }
    drop(all);
    let Batch::Frames {
        delivered,
        live: None,
        ..
    } = subscription.next().await
    else {
        panic!("the missed events come")
    };
    assert_eq!(delivered[0].events, 2);
    tokio::select! {
        biased;
        batch = subscription.next() => panic!("nothing is left: {batch:?}"),
        () = tokio::task::yield_now() => {}
    }
    publish(&hub, &partition, 3, 1);
    assert!(
        matches!(
            subscription.next().await,
            Batch::Frames { live: Some(_), .. }
        ),
        "live again"
    );
    drop(subscription);
    assert_eq!(hub.memory().held(), 0, "all memory is returned");
}
