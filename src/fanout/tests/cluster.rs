//! A Kafka cluster as plain vectors: the model that every delivery is held against.

use crate::cursor::{LogAnswer, LogQuestion, Offset, Partition, RUN_MAX, RunClock, TimestampMs};
use crate::event::{self, PublicEvent, Record, RedactionKind, RedactionRules};
use crate::fanout::LogEntry;
use crate::fanout::upstream::{ReplayRange, ReplayRead};
use crate::stream::Topic;

/// A record of one cluster's log.
#[derive(Clone, Debug)]
pub struct LogRecord {
    pub offset: i64,
    pub timestamp: i64,
    /// Which of the partition's records it is, the same on every cluster; `None` for a filler that only this cluster has.
    pub index: Option<usize>,
    /// `None` for one that is not delivered.
    pub event: Option<PublicEvent>,
    /// What an id says after it.
    pub witness: TimestampMs,
    clock_before: RunClock,
}

/// A partition's log in one cluster.
#[derive(Debug)]
pub struct Log {
    pub topic: Topic,
    pub partition: Partition,
    /// Everything below is gone from Kafka (the model keeps it, to know what was there).
    pub low: i64,
    pub high: i64,
    pub records: Vec<LogRecord>,
    clock: RunClock,
}

impl Log {
    pub fn new(topic: Topic, partition: i32) -> Self {
        let clock = RunClock::default();
        Self { topic, partition: Partition(partition), low: 0, high: 0, records: Vec::new(), clock }
    }

    /// Appends a record, after a hole of `hole` offsets.
    pub fn append(&mut self, index: Option<usize>, timestamp: i64, delivered: bool, hole: i64) {
        let offset = self.high + hole;
        let event = delivered.then(|| self.event(offset));
        let clock_before = self.clock;
        let witness = self.clock.observe(TimestampMs(timestamp));
        self.records.push(LogRecord { offset, timestamp, index, event, witness, clock_before });
        self.high = offset + 1;
    }

    /// Ends the log with an offset that holds no record, as a transaction does.
    pub fn end_transaction(&mut self) {
        self.high += 1;
    }

    fn event(&self, offset: i64) -> PublicEvent {
        let record = Record {
            topic: &self.topic,
            partition: self.partition,
            offset: Offset(offset),
            timestamp: TimestampMs(0),
            key: None,
            value: Some(b"{}"),
        };
        let prepared = event::prepare(&record, &RedactionRules::default(), RedactionKind::all_treatments(), 1000);
        prepared.expect("an object").event
    }

    /// The place of the first record at or after `offset` in [`Self::records`].
    pub fn place(&self, offset: i64) -> usize {
        self.records.partition_point(|record| record.offset < offset)
    }

    /// How many of the partition's records, the same on every cluster, lie before `offset`.
    pub fn index_at(&self, offset: i64) -> usize {
        self.records[..self.place(offset)].iter().rev().find_map(|record| record.index).map_or(0, |index| index + 1)
    }

    /// What an id says before `offset`.
    pub fn witness_before(&self, offset: i64) -> TimestampMs {
        self.records[..self.place(offset)].last().map_or(TimestampMs(0), |record| record.witness)
    }

    /// The same as a reader finds it out who sees what is left of the log, and no more of it than needed.
    fn found_witness(&self, next: i64) -> Option<TimestampMs> {
        let begin = self.place((next - 1 - RUN_MAX).max(self.low));
        let mut clock = RunClock::default();
        let seen = self.records.get(begin..self.place(next)).unwrap_or_default();
        seen.iter().map(|record| clock.observe(TimestampMs(record.timestamp))).last()
    }

    /// Whether the record before `next` follows others of its millisecond: an id for `next` is not known again once retention
    /// has taken the first of them.
    pub fn is_inside_run(&self, next: i64) -> bool {
        self.records[..self.place(next)].last().is_some_and(|record| record.witness.0 != record.timestamp)
    }

    /// The first record at or after a time that is left.
    fn first_at(&self, time: TimestampMs) -> Option<i64> {
        self.records[self.place(self.low)..].iter().find(|record| record.timestamp >= time.0).map(|record| record.offset)
    }

    /// As [`crate::kafka`] answers.
    pub fn answer(&self, question: LogQuestion) -> LogAnswer {
        let by_time = question.time.and_then(|time| self.first_at(time));
        let (low, high) = (Offset(self.low), Offset(self.high));
        let mut answer = LogAnswer { low, high, witness: None, first_timestamp: None, by_time: None };
        answer.by_time = by_time.map(|next| (Offset(next), self.found_witness(next)));
        match question.next {
            Some(next) if low < next && next <= high => answer.witness = self.found_witness(next.0),
            Some(next) if next == low && low < high => {
                answer.first_timestamp = self.records.get(self.place(self.low)).map(|record| TimestampMs(record.timestamp));
            }
            _ => {}
        }
        answer
    }

    /// As [`crate::kafka`] reads, but at most `count` records at a time.
    pub fn replay(&self, range: &ReplayRange, count: usize) -> ReplayRead {
        assert!(range.from < range.to, "an empty range: {range:?}");
        assert!(range.to.0 <= self.high, "nobody can know of {range:?}, the log ends at {}", self.high);
        let from = range.from.0.max(self.low);
        let clock_at = |place: usize| self.records.get(place).map_or(self.clock, |record| record.clock_before);
        if let Some(clock) = range.clock {
            assert_eq!(clock, clock_at(self.place(range.from.0)), "the run clock before {range:?}");
        }
        let begin = self.place(from);
        let end = self.place(range.to.0).max(begin).min(begin + count);
        let is_done = end == self.place(range.to.0).max(begin);
        let next = if is_done { from.max(range.to.0) } else { self.records[end - 1].offset + 1 };
        let entries = self.records[begin..end].iter().map(|record| LogEntry {
            offset: Offset(record.offset),
            timestamp: TimestampMs(record.timestamp),
            witness: record.witness,
            event: record.event.clone(),
        });
        ReplayRead {
            entries: entries.collect(),
            next: Offset(next),
            clock: Some(clock_at(self.place(next))),
            log_start: (from > range.from.0).then_some(Offset(from)),
        }
    }
}
