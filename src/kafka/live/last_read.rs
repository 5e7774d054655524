//! Where reading of a partition goes on after an interruption: at the newest record in memory, not
//! behind it.
//!
//! That record shows whether the log is still the one that was read. It also gives librdkafka the
//! leader epoch by which it notices that a log is cut. An assignment has no epoch: a cut would be
//! overlooked once the log has grown beyond the position.

use std::cell::Cell;

use crate::cursor::{Offset, TimestampMs};
use crate::fanout::HubPartition;

/// What the live consumer expects of a partition that it reads on.
#[derive(Default)]
pub(super) struct LastRead {
    /// Offset and timestamp of the newest record in memory, until a record arrives.
    expected: Cell<Option<(Offset, TimestampMs)>>,
    /// Another record has arrived. All that follow belong to another log.
    is_missing: Cell<bool>,
}

/// A record that belongs to another log than the one that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtherLog;

impl LastRead {
    /// Reading goes on at `from`.
    pub(super) fn expect(&self, partition: &HubPartition, from: Offset) {
        let newest = partition.newest(1).pop();
        let expected = newest.filter(|entry| entry.offset == from);
        self.expected
            .set(expected.map(|entry| (entry.offset, entry.timestamp)));
        self.is_missing.set(false);
    }

    /// Whether a record that arrives belongs to the log that was read. Only the first one that does
    /// not is an error.
    pub(super) fn agrees(&self, offset: Offset, timestamp: TimestampMs) -> Result<bool, OtherLog> {
        let expected = self.expected.take();
        if expected.is_some_and(|expected| expected != (offset, timestamp)) {
            self.is_missing.set(true);
            return Err(OtherLog);
        }
        Ok(!self.is_missing.get())
    }
}

/// Where reading of a partition goes on: at the newest record in memory, or at the end of what was
/// read where memory or Kafka, whose log begins at `low`, does not have that record.
pub(super) fn last_read_offset(partition: &HubPartition, low: Offset) -> Offset {
    let newest = partition.newest(1).pop().map(|entry| entry.offset);
    newest
        .filter(|newest| *newest >= low)
        .unwrap_or_else(|| partition.end().next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(last_read: &LastRead, offset: i64, time: i64) -> Result<bool, OtherLog> {
        last_read.agrees(Offset(offset), TimestampMs(time))
    }

    fn expecting(offset: i64, time: i64) -> LastRead {
        let last_read = LastRead::default();
        last_read
            .expected
            .set(Some((Offset(offset), TimestampMs(time))));
        last_read
    }

    #[test]
    fn the_log_that_was_read_is_read_on() {
        for last_read in [LastRead::default(), expecting(4, 40)] {
            assert_eq!(arrive(&last_read, 4, 40), Ok(true));
            assert_eq!(arrive(&last_read, 7, 30), Ok(true));
        }
    }

    #[test]
    fn nothing_of_another_log_is_taken() {
        for (offset, time) in [(4, 41), (5, 40)] {
            let last_read = expecting(4, 40);
            assert_eq!(arrive(&last_read, offset, time), Err(OtherLog));
            assert_eq!(arrive(&last_read, 6, 50), Ok(false));
        }
    }
}
