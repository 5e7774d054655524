//! Where reading of one partition begins (docs/protocol.md, "Where a stream begins"): the request,
//! compared with what the log holds.
//!
//! Pure: facts come in, a [`Decision`] comes out. The rule, for an entry with offset and timestamp:
//!
//! | the entry's `log` | reading begins at |
//! |---|---|
//! | is this log | the offset, whatever surrounds it (holes, markers, compaction) |
//! | is this log, cut below the offset | as where it is absent, but never later, with a notice |
//! | is an older topic of this name and cluster | the start of the log, with a notice |
//! | is another cluster's | the first record of the timestamp or later |
//! | is absent | the offset, unless the record before it has another timestamp; then by timestamp |
//!
//! Each entry is judged alone. An unavailable position is never replaced silently.

use super::{LogId, LogMatch, Offset, Position, RequestedPosition, TimestampMs};

/// What a client wants of one partition, once its `log` is compared with the log that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Live: records from now on.
    Live,
    /// The log's first record.
    Earliest,
    /// An offset of this log. The timestamp is known when the log is certainly the same.
    Offset {
        /// The next offset to read.
        next: Offset,
        /// The timestamp of the record before it.
        timestamp: Option<TimestampMs>,
    },
    /// The first record of this time or later.
    Time(TimestampMs),
    /// An offset that is valid if the record before it has this timestamp or is unavailable.
    Unverified {
        /// The next offset to read.
        next: Offset,
        /// The timestamp of the record before it.
        timestamp: TimestampMs,
    },
    /// An offset of this log, which has lost records below it: valid if the record before it has
    /// this timestamp or is unavailable.
    Doubtful {
        /// The next offset to read.
        next: Offset,
        /// The timestamp of the record before it.
        timestamp: TimestampMs,
    },
    /// The topic was recreated: its whole log, with a notice.
    Recreated {
        /// The offset in the old topic's log.
        old: Offset,
    },
}

impl Target {
    /// Compares the request with the log that is read; `current` is `None` where Kafka names no
    /// log.
    #[must_use]
    pub fn new(requested: RequestedPosition, current: Option<LogId>) -> Self {
        match requested {
            RequestedPosition::Unset | RequestedPosition::Live => Self::Live,
            RequestedPosition::Earliest => Self::Earliest,
            RequestedPosition::Offset(next) => Self::Offset {
                next,
                timestamp: None,
            },
            RequestedPosition::Timestamp(time) => Self::Time(time),
            RequestedPosition::Both {
                next,
                timestamp,
                log,
            } => match log.zip(current).map(|(log, current)| log.compare(current)) {
                None => Self::Unverified { next, timestamp },
                Some(LogMatch::Same) => Self::Offset {
                    next,
                    timestamp: Some(timestamp),
                },
                Some(LogMatch::Recreated) => Self::Recreated { old: next },
                Some(LogMatch::Other) => Self::Time(timestamp),
            },
        }
    }

    /// The requested time, or the one that applies where the offset is not valid.
    #[must_use]
    pub fn time(self) -> Option<TimestampMs> {
        match self {
            Self::Time(time)
            | Self::Unverified {
                timestamp: time, ..
            }
            | Self::Doubtful {
                timestamp: time, ..
            } => Some(time),
            Self::Offset { timestamp, .. } => timestamp,
            Self::Live | Self::Earliest | Self::Recreated { .. } => None,
        }
    }

    /// What to ask about the log for [`decide`]; `None` when nothing has to be asked.
    #[must_use]
    pub fn question(self) -> Option<LogQuestion> {
        let question = LogQuestion::default();
        match self {
            Self::Live => None,
            Self::Offset {
                next,
                timestamp: None,
            } => Some(LogQuestion {
                before: Some(next),
                ..question
            }),
            Self::Offset { .. } | Self::Earliest | Self::Recreated { .. } => Some(question),
            Self::Time(time) => Some(LogQuestion {
                time: Some(time),
                ..question
            }),
            Self::Unverified { next, timestamp } | Self::Doubtful { next, timestamp } => {
                Some(LogQuestion {
                    before: Some(next),
                    time: Some(timestamp),
                })
            }
        }
    }
}

/// What to find out about a partition's log, besides its start and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuestion {
    /// The offset whose preceding record's timestamp is wanted.
    pub before: Option<Offset>,
    /// The time whose first record is wanted: the first one that is not earlier.
    pub time: Option<TimestampMs>,
}

/// The answer to a [`LogQuestion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogAnswer {
    /// The log's first offset.
    pub low: Offset,
    /// The log's end: the offset that the next record gets.
    pub high: Offset,
    /// The timestamp of the record at the offset right before [`LogQuestion::before`]; `None` when
    /// there is none (start of the log, compaction, a transaction marker).
    pub before: Option<TimestampMs>,
    /// The timestamp of the first record at or after that offset, when none is right before it.
    pub after: Option<TimestampMs>,
    /// The first record at or after [`LogQuestion::time`]; `None` when every record is earlier.
    pub by_time: Option<FoundByTime>,
    /// The timestamp of the log's last record, where every record is earlier and it could be read.
    pub last: Option<TimestampMs>,
}

impl LogAnswer {
    /// Whether all records were deleted, or none could be read.
    fn is_emptied(&self) -> bool {
        self.low.0 > 0 && self.last.is_none()
    }
}

/// The first record at or after a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundByTime {
    /// Its offset.
    pub offset: Offset,
    /// It is the first record of a log whose older records were deleted: some of that time may be
    /// missing.
    pub may_lack_older: bool,
}

/// Why a subscriber begins at another position than it requested. There is never a silent gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MovedReason {
    /// The requested records are deleted: the log begins later.
    BelowLogStart,
    /// The requested offset is beyond the log's end.
    AboveLogEnd,
    /// The topic was deleted and recreated: its log begins again.
    TopicRecreated,
    /// The log lost its newest records (an unclean leader election) and continues with others.
    LogTruncated,
}

impl MovedReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::BelowLogStart,
        Self::AboveLogEnd,
        Self::TopicRecreated,
        Self::LogTruncated,
    ];

    /// The label in metrics, headers and comments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BelowLogStart => "below_log_start",
            Self::AboveLogEnd => "above_log_end",
            Self::TopicRecreated => "topic_recreated",
            Self::LogTruncated => "log_truncated",
        }
    }
}

/// A position that a client requested and that is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// An offset.
    Offset(Offset),
    /// A time.
    Time(TimestampMs),
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The position to begin at.
    pub position: Position,
    /// The requested position and why it is unavailable, when the client must be notified.
    pub moved: Option<(Requested, MovedReason)>,
}

impl Decision {
    /// The requested position.
    #[must_use]
    pub fn at(next: Offset, timestamp: TimestampMs) -> Self {
        Self {
            position: Position { next, timestamp },
            moved: None,
        }
    }

    /// For an offset whose record before is not the client's, because the log was cut: `first`, the
    /// first record of the timestamp or later, unless it lies beyond the offset.
    #[must_use]
    pub fn behind_a_cut(next: Offset, timestamp: TimestampMs, first: Offset) -> Self {
        if first < next {
            Self::at(first, timestamp).moved(next, MovedReason::LogTruncated)
        } else {
            Self::at(next, timestamp)
        }
    }

    fn live(live: Position) -> Self {
        Self {
            position: live,
            moved: None,
        }
    }

    fn moved(self, offset: Offset, reason: MovedReason) -> Self {
        Self {
            moved: Some((Requested::Offset(offset), reason)),
            ..self
        }
    }
}

/// Decides from the log's answer. `live` is the live position from BEFORE the question: records
/// that arrive meanwhile are after it.
#[must_use]
pub fn decide(target: Target, answer: &LogAnswer, live: Position) -> Decision {
    match target {
        Target::Live => Decision::live(live),
        Target::Earliest => Decision::at(answer.low, TimestampMs(0)),
        Target::Recreated { old } => {
            Decision::at(answer.low, TimestampMs(0)).moved(old, MovedReason::TopicRecreated)
        }
        Target::Time(time) => by_time(time, answer, live),
        Target::Offset { next, timestamp } if next > answer.high => {
            let at = timestamp.map_or(Decision::live(live), |time| by_time(time, answer, live));
            at.moved(next, MovedReason::AboveLogEnd)
        }
        Target::Unverified { next, timestamp } if next > answer.high => {
            by_time(timestamp, answer, live).moved(next, MovedReason::AboveLogEnd)
        }
        Target::Offset { next, timestamp } if next < answer.low => {
            let at = Decision::at(answer.low, timestamp.unwrap_or(TimestampMs(0)));
            at.moved(next, MovedReason::BelowLogStart)
        }
        Target::Offset { next, timestamp } => {
            // When no record follows, the last one before live is the last one before the offset.
            let known = timestamp.or(answer.before).or(answer.after);
            Decision::at(next, known.unwrap_or(live.timestamp))
        }
        Target::Unverified { next, timestamp } if next < answer.low => match answer.by_time {
            // Older records still exist: the offset is another cluster's.
            Some(found) if !found.may_lack_older => by_time(timestamp, answer, live),
            // The log's start is ahead of live where all records of a log were deleted.
            None if live.next > answer.low => {
                Decision::live(live).moved(next, MovedReason::BelowLogStart)
            }
            _ => Decision::at(answer.low, timestamp).moved(next, MovedReason::BelowLogStart),
        },
        Target::Unverified { next, timestamp } => match answer.before {
            Some(before) if before != timestamp => by_time(timestamp, answer, live),
            _ => Decision::at(next, timestamp),
        },
        Target::Doubtful { next, timestamp } => match (answer.before, answer.by_time) {
            (Some(before), Some(found)) if before != timestamp => {
                Decision::behind_a_cut(next, timestamp, found.offset)
            }
            _ => {
                let timestamp = Some(timestamp);
                decide(Target::Offset { next, timestamp }, answer, live)
            }
        },
    }
}

fn by_time(time: TimestampMs, answer: &LogAnswer, live: Position) -> Decision {
    match answer.by_time {
        Some(found) if found.may_lack_older => {
            let moved = Some((Requested::Time(time), MovedReason::BelowLogStart));
            Decision {
                moved,
                ..Decision::at(found.offset, time)
            }
        }
        Some(found) => Decision::at(found.offset, time),
        // The log has no record, and what was read of it was of that time, or is not known.
        None if answer.is_emptied()
            && (live.timestamp >= time || live.timestamp == TimestampMs(0)) =>
        {
            let moved = Some((Requested::Time(time), MovedReason::BelowLogStart));
            Decision {
                moved,
                ..Decision::live(live)
            }
        }
        // Every record below the log's end is earlier, even those that are not read here yet.
        None => match answer.last {
            Some(timestamp) if answer.high > live.next => Decision::at(answer.high, timestamp),
            _ => Decision::live(live),
        },
    }
}

#[cfg(test)]
mod tests;
