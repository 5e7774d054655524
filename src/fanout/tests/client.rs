//! A client that records what it received, and knows from the model what it must receive next.
//!
//! * `connection`: the task that reads the subscription.
//! * `checks`: each frame and notice, compared with the model.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use self::connection::{Connection, Item, read};
use super::cluster::{KINDS, Log};
use super::server::Server;
use crate::cursor::{IdEntry, IdForm, LastEventId, RequestedPosition, TimestampMs};
use crate::event::Format;
use crate::fanout::{Bound, SubscribeRequest};
use crate::filter::{Filter, Selection};
use crate::stream::Topic;

mod checks;
mod connection;

/// The records of each partition, the same on every cluster: timestamp and fate.
pub type Truth = Vec<Vec<(i64, Fate)>>;

/// What happens to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is delivered to every subscriber.
    Delivered,
    /// It is not an event.
    Skipped,
    /// It is compacted: subscribers get it only from memory.
    Compacted,
}

/// The progress of a client in a partition, as indices of [`Truth`].
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// It has everything below that it must get.
    At(usize),
    /// The first id names its start, which must be before every event from `want` on and not
    /// needlessly early.
    Begins {
        want: usize,
        time: Option<i64>,
        live: usize,
    },
}

pub struct Client {
    topics: Vec<Topic>,
    since: Option<i64>,
    /// Records of each partition are in time order.
    in_order: bool,
    /// The only kind of events that it wants.
    kind: Option<usize>,
    /// Where its connections end.
    bound: Bound,
    /// The last complete id, and its cluster.
    last_id: Option<(String, usize)>,
    /// One for each log.
    progress: Vec<Option<Progress>>,
    connection: Option<Connection>,
    /// The newest id of the connection, and what came since its last progress frame.
    seen: Seen,
    pub events: usize,
}

/// What a connection has received.
#[derive(Debug, Default)]
struct Seen {
    id: Option<LastEventId>,
    /// The id of the last progress frame.
    progress: Option<LastEventId>,
    /// Events since then.
    events: u64,
    /// All events of the connection.
    total: u64,
}

impl Client {
    pub fn new(
        topics: Vec<Topic>,
        since: Option<i64>,
        in_order: bool,
        kind: Option<usize>,
        bound: Bound,
    ) -> Self {
        Self {
            topics,
            since,
            in_order,
            kind,
            bound,
            last_id: None,
            progress: Vec::new(),
            connection: None,
            seen: Seen::default(),
            events: 0,
        }
    }

    /// Whether the client gets a record.
    fn wants(&self, records: &[(i64, Fate)], index: usize) -> bool {
        records[index].1 == Fate::Delivered && self.kind.is_none_or(|kind| index % KINDS == kind)
    }

    fn selection(&self) -> Option<Arc<Selection>> {
        let filter = Filter::parse(&format!("event.k == {}", self.kind?)).expect("a filter");
        Selection::new(filter, None).map(Arc::new)
    }

    pub fn server(&self) -> Option<usize> {
        self.connection.as_ref().map(|connection| connection.server)
    }

    /// Whether the server has ended the connection.
    pub fn is_ended(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_ended)
    }

    pub fn allow_reads(&self, reads: usize) {
        if let Some(connection) = &self.connection {
            connection.reads.add_permits(reads);
        }
    }

    pub fn connect(&mut self, number: usize, server: &Server, logs: &[Log], truth: &Truth) {
        let parsed = self
            .last_id
            .as_ref()
            .map(|(id, _)| LastEventId::parse(id).expect("a valid id"));
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
            self.progress[number] = Some(self.start_in(number, server, log, entry, truth));
        }
        let since = self.since.filter(|_| entries.is_empty()).map(TimestampMs);
        let request = SubscribeRequest {
            topics: self.topics.clone(),
            format: Format::Sse,
            selection: self.selection(),
            fields: None,
            ids: IdForm::Auto,
            last_event_id: entries,
            since,
            client: None,
            last_events: None,
            bound: self.bound,
            lookup_client: None,
        };
        let (reads, inbox) = (Rc::new(Semaphore::new(0)), Rc::default());
        let mut reading = Box::pin(read(
            Arc::clone(&server.hub),
            request,
            Rc::clone(&reads),
            Rc::clone(&inbox),
        ));
        // Runs up to the first wait at once, so that "live" is the current end.
        let has_ended = reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready();
        let has_returned = Rc::new(Cell::new(has_ended));
        let returned = Rc::clone(&has_returned);
        let task = spawn_local(async move {
            if !has_ended {
                reading.await;
            }
            returned.set(true);
        });
        self.seen = Seen::default();
        self.connection = Some(Connection {
            server: number,
            cluster: server.cluster,
            task,
            has_returned,
            reads,
            inbox,
        });
    }

    fn start_in(
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
                    panic!("an id without progress")
                };
                let RequestedPosition::Both {
                    next: offset,
                    timestamp,
                    ..
                } = entry.position
                else {
                    panic!("{entry:?}")
                };
                // The connection may have ended after a notice and before an id that includes it.
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

    /// Processes everything that has arrived.
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
                Item::End(id) => self.take_end(&id, logs, truth),
            }
        }
    }

    /// Loses the connection at a random byte of what has arrived. With `resume` it reconnects with
    /// its id, otherwise without one.
    pub fn cut(&mut self, resume: bool, logs: &[Log], truth: &Truth, rng: &mut ChaCha8Rng) {
        let Some(connection) = &self.connection else {
            return;
        };
        connection.task.abort();
        let mut items: Vec<Item> = connection.inbox.borrow_mut().drain(..).collect();
        items.truncate(rng.random_range(0..=items.len()));
        let last = items.len().checked_sub(1);
        for (number, item) in items.into_iter().enumerate() {
            match item {
                Item::Frames(bytes) => {
                    let received = if Some(number) == last {
                        rng.random_range(0..=bytes.len())
                    } else {
                        bytes.len()
                    };
                    self.take_frames(&bytes.slice(..received), logs, truth);
                }
                Item::Moved(moved) => self.take_moved(&moved, logs),
                Item::End(id) => self.take_end(&id, logs, truth),
            }
        }
        self.connection = None;
        if !resume {
            self.last_id = None;
            self.progress.clear();
        }
    }

    /// Whether it has every event that it must get.
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
            let records = &truth[number];
            (next.min(records.len())..records.len()).all(|index| !self.wants(records, index))
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
