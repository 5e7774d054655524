//! A Kafka cluster as plain vectors: the model for every delivery.

use crate::cursor::{
    FoundByTime, LogAnswer, LogId, LogQuestion, Offset, Partition, TimestampMs, TopicIdentity,
};
use crate::event::{self, PublicEvent, Record, RedactionKind, RedactionRules};
use crate::fanout::LogEntry;
use crate::fanout::upstream::{ReplayRange, ReplayRead};
use crate::stream::Topic;

/// The kinds of events, which filters select by the member `k`.
pub const KINDS: usize = 4;

/// A record of one cluster's log.
#[derive(Clone, Debug)]
pub struct LogRecord {
    pub offset: i64,
    pub timestamp: i64,
    /// Its index among the partition's records, the same on every cluster; `None` for a filler of
    /// this cluster only.
    pub index: Option<usize>,
    /// `None` for a record that is not delivered.
    pub event: Option<PublicEvent>,
}

/// A partition's log in one cluster.
#[derive(Debug)]
pub struct Log {
    pub topic: Topic,
    pub partition: Partition,
    pub identity: Option<LogId>,
    /// Kafka has nothing below it (the model keeps those records).
    pub low: i64,
    pub high: i64,
    pub records: Vec<LogRecord>,
    /// Offsets of compacted records.
    pub compacted: Vec<i64>,
}

impl Log {
    pub fn new(cluster: usize, topic: Topic, partition: i32) -> Self {
        let named = TopicIdentity::Name(topic.as_str());
        let identity = Some(LogId::new(&cluster.to_string(), named));
        let partition = Partition(partition);
        let (records, compacted) = (Vec::new(), Vec::new());
        Self {
            topic,
            partition,
            identity,
            low: 0,
            high: 0,
            records,
            compacted,
        }
    }

    /// Appends a record, after a hole of `hole` offsets.
    pub fn append(&mut self, index: Option<usize>, timestamp: i64, delivered: bool, hole: i64) {
        let offset = self.high + hole;
        let event = delivered.then(|| self.event(offset, index));
        self.records.push(LogRecord {
            offset,
            timestamp,
            index,
            event,
        });
        self.high = offset + 1;
    }

    /// Ends the log with an offset that holds no record, as a transaction does.
    pub fn end_transaction(&mut self) {
        self.high += 1;
    }

    fn event(&self, offset: i64, index: Option<usize>) -> PublicEvent {
        let json = index.map_or_else(
            || "{}".to_owned(),
            |index| format!("{{\"k\":{}}}", index % KINDS),
        );
        let record = Record {
            topic: &self.topic,
            partition: self.partition,
            offset: Offset(offset),
            timestamp: TimestampMs(0),
            key: None,
            value: Some(json.as_bytes()),
        };
        let prepared = event::prepare(
            &record,
            &RedactionRules::default(),
            RedactionKind::strictest(),
            1000,
        );
        prepared.expect("an object").event
    }

    /// The index in [`Self::records`] of the first record at or after `offset`.
    pub fn record_at(&self, offset: i64) -> usize {
        self.records
            .partition_point(|record| record.offset < offset)
    }

    /// The number of the partition's records before `offset`, the same on every cluster.
    pub fn index_at(&self, offset: i64) -> usize {
        self.records[..self.record_at(offset)]
            .iter()
            .rev()
            .find_map(|record| record.index)
            .map_or(0, |index| index + 1)
    }

    /// Whether Kafka still has a record.
    fn has(&self, record: &LogRecord) -> bool {
        record.offset >= self.low && !self.compacted.contains(&record.offset)
    }

    /// The records that Kafka has from `offset` on.
    fn left_from(&self, offset: i64) -> impl Iterator<Item = &LogRecord> {
        self.records[self.record_at(offset)..]
            .iter()
            .filter(|record| self.has(record))
    }

    /// Whether reading another cluster from `timestamp` misses nothing from `offset` on and, if the
    /// log is in time order, repeats only records of that millisecond.
    pub fn is_safe_time(&self, timestamp: TimestampMs, offset: i64, in_order: bool) -> bool {
        let first = self
            .records
            .iter()
            .position(|record| record.timestamp >= timestamp.0);
        let next = self.record_at(offset);
        let first = first.unwrap_or(next.max(self.records.len()));
        let again = self.records.get(first..next).unwrap_or_default();
        let is_same = |record: &LogRecord| !self.has(record) || record.timestamp == timestamp.0;
        first <= next && (!in_order || again.iter().all(is_same))
    }

    /// The timestamp that ids name at `offset`.
    pub fn timestamp_before(&self, offset: i64) -> TimestampMs {
        TimestampMs(
            self.records[..self.record_at(offset)]
                .last()
                .map_or(0, |record| record.timestamp),
        )
    }

    /// Answers as [`crate::kafka`] does.
    pub fn answer(&self, question: LogQuestion) -> LogAnswer {
        let first = self.left_from(self.low).next().map(|record| record.offset);
        let by_time = question.time.and_then(|time| {
            let found = self
                .left_from(self.low)
                .find(|record| record.timestamp >= time.0)?;
            let may_lack_older = self.low > 0 && first == Some(found.offset);
            Some(FoundByTime {
                offset: Offset(found.offset),
                may_lack_older,
            })
        });
        let (low, high) = (Offset(self.low), Offset(self.high));
        let last = self
            .left_from(self.low)
            .last()
            .map(|record| TimestampMs(record.timestamp));
        let last = last.filter(|_| question.time.is_some() && by_time.is_none());
        let mut answer = LogAnswer {
            low,
            high,
            before: None,
            after: None,
            by_time,
            last,
        };
        if let Some(next) = question.before {
            let beside = self.left_from(self.low.max(next.0 - 1)).next();
            let time = beside.map(|record| TimestampMs(record.timestamp));
            let is_before = beside.is_some_and(|record| record.offset < next.0);
            (answer.before, answer.after) = if is_before {
                (time, None)
            } else {
                (None, time)
            };
        }
        answer
    }

    /// Reads as [`crate::kafka`] does, but at most `count` records at a time.
    pub fn replay(&self, range: &ReplayRange, count: usize) -> ReplayRead {
        assert!(range.from < range.to, "an empty range: {range:?}");
        assert!(
            range.to.0 <= self.high,
            "the range {range:?} is beyond the log's end {}",
            self.high
        );
        let from = range.from.0.max(self.low);
        let wanted = self
            .left_from(from)
            .take_while(|record| record.offset < range.to.0);
        let read: Vec<_> = wanted.take(count + 1).collect();
        let next = match read.get(count) {
            Some(_) => read[count - 1].offset + 1,
            None => from.max(range.to.0),
        };
        let entries = read.into_iter().take(count).map(|record| LogEntry {
            offset: Offset(record.offset),
            timestamp: TimestampMs(record.timestamp),
            event: record.event.clone(),
        });
        ReplayRead {
            entries: entries.collect(),
            next: Offset(next),
            log_start: (from > range.from.0).then_some(Offset(from)),
        }
    }
}
