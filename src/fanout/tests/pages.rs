//! Logs that are read page by page, with pages of random sizes, compared with the logs.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cursor::{IdEntry, IdForm, LastEventId, TimestampMs};
use crate::event::Format;
use crate::fanout::{
    AtTail, Batch, Bound, BoundReached, Hub, PageBound, SubscribeRequest, Subscription, subscribe,
};
use crate::filter::{Filter, Selection};

use super::cluster::{KINDS, Log};
use super::together::{TIME, hub, log};

fn logs(dice: &mut ChaCha8Rng) -> [Log; 2] {
    [0, 1].map(|partition| {
        let mut log = log(partition, 0, &[]);
        let mut now = TIME;
        for index in 0..dice.random_range(0..60) {
            now += dice.random_range(0..300);
            let time = now - dice.random_range(0..500);
            let (delivered, hole) = (dice.random_range(0..8) > 0, dice.random_range(0..2));
            log.append(Some(index), time, delivered, hole);
        }
        log
    })
}

fn random_page(dice: &mut ChaCha8Rng) -> PageBound {
    PageBound {
        bytes: dice.random_range(1..2000),
        records: dice.random_range(1..40),
        at_tail: AtTail::End,
    }
}

fn request(kind: Option<usize>, id: &[IdEntry], page: PageBound) -> SubscribeRequest {
    let selection = kind.and_then(|kind| {
        let filter = Filter::parse(&format!("event.k == {kind}")).expect("a filter");
        Selection::new(filter, None)
    });
    SubscribeRequest {
        topics: vec!["eqiad.a".into()],
        format: Format::Ndjson,
        selection: selection.map(Arc::new),
        fields: None,
        ids: IdForm::Compact,
        last_event_id: id.to_vec(),
        since: Some(TimestampMs(TIME - 10_000)),
        last_events: None,
        bound: Bound::page(page),
        client: None,
        lookup_client: None,
    }
}

struct Page {
    events: Vec<(i64, i64)>,
    reached: BoundReached,
    id: Vec<IdEntry>,
}

fn entries(id: &[u8]) -> Vec<IdEntry> {
    let id = LastEventId::parse(str::from_utf8(id).expect("UTF-8"));
    id.expect("an id of ours").entries().to_vec()
}

/// Reads a page to its end.
async fn read(subscription: &mut Subscription) -> Page {
    let mut events = Vec::new();
    loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(1), subscription.next());
        match next.await.expect("it ends") {
            Batch::Frames { pieces, .. } => {
                let lines = pieces.concat();
                for line in lines
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    let json: serde_json::Value = serde_json::from_slice(line).expect("JSON");
                    let number = |name: &str| json["meta"][name].as_i64().expect("a number");
                    events.push((number("partition"), number("offset")));
                }
            }
            Batch::End { reached, id } => {
                let id = entries(&id);
                assert_eq!(entries(&subscription.place().id), id);
                return Page {
                    events,
                    reached,
                    id,
                };
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn start(hub: &Arc<Hub>, request: SubscribeRequest) -> Subscription {
    let subscribed = subscribe(hub, request).await.expect("it starts");
    subscribed.subscription
}

#[tokio::test(start_paused = true)]
async fn pages_of_any_size_are_the_log() {
    for seed in 0..300 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let logs = logs(&mut dice);
        let hub = hub(&logs);
        let kind = (dice.random_range(0..2) == 0).then(|| dice.random_range(0..KINDS));
        let mut id = Vec::new();
        let mut got = Vec::new();
        let mut pages = 0;
        let mut reached = BoundReached::PageFull;
        while reached != BoundReached::Tail {
            let mut subscription = start(&hub, request(kind, &id, random_page(&mut dice))).await;
            // Some pages of one subscription, then another request.
            for _ in 0..dice.random_range(1..4) {
                let page = read(&mut subscription).await;
                got.extend(page.events);
                (id, reached) = (page.id, page.reached);
                pages += 1;
                assert!(pages < 1000, "seed {seed}");
                if reached == BoundReached::Tail {
                    break;
                }
                subscription.go_on_to(Bound::page(random_page(&mut dice)));
            }
        }
        got.sort_by_key(|(partition, _)| *partition);
        let mut expected = Vec::new();
        for log in &logs {
            let events = log.records.iter().filter(|record| record.event.is_some());
            let of_kind = events
                .filter(|record| kind.is_none() || kind == record.index.map(|index| index % KINDS));
            expected.extend(of_kind.map(|record| (i64::from(log.partition.0), record.offset)));
        }
        assert_eq!(got, expected, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_waits_ends_with_its_first_event() {
    let mut logs = [log(0, 0, &[]), log(1, 0, &[])];
    logs[0].append(Some(0), TIME, true, 0);
    let hub = hub(&logs);
    let page = PageBound {
        bytes: 1000,
        records: 1000,
        at_tail: AtTail::WaitForEvent,
    };
    let mut subscription = start(&hub, request(None, &[], page)).await;
    let first = read(&mut subscription).await;
    assert_eq!(
        (first.events, first.reached),
        (vec![(0, 0)], BoundReached::Tail)
    );
    subscription.go_on_to(Bound::page(page));
    let second = tokio::time::timeout(std::time::Duration::from_mins(1), subscription.next());
    assert!(second.await.is_err(), "it waits");
    assert!(subscription.place().is_at_tail);
}
