//! One partition's part of the ledger: its records in order, and what became of them.
//!
//! The records of a partition have the same indices on every cluster, whatever their offsets are. A
//! partition's log changes when its topic is recreated, or when its end is cut: each time a new
//! *view* of it begins. A topic that is recreated also begins a new *generation*, whose offsets
//! start at 0 again.

use std::collections::BTreeSet;
use std::ops::Range;

use super::choice::Choice;
use super::ledger::Place;
use crate::support::admin::LogRecord;

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
    pub fn new(clusters: usize, is_compacted: bool) -> Self {
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

    /// Whether the range has a chosen event that no client may miss on this cluster.
    pub fn has_required(&self, cluster: usize, choice: Choice, range: Range<usize>) -> bool {
        let newest = self.generations[self.generations.len() - 1];
        let is_there = |index: usize| {
            index >= newest && self.offset(cluster, index) >= self.deleted_below[cluster]
        };
        (range.start..range.end.min(self.len()))
            .any(|index| self.entries[index].needs_notice(choice) && is_there(index))
    }

    /// Whether the range has a chosen event that no client may miss without a notice.
    pub fn has_unexcused(&self, choice: Choice, range: Range<usize>) -> bool {
        (range.start..range.end.min(self.len()))
            .any(|index| self.entries[index].needs_notice(choice))
    }

    /// How many records of the range a client reads at least.
    pub fn count(&self, range: Range<usize>) -> usize {
        let entries = self.entries[range].iter();
        entries.filter(|entry| !entry.is_superseded).count()
    }

    /// Whether a client reads all records, and no others: compaction and clusters with offsets of
    /// their own add records that the ledger does not have.
    pub fn has_exact_counts(&self) -> bool {
        !self.is_compacted && self.deleted_below.len() == 1
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

    /// Its topic was deleted, and created again. Returns the new generation.
    pub fn recreate(&mut self) -> usize {
        let (generation, clusters) = (self.generations.len(), self.deleted_below.len());
        self.generations.push(self.entries.len());
        self.next_view(vec![i64::MAX; clusters], generation);
        self.deleted_below.fill(0);
        generation
    }

    /// Adds a record.
    pub fn push(&mut self, written: Written) {
        self.entries.push(Entry {
            written,
            view: self.views.len() - 1,
            cut_in: None,
            is_superseded: false,
        });
    }

    /// The records below `before` were deleted in one cluster.
    pub fn delete(&mut self, cluster: usize, before: i64) {
        self.deleted_below[cluster] = before;
        self.has_been_deleted_from = true;
    }

    /// The records from `cut` on were lost; the log had ended at `end`.
    pub fn cut(&mut self, cut: i64, end: i64) {
        self.has_been_cut = true;
        let (newest, view) = (self.generations.len() - 1, self.views.len());
        for entry in &mut self.entries[self.generations[newest]..] {
            if entry.cut_in.is_none() && entry.written.offsets[0] >= cut {
                entry.cut_in = Some(view);
            }
        }
        self.next_view(vec![end], newest);
    }

    /// Forgets the records from this index on: they stay invisible.
    pub fn truncate(&mut self, count: usize) {
        self.entries.truncate(count);
    }

    fn next_view(&mut self, ends: Vec<i64>, generation: usize) {
        self.views.last_mut().expect("the first view").ends = Some(ends);
        self.views.push(View {
            generation,
            ends: None,
        });
    }

    /// Marks the records that compaction may have taken, in every generation of a compacted topic.
    pub fn mark_superseded(&mut self) {
        if !self.is_compacted {
            return;
        }
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
    pub fn check(&self, place: &Place, cluster: usize, log: &[LogRecord]) {
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
    /// Whether it is a chosen event that no client may miss without a notice.
    fn needs_notice(&self, choice: Choice) -> bool {
        let is_there = !self.is_superseded && self.cut_in.is_none();
        is_there
            && self
                .written
                .number
                .is_some_and(|number| choice.wants(number))
    }
}
