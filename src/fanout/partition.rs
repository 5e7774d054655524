//! A partition that is read, and the records that come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::followers::Followers;
use super::partition_log::{LogEntry, PartitionLog};
use super::subscription::Moved;
use crate::cursor::{LogId, MovedReason, Offset, Partition, Position, Requested, TimestampMs};
use crate::event::PublicEvent;
use crate::stream::Topic;

/// A partition that is read, with its memory log. A topic that is deleted and made again gets new
/// ones.
#[derive(Debug)]
pub struct HubPartition {
    /// The topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: Partition,
    /// Which log it is; `None` where Kafka does not tell.
    pub log_id: Option<LogId>,
    pub(super) log: Arc<RwLock<PartitionLog>>,
    pub(super) followers: Followers,
    pub(super) is_available: AtomicBool,
}

/// A record as it comes from the live consumer; `event` is `None` when it was skipped.
#[derive(Debug)]
pub struct Arrival {
    /// Where it was read.
    pub partition: Arc<HubPartition>,
    /// Its own offset.
    pub offset: Offset,
    /// Kafka's timestamp.
    pub timestamp: TimestampMs,
    /// What a client sees.
    pub event: Option<PublicEvent>,
}

impl HubPartition {
    pub(super) fn new(
        topic: &Topic,
        partition: Partition,
        log_id: Option<LogId>,
        log: Arc<RwLock<PartitionLog>>,
    ) -> Self {
        let (topic, followers) = (topic.clone(), Followers::default());
        Self {
            topic,
            partition,
            log_id,
            log,
            followers,
            is_available: AtomicBool::new(true),
        }
    }

    /// Whether Kafka can be asked for it now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.is_available.load(Ordering::Relaxed)
    }

    /// Where the next record goes, and what an id says there.
    #[must_use]
    pub fn end(&self) -> Position {
        self.log.read().end()
    }

    /// Whether it is known what an id says at its end.
    #[must_use]
    pub fn knows_time(&self) -> bool {
        self.log.read().knows_time()
    }

    /// The newest records in memory, at most `count`, in offset order.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<LogEntry> {
        self.log.read().newest(count)
    }

    pub(super) fn moved(&self, asked: Requested, actual: Offset, reason: MovedReason) -> Moved {
        Moved {
            topic: self.topic.clone(),
            partition: self.partition,
            asked,
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
