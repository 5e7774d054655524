//! Finds records by their time, where Kafka's index is not exact.

use std::ops::{ControlFlow, Range};

use rdkafka::Message as _;

use super::range_reader::{RangeEnd, RangeReader};
use crate::cursor::{Offset, Partition, TimestampMs};
use crate::fanout::FUTURE_MIN;
use crate::kafka::event_pipeline::timestamp;
use crate::limits;
use crate::stream::Topic;

/// Records that are read in sequence in search of a time, where the log's index points before the
/// first one of that time (a transaction marker carries a later time than the records before it).
const SCANNED_RECORDS: usize = 10_000;

/// How many offsets from the end the last record is looked for, in turn.
const STEPS_BACK: [i64; 4] = [10, 1_000, 100_000, i64::MAX];

impl RangeReader {
    /// The first offset from `found` on whose record is of `time` or later, and not of the future.
    ///
    /// `found` is the answer of Kafka's index, which may be wrong in two ways: it also finds
    /// transaction markers, and a record that claims to be of the far future hides all behind it.
    /// `None` when the log ends without such a record. When the log cannot be read now, `found`
    /// itself: too early rather than too late.
    pub(in crate::kafka) fn first_at_or_after(
        &mut self,
        topic: &Topic,
        partition: Partition,
        found: Offset,
        time: TimestampMs,
    ) -> Option<Offset> {
        let future = TimestampMs::now().saturating_add(FUTURE_MIN);
        let mut next = found;
        let mut scanned = 0;
        let mut is_future = false;
        let end = self.read(topic, partition, found, limits::LOOKUP_TIMEOUT, |message| {
            let at = timestamp(message);
            is_future = at > future;
            let is_found = at >= time && !is_future;
            next = Offset(message.offset() + i64::from(!is_found && !is_future));
            scanned += 1;
            if is_found || is_future || scanned >= SCANNED_RECORDS {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match end {
            RangeEnd::LogEnd => None,
            _ if is_future => Some(match self.log_end(topic, partition) {
                Some(high) => self.first_in(topic, partition, Offset(next.0 + 1)..high, time),
                None => next,
            }),
            _ => Some(next),
        }
    }

    /// The timestamp of the last record in `low..next`; `None` when there is none, or it cannot be
    /// read.
    pub(in crate::kafka) fn last_time_before(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        next: Offset,
    ) -> Option<TimestampMs> {
        if low >= next {
            return None;
        }
        for step in STEPS_BACK {
            let from = Offset(next.0.saturating_sub(step).max(low.0));
            let mut last = None;
            self.read(topic, partition, from, limits::LOOKUP_TIMEOUT, |message| {
                let offset = message.offset();
                if offset < next.0 {
                    last = Some(timestamp(message).max(TimestampMs(0)));
                }
                if offset + 1 < next.0 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if last.is_some() || from == low {
                return last;
            }
        }
        None
    }

    /// The first offset of a range whose record is of `time` or later, and not of the future; the
    /// range's end when there is none.
    ///
    /// For times that Kafka's index overlooks: those behind a record of the future, and those in
    /// whose segment nothing is left. Kafka looks into the first segment whose newest record is of
    /// the time or later, even when that record was deleted, and into no other. It bisects: the
    /// records, except those of the future, are taken to be in the order of time.
    pub(in crate::kafka) fn first_in(
        &mut self,
        topic: &Topic,
        partition: Partition,
        range: Range<Offset>,
        time: TimestampMs,
    ) -> Offset {
        let future = TimestampMs::now().saturating_add(FUTURE_MIN);
        let Range {
            start: mut low,
            end: mut high,
        } = range;
        let timeout = limits::LOOKUP_TIMEOUT;
        while low < high {
            let middle = Offset(i64::midpoint(low.0, high.0));
            let mut at = None;
            self.read(topic, partition, middle, timeout, |message| {
                let offset = Offset(message.offset());
                let stamp = timestamp(message);
                // A record of the future decides nothing: the next one does.
                if stamp > future && offset < high {
                    return ControlFlow::Continue(());
                }
                if stamp <= future {
                    at = Some((offset, stamp));
                }
                ControlFlow::Break(())
            });
            match at {
                Some((offset, stamp)) if stamp < time && offset < high => {
                    low = Offset(offset.0 + 1);
                }
                _ => high = middle,
            }
        }
        low
    }
}
