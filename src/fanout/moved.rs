//! The notice that a subscriber starts or continues at another offset than the expected one.

use crate::cursor::{MovedReason, Offset, Partition, Requested};
use crate::stream::Topic;

/// A subscriber starts, or continues, at another offset than the expected one. The client must be
/// notified (docs/protocol.md, "Where a stream begins").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The expected position.
    pub requested: Requested,
    /// The offset at which reading continues.
    pub actual: Offset,
    /// Why they differ.
    pub reason: MovedReason,
}

impl std::fmt::Display for Moved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            topic,
            partition,
            requested,
            actual,
            reason,
        } = self;
        write!(f, "topic={topic}; partition={partition}; ")?;
        match requested {
            Requested::Offset(offset) => write!(f, "asked={offset}; ")?,
            Requested::Time(time) => write!(f, "asked_timestamp={time}; ")?,
        }
        write!(f, "actual={actual}; reason={}", reason.as_str())
    }
}
