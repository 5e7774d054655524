//! What happens to partitions: they are added, replaced and retired, and their logs lose records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;

use super::{FUTURE_MIN, Hub};
use crate::cursor::{LogId, MovedReason, Offset, Partition, Requested, TimestampMs};
use crate::fanout::feed::Replacement;
use crate::fanout::partition::HubPartition;
use crate::fanout::partition_log::{LogStart, PartitionLog};
use crate::stream::Topic;

impl Hub {
    /// Whether Kafka has the topic.
    #[must_use]
    pub fn has_topic(&self, topic: &Topic) -> bool {
        self.routes.read().partitions.contains_key(topic)
    }

    /// The partitions of a topic that are read now.
    #[must_use]
    pub fn partitions(&self, topic: &Topic) -> Vec<Arc<HubPartition>> {
        self.routes.read().partitions_of(topic).cloned().collect()
    }

    /// Adds a partition. Feeds of its topic follow it from the start of its log: if the hub is
    /// ready, the partition is new, and so is every record in it.
    pub fn add_partition(
        &self,
        topic: &Topic,
        partition: Partition,
        log_id: Option<LogId>,
        start: LogStart,
    ) -> Arc<HubPartition> {
        let log = Arc::new(RwLock::new(PartitionLog::new(start)));
        let added = Arc::new(HubPartition::new(topic, partition, log_id, log));
        let mut routes = self.routes.write();
        routes
            .partitions
            .entry(topic.clone())
            .or_default()
            .push(Arc::clone(&added));
        let log = added.log.read();
        for entry in routes.feeds_of(topic) {
            added.followers.join(&added, &log, entry);
        }
        drop(log);
        added
    }

    /// Replaces a partition whose topic was deleted and recreated. Every subscriber gets all of the
    /// new log, after a notice.
    pub fn recreate_partition(
        &self,
        old: &Arc<HubPartition>,
        log_id: Option<LogId>,
        start: LogStart,
    ) -> Arc<HubPartition> {
        let log = Arc::new(RwLock::new(PartitionLog::new(start)));
        self.replace(old, log_id, log, Replacement::Recreated)
    }

    /// Replaces a partition whose log lost the records from `cut` on. A subscriber below `cut`
    /// keeps its position; one beyond it gets a notice and continues at `cut`.
    pub fn truncate_partition(&self, old: &Arc<HubPartition>, cut: Offset) -> Arc<HubPartition> {
        let log = Arc::clone(&old.log);
        self.replace(old, old.log_id, log, Replacement::TruncatedAt(cut))
    }

    fn replace(
        &self,
        old: &Arc<HubPartition>,
        log_id: Option<LogId>,
        log: Arc<RwLock<PartitionLog>>,
        how: Replacement,
    ) -> Arc<HubPartition> {
        let topic = &old.topic;
        let _publishing = self.retention.lock();
        let mut routes = self.routes.write();
        let expected = old.end().next;
        let reason = match how {
            Replacement::Recreated => MovedReason::TopicRecreated,
            Replacement::TruncatedAt(cut) => {
                log.write().truncate(cut);
                MovedReason::LogTruncated
            }
        };
        let start = log.read().end();
        let new = Arc::new(old.replaced(log_id, log));
        let partitions = routes.partitions.entry(topic.clone()).or_default();
        partitions.retain(|other| !Arc::ptr_eq(other, old));
        partitions.push(Arc::clone(&new));
        let notice = new.moved(Requested::Offset(expected), start.next, reason);
        for entry in routes.feeds_of(topic) {
            entry
                .feed
                .replace_partition(old, Arc::clone(&new), start, how, &notice);
            new.followers.follow(entry);
            entry.feed.wake();
            self.metrics
                .count_moved_all(reason, *entry.subscribers.lock());
        }
        new
    }

    /// Stops reading a partition whose topic was deleted or recreated.
    pub fn retire_partition(&self, retired: &Arc<HubPartition>) {
        let mut routes = self.routes.write();
        if let Some(partitions) = routes.partitions.get_mut(&retired.topic) {
            partitions.retain(|partition| !Arc::ptr_eq(partition, retired));
            if partitions.is_empty() {
                routes.partitions.remove(&retired.topic);
            }
        }
        for entry in routes.feeds_of(&retired.topic) {
            entry.feed.retire_partition(retired);
            entry.feed.wake();
        }
    }

    /// Continues a partition at `low`, where Kafka's log starts now. Every subscriber gets a notice
    /// of what it misses.
    pub fn skip_to(&self, partition: &Arc<HubPartition>, low: Offset) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        let expected = log.end().next;
        log.skip_to(low, TimestampMs::now());
        let (end, followers) = (log.end(), partition.followers.admit());
        drop(log);
        let reason = MovedReason::BelowLogStart;
        let notice = partition.moved(Requested::Offset(expected), low, reason);
        for follower in followers.iter() {
            follower.feed.skip_to(partition, end, &notice);
            follower.feed.wake();
            self.metrics
                .count_moved_all(reason, *follower.subscribers.lock());
        }
    }

    /// Sets whether Kafka can serve a partition now: it cannot without a leader. When it can again,
    /// the subscribers that wait for it continue.
    pub fn set_available(&self, partition: &HubPartition, is_available: bool) {
        let was = partition.is_available.swap(is_available, Ordering::Relaxed);
        if is_available && !was {
            let routes = self.routes.read();
            for entry in routes.feeds_of(&partition.topic) {
                entry.feed.wake();
            }
        }
    }

    /// Sets the timestamp that ids name at the start of a partition that holds no record yet.
    pub fn set_time(&self, partition: &Arc<HubPartition>, timestamp: TimestampMs) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        if log.knows_time() {
            return;
        }
        log.set_time(timestamp, TimestampMs::now().saturating_add(FUTURE_MIN));
        let (end, followers) = (log.end(), partition.followers.admit());
        drop(log);
        for follower in followers.iter() {
            follower.feed.pass_hole(partition, end);
        }
    }

    /// Moves the end of a partition to `to`: the offsets up to there hold no record.
    pub fn pass_hole(&self, partition: &Arc<HubPartition>, to: Offset) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        if to <= log.end().next {
            return;
        }
        log.pass_hole(to);
        let (end, followers) = (log.end(), partition.followers.admit());
        drop(log);
        for follower in followers.iter() {
            follower.feed.pass_hole(partition, end);
        }
    }
}
