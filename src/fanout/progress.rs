//! What a filtered subscriber knows of the events that it does not get: `event: progress` frames,
//! which move its id past them (docs/protocol.md, "Filters").

use bytes::Bytes;

use crate::cursor::{Position, TimestampMs};
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
    pub(super) id: Bytes,
    /// Kafka's timestamp of the newest record before it; 0 for none.
    pub(super) time: TimestampMs,
}

/// Where a live filtered subscriber is, in the totals of its feed.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadProgress {
    /// The totals at its last progress frame.
    pub(super) since: Counts,
    /// The totals at its cursor.
    pub(super) seen: Counts,
    /// Whether its last progress frame was one of the feed. The next one is then right for it, too.
    pub(super) is_synced: bool,
}

impl ReadProgress {
    /// What was looked at since the last progress frame.
    pub(super) fn pending(&self) -> Counts {
        self.seen - self.since
    }
}

impl ProgressPoint {
    /// The place of an id and its positions.
    pub(super) fn new(id: Bytes, positions: impl Iterator<Item = Position>) -> Self {
        let time = positions.map(|position| position.timestamp).max();
        Self {
            id,
            time: time.unwrap_or(TimestampMs(0)),
        }
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
