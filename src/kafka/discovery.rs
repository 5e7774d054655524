//! Finds the topics and partitions that are to be read, at start and later, and where each is to be
//! read from.
//!
//! At start a partition is read from `reach_back` before now, so that clients that come back after a
//! restart are served from memory. A partition that appears later is new: it is read from its first
//! record. A topic whose id has changed was made anew: all of its log is new. A topic that goes out of
//! sight stays as it is, and goes on where it was when it comes back with the same id.
//!
//! Each topic is looked up, caught up with and given up by itself: one that has no leader, or may not
//! be read, keeps no other from being served.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_channel::Receiver;
use rdkafka::error::KafkaError;

use super::KafkaReader;
use super::client::Consumer;
use super::live_consumer::{Assignment, Reading};
use super::offsets::{LOG_END, LOG_START, Times, offsets_at};
use super::range_reader::RangeReader;
use super::topics::{Described, describe, nearest};
use crate::cursor::{LogId, Offset, Partition, TimestampMs};
use crate::fanout::{Hub, HubPartition, LogStart};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::kafka_health::{KafkaHealth, TopicTrouble};

pub(super) type TopicPartition = (Topic, Partition);

/// See the module.
pub(super) struct Discovery {
    /// The connection for questions.
    consumer: Arc<Consumer>,
    /// Reads single records, to see what lies behind a position.
    pub(super) prober: RangeReader,
    pub(super) hub: Arc<Hub>,
    assignments: Sender<Assignment>,
    rediscover: Receiver<()>,
    stopping: Arc<AtomicBool>,
    topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    health: Arc<KafkaHealth>,
    refresh: Duration,
    /// Where reading begins at start, in time.
    start_time: TimestampMs,
    cluster: Option<String>,
    pub(super) known: HashMap<TopicPartition, Known>,
    /// Partitions that were there when their topic was seen first, and could not be read yet: what
    /// they hold is not new.
    old: HashSet<TopicPartition>,
    /// What was last found of each topic.
    states: HashMap<Topic, TopicState>,
    /// Set by the live consumer when it has lost its position in some partition.
    in_doubt: Arc<AtomicBool>,
    begun: Instant,
    /// When everything was read for the first time.
    caught_up: Option<Instant>,
    started: bool,
}

/// A partition that is read.
pub(super) struct Known {
    pub(super) partition: Arc<HubPartition>,
    /// Kafka's id of its topic.
    topic_id: Option<[u8; 16]>,
    /// Where its log ended when reading began: it is caught up with there.
    end_at_start: Offset,
    /// What the last look found: how far it was read, and where its log ended.
    pub(super) last_read: Offset,
    pub(super) last_high: Offset,
    /// Since when nothing was read of it, although Kafka has more.
    pub(super) unread_since: Option<Instant>,
    /// Since when its log ends here, which is before what was read.
    pub(super) shorter_since: Option<(Offset, Instant)>,
    has_leader: bool,
}

/// What was last found of a topic.
#[derive(Debug, Default)]
struct TopicState {
    trouble: Option<TopicTrouble>,
    /// When Kafka last had no topic of this name, by this machine's clock.
    absent_at: Option<TimestampMs>,
    /// It was seen but could not be read: what it holds then is not new.
    seen_unread: bool,
}

/// How long a partition without a leader keeps the others from being served at start.
const LEADER_WAIT: Duration = Duration::from_secs(10);

/// Between two rounds while not everything is read yet.
const START_PAUSE: Duration = Duration::from_millis(250);

/// How often it is looked whether everything is read yet.
const START_POLL: Duration = Duration::from_millis(20);

/// Records of a topic that appears may be so much older than the last look that did not find it.
const APPEARANCE_MAX: Duration = Duration::from_mins(1);

/// Offsets before its start that are read of a partition: a record there says what an id names. All
/// may be holes.
const RUN_UP: i64 = 100;

/// How long these are waited for at start before they are looked for further back.
const RUN_UP_WAIT: Duration = Duration::from_millis(200);

/// At start more records than these are not read because of one record of the future.
const UNCHECKED_RECORDS: i64 = 10_000;

impl Discovery {
    pub(super) fn new(
        reader: &KafkaReader,
        consumer: Arc<Consumer>,
        hub: Arc<Hub>,
        assignments: Sender<Assignment>,
        rediscover: Receiver<()>,
        stopping: Arc<AtomicBool>,
        in_doubt: Arc<AtomicBool>,
    ) -> Self {
        let few = vec![
            ("queued.min.messages", "100".to_owned()),
            ("queued.max.messages.kbytes", "16384".to_owned()),
        ];
        Self {
            consumer,
            prober: RangeReader::new(&reader.client, "probe", few),
            hub,
            assignments,
            rediscover,
            stopping,
            topics: Arc::clone(&reader.topics),
            health: Arc::clone(reader.client.health()),
            refresh: reader.metadata_refresh,
            start_time: TimestampMs::now().saturating_sub(reader.reach_back),
            cluster: None,
            known: HashMap::new(),
            old: HashSet::new(),
            states: HashMap::new(),
            in_doubt,
            begun: Instant::now(),
            caught_up: None,
            started: false,
        }
    }

    /// Looks, again and again, until it is stopped.
    pub(super) fn run(mut self) {
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
            // Nothing is assigned to it; what its client has to tell (faults) would wait in memory for ever.
            while self.consumer.poll(Duration::ZERO).is_some() {}
            if !self.started && has_answered && self.is_caught_up() {
                let caught_up = *self.caught_up.get_or_insert_with(Instant::now);
                if self.timeless().is_empty() || caught_up.elapsed() > RUN_UP_WAIT {
                    self.find_times();
                    self.start_serving();
                }
            }
            let (pause, poll) = if self.started {
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

    fn start_serving(&mut self) {
        self.started = true;
        self.hub.set_ready(true);
        tracing::info!(partitions = self.known.len(), "ready to serve streams");
    }

    /// Whether every partition that can be read was read up to where it ended at start. What cannot
    /// be read for long is given up for now.
    fn is_caught_up(&self) -> bool {
        if self.begun.elapsed() > LEADER_WAIT {
            let healthy = |known: &&Known| known.has_leader;
            let mut healthy = self.known.values().filter(healthy);
            return healthy
                .all(|known| known.is_caught_up() || !self.is_fine(&known.partition.topic));
        }
        let is_waited_for = |state: &TopicState| {
            matches!(
                state.trouble,
                Some(TopicTrouble::NoLeader | TopicTrouble::Failing)
            )
        };
        let is_done = |known: &Known| known.is_caught_up() || !self.is_fine(&known.partition.topic);
        let is_read = self.old.iter().all(|(topic, _)| !self.is_fine(topic));
        is_read && !self.states.values().any(is_waited_for) && self.known.values().all(is_done)
    }

    fn is_fine(&self, topic: &Topic) -> bool {
        self.states
            .get(topic)
            .is_none_or(|state| state.trouble.is_none())
    }

    fn round(&mut self) -> Result<(), KafkaError> {
        let topics = self.topics.load_full();
        self.retire_unwanted(&topics);
        let described = describe(&self.consumer, &topics, &mut self.cluster)?;
        for topic in &described {
            self.note_leaders(topic);
            self.replace_recreated(topic);
        }
        self.check_logs();
        if self.started {
            self.find_times();
        }
        let (new, old) = self.unread(&described);
        self.read_new(&new);
        self.read_old(&old);
        for topic in described {
            self.note_state(&topic);
        }
        Ok(())
    }

    /// Partitions that are not read yet: those that came into being while this process looked on,
    /// and those that were there before.
    fn unread(&mut self, described: &[Described]) -> (Vec<Unread>, Vec<Unread>) {
        let mut all = (Vec::new(), Vec::new());
        for topic in described {
            if topic
                .trouble
                .is_some_and(|trouble| trouble != TopicTrouble::NoLeader)
            {
                continue;
            }
            let state = self.states.get(&topic.topic);
            let of_topic = |(known, _): &TopicPartition| *known == topic.topic;
            let has_grown = self.known.keys().any(of_topic) || self.old.iter().any(of_topic);
            for (number, has_leader) in &topic.partitions {
                let key = (topic.topic.clone(), *number);
                if self.known.contains_key(&key) {
                    continue;
                }
                let unseen = state.is_none_or(|state| !state.seen_unread);
                let absent_at = state.and_then(|state| state.absent_at).filter(|_| unseen);
                let is_new =
                    unseen && (has_grown || absent_at.is_some()) && !self.old.contains(&key);
                if !is_new {
                    self.old.insert(key.clone());
                }
                let Described {
                    log_id, topic_id, ..
                } = *topic;
                let unread = Unread {
                    key,
                    log_id,
                    topic_id,
                    absent_at,
                };
                if *has_leader {
                    if is_new {
                        all.0.push(unread);
                    } else {
                        all.1.push(unread);
                    }
                }
            }
        }
        all
    }

    fn read_new(&mut self, partitions: &[Unread]) {
        let keys: Vec<_> = partitions.iter().map(|unread| unread.key.clone()).collect();
        let lows = self.offsets(&keys, LOG_START);
        let highs = self.offsets(&keys, LOG_END);
        let since = partitions.iter().filter_map(|unread| {
            let absent = unread.absent_at?;
            Some((unread.key.clone(), absent.saturating_sub(APPEARANCE_MAX)))
        });
        let recent = self.offsets_at(&since.collect::<Vec<_>>());
        let first = self.offsets(&keys, TimestampMs(0));
        for unread in partitions {
            let Unread { key, absent_at, .. } = unread;
            let (Some(low), Some(high)) = (lows.get(key), highs.get(key)) else {
                continue;
            };
            // A topic that holds records from before it was missed is not new: it came back into sight.
            let is_old = absent_at.is_some() && first.get(key) != recent.get(key);
            let start = if is_old {
                LogStart {
                    offset: *high,
                    floor: TimestampMs(i64::MAX),
                    timestamp: None,
                }
            } else {
                LogStart::of_log(*low)
            };
            self.read(unread, start, *low, *high);
        }
    }

    fn read_old(&mut self, partitions: &[Unread]) {
        if partitions.is_empty() {
            return;
        }
        let keys: Vec<_> = partitions.iter().map(|unread| unread.key.clone()).collect();
        // The end first: what arrives between the two questions is then after it, not before the start.
        let highs = self.offsets(&keys, LOG_END);
        let lows = self.offsets(&keys, LOG_START);
        // A topic that stream configuration names only later is read from now on: its subscribers come now.
        let start_time = if self.started {
            TimestampMs::now()
        } else {
            self.start_time
        };
        let mut times = self.offsets(&keys, start_time);
        for (key, found) in &mut times {
            if highs
                .get(key)
                .is_some_and(|high| high.0 - found.0 > UNCHECKED_RECORDS)
            {
                let exact = self
                    .prober
                    .first_at_or_after(&key.0, key.1, *found, start_time);
                *found = exact.unwrap_or(highs[key]);
            }
        }
        for unread in partitions {
            let key = &unread.key;
            let (Some(low), Some(high)) = (lows.get(key), highs.get(key)) else {
                continue;
            };
            let offset = times.get(key).unwrap_or(high).max(low);
            let start = LogStart {
                offset: *offset,
                floor: start_time,
                timestamp: None,
            };
            self.read(unread, start, *low, *high);
        }
    }

    fn read(&mut self, unread: &Unread, start: LogStart, low: Offset, end: Offset) {
        let Unread {
            key,
            log_id,
            topic_id,
            ..
        } = unread;
        let (topic, number) = key;
        let from = Offset((start.offset.0 - RUN_UP).max(low.0));
        tracing::debug!(%topic, partition = number.0, from = from.0, end = end.0, "reading");
        let partition = self.hub.add_partition(topic, *number, *log_id, start);
        self.old.remove(key);
        self.known
            .insert(key.clone(), Known::new(&partition, *topic_id, end));
        self.read_from(partition, from);
    }

    /// Partitions of which no record has told yet what an id names.
    fn timeless(&self) -> Vec<TopicPartition> {
        let known = self.known.iter().filter(|(_, known)| known.has_leader);
        known
            .filter(|(_, known)| !known.partition.knows_time())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Looks for their last records further back.
    fn find_times(&mut self) {
        let keys = self.timeless();
        let lows = self.offsets(&keys, LOG_START);
        for key in keys {
            let Some(low) = lows.get(&key) else { continue };
            let partition = Arc::clone(&self.known[&key].partition);
            let next = partition.end().next;
            let found = self.prober.last_time_before(&key.0, key.1, *low, next);
            self.hub
                .set_time(&partition, found.unwrap_or(TimestampMs(0)));
        }
    }

    pub(super) fn read_from(&self, partition: Arc<HubPartition>, from: Offset) {
        self.assign(Assignment::Read(Reading { partition, from }));
    }

    /// A topic whose id has changed is another one: its log is read from its start.
    fn replace_recreated(&mut self, topic: &Described) {
        let of_topic = |(name, _): &&TopicPartition| *name == topic.topic;
        let is_other = |key: &&TopicPartition| {
            let before = self.known[*key].topic_id;
            topic.is_visible()
                && before
                    .zip(topic.topic_id)
                    .is_some_and(|(before, now)| before != now)
        };
        let known = self.known.keys().filter(of_topic).filter(is_other);
        let keys: Vec<TopicPartition> = known.cloned().collect();
        if keys.is_empty() {
            return;
        }
        tracing::warn!(topic = %topic.topic, "the topic was deleted and made anew; all of its new log is read");
        let (lows, highs) = (self.offsets(&keys, LOG_START), self.offsets(&keys, LOG_END));
        let mut new_logs = Vec::new();
        for key in keys {
            if !topic.partitions.iter().any(|(number, _)| *number == key.1) {
                self.retire(&key);
            } else if let (Some(low), Some(high)) = (lows.get(&key), highs.get(&key)) {
                let old = Arc::clone(&self.known[&key].partition);
                self.assign(Assignment::Stop(Arc::clone(&old)));
                let start = LogStart::of_log(*low);
                let new = self.hub.recreate_partition(&old, topic.log_id, start);
                self.known
                    .insert(key, Known::new(&new, topic.topic_id, *high));
                new_logs.push((new, *low));
            }
        }
        self.assign(Assignment::NewClient);
        self.prober.renew();
        for (partition, from) in new_logs {
            self.read_from(partition, from);
        }
    }

    fn note_leaders(&mut self, topic: &Described) {
        for (number, has_leader) in &topic.partitions {
            if let Some(known) = self.known.get_mut(&(topic.topic.clone(), *number)) {
                known.has_leader = *has_leader;
                self.hub.set_available(&known.partition, *has_leader);
            }
        }
    }

    /// Keeps what was found, tells a change, and has a topic that is back in sight read on.
    fn note_state(&mut self, topic: &Described) {
        let is_known = self.known.keys().any(|(name, _)| *name == topic.topic);
        let state = self.states.entry(topic.topic.clone()).or_default();
        let before = std::mem::replace(&mut state.trouble, topic.trouble);
        match topic.trouble {
            Some(TopicTrouble::DoesNotExist) if !is_known => {
                state.absent_at = Some(TimestampMs::now())
            }
            Some(_) if !is_known => state.seen_unread = true,
            _ => {}
        }
        if before == topic.trouble {
            return;
        }
        self.health.set_topic(&topic.topic, topic.trouble);
        match topic.trouble {
            Some(TopicTrouble::DoesNotExist) if !is_known => {
                let nearest = nearest(&self.consumer, &topic.topic);
                tracing::warn!(topic = %topic.topic, nearest, "a configured topic does not exist in Kafka");
            }
            // The log has it from the health of Kafka, bounded.
            Some(_) => {}
            None => {
                let known = self.known.keys().filter(|(name, _)| *name == topic.topic);
                known.for_each(|key| self.read_again(key, Offset(0)));
            }
        }
    }

    /// Topics that stream configuration names no more.
    fn retire_unwanted(&mut self, topics: &BTreeSet<Topic>) {
        let unwanted: Vec<_> = self
            .known
            .keys()
            .filter(|(topic, _)| !topics.contains(topic))
            .cloned()
            .collect();
        for key in unwanted {
            self.retire(&key);
        }
        let gone: Vec<_> = self
            .states
            .keys()
            .filter(|topic| !topics.contains(*topic))
            .cloned()
            .collect();
        self.old.retain(|(topic, _)| topics.contains(topic));
        for topic in gone {
            self.states.remove(&topic);
            self.health.set_topic(&topic, None);
        }
    }

    fn retire(&mut self, key: &TopicPartition) {
        if let Some(known) = self.known.remove(key) {
            self.assign(Assignment::Stop(Arc::clone(&known.partition)));
            self.hub.retire_partition(&known.partition);
        }
    }

    /// The partitions that are read and have a leader. Those of a topic that is gone, or may not be read, are left out.
    pub(super) fn readable(&self) -> Vec<TopicPartition> {
        let can_be_read = |topic: &Topic| {
            let trouble = self.states.get(topic).and_then(|state| state.trouble);
            trouble.is_none_or(|trouble| trouble == TopicTrouble::NoLeader)
        };
        let known = self.known.iter().filter(|(_, known)| known.has_leader);
        let keys = known
            .map(|(key, _)| key)
            .filter(|(topic, _)| can_be_read(topic));
        keys.cloned().collect()
    }

    pub(super) fn take_doubt(&self) -> bool {
        self.in_doubt.swap(false, Ordering::AcqRel)
    }

    pub(super) fn put_in_doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }

    /// The offsets of one time in many partitions. Those without an answer are left out.
    pub(super) fn offsets(
        &self,
        partitions: &[TopicPartition],
        time: TimestampMs,
    ) -> HashMap<TopicPartition, Offset> {
        let wanted: Times = partitions.iter().map(|key| (key.clone(), time)).collect();
        self.offsets_at(&wanted)
    }

    fn offsets_at(
        &self,
        wanted: &[(TopicPartition, TimestampMs)],
    ) -> HashMap<TopicPartition, Offset> {
        offsets_at(&self.consumer, wanted)
    }

    pub(super) fn assign(&self, assignment: Assignment) {
        if self.assignments.send(assignment).is_err() {
            tracing::debug!("the live consumer has ended");
        }
    }
}

/// A partition that Kafka has and that is not read.
struct Unread {
    key: TopicPartition,
    log_id: Option<LogId>,
    topic_id: Option<[u8; 16]>,
    /// When its topic was last missed, if it was.
    absent_at: Option<TimestampMs>,
}

impl Known {
    fn new(partition: &Arc<HubPartition>, topic_id: Option<[u8; 16]>, end: Offset) -> Self {
        Self {
            partition: Arc::clone(partition),
            topic_id,
            end_at_start: end,
            last_read: Offset(-1),
            last_high: Offset(-1),
            unread_since: None,
            shorter_since: None,
            has_leader: true,
        }
    }

    /// Its log was cut, and is read on in `partition`.
    pub(super) fn go_on_in(&mut self, partition: &Arc<HubPartition>) {
        let end = self.end_at_start.min(partition.end().next);
        *self = Self::new(partition, self.topic_id, end);
    }

    fn is_caught_up(&self) -> bool {
        self.partition.end().next >= self.end_at_start
    }
}
