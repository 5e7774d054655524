//! The memory log of one partition: its newest records in offset order, found by offset or by time.

use std::collections::VecDeque;

use super::log_entry::LogEntry;
use crate::cursor::{Offset, Position, TimestampMs};
use crate::event::PublicEvent;

/// Where the memory log of a partition starts.
#[derive(Clone, Copy, Debug)]
pub struct LogStart {
    /// The first offset that it can hold.
    pub offset: Offset,
    /// Every record below `offset` has an earlier timestamp; `i64::MIN` when there is none.
    pub floor: TimestampMs,
    /// The timestamp that ids name at `offset`: that of the last record before it. 0 when the
    /// partition never held one; `None` until a record below `offset` is read.
    pub timestamp: Option<TimestampMs>,
}

impl LogStart {
    /// The start of a log whose first record is, or will be, at `offset`.
    #[must_use]
    pub fn of_log(offset: Offset) -> Self {
        Self {
            offset,
            floor: TimestampMs(i64::MIN),
            timestamp: Some(TimestampMs(0)),
        }
    }
}

/// The record right before an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordBefore {
    /// It exists, with this timestamp.
    Time(TimestampMs),
    /// The offset before holds no record (compacted, or a transaction's mark).
    Hole,
    /// The memory log does not reach it.
    Unknown,
}

/// The newest records of a partition.
#[derive(Debug)]
pub struct PartitionLog {
    entries: VecDeque<StoredEntry>,
    start: Offset,
    end: Offset,
    /// The timestamp that ids name at `start`, once it is known.
    timestamp_at_start: Option<TimestampMs>,
    /// The offset of the last forgotten record.
    last_forgotten: Option<Offset>,
    /// No record below `start` has a later timestamp.
    floor: TimestampMs,
    /// The start of Kafka's log when records were last lost before they could be read.
    lost_below: Option<Offset>,
    /// Where Kafka lost records that had been read: the newest [`CUTS_MAX`].
    cuts: VecDeque<Cut>,
}

/// Records from `at` up to `end` that Kafka lost although they had been read. Other records have
/// taken, or will take, their offsets.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: Offset,
    end: Offset,
}

/// Cuts of a log that are remembered. Each is an unclean leader election.
const CUTS_MAX: usize = 16;

#[derive(Debug)]
struct StoredEntry {
    entry: LogEntry,
    /// The latest timestamp of this and all earlier records, except records of the future. It
    /// makes times searchable although records are not in time order.
    max_timestamp: TimestampMs,
}

impl PartitionLog {
    /// An empty log that starts at `start`.
    #[must_use]
    pub fn new(start: LogStart) -> Self {
        Self {
            entries: VecDeque::new(),
            start: start.offset,
            end: start.offset,
            timestamp_at_start: start.timestamp,
            last_forgotten: None,
            floor: TimestampMs(start.floor.0.saturating_sub(1)),
            lost_below: None,
            cuts: VecDeque::new(),
        }
    }

    /// Appends the next record. `None` for a record before the log's end: it was appended already,
    /// or lies before the log's start and only provides the timestamp that ids name there.
    ///
    /// A record later than `horizon`, a time in the near future, is of the future: it is delivered,
    /// but look-ups by time skip it.
    pub fn append(
        &mut self,
        offset: Offset,
        timestamp: TimestampMs,
        event: Option<PublicEvent>,
        horizon: TimestampMs,
    ) -> Option<&LogEntry> {
        if offset < self.end {
            if self.entries.is_empty() && self.last_forgotten.is_none() && offset < self.start {
                self.timestamp_at_start = Some(timestamp.max(TimestampMs(0)));
                if timestamp <= horizon {
                    self.floor = self.floor.max(timestamp);
                }
            }
            return None;
        }
        let latest = self.latest();
        let max_timestamp = if timestamp > horizon {
            latest
        } else {
            latest.max(timestamp)
        };
        self.end = Offset(offset.0 + 1);
        self.entries.push_back(StoredEntry {
            entry: LogEntry {
                offset,
                timestamp,
                event,
            },
            max_timestamp,
        });
        self.entries.back().map(|kept| &kept.entry)
    }

    /// Forgets the oldest entry.
    pub fn forget_oldest(&mut self) {
        if let Some(kept) = self.entries.pop_front() {
            let Position { next, timestamp } = kept.entry.position_after();
            (self.start, self.timestamp_at_start) = (next, Some(timestamp));
            self.last_forgotten = Some(kept.entry.offset);
            self.floor = kept.max_timestamp;
        }
    }

    /// Replaces each event for which `rewrite` returns another one.
    pub fn rewrite(&mut self, rewrite: impl Fn(&PublicEvent) -> Option<PublicEvent>) {
        for kept in &mut self.entries {
            if let Some(event) = kept.entry.event.as_ref().and_then(&rewrite) {
                kept.entry.event = Some(event);
            }
        }
    }

    /// Moves the end past offsets that hold no record.
    pub fn pass_hole(&mut self, to: Offset) {
        self.end = self.end.max(to);
    }

    /// Continues at `low`, where Kafka's log starts now: the records from the end of this log up to
    /// there are lost. They may be of any time until `now`.
    pub fn skip_to(&mut self, low: Offset, now: TimestampMs) {
        if low <= self.end {
            return;
        }
        self.timestamp_at_start = Some(self.end().timestamp);
        self.floor = self.latest().max(now);
        self.entries.clear();
        (self.start, self.end) = (low, low);
        (self.last_forgotten, self.lost_below) = (None, Some(low));
    }

    /// Whether the timestamp that ids name at the log's end is known.
    #[must_use]
    pub fn knows_time(&self) -> bool {
        !self.entries.is_empty() || self.timestamp_at_start.is_some()
    }

    /// Sets the timestamp that ids name at the log's start, unless a record has set it.
    ///
    /// Memory does not have all records of that time. A time later than `horizon` belongs to a
    /// record of the future and shows nothing about others.
    pub fn set_time(&mut self, timestamp: TimestampMs, horizon: TimestampMs) {
        if self.timestamp_at_start.is_none() {
            self.timestamp_at_start = Some(timestamp);
            if timestamp <= horizon {
                self.floor = self.floor.max(timestamp);
            }
        }
    }

    /// Drops the records from `cut` on, which Kafka's log lost.
    pub fn truncate(&mut self, cut: Offset) {
        if self.cuts.len() == CUTS_MAX {
            self.cuts.pop_front();
        }
        self.cuts.push_back(Cut {
            at: cut,
            end: self.end,
        });
        while self
            .entries
            .back()
            .is_some_and(|kept| kept.entry.offset >= cut)
        {
            self.entries.pop_back();
        }
        self.end = self.end.min(cut);
        if cut < self.start {
            (self.start, self.timestamp_at_start) = (cut, Some(TimestampMs(0)));
        }
    }

    /// Where a client continues whose id names records that Kafka lost: `next` lies in a cut, and
    /// the record before it, if it exists, has another timestamp than the id.
    #[must_use]
    pub fn cut_below(&self, next: Offset, timestamp: TimestampMs) -> Option<Position> {
        let is_elsewhere = |cut: &&Cut| next <= cut.at || cut.end < next;
        // A later cut may be below the one that took the records.
        let cuts_since = self.cuts.iter().skip_while(is_elsewhere);
        let at = cuts_since.map(|cut| cut.at).min()?;
        if self.record_before(next) == RecordBefore::Time(timestamp) {
            return None;
        }
        Some(Position {
            next: at,
            timestamp: self.timestamp_before(at).unwrap_or(TimestampMs(0)),
        })
    }

    /// Whether Kafka lost records below `next` that had been read. Others may have been lost there
    /// that had not been read here.
    #[must_use]
    pub fn was_cut_below(&self, next: Offset) -> bool {
        self.cuts.iter().any(|cut| cut.at < next)
    }

    /// The start of Kafka's log, if it is known to be above `next`: the records between are lost.
    #[must_use]
    pub fn gone_from(&self, next: Offset) -> Option<Offset> {
        self.lost_below.filter(|low| next < *low)
    }

    /// The latest timestamp before the end, except those of records of the future.
    fn latest(&self) -> TimestampMs {
        self.entries
            .back()
            .map_or(self.floor, |kept| kept.max_timestamp)
    }

    /// The first offset that can be read.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The position after the last record.
    #[must_use]
    pub fn end(&self) -> Position {
        Position {
            next: self.end,
            timestamp: self.timestamp_at(self.entries.len()),
        }
    }

    /// Whether it holds everything from `next` up to the end.
    #[must_use]
    pub fn covers(&self, next: Offset) -> bool {
        self.start <= next && next <= self.end
    }

    /// The timestamp that ids name at `next`: that of the last record before it. `None` when the
    /// log does not reach it.
    #[must_use]
    pub fn timestamp_before(&self, next: Offset) -> Option<TimestampMs> {
        self.covers(next)
            .then(|| self.timestamp_at(self.index_of(next)))
    }

    /// The record right before `next`.
    #[must_use]
    pub fn record_before(&self, next: Offset) -> RecordBefore {
        let before = Offset(next.0 - 1);
        if !self.covers(next) {
            return RecordBefore::Unknown;
        }
        match self
            .index_of(next)
            .checked_sub(1)
            .map(|index| &self.entries[index].entry)
        {
            Some(entry) if entry.offset == before => RecordBefore::Time(entry.timestamp),
            None if self.last_forgotten == Some(before) => self
                .timestamp_at_start
                .map_or(RecordBefore::Unknown, RecordBefore::Time),
            None if before < self.start => RecordBefore::Unknown,
            _ => RecordBefore::Hole,
        }
    }

    /// The first offset whose record has a timestamp of at least `time`, or the end. `None` when it
    /// may lie below the log's start.
    #[must_use]
    pub fn first_at_or_after(&self, time: TimestampMs) -> Option<Offset> {
        if time <= self.floor {
            return None;
        }
        let index = self
            .entries
            .partition_point(|kept| kept.max_timestamp < time);
        Some(
            self.entries
                .get(index)
                .map_or(self.end, |kept| kept.entry.offset),
        )
    }

    /// The newest entries, at most `count`, in offset order.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<LogEntry> {
        let first = self.entries.len().saturating_sub(count);
        self.entries
            .range(first..)
            .map(|kept| kept.entry.clone())
            .collect()
    }

    /// How many records of this time or later it holds, and since when it holds all of them: this
    /// time, or the one from which it does.
    #[must_use]
    pub fn records_since(&self, time: TimestampMs) -> (u64, TimestampMs) {
        let since = time.max(TimestampMs(self.floor.0.saturating_add(1)));
        let earlier = self
            .entries
            .partition_point(|kept| kept.max_timestamp < since);
        ((self.entries.len() - earlier) as u64, since)
    }

    /// Clones up to `count` entries of `[from, to)` into `into`; `false` when the log does not hold
    /// `from`.
    pub fn read(
        &self,
        from: Offset,
        to: Offset,
        count: usize,
        into: &mut VecDeque<LogEntry>,
    ) -> bool {
        if !self.covers(from) {
            return false;
        }
        let wanted = self
            .entries
            .range(self.index_of(from)..)
            .map(|kept| &kept.entry);
        into.extend(
            wanted
                .take_while(|entry| entry.offset < to)
                .take(count)
                .cloned(),
        );
        true
    }

    /// The index of the first entry at or after `next`.
    fn index_of(&self, next: Offset) -> usize {
        self.entries
            .partition_point(|kept| kept.entry.offset < next)
    }

    /// The timestamp that ids name before the entry at `index`.
    fn timestamp_at(&self, index: usize) -> TimestampMs {
        match index.checked_sub(1) {
            Some(before) => self.entries[before].entry.position_after().timestamp,
            None => self.timestamp_at_start.unwrap_or(TimestampMs(0)),
        }
    }
}

#[cfg(test)]
mod tests;
