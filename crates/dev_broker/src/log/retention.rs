//! What leaves a log: old segments, the older records of a compacted log, and a tail that is cut by
//! an election.

use std::io;

use super::{PartitionLog, Segment};
use crate::batch::Batch;
use crate::compaction::compacted;

impl PartitionLog {
    /// An election begins a new leader epoch.
    pub(crate) fn set_leader(&mut self, has_leader: bool) {
        if has_leader && !self.has_leader {
            self.begin_epoch();
        }
        self.has_leader = has_leader;
    }

    fn begin_epoch(&mut self) {
        let (epoch, end) = (self.leader_epoch() + 1, self.end());
        self.epochs.retain(|(_, start)| *start < end);
        self.epochs.push((epoch, end));
    }

    /// Whether the active segment and `batch` together span more time than a segment may.
    pub(super) fn active_spans_more_than(&self, ms: i64, batch: &Batch) -> bool {
        let first = self
            .segments
            .back()
            .and_then(|active| active.batches.first());
        first.is_some_and(|first| batch.max_timestamp().saturating_sub(first.max_timestamp()) > ms)
    }

    /// Compacts the closed segments. They are only in memory: [`crate::topics`] refuses compacted
    /// topics with a folder.
    pub(super) fn compact(&mut self) {
        let Some(active) = self.segments.pop_back() else {
            return;
        };
        let batches: Vec<Batch> = self
            .segments
            .drain(..)
            .flat_map(|segment| segment.batches)
            .collect();
        let kept = compacted(
            &batches,
            &self.transactions,
            self.last_stable_before(active.base_offset),
        );
        if !kept.is_empty() {
            let bytes = kept.iter().map(|batch| batch.size() as u64).sum();
            self.segments.push_back(Segment {
                base_offset: kept[0].base_offset(),
                batches: kept,
                bytes,
            });
        }
        self.segments.push_back(active);
        self.bytes = self.segments.iter().map(|segment| segment.bytes).sum();
    }

    fn last_stable_before(&self, end: i64) -> i64 {
        self.transactions
            .first_open()
            .map_or(end, |first| first.min(end))
    }

    /// Drops the records from `offset` on, with the whole batch that contains it, as when a leader
    /// comes back with less than it had. A new leader epoch begins. Returns the new end.
    ///
    /// # Errors
    /// A log with files cannot be cut.
    pub(crate) fn cut(&mut self, offset: i64) -> Result<i64, &'static str> {
        if self.files.is_some() {
            return Err("only a log that is in memory alone can be cut");
        }
        while let Some(mut last) = self.segments.pop_back() {
            last.batches.retain(|batch| batch.next_offset() <= offset);
            last.bytes = last.batches.iter().map(|batch| batch.size() as u64).sum();
            if !last.batches.is_empty() || self.segments.is_empty() {
                self.segments.push_back(last);
                break;
            }
        }
        self.start = self.start.min(self.end());
        self.begin_epoch();
        self.recount();
        Ok(self.end())
    }

    pub(super) fn roll(&mut self) -> io::Result<()> {
        let base_offset = self.end();
        if let Some(files) = &mut self.files {
            files.roll(base_offset)?;
        }
        self.segments.push_back(Segment::new(base_offset));
        Ok(())
    }

    pub(super) fn keep_within_bound(&mut self) {
        while self.bytes > self.config.retention_bytes && self.segments.len() > 1 {
            self.drop_oldest_segment();
        }
    }

    pub(super) fn drop_segments_before(&mut self, offset: i64) {
        while self.segments.len() > 1 && self.segments[0].next_offset() <= offset {
            self.drop_oldest_segment();
        }
    }

    fn drop_oldest_segment(&mut self) {
        let Some(oldest) = self.segments.pop_front() else {
            return;
        };
        self.bytes -= oldest.bytes;
        self.start = self.start.max(oldest.next_offset());
        self.transactions.forget_before(self.start);
        if let Some(files) = &mut self.files {
            files.remove(oldest.base_offset);
        }
    }
}
