//! What an id requests of each partition, and how much it may request.

use super::{LogId, Offset, Partition, TimestampMs};
use crate::stream::Topic;

/// The longest id that is accepted, in bytes. An entry takes about 100 bytes of JSON: this is room
/// for 600 partitions, or for thousands in compact form. All public streams of Wikimedia together
/// have some 70, and most servers and proxies accept less in one header.
pub const ID_BYTES_MAX: usize = 64 * 1024;

/// The most entries that an id may have. Only plain topic names are short enough to come near.
pub const ID_ENTRIES_MAX: usize = 4096;

/// What an id requests of one partition, or of a whole topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdEntry {
    /// The topic: any string that is not empty.
    pub topic: Topic,
    /// The partition, not negative. `None` when only the topic is named; then `position` is
    /// `Unset`.
    pub partition: Option<Partition>,
    /// Where to begin.
    pub position: RequestedPosition,
}

/// Where an id requests to begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedPosition {
    /// Named without a position: at `since` if that is given, else live.
    Unset,
    /// Live: records from now on (`offset: -1`).
    Live,
    /// At the start of the log (`offset: -2`).
    Earliest,
    /// At this offset: the next to read, not negative.
    Offset(Offset),
    /// At the first record whose timestamp is not earlier than this; not negative.
    Timestamp(TimestampMs),
    /// At the offset if the log is the one for which the id was written, else at the timestamp;
    /// neither is negative.
    Both {
        /// The next offset to read.
        next: Offset,
        /// The time from which reading another log misses nothing.
        timestamp: TimestampMs,
        /// The log that the offset was counted in; `None` in ids that do not name it.
        log: Option<LogId>,
    },
}
