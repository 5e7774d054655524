//! One partition's log: segments of batches in memory, mirrored in files when the broker has a folder.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use kafka_protocol::ResponseError;

use super::batch::Batch;
use super::producers::{Producers, Verdict};
use super::store::SegmentFiles;

/// A log's bound is kept by dropping whole segments, so it is divided into this many: the log holds at least 15/16 of it.
const SEGMENTS_PER_LOG: u64 = 16;

/// No segment is larger than this (a single larger batch aside), so a file stays quick to read back.
const SEGMENT_BYTES_MAX: u64 = 16 << 20;

/// A partition's log. Everything in it is committed: there are no replicas, so the high watermark and the last stable offset are
/// the end of the log.
#[derive(Debug)]
pub(super) struct PartitionLog {
    /// Oldest first; never empty; the last one is appended to.
    segments: VecDeque<Segment>,
    /// The first offset that may be read.
    start: i64,
    /// Bytes of all batches held.
    bytes: u64,
    retention_bytes: u64,
    producers: Producers,
    files: Option<SegmentFiles>,
}

#[derive(Debug)]
struct Segment {
    base_offset: i64,
    batches: Vec<Batch>,
    bytes: u64,
}

/// Whole batches for a fetch.
#[derive(Debug, Default)]
pub(super) struct Batches {
    pub(super) batches: Vec<Bytes>,
    pub(super) bytes: usize,
}

impl PartitionLog {
    /// A log bounded to `retention_bytes`, read back from `folder` when there is one.
    pub(super) fn open(retention_bytes: u64, folder: Option<PathBuf>) -> io::Result<Self> {
        let mut log =
            Self { segments: VecDeque::new(), start: 0, bytes: 0, retention_bytes, producers: Producers::default(), files: None };
        let Some(folder) = folder else {
            log.segments.push_back(Segment::new(0));
            return Ok(log);
        };
        let (files, stored, start) = SegmentFiles::open(folder)?;
        for batch in stored.iter().flat_map(|segment| &segment.batches) {
            log.producers.remember(batch);
        }
        log.segments.extend(stored.into_iter().map(|stored| {
            let bytes = stored.batches.iter().map(|batch| batch.size() as u64).sum();
            Segment { base_offset: stored.base_offset, batches: stored.batches, bytes }
        }));
        log.bytes = log.segments.iter().map(|segment| segment.bytes).sum();
        log.files = Some(files);
        // Records deleted further than a torn log now reaches: the log goes on where it ends.
        log.start = start.clamp(log.segments[0].base_offset, log.end());
        log.drop_segments_before(log.start);
        log.keep_within_bound();
        Ok(log)
    }

    /// The first offset that can be read.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// The offset that the next record gets: the high watermark.
    pub(super) fn end(&self) -> i64 {
        self.segments.back().map_or(0, Segment::next_offset)
    }

    /// Appends a batch; gives its base offset (the first one's when an idempotent producer sent it again).
    ///
    /// # Errors
    /// As [`Producers::check`]; `KAFKA_STORAGE_ERROR` when the file cannot be written: then nothing was appended.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<i64, ResponseError> {
        if let Verdict::Duplicate(base_offset) = self.producers.check(batch)? {
            return Ok(base_offset);
        }
        let batch = batch.placed_at(self.end());
        let base_offset = batch.base_offset();
        self.append_placed(batch).map_err(|error| {
            tracing::error!(%error, "cannot write to a partition's folder");
            ResponseError::KafkaStorageError
        })?;
        Ok(base_offset)
    }

    fn append_placed(&mut self, batch: Batch) -> io::Result<()> {
        let segment_bytes = (self.retention_bytes / SEGMENTS_PER_LOG).clamp(1, SEGMENT_BYTES_MAX);
        if self.segments.back().is_some_and(|last| last.bytes > 0 && last.bytes + batch.size() as u64 > segment_bytes) {
            self.roll()?;
        }
        if let Some(files) = &mut self.files {
            files.append(&batch)?;
        }
        self.producers.remember(&batch);
        self.bytes += batch.size() as u64;
        if let Some(last) = self.segments.back_mut() {
            last.bytes += batch.size() as u64;
            last.batches.push(batch);
        }
        self.keep_within_bound();
        Ok(())
    }

    /// Whole batches from the one that holds `offset` on, up to `bytes_max`; with `at_least_one` the first one whatever its size
    /// (KIP-74).
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` when `offset` is before the log's start or after its end.
    pub(super) fn read(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> Result<Batches, ResponseError> {
        if offset < self.start || offset > self.end() {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let mut read = Batches::default();
        let first = self.segments.partition_point(|segment| segment.next_offset() <= offset);
        for segment in self.segments.range(first..) {
            let from = segment.batches.partition_point(|batch| batch.next_offset() <= offset);
            for batch in &segment.batches[from..] {
                let is_first = read.batches.is_empty() && at_least_one;
                if read.bytes + batch.size() > bytes_max && !is_first {
                    return Ok(read);
                }
                read.bytes += batch.size();
                read.batches.push(batch.bytes().clone());
            }
        }
        Ok(read)
    }

    /// Offset and timestamp of the first record, in offset order, whose timestamp is at least `timestamp`.
    pub(super) fn first_since(&self, timestamp: i64) -> Option<(i64, i64)> {
        self.readable(|batch| batch.max_timestamp() >= timestamp).find(|(_, time)| *time >= timestamp)
    }

    /// Offset and timestamp of the first record that has the largest timestamp (KIP-734).
    pub(super) fn newest(&self) -> Option<(i64, i64)> {
        let newest = self.readable_batches().map(Batch::max_timestamp).max()?;
        // A batch half deleted may owe its largest timestamp to a deleted record: then the scan has to look at all.
        self.first_since(newest).or_else(|| self.readable(|_| true).max_by_key(|(offset, time)| (*time, -offset)))
    }

    fn readable_batches(&self) -> impl Iterator<Item = &Batch> {
        self.segments.iter().flat_map(|segment| &segment.batches).filter(|batch| batch.next_offset() > self.start)
    }

    /// Offset and timestamp of the readable records of those batches that `wanted` picks.
    fn readable(&self, wanted: impl Fn(&Batch) -> bool) -> impl Iterator<Item = (i64, i64)> {
        let batches = self.readable_batches().filter(move |batch| wanted(batch));
        batches.flat_map(Batch::positions).filter(|(offset, _)| *offset >= self.start)
    }

    /// Deletes the records before `offset` (the API `DeleteRecords`, KIP-107; -1: all); gives the new start.
    ///
    /// # Errors
    /// `OFFSET_OUT_OF_RANGE` beyond the log's end, `KAFKA_STORAGE_ERROR` when the folder cannot be written.
    pub(super) fn delete_before(&mut self, offset: i64) -> Result<i64, ResponseError> {
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
        if offset == self.end() && self.segments.back().is_some_and(|last| last.bytes > 0) {
            self.roll()?;
        }
        self.drop_segments_before(offset);
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        let base_offset = self.end();
        if let Some(files) = &mut self.files {
            files.roll(base_offset)?;
        }
        self.segments.push_back(Segment::new(base_offset));
        Ok(())
    }

    fn keep_within_bound(&mut self) {
        while self.bytes > self.retention_bytes && self.segments.len() > 1 {
            self.drop_oldest_segment();
        }
    }

    fn drop_segments_before(&mut self, offset: i64) {
        while self.segments.len() > 1 && self.segments[0].next_offset() <= offset {
            self.drop_oldest_segment();
        }
    }

    fn drop_oldest_segment(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        self.bytes -= oldest.bytes;
        self.start = self.start.max(oldest.next_offset());
        if let Some(files) = &mut self.files {
            files.remove(oldest.base_offset);
        }
    }
}

impl Segment {
    fn new(base_offset: i64) -> Self {
        Self { base_offset, batches: Vec::new(), bytes: 0 }
    }

    fn next_offset(&self) -> i64 {
        self.batches.last().map_or(self.base_offset, Batch::next_offset)
    }
}
