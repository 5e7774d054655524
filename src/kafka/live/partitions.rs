//! The partitions that are read: what is known of each, and the commands to the live consumer.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::consumer::{Assignment, Reading};
use super::last_read::last_read_offset;
use super::log_check::LastCheck;
use super::unread::{Beginning, start_of_log};
use crate::cursor::Offset;
use crate::fanout::{Hub, HubPartition};
use crate::kafka::TopicPartition;
use crate::kafka::topics::Described;
use crate::stream::Topic;

/// Offsets before a partition's start that are read as well: a record there gives the timestamp
/// that event ids carry. They may all be holes.
const RUN_UP: i64 = 100;

/// See the module.
pub(super) struct LivePartitions {
    hub: Arc<Hub>,
    assignments: Sender<Assignment>,
    known: HashMap<TopicPartition, KnownPartition>,
}

/// A partition that is read.
pub(super) struct KnownPartition {
    pub(super) partition: Arc<HubPartition>,
    /// Kafka's id of its topic.
    pub(super) topic_id: Option<[u8; 16]>,
    /// Where its log ended when reading began. Having read so far, it has caught up.
    end_at_start: Offset,
    pub(super) last_check: LastCheck,
    pub(super) has_leader: bool,
}

impl LivePartitions {
    pub(super) fn new(hub: Arc<Hub>, assignments: Sender<Assignment>) -> Self {
        Self {
            hub,
            assignments,
            known: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn contains(&self, key: &TopicPartition) -> bool {
        self.known.contains_key(key)
    }

    pub(super) fn get(&self, key: &TopicPartition) -> Option<&KnownPartition> {
        self.known.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &TopicPartition) -> Option<&mut KnownPartition> {
        self.known.get_mut(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &KnownPartition> {
        self.known.values()
    }

    /// The partitions of a topic.
    pub(super) fn of_topic(&self, topic: &Topic) -> Vec<TopicPartition> {
        self.keys_where(|known| known.partition.topic == *topic)
    }

    /// The partitions that have a leader.
    pub(super) fn with_leader(&self) -> Vec<TopicPartition> {
        self.keys_where(|known| known.has_leader)
    }

    /// The partitions with a leader of which no record has given a timestamp for event ids yet.
    pub(super) fn without_time(&self) -> Vec<TopicPartition> {
        self.keys_where(|known| known.has_leader && !known.partition.knows_time())
    }

    /// The partitions of topics that are not among `topics`.
    pub(super) fn outside(&self, topics: &BTreeSet<Topic>) -> Vec<TopicPartition> {
        self.keys_where(|known| !topics.contains(&known.partition.topic))
    }

    fn keys_where(&self, is_wanted: impl Fn(&KnownPartition) -> bool) -> Vec<TopicPartition> {
        let wanted = self.known.iter().filter(|(_, known)| is_wanted(known));
        wanted.map(|(key, _)| key.clone()).collect()
    }

    /// Begins to read a partition.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        let Beginning {
            unread,
            start,
            low,
            end,
        } = beginning;
        let (topic, number) = &unread.key;
        let from = Offset((start.offset.0 - RUN_UP).max(low.0));
        tracing::debug!(%topic, partition = number.0, from = from.0, end = end.0, "reading");
        let partition = self.hub.add_partition(topic, *number, unread.log_id, start);
        let known = KnownPartition::new(&partition, unread.topic_id, end);
        self.known.insert(unread.key, known);
        self.read(Reading { partition, from });
    }

    /// Replaces the log of a topic that was recreated. Returns how to read the new one.
    pub(super) fn recreate(
        &mut self,
        key: &TopicPartition,
        topic: &Described,
        low: Offset,
        high: Offset,
    ) -> Option<Reading> {
        let old = Arc::clone(&self.known.get(key)?.partition);
        self.assign(Assignment::Stop(Arc::clone(&old)));
        let start = start_of_log(low);
        let partition = self.hub.recreate_partition(&old, topic.log_id, start);
        let known = KnownPartition::new(&partition, topic.topic_id, high);
        self.known.insert(key.clone(), known);
        Some(Reading {
            partition,
            from: low,
        })
    }

    /// Reads on at `cut`, in place of the records that Kafka has lost.
    pub(super) fn truncate(&mut self, key: &TopicPartition, cut: Offset) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        let KnownPartition {
            topic_id,
            end_at_start,
            ..
        } = *known;
        let old = Arc::clone(&known.partition);
        self.assign(Assignment::Stop(Arc::clone(&old)));
        let new = self.hub.truncate_partition(&old, cut);
        let end = end_at_start.min(new.end().next);
        let known = KnownPartition::new(&new, topic_id, end);
        self.known.insert(key.clone(), known);
        let from = last_read_offset(&new, Offset(0));
        self.read(Reading {
            partition: new,
            from,
        });
    }

    /// Makes the live consumer read on at the next offset, or at `low` where the log begins later.
    pub(super) fn read_again(&self, key: &TopicPartition, low: Offset) {
        if let Some(known) = self.known.get(key) {
            let partition = Arc::clone(&known.partition);
            self.assign(Assignment::ReadAgain { partition, low });
        }
    }

    /// Stops reading a partition.
    pub(super) fn retire(&mut self, key: &TopicPartition) {
        if let Some(known) = self.known.remove(key) {
            self.assign(Assignment::Stop(Arc::clone(&known.partition)));
            self.hub.retire_partition(&known.partition);
        }
    }

    /// Stores which partitions of a topic have a leader.
    pub(super) fn set_leaders(&mut self, topic: &Described) {
        for (number, has_leader) in &topic.partitions {
            if let Some(known) = self.known.get_mut(&(topic.topic.clone(), *number)) {
                known.has_leader = *has_leader;
                self.hub.set_available(&known.partition, *has_leader);
            }
        }
    }

    /// Makes the live consumer read with a new client of librdkafka.
    pub(super) fn renew_client(&self) {
        self.assign(Assignment::NewClient);
    }

    pub(super) fn read(&self, reading: Reading) {
        self.assign(Assignment::Read(reading));
    }

    fn assign(&self, assignment: Assignment) {
        if self.assignments.send(assignment).is_err() {
            tracing::debug!("the live consumer has ended");
        }
    }
}

impl KnownPartition {
    fn new(partition: &Arc<HubPartition>, topic_id: Option<[u8; 16]>, end: Offset) -> Self {
        Self {
            partition: Arc::clone(partition),
            topic_id,
            end_at_start: end,
            last_check: LastCheck::default(),
            has_leader: true,
        }
    }

    /// Whether it was read up to where its log ended when reading began.
    pub(super) fn is_caught_up(&self) -> bool {
        self.partition.end().next >= self.end_at_start
    }
}
