//! The verdict: what a client received, compared with the ledger.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ledger::{Ledger, Partition, Place};
use super::subscribe::{Account, Beginning, Connection};
use crate::support::sse::Frame;

/// How far a client is: for each partition an index below which nothing is left to send to it.
/// There are several where an offset can be one of the log before it was cut and one after: the
/// next event decides.
type Progress = BTreeMap<Place, Vec<usize>>;

/// An entry of an id.
struct Position {
    place: Place,
    offset: i64,
    log: String,
}

/// A notice of a position that was moved.
struct Notice {
    place: Place,
    actual: i64,
    reason: String,
}

impl Ledger {
    /// Whether nothing comes any more after the newest id, which is of a cluster, or on a
    /// connection that has had none.
    pub fn is_everything(
        &self,
        topics: &[String],
        connection: &Connection,
        newest: Option<&(String, usize)>,
    ) -> bool {
        let Some((id, cluster)) = newest else {
            return self.of(topics).all(|(place, partition)| {
                let (wanted, _) = wanted(place, partition, connection);
                let on = connection.cluster;
                partition.required_in(on, wanted, partition.len()).is_none()
            });
        };
        let had = self.progress(id, *cluster);
        self.of(topics).all(|(place, partition)| {
            let has_all = |index: &usize| {
                let lacking = partition.required_in(*cluster, *index, partition.len());
                lacking.is_none()
            };
            had.get(place)
                .is_some_and(|indices| indices.iter().all(has_all))
        })
    }

    fn of<'a>(&'a self, topics: &'a [String]) -> impl Iterator<Item = (&'a Place, &'a Partition)> {
        self.partitions
            .iter()
            .filter(|((topic, _), _)| topics.contains(topic))
    }

    /// Fails unless the subscriber got what lies in the logs from its start on. Returns how many
    /// events that were.
    pub fn judge(&self, account: &Account) -> usize {
        let mut progress: Option<Progress> = None;
        let (mut cluster, mut events) = (0, 0);
        for connection in &account.connections {
            let Some(first) = connection.frames.iter().find(|frame| frame.data.is_some()) else {
                continue;
            };
            let is_resumed = matches!(connection.beginning, Beginning::Resumed);
            let has_moved = connection.cluster != cluster;
            cluster = connection.cluster;
            let mut now = progress.filter(|_| is_resumed);
            let mut has_begun = false;
            // A notice after the last event of a connection comes again on the next one.
            let mut last = None;
            for frame in &connection.frames {
                if let Some(notice) = notice(frame)
                    && let Some(now) = &mut now
                {
                    self.heed(now, &notice, connection);
                }
                if frame.data.is_none() {
                    continue;
                }
                if !std::mem::replace(&mut has_begun, true) {
                    now = Some(match now {
                        Some(before) if has_moved => self.gone_on(&before, first, connection),
                        Some(before) => before,
                        None => self.begun(account, first, connection),
                    });
                }
                let now = now.as_mut().expect("it has begun");
                self.take(now, frame, connection);
                last = Some(now.clone());
                events += 1;
            }
            progress = last;
        }
        let progress = progress.unwrap_or_default();
        for (place, indices) in &progress {
            let partition = &self.partitions[place];
            let missing = |index: &usize| partition.required_in(cluster, *index, partition.len());
            assert!(
                indices.iter().any(|index| missing(index).is_none()),
                "{place:?} was not read to its end, from {indices:?} on: {account:?}"
            );
        }
        events
    }

    /// The indices of an id's positions.
    fn progress(&self, id: &str, cluster: usize) -> Progress {
        let mut progress = Progress::new();
        for Position { place, offset, log } in positions(id) {
            let generation = self.generation(&log, &place.0, cluster);
            let indices = self.partitions[&place].indices_at(cluster, generation, offset);
            assert!(!indices.is_empty(), "{place:?} has no offset {offset}");
            assert!(progress.insert(place, indices).is_none(), "twice in {id}");
        }
        progress
    }

    /// Where a connection began, according to its first event.
    fn beginning(&self, first: &Frame, cluster: usize) -> Progress {
        let mut progress = self.progress(first.id.as_ref().expect("an id"), cluster);
        let (place, index) = self.identify(first);
        progress.insert(place.clone(), vec![*index]);
        progress
    }

    /// A subscriber that came back to another cluster goes on where it was, or before that.
    fn gone_on(&self, before: &Progress, first: &Frame, connection: &Connection) -> Progress {
        let mut begun = self.beginning(first, connection.cluster);
        for (place, had) in before {
            let (now, partition) = (
                begun.get_mut(place).expect("a partition"),
                &self.partitions[place],
            );
            let nothing_lost = |now: &usize| {
                had.iter()
                    .any(|had| partition.unexcused_in(*had, *now).is_none())
            };
            assert!(
                now.iter().any(nothing_lost),
                "lost in {place:?} between {had:?} and {now:?}: {connection:?}"
            );
            now.retain(nothing_lost);
        }
        begun
    }

    /// A subscriber that begins misses nothing that came after it had connected, or that it asked
    /// for.
    fn begun(&self, account: &Account, first: &Frame, connection: &Connection) -> Progress {
        let mut begun = self.beginning(first, connection.cluster);
        for (place, partition) in self.of(&account.topics) {
            let now = begun.get_mut(place).expect("an id names every partition");
            let (first, earliest) = wanted(place, partition, connection);
            let is_right = |now: &usize| {
                let on = connection.cluster;
                partition.required_in(on, first, *now).is_none()
                    && partition.required_in(on, *now, earliest).is_none()
            };
            assert!(
                now.iter().any(is_right),
                "{place:?} began at {now:?}, not at {first} nor after {earliest}: {connection:?}"
            );
            now.retain(is_right);
        }
        begun
    }

    /// Moves the client as a notice announces.
    fn heed(&self, progress: &mut Progress, notice: &Notice, connection: &Connection) {
        let Notice {
            place,
            actual,
            reason,
        } = notice;
        let (partition, cluster) = (&self.partitions[place], connection.cluster);
        let indices = progress.get_mut(place).expect("a partition of it");
        let mut moved = Vec::new();
        for index in indices.iter() {
            match reason.as_str() {
                // Only deleted records are passed.
                "below_log_start" if partition.has_been_deleted_from => {
                    let to = partition.indices_beside(*index, cluster, *actual);
                    let is_gone =
                        |to: &usize| partition.required_in(cluster, *index, *to).is_none();
                    moved.extend(to.into_iter().filter(is_gone).map(|to| to.max(*index)));
                }
                "topic_recreated" => moved.extend(partition.later_generations(*index)),
                "log_truncated" if partition.has_been_cut => {
                    moved.extend(partition.indices_beside(*index, cluster, *actual));
                }
                // The server does not know yet that the log is another one, or shorter.
                "above_log_end" if partition.has_shrunk() => moved.push(*index),
                _ => panic!("{reason} in {place:?}: {connection:?}"),
            }
        }
        assert!(
            !moved.is_empty(),
            "{reason} to {actual} in {place:?}, from {indices:?}: {connection:?}"
        );
        *indices = moved;
    }

    /// Which record an event is.
    fn identify(&self, frame: &Frame) -> &(Place, usize) {
        let number = frame.json()["n"]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok());
        &self.numbers[&number.expect("a number")]
    }

    /// The next event of its partition, whose id says exactly what the subscriber has.
    fn take(&self, progress: &mut Progress, frame: &Frame, connection: &Connection) {
        let (place, index) = self.identify(frame);
        let (topic, number, offset) = frame.record();
        let (partition, cluster) = (&self.partitions[place], connection.cluster);
        assert_eq!((&topic, number), (&place.0, i64::from(place.1)));
        assert_eq!(offset, partition.offset(cluster, *index));
        let has = progress.entry(place.clone()).or_default();
        let follows = |has: &usize| has <= index && partition.unexcused_in(*has, *index).is_none();
        if has.iter().any(follows) {
            *has = vec![index + 1];
        } else {
            // A server that has not noticed a cut yet sends a lost record at an offset of the new
            // log.
            assert!(
                partition.is_cut(*index),
                "{index} of {place:?} comes after {has:?}: {connection:?}"
            );
            has.push(index + 1);
        }
        for (place, says) in self.progress(frame.id.as_ref().expect("an id"), cluster) {
            let (has, partition) = (&progress[&place], &self.partitions[&place]);
            let is_same = |says: &usize, has: &usize| {
                let (from, to) = (*says.min(has), *says.max(has));
                partition.required_in(cluster, from, to).is_none()
            };
            assert!(
                says.iter()
                    .any(|says| has.iter().any(|has| is_same(says, has))),
                "the id says {says:?} of {place:?}, the subscriber has {has:?}: {connection:?}"
            );
        }
    }
}

/// The first record that a connection without an id must get, and the one before which it must not
/// begin.
fn wanted(place: &Place, partition: &Partition, connection: &Connection) -> (usize, usize) {
    let Beginning::New {
        since,
        acknowledged,
        sent,
    } = &connection.beginning
    else {
        return (partition.len(), 0);
    };
    match since.and_then(|time| partition.first_at_or_after(time)) {
        // What was not yet there to be found is live.
        Some(first) => (first, first.min(acknowledged[place])),
        None => (sent[place], 0),
    }
}

/// The entries of an id.
fn positions(id: &str) -> Vec<Position> {
    let entries: Vec<Value> = serde_json::from_str(id).expect("an array");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let position = |entry: &Value| {
        let partition = entry["partition"]
            .as_i64()
            .and_then(|number| i32::try_from(number).ok());
        Position {
            place: (text(&entry["topic"]), partition.expect("a partition")),
            offset: entry["offset"].as_i64().expect("an offset"),
            log: text(&entry["log"]),
        }
    };
    entries.iter().map(position).collect()
}

/// The notice of a frame, if it is one.
fn notice(frame: &Frame) -> Option<Notice> {
    let text = frame
        .comments
        .iter()
        .find_map(|comment| comment.trim().strip_prefix("moved: "))?;
    let field = |name: &str| {
        let mut fields = text.split("; ").filter_map(|field| field.split_once('='));
        let (_, value) = fields.find(|(key, _)| *key == name).expect("a field");
        value.to_owned()
    };
    Some(Notice {
        place: (
            field("topic"),
            field("partition").parse().expect("a number"),
        ),
        actual: field("actual").parse().expect("a number"),
        reason: field("reason"),
    })
}
