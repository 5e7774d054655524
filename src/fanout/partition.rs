//! A partition that is read, and its records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::followers::Followers;
use super::log_entry::LogEntry;
use super::moved::Moved;
use super::partition_log::PartitionLog;
use crate::cursor::{
    LogId, LogMatch, MovedReason, Offset, Partition, Position, Requested, TimestampMs,
};
use crate::event::PublicEvent;
use crate::stream::Topic;

/// How many older logs of a partition are remembered.
const OLDER_LOGS_MAX: usize = 16;

/// A partition that is read, with its memory log. When a topic is deleted and recreated, its
/// partitions are new values.
#[derive(Debug)]
pub struct HubPartition {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// The identity of its log; `None` where Kafka does not provide one.
    pub log_id: Option<LogId>,
    /// The identities of the topic's older logs that this process has read: at most
    /// [`OLDER_LOGS_MAX`].
    older_logs: Vec<LogId>,
    pub(super) log: Arc<RwLock<PartitionLog>>,
    pub(super) followers: Followers,
    pub(super) is_available: AtomicBool,
}

/// A record from the live consumer.
#[derive(Debug)]
pub struct Arrival {
    /// Its partition.
    pub partition: Arc<HubPartition>,
    /// Its offset.
    pub offset: Offset,
    /// Kafka's timestamp.
    pub timestamp: TimestampMs,
    /// The event for clients; `None` when the record was skipped.
    pub event: Option<PublicEvent>,
}

impl HubPartition {
    pub(super) fn new(
        topic: &Topic,
        partition: Partition,
        log_id: Option<LogId>,
        log: Arc<RwLock<PartitionLog>>,
    ) -> Self {
        Self {
            topic: topic.clone(),
            partition,
            log_id,
            older_logs: Vec::new(),
            log,
            followers: Followers::default(),
            is_available: AtomicBool::new(true),
        }
    }

    /// The partition that takes the place of this one, with another log or with one that was cut.
    pub(super) fn replaced(&self, log_id: Option<LogId>, log: Arc<RwLock<PartitionLog>>) -> Self {
        let ids = self.older_logs.iter().copied().chain(self.log_id);
        let mut older_logs: Vec<LogId> = ids.filter(|id| Some(*id) != log_id).collect();
        older_logs.drain(..older_logs.len().saturating_sub(OLDER_LOGS_MAX));
        Self {
            older_logs,
            ..Self::new(&self.topic, self.partition, log_id, log)
        }
    }

    /// Whether a log of this topic may be newer than the one that is read: another process may have
    /// discovered a recreated topic first.
    pub(super) fn may_be_older_than(&self, log: LogId) -> bool {
        let is_recreated = |current: LogId| matches!(log.compare(current), LogMatch::Recreated);
        self.log_id.is_some_and(is_recreated) && !self.older_logs.contains(&log)
    }

    /// Whether Kafka can serve it now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.is_available.load(Ordering::Relaxed)
    }

    /// The position after the last record.
    #[must_use]
    pub fn end(&self) -> Position {
        self.log.read().end()
    }

    /// Whether the timestamp of [`Self::end`] is known.
    #[must_use]
    pub fn knows_time(&self) -> bool {
        self.log.read().knows_time()
    }

    /// The newest records in memory, at most `count`, in offset order.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<LogEntry> {
        self.log.read().newest(count)
    }

    pub(super) fn moved(&self, requested: Requested, actual: Offset, reason: MovedReason) -> Moved {
        Moved {
            topic: self.topic.clone(),
            partition: self.partition,
            requested,
            actual,
            reason,
        }
    }

    /// The first offset of the memory log.
    #[must_use]
    pub fn memory_start(&self) -> Offset {
        self.log.read().start()
    }
}
