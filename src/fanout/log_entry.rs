//! One entry of the memory log.

use crate::cursor::{Offset, Position, TimestampMs};
use crate::event::PublicEvent;

/// A record that was read, ready for delivery.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The record's offset.
    pub offset: Offset,
    /// Kafka's timestamp, by which partitions are merged.
    pub timestamp: TimestampMs,
    /// The event for clients; `None` when the record was skipped.
    pub event: Option<PublicEvent>,
}

/// Cost of an entry besides its JSON, in bytes: the entry, its allocation and its arrival in the
/// retention queue.
const ENTRY_OVERHEAD_BYTES: usize = 112;

impl LogEntry {
    /// The position of a subscriber that has received this entry.
    #[must_use]
    pub fn position_after(&self) -> Position {
        // Kafka writes -1 for a record without a timestamp; an id must not be negative.
        Position {
            next: Offset(self.offset.0 + 1),
            timestamp: self.timestamp.max(TimestampMs(0)),
        }
    }

    /// The approximate memory of this entry, in bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        ENTRY_OVERHEAD_BYTES + self.event.as_ref().map_or(0, |event| event.json().len())
    }
}
