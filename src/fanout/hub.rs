//! The hub: where events come in once and go out to every feed that follows their partition.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::feed::{Feed, FeedKey, Replacement};
use super::followers::FeedUse;
use super::partition::{Arrival, HubPartition};
use super::partition_log::{LogStart, PartitionLog};
use super::places::{PlaceLimits, ReplayPlaces};
use super::upstream::Upstream;
use crate::cursor::{LogId, MovedReason, Offset, Partition, Requested, TimestampMs};
use crate::event::PublicEvent;
use crate::limits;
use crate::memory::{MemoryBudget, Use};
use crate::stream::Topic;
use crate::telemetry::metrics::{KindLabel, Metrics, gauge_value};

/// The hub's bounds.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Bytes that all memory logs together may hold.
    pub memory_log_bytes_max: usize,
    /// Bytes that one feed's ring may hold.
    pub feed_bytes_max: usize,
    /// Bytes that everything may hold that clients cause.
    pub memory_bytes_max: usize,
    /// How many subscribers may be replayed from Kafka at once.
    pub replay_places_max: usize,
    /// How many of them may be of one client address; `None` for no bound.
    pub replay_places_per_client_max: Option<usize>,
    /// How many more may wait for a place.
    pub replay_queue_max: usize,
}

/// How far a record's timestamp may lie ahead of this machine's clock before it is of the future.
pub const FUTURE_MIN: Duration = Duration::from_hours(1);

/// See the module.
#[derive(Debug)]
pub struct Hub {
    /// Held for a moment only, and never while events are rendered.
    routes: RwLock<Routes>,
    /// What the memory logs hold, oldest arrival first. Held as long as something is published, and
    /// taken before any other lock. Nobody who joins or leaves takes it.
    retention: Mutex<Retention>,
    ready: watch::Sender<bool>,
    limits: HubLimits,
    rewrites: AtomicU64,
    /// Bytes that one feed's ring may hold now: fewer when there are many feeds.
    feed_bytes_max: Arc<AtomicUsize>,
    memory: Arc<MemoryBudget>,
    pub(super) places: ReplayPlaces,
    pub(super) upstream: Upstream,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Routes {
    partitions: HashMap<Topic, Vec<Arc<HubPartition>>>,
    feeds: HashMap<FeedKey, Arc<FeedUse>>,
    /// The feeds that follow a topic.
    by_topic: HashMap<Topic, Vec<Arc<FeedUse>>>,
}

#[derive(Debug, Default)]
struct Retention {
    /// Partition, cost in bytes and Kafka's timestamp.
    arrivals: VecDeque<(Arc<HubPartition>, usize, TimestampMs)>,
    bytes: usize,
}

impl Hub {
    /// A hub that nothing is read into yet.
    #[must_use]
    pub fn new(limits: HubLimits, upstream: Upstream, metrics: Arc<Metrics>) -> Arc<Self> {
        let places = PlaceLimits {
            places: limits.replay_places_max,
            places_per_client: limits.replay_places_per_client_max,
            queue: limits.replay_queue_max,
        };
        Arc::new(Self {
            routes: RwLock::default(),
            retention: Mutex::default(),
            ready: watch::Sender::new(false),
            limits,
            rewrites: AtomicU64::new(0),
            feed_bytes_max: Arc::new(AtomicUsize::new(limits.feed_bytes_max)),
            memory: MemoryBudget::new(limits.memory_bytes_max),
            places: ReplayPlaces::new(places),
            upstream,
            metrics,
        })
    }

    /// Says whether every partition was read up to where it ended at start: only then may anyone
    /// subscribe.
    pub fn set_ready(&self, ready: bool) {
        self.ready
            .send_if_modified(|now| std::mem::replace(now, ready) != ready);
    }

    /// Whether subscribers are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Something to wait on until the hub is ready.
    #[must_use]
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The server's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The budget of memory that clients cause.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }

    /// Makes room when memory is short: rings shrink, stalled replays let go of what they fetched,
    /// and clients that take nothing have to go, as many as needed. To be called every
    /// [`limits::MEMORY_POLL_INTERVAL`].
    pub fn relieve(&self) {
        if self.memory.held_for(Use::Feeds) > self.memory.feeds_max() || self.memory.excess() > 0 {
            let feeds: Vec<_> = self.routes.read().feeds.values().cloned().collect();
            for used in feeds {
                used.feed.shrink();
            }
        }
        if self.memory.excess() > 0 {
            self.places.let_go_of_stalled();
        }
        let excess = self.memory.excess();
        if excess > 0 {
            let gone = self.memory.stalled().evict(excess);
            self.metrics.memory_disconnects.increment(gone as u64);
        }
        self.memory.reset_demand();
    }

    /// Asks that topics be looked for now: other ones may be wanted.
    pub fn rediscover(&self) {
        self.upstream.rediscover();
    }

    /// Gives discovery a moment to find what `found` asks for; whether it did.
    pub async fn await_discovery(&self, found: impl Fn() -> bool) -> bool {
        for pause in limits::DISCOVERY_PAUSES {
            if found() {
                return true;
            }
            self.upstream.rediscover_for_client();
            tokio::time::sleep(pause).await;
        }
        found()
    }

    /// Brings the gauges up to date that nobody keeps as they change: for whoever is about to read
    /// them.
    pub fn update_gauges(&self) {
        self.metrics
            .replays_running
            .set(gauge_value(self.places.taken()));
        self.metrics
            .replays_waiting
            .set(gauge_value(self.places.waiting()));
        self.metrics
            .memory_budget_bytes
            .set(gauge_value(self.memory.max()));
        for of in Use::ALL {
            self.metrics
                .memory_used_bytes
                .get_or_create(&KindLabel { kind: of.name() })
                .set(gauge_value(self.memory.held_for(of)));
        }
    }

    /// Whether Kafka has the topic.
    #[must_use]
    pub fn has_topic(&self, topic: &Topic) -> bool {
        self.routes.read().partitions.contains_key(topic)
    }

    /// The partitions of a topic that are read now.
    #[must_use]
    pub fn partitions(&self, topic: &Topic) -> Vec<Arc<HubPartition>> {
        self.routes
            .read()
            .partitions
            .get(topic)
            .cloned()
            .unwrap_or_default()
    }

    /// Reads one more partition. Feeds of its topic follow it from the start of its log on: when
    /// the hub was ready already, it is new, and all it holds is new to their subscribers.
    pub fn add_partition(
        &self,
        topic: &Topic,
        partition: Partition,
        log_id: Option<LogId>,
        start: LogStart,
    ) -> Arc<HubPartition> {
        let log = PartitionLog::new(start);
        let log = Arc::new(RwLock::new(log));
        let added = Arc::new(HubPartition::new(topic, partition, log_id, log));
        let mut routes = self.routes.write();
        routes
            .partitions
            .entry(topic.clone())
            .or_default()
            .push(Arc::clone(&added));
        let log = added.log.read();
        for used in routes.by_topic.get(topic).into_iter().flatten() {
            added.followers.join(&added, &log, used);
        }
        drop(log);
        added
    }

    /// Reads a partition whose topic was deleted and made again, from the start of its new log.
    /// Every subscriber gets all of it, and a notice.
    pub fn recreate_partition(
        &self,
        old: &Arc<HubPartition>,
        log_id: Option<LogId>,
        start: LogStart,
    ) -> Arc<HubPartition> {
        let log = Arc::new(RwLock::new(PartitionLog::new(start)));
        self.replace(old, log_id, log, Replacement::Recreated)
    }

    /// Goes on at `cut` in a partition whose log lost the records from there on. A subscriber below
    /// goes on where it is; one beyond gets a notice and goes on at `cut`.
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
        let HubPartition {
            topic, partition, ..
        } = &**old;
        let _publishing = self.retention.lock();
        let mut routes = self.routes.write();
        let asked = old.end().next;
        let reason = match how {
            Replacement::Recreated => MovedReason::TopicRecreated,
            Replacement::TruncatedAt(cut) => {
                log.write().truncate(cut);
                MovedReason::LogTruncated
            }
        };
        let start = log.read().end();
        let new = Arc::new(HubPartition::new(topic, *partition, log_id, log));
        let partitions = routes.partitions.entry(topic.clone()).or_default();
        partitions.retain(|other| !Arc::ptr_eq(other, old));
        partitions.push(Arc::clone(&new));
        let notice = new.moved(Requested::Offset(asked), start.next, reason);
        for used in routes.by_topic.get(topic).into_iter().flatten() {
            used.feed
                .replace_partition(old, Arc::clone(&new), start, how, &notice);
            new.followers.follow(used);
            used.feed.wake();
            self.metrics
                .count_moved_all(reason, *used.subscribers.lock());
        }
        new
    }

    /// Reads a partition no more: its topic was deleted, or made again.
    pub fn retire_partition(&self, retired: &Arc<HubPartition>) {
        let mut routes = self.routes.write();
        if let Some(partitions) = routes.partitions.get_mut(&retired.topic) {
            partitions.retain(|partition| !Arc::ptr_eq(partition, retired));
            if partitions.is_empty() {
                routes.partitions.remove(&retired.topic);
            }
        }
        for used in routes.by_topic.get(&retired.topic).into_iter().flatten() {
            used.feed.retire_partition(retired);
            used.feed.wake();
        }
    }

    /// Takes in a batch from the live consumer: memory log first, then every feed that follows,
    /// then one wake-up for each. Never waits for a subscriber.
    pub fn publish(&self, batch: Vec<Arrival>) {
        let horizon = TimestampMs::now().saturating_add(FUTURE_MIN);
        let mut retention = self.retention.lock();
        let mut touched: Vec<Arc<FeedUse>> = Vec::new();
        for Arrival {
            partition,
            offset,
            timestamp,
            event,
        } in batch
        {
            let mut log = partition.log.write();
            let Some(entry) = log.append(offset, timestamp, event, horizon).cloned() else {
                continue;
            };
            let mut followers = partition.followers.let_in();
            // Who joins from here on begins after this record, and does not wait until it is
            // rendered.
            drop(log);
            followers.retain(|used| {
                if used.is_gone() {
                    return false;
                }
                used.feed.push(&partition, &entry);
                // A search among those touched would cost the square of the number of feeds.
                if used.touch() {
                    touched.push(Arc::clone(used));
                }
                true
            });
            drop(followers);
            retention.bytes += entry.cost();
            retention
                .arrivals
                .push_back((partition, entry.cost(), timestamp));
        }
        for used in touched {
            used.wake();
        }
        retention.trim(self.limits.memory_log_bytes_max);
        self.metrics
            .memory_log_bytes
            .set(gauge_value(retention.bytes));
        self.metrics
            .memory_log_seconds
            .set(gauge_value(retention.span_ms() / 1000));
    }

    /// Puts other events in the place of those that `rewrite` returns something for, wherever
    /// events are kept: memory logs, feeds, and what subscribers hold who are catching up.
    pub fn rewrite(&self, rewrite: impl Fn(&Topic, &PublicEvent) -> Option<PublicEvent>) {
        // Nothing is published meanwhile: an event that is on its way to the feeds would come there
        // as it was.
        let _publishing = self.retention.lock();
        let routes = self.routes.write();
        for partition in routes.partitions.values().flatten() {
            partition
                .log
                .write()
                .rewrite(|event| rewrite(&partition.topic, event));
        }
        for used in routes.feeds.values() {
            used.feed.forget_frames();
        }
        self.rewrites.fetch_add(1, Ordering::Release);
    }

    /// How often [`Hub::rewrite`] has run: what was fetched before it must not be shown after it.
    pub(super) fn rewrites(&self) -> u64 {
        self.rewrites.load(Ordering::Acquire)
    }

    /// Goes on at `low` in a partition, where Kafka's log begins now. Every subscriber is told what
    /// it misses.
    pub fn skip_to(&self, partition: &Arc<HubPartition>, low: Offset) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        let asked = log.end().next;
        log.skip_to(low);
        let (end, followers) = (log.end(), partition.followers.let_in());
        drop(log);
        let reason = MovedReason::BelowLogStart;
        let notice = partition.moved(Requested::Offset(asked), low, reason);
        for used in followers.iter() {
            used.feed.skip_to(partition, end, &notice);
            used.feed.wake();
            self.metrics
                .count_moved_all(reason, *used.subscribers.lock());
        }
    }

    /// Says whether Kafka can be asked for a partition now: not while it has no leader. Whoever
    /// waits for it reads on once it can.
    pub fn set_available(&self, partition: &HubPartition, is_available: bool) {
        let was = partition.is_available.swap(is_available, Ordering::Relaxed);
        if is_available && !was {
            let routes = self.routes.read();
            for used in routes.by_topic.get(&partition.topic).into_iter().flatten() {
                used.feed.wake();
            }
        }
    }

    /// Says what an id names at the start of a partition that holds no record yet.
    pub fn set_time(&self, partition: &Arc<HubPartition>, timestamp: TimestampMs) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        if log.knows_time() {
            return;
        }
        log.set_time(timestamp);
        let (end, followers) = (log.end(), partition.followers.let_in());
        drop(log);
        for used in followers.iter() {
            used.feed.pass_hole(partition, end);
        }
    }

    /// Moves the end of a partition to `to`: what lies between holds no record.
    pub fn pass_hole(&self, partition: &Arc<HubPartition>, to: Offset) {
        let _publishing = self.retention.lock();
        let mut log = partition.log.write();
        if to <= log.end().next {
            return;
        }
        log.pass_hole(to);
        let (end, followers) = (log.end(), partition.followers.let_in());
        drop(log);
        for used in followers.iter() {
            used.feed.pass_hole(partition, end);
        }
    }

    /// Joins the feed of `key`, which is made if it is the first subscriber's.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: &FeedKey) -> FeedMembership {
        let mut routes = self.routes.write();
        let used = if let Some(used) = routes.feeds.get(key) {
            Arc::clone(used)
        } else {
            let feed = Feed::new(
                key.clone(),
                Arc::clone(&self.feed_bytes_max),
                Arc::clone(&self.memory),
            );
            let used = FeedUse::new(feed);
            for partition in key
                .topics
                .iter()
                .filter_map(|topic| routes.partitions.get(topic))
                .flatten()
            {
                let log = partition.log.read();
                partition.followers.join(partition, &log, &used);
            }
            for topic in key.topics.iter() {
                routes
                    .by_topic
                    .entry(topic.clone())
                    .or_default()
                    .push(Arc::clone(&used));
            }
            routes.feeds.insert(key.clone(), Arc::clone(&used));
            used
        };
        *used.subscribers.lock() += 1;
        self.count_feeds(&routes);
        FeedMembership {
            hub: Arc::clone(self),
            used,
        }
    }

    fn leave(&self, used: &Arc<FeedUse>) {
        let mut routes = self.routes.write();
        let left = {
            let mut subscribers = used.subscribers.lock();
            *subscribers -= 1;
            *subscribers
        };
        if left > 0 {
            return;
        }
        let key = used.feed.key();
        routes.feeds.remove(key);
        for topic in key.topics.iter() {
            if let Some(followers) = routes.by_topic.get_mut(topic) {
                followers.retain(|other| !Arc::ptr_eq(other, used));
                if followers.is_empty() {
                    routes.by_topic.remove(topic);
                }
            }
            for partition in routes.partitions.get(topic).into_iter().flatten() {
                partition.followers.leave(used);
            }
        }
        used.close();
        self.count_feeds(&routes);
    }

    fn count_feeds(&self, routes: &Routes) {
        let feeds = routes.feeds.len();
        self.metrics.feeds.set(gauge_value(feeds));
        self.feed_bytes_max.store(
            self.memory.feed_share(feeds, self.limits.feed_bytes_max),
            Ordering::Relaxed,
        );
    }
}

impl Retention {
    fn span_ms(&self) -> i64 {
        let time = |arrival: Option<&(Arc<HubPartition>, usize, TimestampMs)>| {
            arrival.map_or(0, |(_, _, time)| time.0)
        };
        time(self.arrivals.back()) - time(self.arrivals.front())
    }

    fn trim(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some((partition, cost, _)) = self.arrivals.pop_front() else {
                return;
            };
            self.bytes -= cost;
            partition.log.write().forget_oldest();
        }
    }
}

/// A subscriber's hold on its feed.
#[derive(Debug)]
pub struct FeedMembership {
    hub: Arc<Hub>,
    used: Arc<FeedUse>,
}

impl FeedMembership {
    /// The feed.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.used.feed
    }

    /// The hub it belongs to.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Clone for FeedMembership {
    fn clone(&self) -> Self {
        *self.used.subscribers.lock() += 1;
        Self {
            hub: Arc::clone(&self.hub),
            used: Arc::clone(&self.used),
        }
    }
}

impl Drop for FeedMembership {
    fn drop(&mut self) {
        self.hub.leave(&self.used);
    }
}
