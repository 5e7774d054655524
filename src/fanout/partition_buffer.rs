//! One partition's input to the merge by time of a subscriber that catches up.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log_entry::LogEntry;
use super::partition_log::PartitionLog;
use crate::cursor::Offset;
use crate::memory::{Held, MemoryBudget, Use};

/// Entries that were fetched from a partition and not delivered yet.
#[derive(Debug)]
pub(super) struct PartitionBuffer {
    pub(super) entries: VecDeque<LogEntry>,
    /// The offset up to which `entries` holds the log.
    pub(super) fetched: Offset,
    /// Whether the last fetch was from Kafka.
    pub(super) is_from_kafka: bool,
    /// The memory of entries from Kafka. Entries of the memory log are shared with it and do not
    /// count.
    pub(super) held: Held,
}

impl PartitionBuffer {
    /// An empty buffer whose next fetch starts at `fetched`.
    pub(super) fn new(fetched: Offset, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            entries: VecDeque::new(),
            fetched,
            is_from_kafka: false,
            held: memory.hold(Use::Replays, 0),
        }
    }

    /// Counts the entries in the memory budget.
    pub(super) fn count_entries(&mut self) {
        self.held.set(self.entries.iter().map(LogEntry::cost).sum());
    }

    /// Fetches up to `count` entries before `target` from the memory log; `false` when the log does
    /// not reach back that far.
    pub(super) fn read_memory(&mut self, log: &PartitionLog, target: Offset, count: usize) -> bool {
        self.held.set(0);
        let before = self.entries.len();
        if !log.read(self.fetched, target, count, &mut self.entries) {
            return false;
        }
        let is_complete = self.entries.len() - before < count;
        self.fetched = match self.entries.back() {
            Some(last) if !is_complete => Offset(last.offset.0 + 1),
            _ => target,
        };
        self.is_from_kafka = false;
        true
    }
}
