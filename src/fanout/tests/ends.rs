//! Streams with `until`, cut at random and resumed, compared with the logs.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cursor::{IdEntry, IdForm, LastEventId, TimestampMs};
use crate::event::Format;
use crate::fanout::{Batch, Bound, BoundReached, Hub, SubscribeRequest, subscribe};
use crate::filter::{Filter, Selection};

use super::cluster::{KINDS, Log};
use super::together::{TIME, hub, log};

/// Logs of two partitions over 40 seconds, with some disorder and, at times, a record of the
/// future.
fn logs(dice: &mut ChaCha8Rng) -> [Log; 2] {
    [0, 1].map(|partition| {
        let mut log = log(partition, 0, &[]);
        let mut now = TIME;
        for index in 0..dice.random_range(0..60) {
            now += dice.random_range(0..1300);
            let time = match dice.random_range(0..40) {
                0 => TimestampMs::now().0 + 86_400_000,
                1..10 => now - dice.random_range(0..5000),
                _ => now,
            };
            let (delivered, hole) = (dice.random_range(0..8) > 0, dice.random_range(0..2));
            log.append(Some(index), time, delivered, hole);
        }
        log
    })
}

struct Client {
    until: Option<TimestampMs>,
    kind: Option<usize>,
    id: Vec<IdEntry>,
    /// Partition and offset of each event.
    events: Vec<(i64, i64)>,
}

impl Client {
    fn request(&self) -> SubscribeRequest {
        let filter = self.kind.map(|kind| format!("event.k == {kind}"));
        let selection = filter.and_then(|text| {
            let filter = Filter::parse(&text).expect("a filter");
            Selection::new(filter, None)
        });
        SubscribeRequest {
            topics: vec!["eqiad.a".into()],
            format: Format::Sse,
            selection: selection.map(Arc::new),
            fields: None,
            ids: IdForm::Auto,
            last_event_id: self.id.clone(),
            since: Some(TimestampMs(TIME - 10_000)),
            last_events: None,
            bound: Bound {
                events: None,
                until: self.until,
                page: None,
            },
            client: None,
            lookup_client: None,
        }
    }

    fn take_id(&mut self, id: &str) {
        let id = LastEventId::parse(id).expect("an id of ours");
        self.id = id.entries().to_vec();
    }

    fn take_frame(&mut self, frame: &str) {
        let fields = frame.split_once("\ndata: ").expect("data");
        let (event, id) = fields.0.split_once("\nid: ").expect("an id");
        if event == "event: message" {
            let json: serde_json::Value = serde_json::from_str(fields.1).expect("JSON");
            let number = |name: &str| json["meta"][name].as_i64().expect("a number");
            self.events.push((number("partition"), number("offset")));
        }
        self.take_id(id);
    }

    /// Reads at most this number of frames. Returns whether the stream has ended.
    async fn read(&mut self, hub: &Arc<Hub>, mut frames: usize) -> bool {
        assert!(!self.request().is_over(hub), "{:?}", self.id);
        let mut subscription = subscribe(hub, self.request())
            .await
            .expect("it starts")
            .subscription;
        loop {
            let next = tokio::time::timeout(std::time::Duration::from_secs(1), subscription.next());
            match next.await {
                Ok(Batch::Frames { pieces, .. }) => {
                    let text = pieces.concat();
                    for frame in str::from_utf8(&text)
                        .expect("UTF-8")
                        .split_terminator("\n\n")
                    {
                        if frames == 0 {
                            return false;
                        }
                        frames -= 1;
                        self.take_frame(frame);
                    }
                }
                Ok(Batch::End { reached, id }) => {
                    assert_eq!(reached, BoundReached::Until);
                    self.take_id(str::from_utf8(&id).expect("UTF-8"));
                    return true;
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {
                    assert_eq!(self.until, None, "it ends");
                    return true;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn until_is_exact_whatever_the_cuts() {
    for seed in 0..300 {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let logs = logs(&mut dice);
        let hub = hub(&logs);
        // Often the time of a record.
        let times: Vec<i64> = logs[0]
            .records
            .iter()
            .map(|record| record.timestamp)
            .collect();
        let until = match times.get(dice.random_range(0..60)) {
            Some(time) if *time < TimestampMs::now().0 => *time,
            _ => TIME + dice.random_range(0..50_000),
        };
        let mut client = Client {
            until: Some(TimestampMs(until)),
            kind: (dice.random_range(0..2) == 0).then(|| dice.random_range(0..KINDS)),
            id: Vec::new(),
            events: Vec::new(),
        };
        while !client.read(&hub, dice.random_range(1..30)).await {}
        let of_kind = client.kind;
        let expected = |wants: &dyn Fn(i64) -> bool| {
            let mut events = Vec::new();
            for log in &logs {
                let records = log.records.iter().filter(|record| record.event.is_some());
                let of_it = records.filter(|record| {
                    let kind = record.index.map(|index| index % KINDS);
                    of_kind.is_none() || of_kind == kind
                });
                let wanted = of_it.filter(|record| wants(record.timestamp));
                events.extend(wanted.map(|record| (i64::from(log.partition.0), record.offset)));
            }
            events
        };
        let mut got = client.events.clone();
        got.sort_by_key(|(partition, _)| *partition);
        assert_eq!(
            got,
            expected(&|time| time < until),
            "seed {seed}, until {until}"
        );
        assert!(
            client.request().is_over(&hub),
            "seed {seed}: {:?}",
            client.id
        );

        // A client that was not cut goes on without `until`, and gets all of the rest.
        (client.id, client.events) = (Vec::new(), Vec::new());
        assert!(client.read(&hub, usize::MAX).await);
        client.until = None;
        client.read(&hub, usize::MAX).await;
        let missing: Vec<_> = expected(&|time| time < TimestampMs::now().0)
            .into_iter()
            .filter(|event| !client.events.contains(event))
            .collect();
        assert_eq!(missing, [], "seed {seed}, until {until}");
    }
}
