//! A partition that is read, and its records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::followers::Followers;
use super::log_entry::LogEntry;
use super::moved::Moved;
use super::partition_log::PartitionLog;
use crate::cursor::{LogId, MovedReason, Offset, Partition, Position, Requested, TimestampMs};
use crate::event::PublicEvent;
use crate::stream::Topic;

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
            log,
            followers: Followers::default(),
            is_available: AtomicBool::new(true),
        }
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
