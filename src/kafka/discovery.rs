//! Finds the topics and partitions that are to be read, at start and later, and where each is to be read from.
//!
//! At start a partition is read from `reach_back` before now, so that clients who come back after a restart are served from
//! memory. One that appears later is new: it is read from its first record, for all it holds is new to everybody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use async_channel::Receiver;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::KafkaReader;
use super::client::Consumer;
use super::live_consumer::{Assignment, Reading};
use super::log_check::Mark;
use super::offsets::offsets_at;
use crate::cursor::{Offset, Partition, RUN_MAX, TimestampMs};
use crate::fanout::{Hub, HubPartition, LogStart};
use crate::health::KafkaHealth;
use crate::limits;
use crate::metrics::TopicLabel;
use crate::stream::Topic;

pub(super) type TopicPartition = (Topic, Partition);

/// See the module.
pub(super) struct Discovery {
    /// The connection for questions.
    consumer: Arc<Consumer>,
    hub: Arc<Hub>,
    assign: Sender<Assignment>,
    rediscover: Receiver<()>,
    stopping: Arc<AtomicBool>,
    topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    health: Arc<KafkaHealth>,
    refresh: Duration,
    /// Where reading begins at start, in time.
    start_time: TimestampMs,
    pub(super) known: HashMap<TopicPartition, Arc<HubPartition>>,
    /// What the last round found of each.
    pub(super) marks: HashMap<TopicPartition, Mark>,
    /// Set by the live consumer when it has lost its position in some partition.
    pub(super) in_doubt: Arc<AtomicBool>,
    /// Topics that Kafka did not have when it was asked: if they appear, they are new.
    pub(super) absent: HashSet<Topic>,
    /// For how many rounds Kafka has not named a topic that is read.
    missed: HashMap<Topic, u32>,
    /// Partitions that Kafka had at start, but said no offsets of yet: they have no leader now.
    leaderless: HashSet<TopicPartition>,
    begun: Instant,
    started: bool,
}

/// Kafka's times that stand for a log's end and start in `ListOffsets`.
pub(super) const LOG_END: TimestampMs = TimestampMs(-1);
pub(super) const LOG_START: TimestampMs = TimestampMs(-2);

/// A topic that Kafka does not name for so many rounds is gone; one round may be a broker that just starts.
const GONE_AFTER_ROUNDS: u32 = 3;

/// So long a partition without a leader keeps the others from being served at start.
const LEADER_WAIT: Duration = Duration::from_secs(30);

/// Between two rounds while not everything is read yet.
const START_PAUSE: Duration = Duration::from_millis(500);

impl Discovery {
    pub(super) fn new(
        reader: &KafkaReader,
        consumer: Arc<Consumer>,
        hub: Arc<Hub>,
        assign: Sender<Assignment>,
        rediscover: Receiver<()>,
        stopping: Arc<AtomicBool>,
        in_doubt: Arc<AtomicBool>,
    ) -> Self {
        let reach_back = i64::try_from(reader.reach_back.as_millis()).unwrap_or(i64::MAX);
        Self {
            consumer,
            hub,
            assign,
            rediscover,
            stopping,
            topics: Arc::clone(&reader.topics),
            health: Arc::clone(reader.client.health()),
            refresh: reader.metadata_refresh,
            start_time: TimestampMs(now_ms().0.saturating_sub(reach_back)),
            known: HashMap::new(),
            marks: HashMap::new(),
            in_doubt,
            absent: HashSet::new(),
            missed: HashMap::new(),
            leaderless: HashSet::new(),
            begun: Instant::now(),
            started: false,
        }
    }

    /// Looks, again and again, until told to stop.
    pub(super) fn run(mut self) {
        while !self.stopping.load(Ordering::Relaxed) {
            match self.round() {
                Ok(()) if !self.started && (self.leaderless.is_empty() || self.begun.elapsed() > LEADER_WAIT) => {
                    self.started = true;
                    self.say(Assignment::StartComplete);
                }
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "topics could not be looked up"),
            }
            self.pause();
        }
    }

    fn pause(&self) {
        let until = Instant::now() + if self.started { self.refresh } else { START_PAUSE };
        while Instant::now() < until && !self.stopping.load(Ordering::Relaxed) {
            std::thread::sleep(limits::DISCOVERY_PAUSE_MIN);
            // Nothing is assigned to it; what its client has to tell (faults) would wait in memory for ever.
            while self.consumer.poll(Duration::ZERO).is_some() {}
            if self.rediscover.try_recv().is_ok() {
                return;
            }
        }
    }

    fn round(&mut self) -> Result<(), KafkaError> {
        let metadata = self.consumer.fetch_metadata(None, limits::LOOKUP_TIMEOUT)?;
        self.health.clear();
        let there: HashMap<&str, i32> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .map(|topic| (topic.name(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)))
            .collect();
        let topics = self.topics.load_full();
        self.retire_unwanted(&topics);
        self.retire_gone(&topics, &there);
        self.check_logs()?;
        let mut unknown = Vec::new();
        for topic in topics.iter() {
            let partitions =
                (0..there.get(topic.as_str()).copied().unwrap_or(0)).map(|number| (topic.clone(), Partition(number)));
            unknown.extend(partitions.filter(|partition| !self.known.contains_key(partition)));
        }
        let new: Vec<_> = unknown.iter().filter(|partition| self.is_new(partition)).cloned().collect();
        let old: Vec<_> = unknown.into_iter().filter(|partition| !self.is_new(partition)).collect();
        self.read_new(&new)?;
        self.read_old(&old)?;
        self.absent.extend(topics.iter().filter(|topic| !there.contains_key(topic.as_str())).cloned());
        Ok(())
    }

    /// Whether a partition has come into being while this process looked on.
    fn is_new(&self, partition: &TopicPartition) -> bool {
        let (topic, _) = partition;
        let is_known = self.absent.contains(topic) || self.known.keys().any(|(known, _)| known == topic);
        is_known && !self.leaderless.contains(partition)
    }

    fn read_new(&mut self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let lows = self.offsets(partitions, LOG_START)?;
        let highs = self.offsets(partitions, LOG_END)?;
        let mut readings = Vec::new();
        for partition in partitions {
            if let (Some(low), Some(high)) = (lows.get(partition), highs.get(partition)) {
                let start = LogStart { offset: *low, floor: TimestampMs(i64::MIN), is_log_start: true };
                readings.push(self.reading(partition, start, *low, *high));
            }
        }
        self.say(Assignment::Read(readings));
        Ok(())
    }

    fn read_old(&mut self, partitions: &[TopicPartition]) -> Result<(), KafkaError> {
        if partitions.is_empty() {
            return Ok(());
        }
        // The end first: what arrives between the two questions is then after it, not before the start.
        let highs = self.offsets(partitions, LOG_END)?;
        let lows = self.offsets(partitions, LOG_START)?;
        // A topic that stream configuration names only later is read from now on: its subscribers come now.
        let start_time = if self.started { now_ms() } else { self.start_time };
        let times = self.offsets(partitions, start_time)?;
        let mut readings = Vec::new();
        for partition in partitions {
            let (Some(low), Some(high)) = (lows.get(partition), highs.get(partition)) else {
                tracing::warn!(topic = %partition.0, partition = %partition.1, "has no leader");
                self.leaderless.insert(partition.clone());
                continue;
            };
            self.leaderless.remove(partition);
            let offset = *times.get(partition).unwrap_or(high).max(low);
            let from = Offset((offset.0 - 1 - RUN_MAX).max(low.0));
            let start = LogStart { offset, floor: start_time, is_log_start: offset == *low };
            readings.push(self.reading(partition, start, from, *high));
        }
        self.say(Assignment::Read(readings));
        Ok(())
    }

    pub(super) fn reading(&mut self, partition: &TopicPartition, start: LogStart, from: Offset, end: Offset) -> Reading {
        let (topic, number) = partition;
        tracing::debug!(%topic, partition = %number, %from, kept_from = %start.offset, %end, "reading");
        let added = self.hub.add_partition(topic, *number, start);
        self.known.insert(partition.clone(), Arc::clone(&added));
        Reading { partition: added, from, end }
    }

    /// Topics that stream configuration names no more.
    fn retire_unwanted(&mut self, topics: &BTreeSet<Topic>) {
        let unwanted: Vec<_> = self.known.keys().filter(|(topic, _)| !topics.contains(topic)).cloned().collect();
        for partition in unwanted {
            self.retire(&partition);
        }
    }

    fn retire_gone(&mut self, topics: &BTreeSet<Topic>, there: &HashMap<&str, i32>) {
        for topic in topics {
            let missed = self.missed.entry(topic.clone()).or_insert(0);
            *missed = if there.contains_key(topic.as_str()) { 0 } else { missed.saturating_add(1) };
        }
        let missed = &self.missed;
        let is_gone = |topic: &Topic| missed.get(topic).is_some_and(|rounds| *rounds >= GONE_AFTER_ROUNDS);
        let gone: Vec<_> = self.known.keys().filter(|(topic, _)| is_gone(topic)).cloned().collect();
        for partition in gone {
            tracing::warn!(topic = %partition.0, partition = %partition.1, "is gone from Kafka");
            self.retire(&partition);
        }
    }

    pub(super) fn show_lag(&self, read: &HashMap<TopicPartition, Offset>, highs: &HashMap<TopicPartition, Offset>) {
        let mut lags: HashMap<&Topic, i64> = HashMap::new();
        for (partition, high) in highs {
            let next = read.get(partition).map_or(high.0, |next| next.0);
            *lags.entry(&partition.0).or_default() += (high.0 - next).max(0);
        }
        for (topic, lag) in lags {
            self.hub.metrics().lag_records.get_or_create(&TopicLabel { topic: topic.to_string() }).set(lag);
        }
    }

    pub(super) fn retire(&mut self, partition: &TopicPartition) {
        self.marks.remove(partition);
        if let Some(retired) = self.known.remove(partition) {
            self.say(Assignment::Stop(Arc::clone(&retired)));
            self.hub.retire_partition(&retired);
        }
    }

    /// One round of `ListOffsets`; partitions without an answer are left out.
    pub(super) fn offsets(
        &self,
        partitions: &[TopicPartition],
        time: TimestampMs,
    ) -> Result<HashMap<TopicPartition, Offset>, KafkaError> {
        self.offsets_at_times(partitions.iter().map(|partition| (partition, time)))
    }

    /// The same with a time for each partition.
    pub(super) fn offsets_at_times<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a TopicPartition, TimestampMs)>,
    ) -> Result<HashMap<TopicPartition, Offset>, KafkaError> {
        let mut wanted = TopicPartitionList::new();
        for ((topic, Partition(number)), time) in partitions {
            wanted.add_partition_offset(topic.as_str(), *number, KafkaOffset::from_raw(time.0))?;
        }
        if wanted.count() == 0 {
            return Ok(HashMap::new());
        }
        let found = offsets_at(&self.consumer, wanted)?;
        Ok(found.into_iter().filter_map(|(topic, number, offset)| Some(((topic, number), offset?))).collect())
    }

    pub(super) fn say(&self, assignment: Assignment) {
        if self.assign.send(assignment).is_err() {
            tracing::debug!("the live consumer has ended");
        }
    }
}

fn now_ms() -> TimestampMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}
