//! One partition's log: segments of batches in memory, mirrored in files when the broker has a
//! folder.
//!
//! * `retention`: how records leave the log.

mod retention;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use crate::LEADER_EPOCH;
use crate::batch::Batch;
use crate::open_transactions::OpenTransactions;
use crate::producers::{Producers, Verdict};
use crate::store::SegmentFiles;
use crate::transactions::now_ms;

/// The log drops whole segments to stay within its bound, so the bound is divided into this many:
/// the log holds at least 15/16 of it.
const SEGMENTS_PER_LOG: u64 = 16;

/// No segment is larger than this (a single larger batch aside), so that a file is quick to read
/// back.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogConfig {
    /// The most bytes of batches that it holds.
    pub(crate) retention_bytes: u64,
    /// For a compacted log: the longest time, in milliseconds, between the newest records of a
    /// segment's first batch and of the next one to append. A batch beyond it closes the segment
    /// and compacts the log.
    pub(crate) compacted_every_ms: Option<i64>,
}

impl From<u64> for LogConfig {
    fn from(retention_bytes: u64) -> Self {
        Self {
            retention_bytes,
            compacted_every_ms: None,
        }
    }
}

/// A partition's log. Without replicas everything in it counts as replicated: the high watermark is
/// the end of the log.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    /// Oldest first; never empty; the last one is appended to.
    segments: VecDeque<Segment>,
    /// The first offset that may be read.
    start: i64,
    /// Bytes of all batches held.
    bytes: u64,
    config: LogConfig,
    producers: Producers,
    transactions: OpenTransactions,
    files: Option<SegmentFiles>,
    /// Leader epochs, each with the first offset written in it. Each cut of the log adds one.
    epochs: Vec<(i32, i64)>,
    /// Whether there is a leader; without one nothing can be read or written.
    pub(crate) has_leader: bool,
}

#[derive(Debug)]
struct Segment {
    base_offset: i64,
    batches: Vec<Batch>,
    bytes: u64,
}

/// Whole batches for a fetch.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_field_names,
    reason = "the batches of a read, and facts about them"
)]
pub(crate) struct Batches {
    pub(crate) batches: Vec<Bytes>,
    pub(crate) bytes: usize,
    /// The offset after the last batch; `None` without a batch.
    pub(crate) next_offset: Option<i64>,
}

impl PartitionLog {
    /// A log kept as `config` says, read back from `folder` when there is one.
    pub(crate) fn open(config: impl Into<LogConfig>, folder: Option<PathBuf>) -> io::Result<Self> {
        let mut log = Self {
            segments: VecDeque::new(),
            start: 0,
            bytes: 0,
            config: config.into(),
            producers: Producers::default(),
            transactions: OpenTransactions::default(),
            files: None,
            epochs: vec![(LEADER_EPOCH, 0)],
            has_leader: true,
        };
        let Some(folder) = folder else {
            log.segments.push_back(Segment::new(0));
            return Ok(log);
        };
        let (files, stored, start) = SegmentFiles::open(folder)?;
        log.segments.extend(stored.into_iter().map(|stored| {
            let bytes = stored.batches.iter().map(|batch| batch.size() as u64).sum();
            Segment {
                base_offset: stored.base_offset,
                batches: stored.batches,
                bytes,
            }
        }));
        log.recount();
        log.files = Some(files);
        // Records were deleted beyond the end of a torn log: the log continues at its end.
        log.start = start.clamp(log.segments[0].base_offset, log.end());
        log.drop_segments_before(log.start);
        log.keep_within_bound();
        log.abort_open_transactions()?;
        Ok(log)
    }

    /// Aborts the transactions that an earlier process left open: nobody else would.
    fn abort_open_transactions(&mut self) -> io::Result<()> {
        for producer_id in self.transactions.producers() {
            let epoch = self.producers.epoch(producer_id).unwrap_or(0);
            let mark = Batch::mark(producer_id, epoch, false, now_ms());
            self.append_placed(mark.placed_in(self.leader_epoch(), self.end()))?;
        }
        Ok(())
    }

    /// Computes everything that follows from the batches.
    fn recount(&mut self) {
        self.bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        (self.producers, self.transactions) = (Producers::default(), OpenTransactions::default());
        for batch in self.segments.iter().flat_map(|segment| &segment.batches) {
            self.producers.remember(batch);
            self.transactions.note(batch);
        }
    }

    /// The first offset that can be read.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets: the high watermark.
    pub(crate) fn end(&self) -> i64 {
        self.segments.back().map_or(0, Segment::next_offset)
    }

    /// The last stable offset: records before it are in no open transaction.
    pub(crate) fn last_stable(&self) -> i64 {
        self.transactions
            .first_open()
            .map_or(self.end(), |first| first.max(self.start))
    }

    /// The log's transactions.
    pub(crate) fn transactions(&self) -> &OpenTransactions {
        &self.transactions
    }

    /// The leader's epoch.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.epochs.last().map_or(LEADER_EPOCH, |(epoch, _)| *epoch)
    }

    /// The newest epoch that is not after `epoch`, and the offset at which it ended (KIP-320).
    pub(crate) fn epoch_end(&self, epoch: i32) -> Option<(i32, i64)> {
        let after = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let (known, _) = self.epochs.get(after.checked_sub(1)?)?;
        Some((
            *known,
            self.epochs
                .get(after)
                .map_or(self.end(), |(_, start)| *start),
        ))
    }

    /// Appends a batch; returns its base offset (the first one's when an idempotent producer sent
    /// it again).
    ///
    /// # Errors
    /// As [`Producers::check`]; `INVALID_RECORD` for a record without a key in a compacted log;
    /// `KAFKA_STORAGE_ERROR` when the file cannot be written, and then nothing was appended.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<i64, ResponseError> {
        if let Verdict::Duplicate(base_offset) = self.producers.check(batch)? {
            return Ok(base_offset);
        }
        if self.config.compacted_every_ms.is_some() && !batch.has_keys() {
            return Err(ResponseError::InvalidRecord);
        }
        let batch = batch.placed_in(self.leader_epoch(), self.end());
        let base_offset = batch.base_offset();
        self.append_placed(batch).map_err(|error| {
            tracing::error!(%error, "cannot write to a partition's folder");
            ResponseError::KafkaStorageError
        })?;
        Ok(base_offset)
    }

    fn append_placed(&mut self, batch: Batch) -> io::Result<()> {
        let segment_bytes =
            (self.config.retention_bytes / SEGMENTS_PER_LOG).clamp(1, SEGMENT_BYTES_MAX);
        if self
            .segments
            .back()
            .is_some_and(|last| last.bytes > 0 && last.bytes + batch.size() as u64 > segment_bytes)
        {
            self.roll()?;
        }
        if self
            .config
            .compacted_every_ms
            .is_some_and(|ms| self.active_spans_more_than(ms, &batch))
        {
            self.roll()?;
            self.compact();
        }
        if let Some(files) = &mut self.files {
            files.append(&batch)?;
        }
        self.producers.remember(&batch);
        self.transactions.note(&batch);
        self.bytes += batch.size() as u64;
        if let Some(last) = self.segments.back_mut() {
            last.bytes += batch.size() as u64;
            last.batches.push(batch);
        }
        self.keep_within_bound();
        Ok(())
    }

    /// Whole batches from the one that contains `offset`, of those that begin before `until`, up to
    /// `bytes_max`. With `at_least_one` the first one is returned whatever its size (KIP-74).
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` when `offset` is before the log's start or after its end.
    pub(crate) fn read_before(
        &self,
        until: i64,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Batches, ResponseError> {
        if offset < self.start || offset > self.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let mut read = Batches::default();
        let first = self
            .segments
            .partition_point(|segment| segment.next_offset() <= offset);
        for segment in self.segments.range(first..) {
            let from = segment
                .batches
                .partition_point(|batch| batch.next_offset() <= offset);
            for batch in &segment.batches[from..] {
                let is_first = read.batches.is_empty() && at_least_one;
                let is_full = read.bytes + batch.size() > bytes_max && !is_first;
                if is_full || batch.base_offset() >= until {
                    return Ok(read);
                }
                read.bytes += batch.size();
                read.batches.push(batch.bytes().clone());
                read.next_offset = Some(batch.next_offset());
            }
        }
        Ok(read)
    }

    /// The same up to the log's end.
    #[cfg(test)]
    pub(crate) fn read(
        &self,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Batches, ResponseError> {
        self.read_before(self.end(), offset, bytes_max, at_least_one)
    }

    /// Offset and timestamp of the first record whose timestamp is at least `timestamp`.
    pub(crate) fn first_since(&self, timestamp: i64) -> Option<(i64, i64)> {
        self.readable(|batch| batch.max_timestamp() >= timestamp)
            .find(|(_, time)| *time >= timestamp)
    }

    /// Offset and timestamp of the first record that has the largest timestamp (KIP-734).
    pub(crate) fn newest(&self) -> Option<(i64, i64)> {
        let newest = self.readable_batches().map(Batch::max_timestamp).max()?;
        // A partly deleted batch may owe its largest timestamp to a deleted record: then all
        // records are compared.
        self.first_since(newest).or_else(|| {
            self.readable(|_| true)
                .max_by_key(|(offset, time)| (*time, -offset))
        })
    }

    fn readable_batches(&self) -> impl Iterator<Item = &Batch> {
        self.segments
            .iter()
            .flat_map(|segment| &segment.batches)
            .filter(|batch| batch.next_offset() > self.start)
    }

    /// Offset and timestamp of the readable records of those batches that `wanted` picks.
    fn readable(&self, wanted: impl Fn(&Batch) -> bool) -> impl Iterator<Item = (i64, i64)> {
        let batches = self.readable_batches().filter(move |batch| wanted(batch));
        batches
            .flat_map(Batch::positions)
            .filter(|(offset, _)| *offset >= self.start)
    }

    /// Deletes the records before `offset` (-1: all), for `DeleteRecords` (KIP-107); returns the
    /// new start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the log's end, `KAFKA_STORAGE_ERROR` when the folder cannot be
    /// written.
    pub(crate) fn delete_before(&mut self, offset: i64) -> Result<i64, ResponseError> {
        let offset = if offset == -1 { self.end() } else { offset };
        if offset < 0 || offset > self.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if offset > self.start {
            self.move_start(offset).map_err(|error| {
                tracing::error!(%error, "cannot delete records in a partition's folder");
                ResponseError::KafkaStorageError
            })?;
        }
        Ok(self.start)
    }

    fn move_start(&mut self, offset: i64) -> io::Result<()> {
        if let Some(files) = &mut self.files {
            files.set_log_start(offset)?;
        }
        self.start = offset;
        self.transactions.forget_before(offset);
        if offset == self.end() && self.segments.back().is_some_and(|last| last.bytes > 0) {
            self.roll()?;
        }
        self.drop_segments_before(offset);
        Ok(())
    }

    /// Ends the transaction of a producer with a mark that carries `timestamp` (ms).
    ///
    /// # Errors
    /// `KAFKA_STORAGE_ERROR` when the file cannot be written.
    pub(crate) fn end_transaction(
        &mut self,
        producer_id: i64,
        epoch: i16,
        commit: bool,
        timestamp: i64,
    ) -> Result<(), ResponseError> {
        let mark = Batch::mark(producer_id, epoch, commit, timestamp)
            .placed_in(self.leader_epoch(), self.end());
        self.append_placed(mark).map_err(|error| {
            tracing::error!(%error, "cannot write to a partition's folder");
            ResponseError::KafkaStorageError
        })
    }
}

impl Segment {
    fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            batches: Vec::new(),
            bytes: 0,
        }
    }

    fn next_offset(&self) -> i64 {
        self.batches
            .last()
            .map_or(self.base_offset, Batch::next_offset)
    }
}
