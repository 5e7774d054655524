//! Partition, offset and timestamp, and the pair that an event id carries for each partition.

use std::fmt;
use std::time::Duration;

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
    /// The number of a partition in its topic, from 0.
    Partition(i32)
}

number_type! {
    /// A position in a partition's log. In a cursor it is ALWAYS the next offset to read, never the
    /// last one read.
    Offset(i64)
}

number_type! {
    /// Milliseconds since 1970-01-01T00:00:00Z, as Kafka stamps its records.
    TimestampMs(i64)
}

impl TimestampMs {
    /// The time of this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
    }

    /// The time `duration` later, or the latest that there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// The time `duration` earlier, or the earliest that there is.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }

    /// As ISO 8601 in UTC with milliseconds; `None` for 1970-01-01T00:00:00.000Z and before, which
    /// no record has, and for times after the year 9999.
    #[must_use]
    pub fn to_iso8601(self) -> Option<String> {
        let time = jiff::Timestamp::from_millisecond(self.0).ok()?;
        (self.0 > 0).then(|| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// Seconds since 1970, as Prometheus counts them.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
        let milliseconds = self.0 as f64;
        milliseconds / 1000.0
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where a subscriber is in one partition: its part of an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset to read in the log for which the id was written.
    pub next: Offset,
    /// The timestamp of the last record delivered or skipped. Reading this partition from there on
    /// ANOTHER cluster, where offsets differ, misses nothing. 0 when it never held a record.
    pub timestamp: TimestampMs,
}
