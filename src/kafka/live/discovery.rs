//! Looks for the topics and partitions that are to be read, at start and later, and decides from
//! where each is read.
//!
//! A topic whose id has changed was recreated: its whole log is new. A topic that Kafka does not
//! show for a while stays as it is, and reading continues when it returns with the same id.
//!
//! Each topic is looked up, caught up with and given up on its own: one that has no leader, or may
//! not be read, does not keep the others from being served.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_channel::Receiver;
use rdkafka::error::KafkaError;

use super::consumer::Assignment;
use super::log_check::{LogChecker, UNREAD_FOR, Verdict};
use super::partitions::LivePartitions;
use super::readiness::Readiness;
use super::topic_states::TopicStates;
use super::unread::{Beginning, UnreadPartitions};
use crate::cursor::{Offset, TimestampMs};
use crate::fanout::Hub;
use crate::kafka::client::Consumer;
use crate::kafka::history::RangeReader;
use crate::kafka::offsets::{LOG_END, LOG_START, offsets_at};
use crate::kafka::topics::{Described, describe, set_log_ids};
use crate::kafka::{KafkaReader, TopicPartition};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::kafka_health::KafkaHealth;
use crate::telemetry::metrics::{TopicLabel, gauge_value};

/// Pause between two rounds until the server is ready.
const START_PAUSE: Duration = Duration::from_millis(250);

/// How often readiness is checked meanwhile.
const START_POLL: Duration = Duration::from_millis(20);

/// See the module.
pub(in crate::kafka) struct Discovery {
    /// The connection for questions.
    questions: Arc<Consumer>,
    /// Reads single records, to see what lies behind a position.
    prober: RangeReader,
    hub: Arc<Hub>,
    rediscover: Receiver<()>,
    stopping: Arc<AtomicBool>,
    topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    health: Arc<KafkaHealth>,
    refresh: Duration,
    cluster: Option<String>,
    partitions: LivePartitions,
    unread: UnreadPartitions,
    states: TopicStates,
    log_checker: LogChecker,
    readiness: Readiness,
}

impl Discovery {
    pub(in crate::kafka) fn new(
        reader: &KafkaReader,
        questions: Arc<Consumer>,
        hub: Arc<Hub>,
        assignments: Sender<Assignment>,
        rediscover: Receiver<()>,
        stopping: Arc<AtomicBool>,
        in_doubt: Arc<AtomicBool>,
    ) -> Self {
        let start_time = TimestampMs::now().saturating_sub(reader.reach_back);
        Self {
            prober: RangeReader::for_few_records(&reader.client, "probe"),
            rediscover,
            stopping,
            topics: Arc::clone(&reader.topics),
            health: Arc::clone(reader.client.health()),
            refresh: reader.metadata_refresh,
            cluster: None,
            partitions: LivePartitions::new(Arc::clone(&hub), assignments),
            unread: UnreadPartitions::new(start_time),
            states: TopicStates::new(Arc::clone(reader.client.health())),
            log_checker: LogChecker::new(Arc::clone(&questions), in_doubt),
            readiness: Readiness::new(),
            questions,
            hub,
        }
    }

    /// Looks again and again, until it is stopped.
    pub(in crate::kafka) fn run(mut self) {
        while !self.stopping.load(Ordering::Relaxed) {
            let round = self.round();
            match &round {
                Ok(()) => self.health.answered(),
                // The client's context has reported the cause.
                Err(error) => tracing::debug!(%error, "topics could not be looked up"),
            }
            self.pause(round.is_ok());
        }
    }

    fn pause(&mut self, has_answered: bool) {
        let began = Instant::now();
        self.prober.rest_long();
        loop {
            // Nothing is assigned to this consumer, but its client's reports (faults) would stay in
            // memory until they are polled.
            while self.questions.poll(Duration::ZERO).is_some() {}
            if has_answered {
                self.serve_when_ready();
            }
            let (pause, poll) = if self.readiness.is_ready() {
                (self.refresh, limits::DISCOVERY_PAUSE_MIN)
            } else {
                (START_PAUSE, START_POLL)
            };
            if began.elapsed() >= pause || self.stopping.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(poll);
            if began.elapsed() >= limits::DISCOVERY_PAUSE_MIN && self.rediscover.try_recv().is_ok()
            {
                return;
            }
        }
    }

    fn serve_when_ready(&mut self) {
        if self
            .readiness
            .is_due(&self.partitions, &self.unread, &self.states)
        {
            self.find_times();
            self.readiness.set_ready();
            self.hub.set_ready(true);
            tracing::info!(partitions = self.partitions.len(), "ready to serve streams");
        }
    }

    fn round(&mut self) -> Result<(), KafkaError> {
        let topics = self.topics.load_full();
        self.retire_unwanted(&topics);
        let mut described = describe(&self.questions, &topics, limits::LOOKUP_TIMEOUT)?;
        set_log_ids(&self.questions, &mut described, &mut self.cluster);
        for topic in &described {
            self.partitions.set_leaders(topic);
            self.replace_recreated(topic);
        }
        self.check_logs();
        if self.readiness.is_ready() {
            self.find_times();
        }
        self.read_unread(&described);
        for topic in &described {
            let known = self.partitions.of_topic(&topic.topic);
            let is_back = self.states.store(topic, !known.is_empty(), &self.questions);
            if is_back {
                for key in &known {
                    self.partitions.read_again(key, Offset(0));
                }
            }
        }
        Ok(())
    }

    /// Stops reading topics that stream configuration no longer names.
    fn retire_unwanted(&mut self, topics: &BTreeSet<Topic>) {
        for key in self.partitions.outside(topics) {
            self.partitions.retire(&key);
        }
        self.unread.retain(topics);
        self.states.retain(topics);
    }

    /// Reads the whole log of a topic whose id has changed: it is another topic.
    fn replace_recreated(&mut self, topic: &Described) {
        let has_other_id = |key: &TopicPartition| {
            let known = self.partitions.get(key).and_then(|known| known.topic_id);
            known
                .zip(topic.topic_id)
                .is_some_and(|(known, now)| known != now)
        };
        let mut keys = self.partitions.of_topic(&topic.topic);
        keys.retain(has_other_id);
        if keys.is_empty() || !topic.is_visible() {
            return;
        }
        tracing::warn!(
            topic = %topic.topic,
            "the topic was deleted and recreated; its whole new log is read"
        );
        let lows = offsets_at(&self.questions, &keys, LOG_START);
        let highs = offsets_at(&self.questions, &keys, LOG_END);
        let mut readings = Vec::new();
        for key in &keys {
            if !topic.partitions.iter().any(|(number, _)| *number == key.1) {
                self.partitions.retire(key);
            } else if let (Some(low), Some(high)) = (lows.get(key), highs.get(key)) {
                readings.extend(self.partitions.recreate(key, topic, *low, *high));
            }
        }
        self.partitions.renew_client();
        self.prober.renew();
        for reading in readings {
            self.partitions.read(reading);
        }
    }

    fn check_logs(&mut self) {
        let mut keys = self.partitions.with_leader();
        keys.retain(|(topic, _)| self.states.may_be_readable(topic));
        let bounds = self.log_checker.bounds(&keys);
        self.show_lag(&bounds.highs);
        let mut unread = None;
        for key in &keys {
            let Some(known) = self.partitions.get_mut(key) else {
                continue;
            };
            match self.log_checker.check(known, &bounds, &mut self.prober) {
                Verdict::Intact => {}
                Verdict::Unsettled => self.hub.rediscover(),
                Verdict::Unread => unread = Some(key),
                Verdict::ReadAgain { low } => self.partitions.read_again(key, low),
                Verdict::Cut { at } => self.partitions.truncate(key, at),
                Verdict::Hole { end } => self.hub.pass_hole(&known.partition, end),
            }
        }
        if let Some((topic, partition)) = unread {
            tracing::warn!(
                %topic, %partition, seconds = UNREAD_FOR.as_secs(),
                "no record of a partition was read although it has some; \
                 the live consumer gets a new client"
            );
            self.partitions.renew_client();
        }
    }

    fn show_lag(&self, highs: &HashMap<TopicPartition, Offset>) {
        let mut lags: HashMap<&Topic, i64> = HashMap::new();
        for (key, high) in highs {
            let known = self.partitions.get(key);
            let read = known.map_or(*high, |known| known.partition.end().next);
            *lags.entry(&key.0).or_default() += (high.0 - read.0).max(0);
        }
        for (topic, lag) in lags {
            let label = TopicLabel {
                topic: topic.to_string(),
            };
            let metrics = self.hub.metrics();
            let lag = gauge_value(lag);
            metrics.lag_records.get_or_create(&label).set(lag);
        }
    }

    /// Looks further back for the last record of partitions that have given no timestamp for event
    /// ids yet.
    fn find_times(&mut self) {
        let keys = self.partitions.without_time();
        let lows = offsets_at(&self.questions, &keys, LOG_START);
        for key in &keys {
            let (Some(low), Some(known)) = (lows.get(key), self.partitions.get(key)) else {
                continue;
            };
            let next = known.partition.end().next;
            let found = self.prober.last_time_before(&key.0, key.1, *low, next);
            let time = found.unwrap_or(TimestampMs(0));
            self.hub.set_time(&known.partition, time);
        }
    }

    fn read_unread(&mut self, described: &[Described]) {
        let found = self.unread.find(described, &self.partitions, &self.states);
        self.begin(UnreadPartitions::beginnings_of_new(
            found.new,
            &self.questions,
        ));
        let old = self.unread.beginnings_of_old(
            found.old,
            self.readiness.is_ready(),
            &self.questions,
            &mut self.prober,
        );
        self.begin(old);
    }

    fn begin(&mut self, beginnings: Vec<Beginning>) {
        for beginning in beginnings {
            self.unread.remove(&beginning.unread.key);
            self.partitions.begin(beginning);
        }
    }
}
