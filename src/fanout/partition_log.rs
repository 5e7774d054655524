//! The memory log of one partition: its newest events, in offset order, found by offset or by time.

use std::collections::VecDeque;

use crate::cursor::{Offset, Position, RunClock, TimestampMs};
use crate::event::PublicEvent;

/// One record that was read, ready to be delivered; `event` is `None` for a record that was skipped.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The record's own offset.
    pub offset: Offset,
    /// Kafka's timestamp, by which partitions are merged.
    pub timestamp: TimestampMs,
    /// The timestamp that an id names after this record ([`RunClock`]).
    pub witness: TimestampMs,
    /// What a client sees of it.
    pub event: Option<PublicEvent>,
}

impl LogEntry {
    /// Where a subscriber is once it has this entry.
    #[must_use]
    pub fn position_after(&self) -> Position {
        Position { next: Offset(self.offset.0 + 1), timestamp: self.witness }
    }

    /// Bytes that keeping this entry costs, about.
    #[must_use]
    pub fn cost(&self) -> usize {
        ENTRY_OVERHEAD_BYTES + self.event.as_ref().map_or(0, |event| event.json().len())
    }
}

/// What an entry costs beside its JSON: the entry, its allocation and its place in the retention queue.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Where the memory log of a partition begins, as the consumer found it.
#[derive(Clone, Copy, Debug)]
pub struct LogStart {
    /// The first offset kept. The consumer may begin to read up to [`crate::cursor::RUN_MAX`] + 1 records earlier, so
    /// that the run clock is right from the first kept record on.
    pub offset: Offset,
    /// Every record below `offset` has a timestamp below this one.
    pub floor: TimestampMs,
    /// There is no record below `offset` in Kafka at all.
    pub is_log_start: bool,
}

/// See the module.
#[derive(Debug)]
pub struct PartitionLog {
    entries: VecDeque<Kept>,
    start: Offset,
    end: Offset,
    /// The id timestamp of the record before `start`, where it is known.
    before_start: Option<TimestampMs>,
    /// Every record below `start` has a timestamp of at most this.
    floor: TimestampMs,
    clock: RunClock,
    /// Where records were lost before they could be read: the first offset that Kafka had then, and the time from which reading
    /// elsewhere misses none of them.
    lost: Option<Position>,
    /// Where the records before the log's start go on; `None` once the first one was kept.
    run_up: Option<Offset>,
}

#[derive(Debug)]
struct Kept {
    entry: LogEntry,
    /// The largest timestamp of this and all earlier records, by which a time is found although records are not in time order.
    max_timestamp: TimestampMs,
}

impl PartitionLog {
    /// An empty log that begins at `start`.
    #[must_use]
    pub fn new(start: LogStart) -> Self {
        Self {
            entries: VecDeque::new(),
            start: start.offset,
            end: start.offset,
            before_start: start.is_log_start.then_some(TimestampMs(0)),
            floor: TimestampMs(start.floor.0.saturating_sub(1)),
            clock: RunClock::default(),
            lost: None,
            run_up: Some(Offset(0)),
        }
    }

    /// Takes the next record in. `None` for one before the log's start or one that was taken already.
    pub fn append(&mut self, offset: Offset, timestamp: TimestampMs, event: Option<PublicEvent>) -> Option<&LogEntry> {
        if offset < self.end {
            if self.run_up.is_some_and(|next| next <= offset) {
                self.run_up = Some(Offset(offset.0 + 1));
                self.before_start = Some(self.clock.observe(timestamp));
            }
            return None;
        }
        self.run_up = None;
        let witness = self.clock.observe(timestamp);
        let max_timestamp = self.latest().max(timestamp);
        self.end = Offset(offset.0 + 1);
        self.entries.push_back(Kept { entry: LogEntry { offset, timestamp, witness, event }, max_timestamp });
        self.entries.back().map(|kept| &kept.entry)
    }

    /// Forgets the oldest entry.
    pub fn forget_oldest(&mut self) {
        if let Some(kept) = self.entries.pop_front() {
            self.start = Offset(kept.entry.offset.0 + 1);
            self.before_start = Some(kept.entry.witness);
            self.floor = kept.max_timestamp;
        }
    }

    /// Puts other events in the place of those that `rewrite` returns something for.
    pub fn rewrite(&mut self, rewrite: impl Fn(&PublicEvent) -> Option<PublicEvent>) {
        for kept in &mut self.entries {
            if let Some(event) = kept.entry.event.as_ref().and_then(&rewrite) {
                kept.entry.event = Some(event);
            }
        }
    }

    /// Goes on at `low`, where Kafka's log begins now: the records from the end of this one up to there are lost.
    pub fn skip_to(&mut self, low: Offset) {
        if low <= self.end {
            return;
        }
        let timestamp = self.end().timestamp;
        self.floor = self.latest();
        self.entries.clear();
        (self.start, self.end) = (low, low);
        (self.before_start, self.lost) = (None, Some(Position { next: low, timestamp }));
        (self.clock, self.run_up) = (RunClock::default(), None);
    }

    /// The first offset that Kafka has, if it is above `next`: what lies between is lost. `None` when that is not known.
    #[must_use]
    pub fn gone_from(&self, next: Offset) -> Option<Offset> {
        self.lost.map(|lost| lost.next).filter(|low| next < *low)
    }

    /// No record before the end has a later timestamp than this.
    #[must_use]
    pub fn latest(&self) -> TimestampMs {
        self.entries.back().map_or(self.floor, |kept| kept.max_timestamp)
    }

    /// The first offset that can be read here.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Where the next record goes, and what an id says there.
    #[must_use]
    pub fn end(&self) -> Position {
        let lost = self.lost.filter(|lost| lost.next == self.end);
        let timestamp = self.witness_before(self.end).or(lost.map(|lost| lost.timestamp));
        Position { next: self.end, timestamp: timestamp.unwrap_or(TimestampMs(0)) }
    }

    /// Whether everything from `next` up to the end is here.
    #[must_use]
    pub fn covers(&self, next: Offset) -> bool {
        self.start <= next && next <= self.end
    }

    /// The id timestamp of the last record before `next`; `None` when it is not here.
    #[must_use]
    pub fn witness_before(&self, next: Offset) -> Option<TimestampMs> {
        if !self.covers(next) {
            return None;
        }
        let index = self.entries.partition_point(|kept| kept.entry.offset < next);
        if index == 0 { self.before_start } else { Some(self.entries[index - 1].entry.witness) }
    }

    /// The first offset whose record has a timestamp of at least `time`, or the end; `None` when it may lie below this log.
    #[must_use]
    pub fn first_at_or_after(&self, time: TimestampMs) -> Option<Offset> {
        if time <= self.floor {
            return None;
        }
        let index = self.entries.partition_point(|kept| kept.max_timestamp < time);
        Some(self.entries.get(index).map_or(self.end, |kept| kept.entry.offset))
    }

    /// The records below `to` that are later than all before them, in order: each is the one that a look-up by its time finds.
    #[must_use]
    pub fn found_by_time(&self, to: Offset) -> Vec<(Offset, TimestampMs)> {
        let mut latest = self.floor;
        let mut found = Vec::new();
        for Kept { entry, .. } in self.entries.iter().take_while(|kept| kept.entry.offset < to) {
            if entry.timestamp > latest {
                latest = entry.timestamp;
                found.push((entry.offset, entry.timestamp));
            }
        }
        found
    }

    /// Clones up to `count` entries of `[from, to)` into `into`; `false` when `from` is not here any more.
    pub fn read(&self, from: Offset, to: Offset, count: usize, into: &mut VecDeque<LogEntry>) -> bool {
        if !self.covers(from) {
            return false;
        }
        let index = self.entries.partition_point(|kept| kept.entry.offset < from);
        let wanted = self.entries.range(index..).map(|kept| &kept.entry).take_while(|entry| entry.offset < to);
        into.extend(wanted.take(count).cloned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(start: i64, floor: i64, is_log_start: bool) -> PartitionLog {
        PartitionLog::new(LogStart { offset: Offset(start), floor: TimestampMs(floor), is_log_start })
    }

    fn filled(timestamps: &[i64]) -> PartitionLog {
        let mut log = log(10, 100, false);
        for (n, timestamp) in timestamps.iter().enumerate() {
            log.append(Offset(10 + i64::try_from(n).expect("few")), TimestampMs(*timestamp), None);
        }
        log
    }

    #[test]
    fn records_before_the_start_only_set_the_clock() {
        let mut log = log(10, 100, false);
        assert_eq!(log.witness_before(Offset(10)), None);
        assert!(log.append(Offset(8), TimestampMs(90), None).is_none());
        assert!(log.append(Offset(9), TimestampMs(90), None).is_none());
        assert_eq!(log.end(), Position { next: Offset(10), timestamp: TimestampMs(89) });
        let entry = log.append(Offset(10), TimestampMs(90), None).expect("kept");
        assert_eq!(entry.witness, TimestampMs(88), "the run goes on across the start");
    }

    #[test]
    fn a_record_is_taken_once() {
        let mut log = filled(&[100, 101]);
        assert!(log.append(Offset(11), TimestampMs(101), None).is_none());
        assert_eq!(log.end().next, Offset(12));
        log.forget_oldest();
        log.forget_oldest();
        assert!(log.append(Offset(11), TimestampMs(101), None).is_none());
        let entry = log.append(Offset(12), TimestampMs(101), None).expect("kept");
        assert_eq!(entry.witness, TimestampMs(100), "the one that came again is no part of the run");
    }

    #[test]
    fn a_time_is_found_although_records_are_out_of_order() {
        let log = filled(&[100, 130, 110, 140]);
        assert_eq!(log.first_at_or_after(TimestampMs(120)), Some(Offset(11)));
        assert_eq!(log.first_at_or_after(TimestampMs(131)), Some(Offset(13)));
        assert_eq!(log.first_at_or_after(TimestampMs(141)), Some(Offset(14)));
    }

    #[test]
    fn a_time_that_may_lie_in_kafka_only_is_not_answered() {
        let mut log = filled(&[100, 130, 110, 140]);
        assert_eq!(log.first_at_or_after(TimestampMs(99)), None);
        assert_eq!(log.first_at_or_after(TimestampMs(100)), Some(Offset(10)), "the floor itself is exclusive");
        log.forget_oldest();
        log.forget_oldest();
        assert_eq!(log.first_at_or_after(TimestampMs(130)), None, "130 was forgotten and is to be looked up");
        assert_eq!(log.first_at_or_after(TimestampMs(131)), Some(Offset(13)));
    }

    #[test]
    fn forgetting_keeps_the_witness_of_the_last_forgotten() {
        let mut log = filled(&[100, 101]);
        log.forget_oldest();
        assert_eq!(log.start(), Offset(11));
        assert_eq!(log.witness_before(Offset(11)), Some(TimestampMs(100)));
        assert_eq!(log.witness_before(Offset(10)), None);
        log.forget_oldest();
        log.forget_oldest();
        assert_eq!(log.end(), Position { next: Offset(12), timestamp: TimestampMs(101) });
    }

    #[test]
    fn records_that_a_look_up_by_time_finds_are_later_than_all_before_them() {
        let mut log = filled(&[100, 100, 99, 101, 101, 100, 102]);
        let found =
            |log: &PartitionLog, to| log.found_by_time(Offset(to)).into_iter().map(|(o, t)| (o.0, t.0)).collect::<Vec<_>>();
        assert_eq!(found(&log, 17), [(10, 100), (13, 101), (16, 102)]);
        assert_eq!(found(&log, 16), [(10, 100), (13, 101)]);
        log.forget_oldest();
        assert_eq!(found(&log, 17), [(13, 101), (16, 102)], "what is forgotten was as late as the first that is left");
    }

    #[test]
    fn a_read_gives_the_range_and_says_when_it_is_gone() {
        let mut log = filled(&[100, 101, 102]);
        let mut entries = VecDeque::new();
        assert!(log.read(Offset(11), Offset(13), 10, &mut entries));
        assert_eq!(entries.iter().map(|entry| entry.offset.0).collect::<Vec<_>>(), [11, 12]);
        log.forget_oldest();
        assert!(!log.read(Offset(10), Offset(13), 10, &mut entries));
        assert!(log.read(Offset(13), Offset(13), 10, &mut entries), "the end is here");
    }

    #[test]
    fn what_was_lost_unread_bears_no_witness_but_has_a_time() {
        let mut log = filled(&[100, 101]);
        log.skip_to(Offset(20));
        assert_eq!(log.end(), Position { next: Offset(20), timestamp: TimestampMs(101) });
        assert_eq!((log.witness_before(Offset(20)), log.covers(Offset(12))), (None, false));
        assert_eq!((log.gone_from(Offset(12)), log.gone_from(Offset(20))), (Some(Offset(20)), None));
        assert_eq!(log.append(Offset(20), TimestampMs(101), None).expect("kept").witness, TimestampMs(101));
        assert_eq!(log.first_at_or_after(TimestampMs(101)), None, "it may be among the lost");
    }

    #[test]
    fn a_partition_that_never_held_a_record_is_read_from_time_0_elsewhere() {
        assert_eq!(log(0, 0, true).end(), Position { next: Offset(0), timestamp: TimestampMs(0) });
    }
}
