//! The partitions of a feed, and its end.

use std::sync::Arc;

use crate::cursor::{Offset, Position};
use crate::fanout::partition::HubPartition;
use crate::fanout::progress::Counts;

/// One partition of a feed. Slots are never removed, so that a slot's number stays valid for every
/// cursor.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The partition.
    pub partition: Arc<HubPartition>,
    /// The feed's position in it.
    pub position: Position,
    /// The position at which the feed started in it. A subscriber that has not seen the slot yet
    /// starts here too.
    pub start: Position,
    /// Whether the partition is no longer read. Ids omit it.
    pub retired: bool,
    /// The slot that this one replaces, and how its subscribers continue here.
    pub replaces: Option<Replaced>,
}

/// How the subscribers of a retired slot continue in the slot that replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The retired slot.
    pub slot: usize,
    /// What happened to its log.
    pub how: Replacement,
}

/// What happened to a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The topic was deleted and recreated: every subscriber starts at the start of the new log.
    Recreated,
    /// Kafka lost the records from this offset on. A subscriber below it keeps its position.
    TruncatedAt(Offset),
}

/// The end of a feed at one instant: a subscriber that reaches it continues live at `next`.
#[derive(Debug)]
pub struct Tail {
    /// Sequence number of the next frame.
    pub next: u64,
    /// Every partition, with the feed's position in it.
    pub slots: Vec<Slot>,
    /// The totals of a filtered feed, and those at its last progress frame.
    pub(in crate::fanout) counts: Counts,
    pub(in crate::fanout) last_progress: Counts,
}

impl Slot {
    /// Whether it is in use but Kafka cannot serve its partition now.
    pub(in crate::fanout) fn is_unavailable(&self) -> bool {
        !self.retired && !self.partition.is_available()
    }

    /// Whether a subscriber that has fetched everything below `fetched` has nothing left to fetch
    /// before the feed's position.
    pub(in crate::fanout) fn is_reached_at(&self, fetched: Offset) -> bool {
        self.retired || fetched >= self.position.next
    }
}
