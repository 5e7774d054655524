//! What was written to each partition, in order, and what became of it: the verdict compares
//! clients with this ledger.
//!
//! The records of a partition have the same indices on every cluster, whatever their offsets are. A
//! partition's log changes when its topic is recreated, or when its end is cut: each time a new
//! *view* of it begins. A topic that is recreated also begins a new *generation*, whose offsets
//! start at 0 again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use eventstreams::cursor::{LogId, TopicIdentity};

use crate::support::admin::{Cluster, LogRecord};
use crate::support::compaction::LAST_KEY;

/// A topic and its partition.
pub type Place = (String, i32);

/// How many records of each partition there are.
pub type Counts = BTreeMap<Place, usize>;

/// The value of a record that only one cluster has.
pub const FILLER: &str = "filler";

/// A record as it was written.
#[derive(Debug)]
pub struct Written {
    pub timestamp: i64,
    /// The number in its event; `None` for a record that is not delivered.
    pub number: Option<usize>,
    pub key: Option<String>,
    /// Its offset in each cluster.
    pub offsets: Vec<i64>,
}

/// What became of a record.
#[derive(Debug)]
struct Entry {
    written: Written,
    /// The view that it was written in.
    view: usize,
    /// The view that lacks it: the log was cut below it.
    cut_in: Option<usize>,
    /// A later record has its key: compaction may take it.
    is_superseded: bool,
}

#[derive(Debug)]
struct View {
    generation: usize,
    /// Of each cluster, the log's end when the view ended.
    ends: Option<Vec<i64>>,
}

/// One partition's part of the ledger.
#[derive(Debug)]
pub struct Partition {
    entries: Vec<Entry>,
    views: Vec<View>,
    /// The index that each generation begins at.
    generations: Vec<usize>,
    /// Of each cluster, the offset below which records were deleted in the newest generation.
    deleted_below: Vec<i64>,
    is_compacted: bool,
    pub has_been_deleted_from: bool,
    pub has_been_cut: bool,
}

impl Partition {
    fn new(clusters: usize, is_compacted: bool) -> Self {
        Self {
            entries: Vec::new(),
            views: vec![View {
                generation: 0,
                ends: None,
            }],
            generations: vec![0],
            deleted_below: vec![0; clusters],
            is_compacted,
            has_been_deleted_from: false,
            has_been_cut: false,
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The largest offset at which the log ended before it was cut.
    pub fn last_end(&self) -> i64 {
        let ends = self.views.iter().filter_map(|view| view.ends.as_ref());
        ends.map(|ends| ends[0])
            .filter(|end| *end < i64::MAX)
            .max()
            .unwrap_or(0)
    }

    /// Whether its log has ever become shorter.
    pub fn has_shrunk(&self) -> bool {
        self.views.len() > 1
    }

    /// The index of the first record of this time or later.
    pub fn first_at_or_after(&self, time: i64) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| entry.written.timestamp >= time)
    }

    /// The offset of a record in a cluster.
    pub fn offset(&self, cluster: usize, index: usize) -> i64 {
        self.entries[index].written.offsets[cluster]
    }

    /// Whether a record was lost in a cut.
    pub fn is_cut(&self, index: usize) -> bool {
        self.entries[index].cut_in.is_some()
    }

    /// The first event of `from..to` that no client may miss on this cluster.
    pub fn required_in(&self, cluster: usize, from: usize, to: usize) -> Option<usize> {
        let newest = self.generations[self.generations.len() - 1];
        let is_there = |index: &usize| {
            *index >= newest && self.offset(cluster, *index) >= self.deleted_below[cluster]
        };
        (from..to.min(self.len()))
            .find(|index| self.entries[*index].needs_notice() && is_there(index))
    }

    /// The first event of `from..to` that no client may miss without a notice.
    pub fn unexcused_in(&self, from: usize, to: usize) -> Option<usize> {
        (from..to.min(self.len())).find(|index| self.entries[*index].needs_notice())
    }

    /// The generation that a reader before this index is in.
    fn generation_at(&self, index: usize) -> usize {
        self.generations.partition_point(|start| *start <= index) - 1
    }

    /// Where the generations begin that come after the one at `index`.
    pub fn later_generations(&self, index: usize) -> &[usize] {
        // At the end of a generation the next one begins.
        &self.generations[self.generations.partition_point(|start| *start < index)..]
    }

    /// How many records lie before an offset of a generation: one number for each view in which the
    /// offset can be.
    pub fn indices_at(&self, cluster: usize, generation: usize, offset: i64) -> Vec<usize> {
        let start = self.generations[generation];
        let end = self.generations.get(generation + 1).copied();
        let entries = &self.entries[start..end.unwrap_or(self.len())];
        let mut indices = Vec::new();
        for (number, view) in self.views.iter().enumerate() {
            let is_possible = (view.ends.as_ref())
                .is_none_or(|ends| offset <= ends[cluster] || !self.has_been_cut);
            if view.generation != generation || !is_possible {
                continue;
            }
            let is_before = |entry: &Entry| {
                entry.view <= number
                    && entry.cut_in.is_none_or(|cut| number < cut)
                    && entry.written.offsets[cluster] < offset
            };
            let last = if self.has_been_cut {
                entries.iter().rposition(is_before)
            } else {
                entries
                    .partition_point(|entry| entry.written.offsets[cluster] < offset)
                    .checked_sub(1)
            };
            let index = last.map_or(start, |last| start + last + 1);
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        indices
    }

    /// The same for an offset of the generation that a reader before `index` is in.
    pub fn indices_beside(&self, index: usize, cluster: usize, offset: i64) -> Vec<usize> {
        let own = self.generation_at(index);
        // The end of a generation is the start of the next one too.
        let first = if self.generations[own] == index {
            own.saturating_sub(1)
        } else {
            own
        };
        (first..=own)
            .flat_map(|generation| self.indices_at(cluster, generation, offset))
            .collect()
    }

    fn next_view(&mut self, ends: Vec<i64>, generation: usize) {
        self.views.last_mut().expect("the first view").ends = Some(ends);
        self.views.push(View {
            generation,
            ends: None,
        });
    }

    /// Marks the records that compaction may have taken, in every generation.
    fn mark_superseded(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, entry) in self.entries.iter_mut().enumerate().rev() {
            if let Some(key) = &entry.written.key {
                entry.is_superseded = !seen.insert(key.clone());
            }
            if self.generations.contains(&index) {
                seen.clear();
            }
        }
    }

    /// Fails unless this is what the log of a cluster holds.
    fn check(&self, place: &Place, cluster: usize, log: &[LogRecord]) {
        let newest = self.generations[self.generations.len() - 1];
        let mut ours = self.entries[newest..]
            .iter()
            .filter(|entry| entry.cut_in.is_none())
            .filter(|entry| entry.written.offsets[cluster] >= self.deleted_below[cluster])
            .peekable();
        for record in log {
            let may_lack = |entry: &&Entry| {
                entry.is_superseded && entry.written.offsets[cluster] < record.offset
            };
            while ours.next_if(may_lack).is_some() {}
            let entry = ours.next().map(|entry| &entry.written);
            assert_eq!(
                entry.map(|written| (written.offsets[cluster], written.timestamp)),
                Some((record.offset, record.timestamp)),
                "{place:?} of cluster {cluster}"
            );
        }
        let lacking = ours.find(|entry| !entry.is_superseded);
        assert!(lacking.is_none(), "{place:?} lacks {lacking:?}");
    }
}

impl Entry {
    /// Whether it is an event that no client may miss without a notice.
    fn needs_notice(&self) -> bool {
        self.written.number.is_some() && !self.is_superseded && self.cut_in.is_none()
    }
}

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger {
    pub partitions: BTreeMap<Place, Partition>,
    /// Where the event of each number is.
    pub numbers: HashMap<usize, (Place, usize)>,
    cluster_ids: Vec<String>,
    /// Topic, cluster and generation of each log that an id may name.
    logs: HashMap<String, (String, usize, usize)>,
}

impl Ledger {
    pub async fn new(clusters: &[Cluster]) -> Self {
        let mut cluster_ids = Vec::new();
        for cluster in clusters {
            cluster_ids.push(cluster.cluster_id().await);
        }
        Self {
            partitions: BTreeMap::new(),
            numbers: HashMap::new(),
            cluster_ids,
            logs: HashMap::new(),
        }
    }

    /// Takes in a topic that was created everywhere.
    pub async fn add_topic(
        &mut self,
        clusters: &[Cluster],
        topic: &str,
        partitions: i32,
        is_compacted: bool,
    ) {
        for partition in 0..partitions {
            let place = (topic.to_owned(), partition);
            self.partitions
                .insert(place, Partition::new(clusters.len(), is_compacted));
        }
        self.add_logs(clusters, topic, 0).await;
    }

    async fn add_logs(&mut self, clusters: &[Cluster], topic: &str, generation: usize) {
        for (number, cluster) in clusters.iter().enumerate() {
            let id = cluster.topic_id(topic).await;
            let log = LogId::new(&self.cluster_ids[number], TopicIdentity::Id(id));
            self.logs.insert(
                log.as_str().to_owned(),
                (topic.to_owned(), number, generation),
            );
        }
    }

    /// The generation of a topic whose log in a cluster has this id.
    pub fn generation(&self, log: &str, topic: &str, cluster: usize) -> usize {
        let (of, on, generation) = self.logs.get(log).expect("a log that there was");
        assert_eq!((of.as_str(), *on), (topic, cluster), "the log of an id");
        *generation
    }

    /// A topic was deleted, and created again on every cluster.
    pub async fn recreate(&mut self, clusters: &[Cluster], topic: &str) {
        let mut generation = 0;
        for (_, partition) in self
            .partitions
            .iter_mut()
            .filter(|(place, _)| place.0 == topic)
        {
            generation = partition.generations.len();
            partition.generations.push(partition.entries.len());
            partition.next_view(vec![i64::MAX; clusters.len()], generation);
            partition.deleted_below.fill(0);
        }
        self.add_logs(clusters, topic, generation).await;
    }

    /// Adds a record.
    pub fn push(&mut self, place: &Place, written: Written) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        if let Some(number) = written.number {
            self.numbers
                .insert(number, (place.clone(), partition.entries.len()));
        }
        partition.entries.push(Entry {
            written,
            view: partition.views.len() - 1,
            cut_in: None,
            is_superseded: false,
        });
    }

    /// The records below `before` were deleted in one cluster.
    pub fn delete(&mut self, place: &Place, cluster: usize, before: i64) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        partition.deleted_below[cluster] = before;
        partition.has_been_deleted_from = true;
    }

    /// The records from `cut` on were lost; the log had ended at `end`.
    pub fn cut(&mut self, place: &Place, cut: i64, end: i64) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        partition.has_been_cut = true;
        let (newest, view) = (partition.generations.len() - 1, partition.views.len());
        for entry in &mut partition.entries[partition.generations[newest]..] {
            if entry.cut_in.is_none() && entry.written.offsets[0] >= cut {
                entry.cut_in = Some(view);
            }
        }
        partition.next_view(vec![end], newest);
    }

    /// Ends the ledger. The records behind `held` stay invisible for ever.
    pub fn finish(&mut self, held: &Counts) {
        for (place, count) in held {
            let partition = self.partitions.get_mut(place).expect("a partition");
            partition.entries.truncate(*count);
        }
        for partition in self.partitions.values_mut() {
            if partition.is_compacted {
                partition.mark_superseded();
            }
        }
    }

    /// Fails unless the logs hold what the ledger says.
    pub async fn check(&self, clusters: &[Cluster]) {
        let mut topics: Vec<&String> = self.partitions.keys().map(|place| &place.0).collect();
        topics.dedup();
        for (number, cluster) in clusters.iter().enumerate() {
            for topic in &topics {
                let is_ours = |record: &LogRecord| {
                    record.value.as_deref() != Some(FILLER.as_bytes())
                        && record.key.as_deref() != Some(LAST_KEY.as_bytes())
                };
                let log: Vec<_> = cluster
                    .log(topic)
                    .await
                    .into_iter()
                    .filter(is_ours)
                    .collect();
                for (place, partition) in &self.partitions {
                    let own = log.iter().filter(|record| record.partition == place.1);
                    if place.0 == **topic {
                        partition.check(place, number, &own.cloned().collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    /// How many records of each partition there are.
    pub fn counts(&self) -> Counts {
        self.partitions
            .iter()
            .map(|(place, partition)| (place.clone(), partition.len()))
            .collect()
    }
}
