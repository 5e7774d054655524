//! Progress of filtered subscribers: `event: progress` frames move the id past the events that the
//! filter leaves out (docs/protocol.md, "Filters").

use bytes::Bytes;

use crate::cursor::{EventId, TimestampMs};
use crate::event::frame;

/// Records that were looked at for a filter, and events that matched it. The totals of a feed since
/// it began, or their difference between two places in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) scanned: u64,
    pub(super) matched: u64,
}

/// A place in a feed at which a progress frame can be rendered.
#[derive(Clone, Debug)]
pub(super) struct ProgressPoint {
    /// The id there.
    id: Bytes,
    /// Kafka's timestamp of the newest record before it; 0 for none.
    time: TimestampMs,
}

/// Where a live filtered subscriber is, in the totals of its feed.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadProgress {
    /// The totals at its last progress frame.
    pub(super) since: Counts,
    /// The totals at its cursor.
    pub(super) seen: Counts,
    /// Whether its last progress frame was one of the feed, so that it can share the next one.
    pub(super) is_synced: bool,
}

impl ReadProgress {
    /// What was looked at since the last progress frame.
    pub(super) fn pending(&self) -> Counts {
        self.seen - self.since
    }
}

impl ProgressPoint {
    /// The place that an id names.
    pub(super) fn of(id: &mut EventId) -> Self {
        let times = id.slots().map(|(.., position)| position.timestamp);
        Self {
            time: times.max().unwrap_or(TimestampMs(0)),
            id: id.to_bytes(),
        }
    }

    /// The id there.
    pub(super) fn into_id(self) -> Bytes {
        self.id
    }

    /// The frame for a subscriber whose last one lies `counts` before.
    pub(super) fn frame(&self, counts: Counts) -> Bytes {
        frame::progress(&self.id, self.time, counts.scanned, counts.matched)
    }
}

/// Wraps: a subscriber that was not live may have looked at more than its feed.
impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            scanned: self.scanned.wrapping_sub(other.scanned),
            matched: self.matched.wrapping_sub(other.matched),
        }
    }
}
