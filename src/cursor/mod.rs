//! Where a subscriber is: the next offset of every partition it follows, and nothing else.
//!
//! * `position`: partition, offset and timestamp, and the pair that an event id carries for each partition.

mod position;

pub use position::{Offset, Partition, Position, TimestampMs};
