//! The logs, and the verdict that they speak over an account.

use std::collections::BTreeMap;

use serde_json::Value;

use super::PARTITIONS;
use super::publish::Place;
use super::subscribe::{Account, Beginning, Connection};
use crate::support::admin::Cluster;
use crate::support::sse::Frame;

/// A partition. Its records have the same indices on every cluster.
struct Partition {
    /// Timestamp, and whether it is delivered.
    records: Vec<(i64, bool)>,
    /// Of each cluster, the offsets of the records.
    offsets: Vec<Vec<i64>>,
}

impl Partition {
    /// How many of the records lie before `offset`.
    fn index_at(&self, cluster: usize, offset: i64) -> usize {
        self.offsets[cluster].partition_point(|own| *own < offset)
    }

    /// The first event of `from..to`.
    fn event_in(&self, from: usize, to: usize) -> Option<usize> {
        (from..to).find(|index| self.records[*index].1)
    }
}

/// The logs of a run.
pub struct Logs(BTreeMap<Place, Partition>);

/// How far a subscriber is: an index for each partition, below which it has everything.
type Progress = BTreeMap<Place, usize>;

impl Logs {
    pub async fn read(clusters: &[Cluster], topics: &[String]) -> Self {
        let mut logs = BTreeMap::new();
        for topic in topics {
            for partition in 0..PARTITIONS {
                logs.insert(
                    (topic.clone(), partition),
                    Partition {
                        records: Vec::new(),
                        offsets: Vec::new(),
                    },
                );
            }
            for (number, cluster) in clusters.iter().enumerate() {
                for place in logs.range_mut((topic.clone(), 0)..=(topic.clone(), PARTITIONS)) {
                    place.1.offsets.push(Vec::new());
                }
                for record in cluster.log(topic).await {
                    let value = record.value.unwrap_or_default();
                    if value == b"filler" {
                        continue;
                    }
                    let partition = logs
                        .get_mut(&(topic.clone(), record.partition))
                        .expect("a partition");
                    let own = (record.timestamp, value.starts_with(b"{"));
                    match partition.records.get(partition.offsets[number].len()) {
                        Some(same) => assert_eq!(*same, own, "the clusters differ"),
                        None => partition.records.push(own),
                    }
                    partition.offsets[number].push(record.offset);
                }
            }
        }
        Self(logs)
    }

    /// Whether nothing comes any more after the newest id, which is of a cluster, or on a connection that has had none.
    pub fn is_everything(
        &self,
        topics: &[String],
        connection: &Connection,
        newest: Option<&(String, usize)>,
    ) -> bool {
        let ended = |partition: &Partition, index: usize| {
            partition.event_in(index, partition.records.len()).is_none()
        };
        match newest {
            Some((id, cluster)) => {
                let positions = positions(id);
                self.of(topics).all(|(place, partition)| {
                    ended(partition, partition.index_at(*cluster, positions[place]))
                })
            }
            None => self
                .of(topics)
                .all(|(place, partition)| ended(partition, wanted(place, partition, connection).0)),
        }
    }

    fn of<'a>(&'a self, topics: &'a [String]) -> impl Iterator<Item = (&'a Place, &'a Partition)> {
        self.0
            .iter()
            .filter(|((topic, _), _)| topics.contains(topic))
    }

    /// Fails unless the subscriber got what lies in the logs from its start on. Returns how many events that were.
    pub fn judge(&self, account: &Account) -> usize {
        let mut progress: Option<Progress> = None;
        let mut id_of = None;
        let mut events = 0;
        for connection in &account.connections {
            let Some(first) = connection.frames.first() else {
                continue;
            };
            let moved = id_of
                .replace(connection.cluster)
                .is_some_and(|before| before != connection.cluster);
            let begun = self.beginning(connection, first);
            progress = match progress {
                Some(before) if matches!(connection.beginning, Beginning::Resumed) => {
                    Some(self.gone_on(before, begun, moved, connection))
                }
                _ => Some(self.begun(begun, connection)),
            };
            for frame in &connection.frames {
                self.take(progress.as_mut().expect("begun"), frame, connection);
                events += 1;
            }
        }
        let progress = progress.unwrap_or_default();
        for (place, partition) in self.of(&account.topics) {
            let missing = progress
                .get(place)
                .and_then(|next| partition.event_in(*next, partition.records.len()));
            assert_eq!(
                missing, None,
                "{place:?} was not read to its end: {account:?}"
            );
        }
        events
    }

    /// Where a connection began, as its first frame tells.
    fn beginning(&self, connection: &Connection, first: &Frame) -> Progress {
        let (topic, partition, offset) = first.record();
        let own = (topic, i32::try_from(partition).expect("small"));
        let positions = positions(first.id.as_ref().expect("an id"));
        let index = |(place, next): (Place, i64)| {
            let offset = if place == own { offset } else { next };
            let index = self.0[&place].index_at(connection.cluster, offset);
            (place, index)
        };
        positions.into_iter().map(index).collect()
    }

    /// A subscriber that came back goes on where it was, or on another cluster before that.
    fn gone_on(
        &self,
        before: Progress,
        begun: Progress,
        moved: bool,
        connection: &Connection,
    ) -> Progress {
        for (place, next) in &before {
            let (now, partition) = (begun[place], &self.0[place]);
            assert_eq!(
                partition.event_in(*next, now),
                None,
                "lost in {place:?} between {next} and {now}: {connection:?}"
            );
            let again = partition.event_in(now, *next);
            assert!(
                moved || again.is_none(),
                "repeated in {place:?} from {now} to {next}: {connection:?}"
            );
        }
        if moved { begun } else { before }
    }

    /// A subscriber that begins misses nothing that came after it had connected, or that it asked for.
    fn begun(&self, begun: Progress, connection: &Connection) -> Progress {
        for (place, now) in &begun {
            let partition = &self.0[place];
            let (first, earliest) = wanted(place, partition, connection);
            let lost = partition.event_in(first, *now);
            assert_eq!(
                lost, None,
                "{place:?} began at {now}, not at {first}: {connection:?}"
            );
            assert_eq!(
                partition.event_in(*now, earliest),
                None,
                "{place:?} began too early, at {now}: {connection:?}"
            );
        }
        begun
    }

    /// The next event of its partition, whose id says exactly what the subscriber has.
    fn take(&self, progress: &mut Progress, frame: &Frame, connection: &Connection) {
        let (topic, partition, offset) = frame.record();
        let place = (topic, i32::try_from(partition).expect("small"));
        let partition = &self.0[&place];
        let index = partition.index_at(connection.cluster, offset);
        let next = progress
            .get_mut(&place)
            .expect("a partition of the subscription");
        let expected = partition.event_in(*next, partition.records.len());
        assert_eq!(
            Some(index),
            expected,
            "of {place:?}, from {next} on: {connection:?}"
        );
        *next = index + 1;
        for (place, offset) in positions(frame.id.as_ref().expect("an id")) {
            let partition = &self.0[&place];
            let (says, has) = (
                partition.index_at(connection.cluster, offset),
                progress[&place],
            );
            let between = partition.event_in(says.min(has), says.max(has));
            assert_eq!(
                between, None,
                "the id says {says} of {place:?}, the subscriber has {has}: {connection:?}"
            );
        }
    }
}

/// The first record that a connection without an id must get, and the one before which it must not begin.
fn wanted(place: &Place, partition: &Partition, connection: &Connection) -> (usize, usize) {
    let Beginning::New {
        since,
        acknowledged,
        sent,
    } = &connection.beginning
    else {
        panic!("it has an id")
    };
    match since.and_then(|time| {
        partition
            .records
            .iter()
            .position(|(timestamp, _)| *timestamp >= time)
    }) {
        // What was not yet there to be found is live.
        Some(first) => (first, first.min(acknowledged[place])),
        None => (sent[place], 0),
    }
}

/// The offsets of an id.
fn positions(id: &str) -> BTreeMap<Place, i64> {
    let entries: Vec<Value> = serde_json::from_str(id).expect("an array");
    let position = |entry: &Value| {
        let partition = entry["partition"]
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .expect("a partition");
        (
            (
                entry["topic"].as_str().expect("a topic").to_owned(),
                partition,
            ),
            entry["offset"].as_i64().expect("an offset"),
        )
    };
    entries.iter().map(position).collect()
}
