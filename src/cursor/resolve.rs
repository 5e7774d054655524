//! Where reading of one partition begins (protocol §2): what was asked, held against what the log says.
//!
//! Pure: the facts come in, a [`Decision`] comes out. Memory answers first ([`LogQuestion`] is only put to Kafka when the
//! memory log cannot tell).

use super::{AskedPosition, Offset, Position, TimestampMs};

/// What has to be found out about a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogQuestion {
    /// The id timestamp of the record before this offset is wanted.
    pub next: Option<Offset>,
    /// The first offset whose record is at least as late as this is wanted.
    pub time: Option<TimestampMs>,
}

/// What the log said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogAnswer {
    /// The log's first offset.
    pub low: Offset,
    /// The log's end: the offset that the next record gets.
    pub high: Offset,
    /// Id timestamp of the last record before [`LogQuestion::next`]; `None` when there is none, or `next` is not in `low..=high`.
    pub witness: Option<TimestampMs>,
    /// Timestamp of the log's first record, given when `next` is `low`.
    pub first_timestamp: Option<TimestampMs>,
    /// The first offset at or after [`LogQuestion::time`], with the id timestamp of the record before it where there is one;
    /// `None` when every record is earlier.
    pub by_time: Option<(Offset, Option<TimestampMs>)>,
}

/// Why a subscriber begins elsewhere than it asked to. Never a silent gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MovedReason {
    /// The records asked for are gone: the log begins later.
    BelowLogStart,
    /// The offset asked for is beyond the log's end.
    AboveLogEnd,
}

impl MovedReason {
    /// The label in metrics, headers and comments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BelowLogStart => "below_log_start",
            Self::AboveLogEnd => "above_log_end",
        }
    }
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The position to begin at.
    pub position: Position,
    /// Asked offset and reason, when the position is not the one asked for and the client must be told.
    pub moved: Option<(Offset, MovedReason)>,
}

impl Decision {
    fn at(next: Offset, timestamp: TimestampMs) -> Self {
        Self { position: Position { next, timestamp }, moved: None }
    }
}

/// What to ask the log, so that [`decide`] can answer for `asked`; `None` when nothing has to be asked.
#[must_use]
pub fn question(asked: AskedPosition) -> Option<LogQuestion> {
    match asked {
        AskedPosition::Unset | AskedPosition::Live => None,
        AskedPosition::Earliest => Some(LogQuestion { next: None, time: None }),
        AskedPosition::Offset(next) => Some(LogQuestion { next: Some(next), time: None }),
        AskedPosition::Timestamp(time) => Some(LogQuestion { next: None, time: Some(time) }),
        AskedPosition::Both { next, timestamp } => Some(LogQuestion { next: Some(next), time: Some(timestamp) }),
    }
}

/// Decides from the log's answer. `live` is the live position as it was BEFORE the log was asked: records that arrive
/// meanwhile are after it.
#[must_use]
pub fn decide(asked: AskedPosition, answer: &LogAnswer, live: Position) -> Decision {
    let by_time = |time: TimestampMs| match answer.by_time {
        // The record before is the better timestamp: the pair is then one that this log knows again.
        Some((next, before)) => Decision::at(next, before.unwrap_or(time)),
        None => Decision { position: live, moved: None },
    };
    match asked {
        AskedPosition::Unset | AskedPosition::Live => Decision { position: live, moved: None },
        AskedPosition::Earliest => Decision::at(answer.low, TimestampMs(0)),
        AskedPosition::Timestamp(time) => by_time(time),
        AskedPosition::Offset(next) if next < answer.low => Decision {
            position: Position { next: answer.low, timestamp: TimestampMs(0) },
            moved: Some((next, MovedReason::BelowLogStart)),
        },
        AskedPosition::Offset(next) if next > answer.high => {
            Decision { position: live, moved: Some((next, MovedReason::AboveLogEnd)) }
        }
        AskedPosition::Offset(next) => Decision::at(next, answer.witness.unwrap_or(TimestampMs(0))),
        AskedPosition::Both { next, timestamp } if next > answer.high => {
            Decision { moved: Some((next, MovedReason::AboveLogEnd)), ..by_time(timestamp) }
        }
        AskedPosition::Both { next, timestamp } if next < answer.low => {
            let told = Some((next, MovedReason::BelowLogStart));
            match answer.by_time {
                // A record before the one that time has found is still here: this is another cluster's log. (The first record
                // may lie above `low`, where a log begins with a hole.)
                Some((_, Some(_))) => by_time(timestamp),
                Some((_, None)) => Decision { moved: told, ..by_time(timestamp) },
                // Nothing is left that is as late, or nothing at all: nothing tells whether something is missing.
                None if live.next <= answer.low => Decision { moved: told, ..Decision::at(answer.low, timestamp) },
                None => Decision { position: live, moved: told },
            }
        }
        AskedPosition::Both { next, timestamp } => {
            if same_log(next, timestamp, answer) {
                Decision::at(next, timestamp)
            } else {
                by_time(timestamp)
            }
        }
    }
}

/// Whether a pair of offset and timestamp was surely written for another log: the record before the offset is another one, or
/// there is no such offset. No verdict where there is no record before it.
#[must_use]
pub fn is_foreign(asked: AskedPosition, answer: &LogAnswer) -> bool {
    match asked {
        AskedPosition::Both { next, .. } if next > answer.high => true,
        AskedPosition::Both { timestamp, .. } => answer.witness.is_some_and(|witness| witness != timestamp),
        _ => false,
    }
}

/// Whether the pair (next, timestamp) was written by this very log: the record before `next` bears witness
/// ([`super::RunClock`]). Where the record before is gone, or there never was one, the pair is believed unless the log's
/// first record is older than what the client has.
fn same_log(next: Offset, timestamp: TimestampMs, answer: &LogAnswer) -> bool {
    match answer.witness {
        Some(witness) => witness == timestamp,
        None => answer.first_timestamp.is_none_or(|first| next > answer.low || first >= timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Position = Position { next: Offset(100), timestamp: TimestampMs(5_000) };

    fn answer() -> LogAnswer {
        LogAnswer { low: Offset(10), high: Offset(100), witness: None, first_timestamp: None, by_time: None }
    }

    fn both(next: i64, timestamp: i64) -> AskedPosition {
        AskedPosition::Both { next: Offset(next), timestamp: TimestampMs(timestamp) }
    }

    #[test]
    fn offset_and_timestamp_of_the_same_log_go_on_at_the_offset() {
        let log = LogAnswer { witness: Some(TimestampMs(777)), by_time: Some((Offset(49), Some(TimestampMs(700)))), ..answer() };
        assert_eq!(decide(both(50, 777), &log, LIVE), Decision::at(Offset(50), TimestampMs(777)));
    }

    #[test]
    fn offset_and_timestamp_of_another_log_go_on_at_the_timestamp() {
        let log = LogAnswer { witness: Some(TimestampMs(778)), by_time: Some((Offset(30), Some(TimestampMs(700)))), ..answer() };
        assert_eq!(decide(both(50, 777), &log, LIVE), Decision::at(Offset(30), TimestampMs(700)));
    }

    #[test]
    fn below_the_log_start_begins_there_and_says_so() {
        let moved = Some((Offset(3), MovedReason::BelowLogStart));
        let decision = decide(AskedPosition::Offset(Offset(3)), &answer(), LIVE);
        assert_eq!((decision.position.next, decision.moved), (Offset(10), moved));
        let log = LogAnswer { by_time: Some((Offset(10), None)), ..answer() };
        let decision = decide(both(3, 777), &log, LIVE);
        assert_eq!((decision.position.next, decision.moved), (Offset(10), moved));
    }

    #[test]
    fn below_a_log_start_that_is_a_hole_is_told_too() {
        let log = LogAnswer { by_time: Some((Offset(12), None)), ..answer() };
        let decision = decide(both(3, 777), &log, LIVE);
        assert_eq!((decision.position.next, decision.moved), (Offset(12), Some((Offset(3), MovedReason::BelowLogStart))));
    }

    #[test]
    fn below_a_log_start_that_is_ahead_of_live_begins_at_that_start() {
        let log = LogAnswer { low: Offset(120), high: Offset(120), ..answer() };
        let moved = Some((Offset(110), MovedReason::BelowLogStart));
        assert_eq!(decide(both(110, 777), &log, LIVE), Decision { moved, ..Decision::at(Offset(120), TimestampMs(777)) });
    }

    #[test]
    fn below_a_log_start_with_nothing_as_late_is_live_and_told() {
        let moved = Some((Offset(3), MovedReason::BelowLogStart));
        assert_eq!(decide(both(3, 777), &answer(), LIVE), Decision { position: LIVE, moved });
    }

    #[test]
    fn below_the_log_start_but_known_by_time_is_another_cluster_and_no_gap() {
        let log = LogAnswer { by_time: Some((Offset(40), Some(TimestampMs(700)))), ..answer() };
        assert_eq!(decide(both(3, 777), &log, LIVE), Decision::at(Offset(40), TimestampMs(700)));
    }

    #[test]
    fn above_the_log_end_goes_by_time_else_live_and_says_so() {
        let moved = Some((Offset(101), MovedReason::AboveLogEnd));
        assert_eq!(decide(AskedPosition::Offset(Offset(101)), &answer(), LIVE), Decision { position: LIVE, moved });
        assert_eq!(decide(both(101, 9_999), &answer(), LIVE), Decision { position: LIVE, moved });
        let log = LogAnswer { by_time: Some((Offset(60), Some(TimestampMs(700)))), ..answer() };
        assert_eq!(decide(both(101, 777), &log, LIVE).position.next, Offset(60));
        assert_eq!(decide(AskedPosition::Offset(Offset(100)), &answer(), LIVE).moved, None, "the end itself is a place to be");
    }

    #[test]
    fn a_partition_that_was_empty_goes_on_at_its_first_record() {
        let log = LogAnswer {
            low: Offset(0),
            first_timestamp: Some(TimestampMs(12)),
            by_time: Some((Offset(0), Some(TimestampMs(700)))),
            ..answer()
        };
        assert_eq!(decide(both(0, 0), &log, LIVE).position.next, Offset(0));
    }

    #[test]
    fn at_the_log_start_an_older_first_record_tells_of_another_log() {
        let log =
            LogAnswer { first_timestamp: Some(TimestampMs(12)), by_time: Some((Offset(80), Some(TimestampMs(700)))), ..answer() };
        assert_eq!(decide(both(10, 777), &log, LIVE).position.next, Offset(80));
    }

    #[test]
    fn a_time_after_every_record_is_live() {
        assert_eq!(decide(AskedPosition::Timestamp(TimestampMs(9_999)), &answer(), LIVE).position, LIVE);
    }
}
