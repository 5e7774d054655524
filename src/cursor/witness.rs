//! Recognises, by the timestamp in an event id, whether its offset was counted in this cluster's log.
//!
//! An id says of each partition "the next offset is 43, and reading elsewhere from 1700000100011 misses nothing". On the
//! cluster that wrote it the offset is exact; on another one the same records lie at other offsets, and the offset must not
//! be believed. Which of both it is, the log itself tells: the record just before `next` must be the one that the
//! timestamp was written for. The record's own timestamp cannot tell it from its neighbours of the same millisecond, so
//! the id's timestamp counts down along a run of them: for the k-th further record of an unbroken run of records with
//! timestamp T it is `T - min(k, RUN_MAX)`. Being earlier than T, it is still a time from which reading elsewhere misses
//! nothing; it only repeats more.
//!
//! An example. Ten events of millisecond 1000 lie at offsets 0 to 9. A client is cut after the third: `offset` 3, `timestamp`
//! 998. It comes back to a cluster whose log is shifted by two: there offsets 0 and 1 hold older records, the ten lie
//! at 2 to 11. The record before offset 3 is the first of the ten, its witness 1000 and not 998: this is another log. Read
//! from time 998 on, all ten events come (three of them again, none is missing). By the bare timestamp 1000 it would have
//! passed for the same log, and offset 3 would have repeated two events unnoticed; shifted the other way, lost two.
//!
//! What the rule cannot tell apart, by construction: records further than [`RUN_MAX`] into one run, and two records of different
//! runs, at most `RUN_MAX` ms apart, whose countdowns happen to meet (`an_accepted_pair_is_wrong_only_within_run_max`).
//! Then an offset of another cluster is believed, and the few records between the two places are lost or repeated. Entries of
//! one id are judged each for itself: on its own cluster an entry may disagree too (its topic was made anew), and
//! distrusting all for it would repeat events where none need be.

use super::{Position, TimestampMs};

/// How far the timestamp of an id counts down along a run of records of one millisecond.
///
/// Bounds both how much further back (in ms) another cluster is read, and how many records are read to check a pair.
pub const RUN_MAX: i64 = 100;

/// How many records before `next` decide over a pair: the last and as many before it as can count.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive constant")]
pub const RECORDS_BEFORE_MAX: usize = RUN_MAX as usize + 1;

/// Turns the timestamps of one partition's records, seen in the order of its log, into those of its event ids.
///
/// A clock that begins in the middle of a run counts it short. To agree with every other clock it must begin at the log's
/// start or be shown the last [`RECORDS_BEFORE_MAX`] records before the first one that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunClock {
    /// The last record's own timestamp and how many records of its run stand before it; `None` before the first.
    last: Option<(i64, i64)>,
}

impl RunClock {
    /// A clock that has seen no record.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id's timestamp for the next record of the log, whose Kafka timestamp is given.
    ///
    /// A record without timestamp (Kafka's -1) counts as one of its predecessor's, or of time 0 when there is none. Never
    /// negative, since an id's timestamp must not be: runs in the first [`RUN_MAX`] ms of 1970 end at 0.
    pub fn observe(&mut self, timestamp: TimestampMs) -> TimestampMs {
        let (time, further) = match self.last {
            Some((last, further)) if timestamp.0 == last || timestamp.0 < 0 => (last, RUN_MAX.min(further + 1)),
            _ => (timestamp.0.max(0), 0),
        };
        self.last = Some((time, further));
        TimestampMs((time - further).max(0))
    }
}

/// Whether an id's pair of offset and timestamp was written for this log.
///
/// `before`: the timestamps of the last records that lie before `position.next`, oldest first: [`RECORDS_BEFORE_MAX`] of them
/// or, at the log's start, as many as there are (deleted and compacted ones do not count). No records agree with
/// timestamp 0 only, as ids have it for a partition that never held one. Where the log's start cuts a run, the answer may be
/// no for a pair of this log: then the timestamp decides, and events are repeated rather than lost.
pub fn agrees(position: Position, before: &[TimestampMs]) -> bool {
    let mut clock = RunClock::new();
    let witness = before.iter().map(|&timestamp| clock.observe(timestamp)).last();
    witness.unwrap_or(TimestampMs(0)) == position.timestamp
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::Offset;

    fn witnesses(timestamps: &[i64]) -> Vec<i64> {
        let mut clock = RunClock::new();
        timestamps.iter().map(|&timestamp| clock.observe(TimestampMs(timestamp)).0).collect()
    }

    /// A log whose first record has offset `start`.
    struct Log {
        start: usize,
        timestamps: Vec<i64>,
    }

    impl Log {
        /// The pair of an id after the record at `index`.
        fn position_after(&self, index: usize) -> Position {
            let next = i64::try_from(self.start + index + 1).unwrap();
            Position { next: Offset(next), timestamp: TimestampMs(witnesses(&self.timestamps)[index]) }
        }

        fn accepts(&self, position: Position) -> bool {
            let next = usize::try_from(position.next.0).unwrap();
            let end = next.saturating_sub(self.start).min(self.timestamps.len());
            let begin = end.saturating_sub(RECORDS_BEFORE_MAX);
            let before: Vec<_> = self.timestamps[begin..end].iter().map(|&ms| TimestampMs(ms)).collect();
            next <= self.start + self.timestamps.len() && agrees(position, &before)
        }
    }

    #[test]
    fn a_run_of_one_millisecond_counts_down_and_another_millisecond_ends_it() {
        assert_eq!(witnesses(&[1000, 1000, 1000, 2000, 1000, 1000]), [1000, 999, 998, 2000, 1000, 999]);
    }

    #[test]
    fn the_countdown_ends_at_run_max() {
        let run = witnesses(&[1000; 150]);
        assert_eq!((run[99], run[100], run[101], run[149]), (901, 900, 900, 900));
    }

    #[test]
    fn a_record_without_timestamp_belongs_to_its_predecessors_run() {
        assert_eq!(witnesses(&[1000, -1, 1000, -1]), [1000, 999, 998, 997]);
        assert_eq!(witnesses(&[-1, -1, 5]), [0, 0, 5]);
    }

    #[test]
    fn no_witness_is_negative() {
        assert_eq!(witnesses(&[1, 1, 1]), [1, 0, 0]);
        assert_eq!(witnesses(&[i64::MIN, i64::MAX, i64::MAX]), [0, i64::MAX, i64::MAX - 1]);
    }

    #[test]
    fn ten_events_of_one_millisecond_cut_after_the_third_are_not_found_in_a_log_shifted_by_two() {
        let here = Log { start: 0, timestamps: vec![1000; 10] };
        let mut shifted = vec![400, 500];
        shifted.extend([1000; 10]);
        let there = Log { start: 0, timestamps: shifted };
        let position = here.position_after(2);
        assert_eq!(position, Position { next: Offset(3), timestamp: TimestampMs(998) });
        assert!(here.accepts(position));
        assert!(!there.accepts(position));
        let from = there.timestamps.iter().position(|&ms| ms >= position.timestamp.0);
        assert_eq!(from, Some(2), "by time, all ten are read");
    }

    #[test]
    fn a_pair_of_a_partition_that_never_held_a_record_agrees_with_an_empty_log_only() {
        let position = Position { next: Offset(0), timestamp: TimestampMs(0) };
        assert!(agrees(position, &[]));
        assert!(!agrees(position, &[TimestampMs(1000)]));
        assert!(!agrees(Position { timestamp: TimestampMs(1000), ..position }, &[]));
    }

    /// Timestamps in runs; `gap` is how far apart runs are.
    fn runs(gap: impl Strategy<Value = i64>) -> impl Strategy<Value = Vec<i64>> {
        let length = prop_oneof![4 => 1..12_usize, 1 => 95..130_usize];
        prop::collection::vec((gap, length), 1..6).prop_map(|runs| {
            let mut time = 1_700_000_000_000;
            let mut timestamps = Vec::new();
            for (gap, length) in runs {
                time += gap;
                timestamps.extend(std::iter::repeat_n(time, length));
            }
            timestamps
        })
    }

    proptest! {
        #[test]
        fn a_log_accepts_all_of_its_own_pairs(timestamps in runs(-50..200_i64), start in 0..1000_usize) {
            let log = Log { start, timestamps };
            for index in 0..log.timestamps.len() {
                prop_assert!(log.accepts(log.position_after(index)));
            }
        }

        #[test]
        fn a_shifted_log_accepts_a_pair_only_beyond_the_run_cap(
            timestamps in runs(RUN_MAX + 1..1000),
            start in 0..200_usize,
            shift in 1..150_usize,
            forth: bool,
        ) {
            let (a, b) = if forth { (start, start + shift) } else { (start + shift, start) };
            let (here, there) = (Log { start: a, timestamps: timestamps.clone() }, Log { start: b, timestamps });
            for index in 0..here.timestamps.len() {
                let position = here.position_after(index);
                let beyond = here.timestamps[index] - position.timestamp.0 == RUN_MAX;
                prop_assert!(!there.accepts(position) || beyond, "record {index} at {position:?}");
            }
        }

        #[test]
        fn an_accepted_pair_is_wrong_only_within_run_max(
            timestamps in runs(1..40_i64),
            shift in 1..60_usize,
        ) {
            let (here, there) = (Log { start: 0, timestamps: timestamps.clone() }, Log { start: shift, timestamps });
            for index in shift..here.timestamps.len() {
                if there.accepts(here.position_after(index)) {
                    let apart = here.timestamps[index] - here.timestamps[index - shift];
                    prop_assert!((0..=RUN_MAX).contains(&apart));
                }
            }
        }

        #[test]
        fn reading_another_cluster_from_the_ids_time_misses_nothing(
            timestamps in prop::collection::vec(prop_oneof![0..300_i64, Just(-1)], 1..200),
        ) {
            let witnesses = witnesses(&timestamps);
            for (index, &witness) in witnesses.iter().enumerate() {
                // Kafka begins at the first record whose timestamp is not earlier.
                let first = timestamps.iter().position(|&ms| ms >= witness);
                prop_assert!(first.is_none_or(|first| first <= index + 1) || timestamps[..=index].iter().all(|&ms| ms < 0));
            }
        }
    }
}
