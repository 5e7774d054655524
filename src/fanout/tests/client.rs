//! A client that keeps account of what it was sent, and knows from the model what it ought to be
//! sent next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};

use super::cluster::Log;
use super::server::Server;
use crate::cursor::{
    IdEntry, LastEventId, MovedReason, Offset, Requested, RequestedPosition, TimestampMs,
};
use crate::event::Format;
use crate::fanout::{Batch, Hub, Moved, SubscribeRequest, subscribe};
use crate::stream::Topic;

/// The records of each partition, the same on every cluster: timestamp, and what becomes of it.
pub type Truth = Vec<Vec<(i64, Fate)>>;

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every subscriber gets it.
    Delivered,
    /// It is no event.
    Skipped,
    /// Compaction has taken it: a subscriber gets it out of memory only.
    Compacted,
}

/// How far a client is in a partition; indices are those of [`Truth`].
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// It has, or was not to get, everything below.
    At(usize),
    /// The first id will tell where it begins: before every event from `want` on, and not
    /// needlessly early.
    Begins {
        want: usize,
        time: Option<i64>,
        live: usize,
    },
}

#[derive(Debug)]
enum Item {
    Frames(Bytes),
    Moved(Moved),
}

struct Connection {
    server: usize,
    cluster: usize,
    task: JoinHandle<()>,
    /// Turns that the client reads for; without any, it lags.
    turns: Rc<Semaphore>,
    inbox: Rc<RefCell<VecDeque<Item>>>,
}

pub struct Client {
    topics: Vec<Topic>,
    since: Option<i64>,
    /// Records of each partition are in the order of time.
    in_order: bool,
    /// The last complete id, and the cluster that it is of.
    last_id: Option<(String, usize)>,
    /// By the number of the log.
    progress: Vec<Option<Progress>>,
    connection: Option<Connection>,
    pub events: usize,
}

impl Client {
    pub fn new(topics: Vec<Topic>, since: Option<i64>, in_order: bool) -> Self {
        Self {
            topics,
            since,
            in_order,
            last_id: None,
            progress: Vec::new(),
            connection: None,
            events: 0,
        }
    }

    pub fn server(&self) -> Option<usize> {
        self.connection.as_ref().map(|connection| connection.server)
    }

    /// Whether the server has ended the connection.
    pub fn is_ended(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.task.is_finished())
    }

    pub fn read_turns(&self, turns: usize) {
        if let Some(connection) = &self.connection {
            connection.turns.add_permits(turns);
        }
    }

    pub fn connect(&mut self, number: usize, server: &Server, logs: &[Log], truth: &Truth) {
        let parsed = self
            .last_id
            .as_ref()
            .map(|(id, _)| LastEventId::parse(id).expect("an id of ours"));
        let entries = parsed.map(|id| id.entries().to_vec()).unwrap_or_default();
        self.progress.resize(logs.len(), None);
        for (number, log) in logs
            .iter()
            .enumerate()
            .filter(|(_, log)| self.topics.contains(&log.topic))
        {
            let entry = entries
                .iter()
                .find(|entry| entry.topic == log.topic && entry.partition == Some(log.partition));
            self.progress[number] = Some(self.beginning(number, server, log, entry, truth));
        }
        let since = self.since.filter(|_| entries.is_empty()).map(TimestampMs);
        let asked = SubscribeRequest {
            topics: self.topics.clone(),
            format: Format::Sse,
            last_event_id: entries,
            since,
            client: None,
            asker: None,
        };
        let (turns, inbox) = (Rc::new(Semaphore::new(0)), Rc::default());
        let mut reading = Box::pin(read(
            Arc::clone(&server.hub),
            asked,
            Rc::clone(&turns),
            Rc::clone(&inbox),
        ));
        // Up to its first wait it runs at once, so that live is where it is now.
        let has_ended = reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        let task = if has_ended {
            spawn_local(async {})
        } else {
            spawn_local(reading)
        };
        self.connection = Some(Connection {
            server: number,
            cluster: server.cluster,
            task,
            turns,
            inbox,
        });
    }

    fn beginning(
        &self,
        number: usize,
        server: &Server,
        log: &Log,
        entry: Option<&IdEntry>,
        truth: &Truth,
    ) -> Progress {
        let live = server.live(number);
        let live = live.map_or(0, |offset| log.index_at(offset));
        let first_at = |time| {
            truth[number]
                .iter()
                .position(|(timestamp, _)| *timestamp >= time)
        };
        match (entry, &self.last_id, self.since) {
            (Some(entry), Some((_, cluster)), _) => {
                let Some(Progress::At(next) | Progress::Begins { want: next, .. }) =
                    self.progress[number]
                else {
                    panic!("an id, and no progress")
                };
                let RequestedPosition::Both {
                    next: offset,
                    timestamp,
                    ..
                } = entry.position
                else {
                    panic!("{entry:?}")
                };
                // It may have been told that something is gone, and have been cut before an id said
                // so too.
                let next = if *cluster == server.cluster {
                    next.min(log.index_at(offset.0))
                } else {
                    next
                };
                if *cluster == server.cluster {
                    Progress::At(next)
                } else {
                    Progress::Begins {
                        want: next,
                        time: Some(timestamp.0),
                        live,
                    }
                }
            }
            // The partition is newer than the id.
            (None, Some(_), _) => self.progress[number].unwrap_or(Progress::At(0)),
            (_, None, Some(time)) if server.live(number).is_some() => Progress::Begins {
                want: first_at(time).unwrap_or(usize::MAX),
                time: Some(time),
                live,
            },
            (_, None, _) => Progress::At(live),
        }
    }

    /// Takes in all that has arrived.
    pub fn take_in(&mut self, logs: &[Log], truth: &Truth) {
        let Some(connection) = &self.connection else {
            return;
        };
        let items: Vec<Item> = connection.inbox.borrow_mut().drain(..).collect();
        for item in items {
            match item {
                Item::Frames(bytes) => {
                    let whole = self.take_frames(&bytes, logs, truth);
                    assert_eq!(whole, bytes.len(), "a batch ends with a whole frame");
                }
                Item::Moved(moved) => self.take_moved(&moved, logs),
            }
        }
    }

    /// Loses the connection at any byte of what has arrived; with `resume` it will come back with
    /// its id, otherwise again.
    pub fn cut(&mut self, resume: bool, logs: &[Log], truth: &Truth, dice: &mut ChaCha8Rng) {
        let Some(connection) = &self.connection else {
            return;
        };
        connection.task.abort();
        let mut items: Vec<Item> = connection.inbox.borrow_mut().drain(..).collect();
        items.truncate(dice.random_range(0..=items.len()));
        let last = items.len().checked_sub(1);
        for (number, item) in items.into_iter().enumerate() {
            match item {
                Item::Frames(bytes) => {
                    let received = if Some(number) == last {
                        dice.random_range(0..=bytes.len())
                    } else {
                        bytes.len()
                    };
                    self.take_frames(&bytes.slice(..received), logs, truth);
                }
                Item::Moved(moved) => self.take_moved(&moved, logs),
            }
        }
        self.connection = None;
        if !resume {
            self.last_id = None;
            self.progress.clear();
        }
    }

    /// Takes in the whole frames, and returns how many bytes they are.
    fn take_frames(&mut self, bytes: &[u8], logs: &[Log], truth: &Truth) -> usize {
        let text = str::from_utf8(bytes).expect("UTF-8");
        let mut whole = 0;
        for frame in text
            .split_inclusive("\n\n")
            .filter(|frame| frame.ends_with("\n\n"))
        {
            match frame.strip_prefix(": moved: ") {
                Some(notice) => self.take_moved(&moved(notice), logs),
                None => self.take_frame(frame, logs, truth),
            }
            whole += frame.len();
        }
        whole
    }

    fn take_frame(&mut self, frame: &str, logs: &[Log], truth: &Truth) {
        let rest = frame
            .strip_prefix("event: message\nid: ")
            .unwrap_or_else(|| panic!("a frame: {frame}"));
        let (id, rest) = rest.split_once("\ndata: ").expect("data");
        let event: serde_json::Value = serde_json::from_str(rest).expect("JSON");
        let (topic, partition) = (&event["meta"]["topic"], &event["meta"]["partition"]);
        let offset = event["meta"]["offset"].as_i64().expect("an offset");
        let same = |log: &&Log| *topic == log.topic.as_str() && *partition == log.partition.0;
        let number = logs
            .iter()
            .position(|log| same(&log))
            .expect("a partition that there is");
        let record = logs[number]
            .records
            .iter()
            .find(|record| record.offset == offset)
            .expect("a record of the log");
        let index = record.index.expect("no filler is delivered");
        let id_of = LastEventId::parse(id).expect("an id of ours");
        for entry in id_of.entries() {
            self.begin(entry, number, index, logs, truth, frame);
        }
        let Some(Progress::At(next)) = self.progress[number] else {
            panic!("not subscribed: {frame}")
        };
        let records = &truth[number];
        let lost = (next..index).find(|index| records[*index].1 == Fate::Delivered);
        assert_eq!(lost, None, "lost in {number}, from {next} on: {frame}");
        assert!(index >= next, "again in {number}, from {next} on: {frame}");
        assert_ne!(records[index].1, Fate::Skipped, "{frame}");
        self.progress[number] = Some(Progress::At(index + 1));
        self.events += 1;
        for entry in id_of.entries() {
            self.check_entry(entry, logs, truth, frame);
        }
        let cluster = self.connection.as_ref().expect("connected").cluster;
        self.last_id = Some((id.to_owned(), cluster));
    }

    /// The first id of a connection tells where a partition began, if that was not known.
    fn begin(
        &mut self,
        entry: &IdEntry,
        of: usize,
        index: usize,
        logs: &[Log],
        truth: &Truth,
        frame: &str,
    ) {
        let (number, next) = place(entry, logs);
        assert!(
            self.topics.contains(&logs[number].topic),
            "not subscribed: {frame}"
        );
        self.progress.resize(logs.len(), None);
        let begun = if number == of {
            index
        } else {
            logs[number].index_at(next)
        };
        match self.progress[number] {
            Some(Progress::At(_)) => {}
            // It came into being while connected.
            None => self.progress[number] = Some(Progress::At(0)),
            Some(Progress::Begins { want, time, live }) => {
                let records = &truth[number];
                // Of what `since` asked for, retention may have taken some before it was looked
                // for.
                let want = if self.last_id.is_none() {
                    want.max(logs[number].index_at(logs[number].low))
                } else {
                    want
                };
                let lost =
                    (want.min(begun)..begun).find(|index| records[*index].1 == Fate::Delivered);
                assert_eq!(
                    lost, None,
                    "lost in {number}, wanted from {want} on, began at {begun}: {frame}"
                );
                let first = time
                    .and_then(|time| records.iter().position(|(timestamp, _)| *timestamp >= time));
                let earliest = first.map_or(live, |first| first.min(live));
                assert!(
                    begun >= earliest,
                    "began at {begun}, before {earliest}, in {number}: {frame}"
                );
                self.progress[number] = Some(Progress::At(begun));
            }
        }
    }

    /// An id says exactly what its client has.
    fn check_entry(&self, entry: &IdEntry, logs: &[Log], truth: &Truth, frame: &str) {
        let (number, offset) = place(entry, logs);
        let Some(Progress::At(next)) = self.progress[number] else {
            panic!("{number} has not begun: {frame}")
        };
        let index = logs[number].index_at(offset);
        let between = &truth[number][index.min(next)..index.max(next)];
        assert!(
            between.iter().all(|(_, fate)| *fate != Fate::Delivered),
            "in {number} the client has {next}: {frame}"
        );
        let RequestedPosition::Both { timestamp, .. } = entry.position else {
            return;
        };
        let safe = logs[number].is_safe_time(timestamp, offset, self.in_order);
        assert!(
            safe,
            "the timestamp in {number} is no time to read on from: {frame}"
        );
    }

    fn take_moved(&mut self, moved: &Moved, logs: &[Log]) {
        let same = |log: &Log| log.topic == moved.topic && log.partition == moved.partition;
        let number = logs
            .iter()
            .position(same)
            .expect("a partition that there is");
        if moved.reason == MovedReason::AboveLogEnd {
            return;
        }
        let log = &logs[number];
        // Offsets at either end of the log may hold no record.
        let first_left = log
            .records
            .get(log.place(log.low))
            .map_or(log.high, |record| record.offset);
        // The first record of the time may be gone, or may not.
        let Requested::Offset(asked) = moved.asked else {
            return;
        };
        assert!(
            asked < moved.actual && moved.actual.0 <= first_left,
            "nothing was gone: {moved}"
        );
        let gone = logs[number].index_at(moved.actual.0);
        match self.progress[number].as_mut().expect("subscribed") {
            Progress::At(next) | Progress::Begins { want: next, .. } => *next = gone.max(*next),
        }
    }

    /// Whether it has everything there is.
    pub fn has_all(&self, logs: &[Log], truth: &Truth) -> bool {
        self.progress.iter().enumerate().all(|(number, progress)| {
            let next = match progress {
                None => return true,
                Some(Progress::At(next)) => *next,
                Some(Progress::Begins { want, .. }) if self.last_id.is_some() => *want,
                Some(Progress::Begins { want, live, .. }) => {
                    let first = if *want == usize::MAX { *live } else { *want };
                    first.max(logs[number].index_at(logs[number].low))
                }
            };
            truth[number][next.min(truth[number].len())..]
                .iter()
                .all(|(_, fate)| *fate != Fate::Delivered)
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.task.abort();
        }
    }
}

/// The notice that live subscribers share.
fn moved(text: &str) -> Moved {
    let field = |name: &str| {
        let mut fields = text
            .trim_end()
            .split("; ")
            .filter_map(|field| field.split_once('='));
        fields
            .find(|(key, _)| *key == name)
            .expect("a field")
            .1
            .to_owned()
    };
    let number = |name| field(name).parse::<i64>().expect("a number");
    let reasons = MovedReason::ALL.into_iter();
    Moved {
        topic: field("topic").into(),
        partition: crate::cursor::Partition(field("partition").parse().expect("a number")),
        asked: Requested::Offset(Offset(number("asked"))),
        actual: Offset(number("actual")),
        reason: reasons
            .into_iter()
            .find(|reason| reason.as_str() == field("reason"))
            .expect("known"),
    }
}

/// The number of the log and the offset that an entry is about.
fn place(entry: &IdEntry, logs: &[Log]) -> (usize, i64) {
    let same = |log: &Log| log.topic == entry.topic && Some(log.partition) == entry.partition;
    let RequestedPosition::Both { next, .. } = entry.position else {
        panic!("no id of ours: {entry:?}")
    };
    (
        logs.iter()
            .position(same)
            .expect("a partition that there is"),
        next.0,
    )
}

async fn read(
    hub: Arc<Hub>,
    asked: SubscribeRequest,
    turns: Rc<Semaphore>,
    inbox: Rc<RefCell<VecDeque<Item>>>,
) {
    let Ok(mut started) = subscribe(&hub, asked).await else {
        return;
    };
    inbox
        .borrow_mut()
        .extend(started.moved.drain(..).map(Item::Moved));
    loop {
        turns.acquire().await.expect("never closed").forget();
        // It may be asked in vain and asked again: nothing is lost by that.
        let asked = tokio::select! {
            biased;
            batch = started.subscription.next() => Some(batch),
            () = tokio::task::yield_now() => None,
        };
        let batch = match asked {
            Some(batch) => batch,
            None => started.subscription.next().await,
        };
        match batch {
            Batch::Frames {
                pieces, delivered, ..
            } => {
                let frames = |piece: &Bytes| {
                    str::from_utf8(piece)
                        .expect("UTF-8")
                        .matches("event: ")
                        .count()
                };
                let counted: u64 = delivered.iter().map(|topic| topic.events).sum();
                assert_eq!(
                    pieces.iter().map(|bytes| frames(bytes) as u64).sum::<u64>(),
                    counted
                );
                inbox
                    .borrow_mut()
                    .extend(pieces.into_iter().map(Item::Frames));
            }
            Batch::Moved(moved) => inbox.borrow_mut().push_back(Item::Moved(moved)),
            Batch::Waiting(_) => {}
            Batch::ReplayRefused => return,
        }
    }
}
