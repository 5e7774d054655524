//! Partition, offset and timestamp, and the pair that an event id carries for each partition.

use std::fmt;

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $number);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type! {
    /// The number of a partition inside its topic, from 0.
    Partition(i32)
}

number_type! {
    /// A place in a partition's log. In a cursor it is ALWAYS the next offset to read, never the last one read.
    Offset(i64)
}

number_type! {
    /// Milliseconds since 1970-01-01T00:00:00Z, as Kafka stamps its records.
    TimestampMs(i64)
}

/// Where a subscriber is in one partition: what an event id says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset to read in the log that the id was written for.
    pub next: Offset,
    /// The timestamp of the last record delivered or passed: from there on, reading this partition
    /// on ANOTHER cluster, where offsets differ, misses nothing. 0 when it never held one.
    pub timestamp: TimestampMs,
}
