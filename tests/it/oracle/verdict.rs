//! The verdict: what a client received, compared with the ledger.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::filtered::is_progress;
use super::ledger::{Ledger, Place};
use super::partition::Partition;
use super::subscribe::{Account, Beginning, Connection};
use crate::support::sse::Frame;

/// How far a client is: for each partition an index below which nothing is left to send to it.
/// There are several where an offset can be one of the log before it was cut and one after: the
/// next event decides.
pub type Progress = BTreeMap<Place, Vec<usize>>;

/// An entry of an id.
pub struct Position {
    pub place: Place,
    pub offset: i64,
    pub log: String,
}

/// A notice of a position that was moved.
pub struct Notice {
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
                !partition.has_required(on, connection.choice, wanted..partition.len())
            });
        };
        let had = self.progress(id, *cluster);
        self.of(topics).all(|(place, partition)| {
            let has_all = |index: &usize| {
                !partition.has_required(*cluster, connection.choice, *index..partition.len())
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
                if is_progress(frame) {
                    self.pass(now, frame, connection);
                } else {
                    self.take(now, frame, connection);
                    events += 1;
                }
                last = Some(now.clone());
            }
            self.check_progress(connection);
            progress = last;
        }
        let progress = progress.unwrap_or_default();
        for (place, indices) in &progress {
            let partition = &self.partitions[place];
            let is_at_end = |index: &usize| {
                !partition.has_required(cluster, account.choice, *index..partition.len())
            };
            assert!(
                indices.iter().any(is_at_end),
                "{place:?} was not read to its end, from {indices:?} on: {account:?}"
            );
        }
        events
    }

    /// The indices of an id's positions.
    pub fn progress(&self, id: &str, cluster: usize) -> Progress {
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
        if !is_progress(first) {
            let (place, index) = self.identify(first);
            progress.insert(place.clone(), vec![*index]);
        }
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
                    .any(|had| !partition.has_unexcused(connection.choice, *had..*now))
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
        let before_first = connection
            .frames
            .iter()
            .take_while(|frame| frame.data.is_none());
        let notices: Vec<_> = before_first.filter_map(notice).collect();
        for (place, partition) in self.of(&account.topics) {
            let now = begun.get_mut(place).expect("an id names every partition");
            let (first, mut earliest) = wanted(place, partition, connection);
            // A log that is cut before the first event is read from the cut on.
            let is_cut =
                |notice: &Notice| notice.place == *place && notice.reason == "log_truncated";
            if notices.iter().any(is_cut) {
                earliest = 0;
            }
            let is_right = |now: &usize| {
                let has_required =
                    |range| partition.has_required(connection.cluster, connection.choice, range);
                !has_required(first..*now) && !has_required(*now..earliest)
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
        // Only deleted records are passed, also those of a topic that was recreated before.
        let is_gone =
            |range: Range<usize>| !partition.has_required(cluster, connection.choice, range);
        for index in indices.iter() {
            match reason.as_str() {
                "below_log_start" if partition.has_been_deleted_from => {
                    let to = partition.indices_beside(*index, cluster, *actual);
                    let to = to.into_iter().filter(|to| is_gone(*index..*to));
                    moved.extend(to.map(|to| to.max(*index)));
                }
                "topic_recreated" => {
                    for start in partition.later_generations(*index) {
                        let to = partition.indices_beside(*start, cluster, *actual);
                        let is_there = |to: &usize| to >= start && is_gone(*start..*to);
                        moved.extend(to.into_iter().filter(is_there));
                    }
                }
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
        &self.numbers[&number(frame)]
    }

    /// The next event of its partition, whose id says exactly what the subscriber has.
    fn take(&self, progress: &mut Progress, frame: &Frame, connection: &Connection) {
        let (place, index) = self.identify(frame);
        let is_chosen = connection.choice.wants(number(frame));
        assert!(is_chosen, "{frame:?} is not chosen: {connection:?}");
        let (topic, number, offset) = frame.record();
        let (partition, cluster) = (&self.partitions[place], connection.cluster);
        assert_eq!((&topic, number), (&place.0, i64::from(place.1)));
        assert_eq!(offset, partition.offset(cluster, *index));
        let has = progress.entry(place.clone()).or_default();
        let follows =
            |has: &usize| has <= index && !partition.has_unexcused(connection.choice, *has..*index);
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
            let partition = &self.partitions[&place];
            let has = progress.get_mut(&place).expect("a partition");
            let is_same = |says: &usize, has: &usize| {
                let range = *says.min(has)..*says.max(has);
                !partition.has_required(cluster, connection.choice, range)
            };
            if says
                .iter()
                .any(|says| has.iter().any(|has| is_same(says, has)))
            {
                continue;
            }
            // A server that has not noticed a cut yet passes lost records that are not sent.
            let lost = says
                .iter()
                .filter(|says| **says > 0 && partition.is_cut(**says - 1));
            let before = has.len();
            has.extend(lost);
            assert!(
                has.len() > before,
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

/// The number in an event.
fn number(frame: &Frame) -> usize {
    let number = frame.json()["n"].as_u64();
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.expect("a number")
}

/// The entries of an id.
pub fn positions(id: &str) -> Vec<Position> {
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
pub fn notice(frame: &Frame) -> Option<Notice> {
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
