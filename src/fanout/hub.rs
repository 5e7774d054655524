//! The hub: events arrive here once and go out to every feed that follows their partition.
//!
//! * `membership`: subscribers join and leave feeds.
//! * `partitions`: partitions are added, replaced, moved and retired.
//! * `retention`: the bound of all memory logs together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

pub use self::membership::FeedMembership;
use self::retention::{Arrived, Retention};
use super::feed::FeedKey;
use super::followers::FeedEntry;
use super::partition::{Arrival, HubPartition};
use super::replay_permits::{PermitLimits, ReplayPermits};
use super::scan_pace::ScanPace;
use super::upstream::Upstream;
use crate::cursor::TimestampMs;
use crate::event::PublicEvent;
use crate::limits;
use crate::memory::{MemoryBudget, Use};
use crate::stream::Topic;
use crate::telemetry::metrics::{KindLabel, Metrics, gauge_value};

mod membership;
mod partitions;
mod retention;

/// The hub's bounds.
#[derive(Clone, Copy, Debug)]
pub struct HubLimits {
    /// Bytes of all memory logs together.
    pub memory_log_bytes_max: usize,
    /// Bytes of one feed's ring.
    pub feed_bytes_max: usize,
    /// Bytes of the rings of all feeds; `None` for half of `memory_bytes_max`.
    pub feeds_bytes_max: Option<usize>,
    /// Bytes of everything that clients cause.
    pub memory_bytes_max: usize,
    /// Subscribers that are replayed from Kafka at once.
    pub replays_max: usize,
    /// Those of one client address; `None` for no bound.
    pub replays_per_client_max: Option<usize>,
    /// Subscribers that wait for a replay.
    pub replay_queue_max: usize,
    /// The size of one step of a subscriber.
    pub step: StepLimits,
}

/// How much a subscriber delivers in one step. The operator does not set it; the unit tests use
/// tiny steps, so that their short runs meet every boundary.
#[derive(Clone, Copy, Debug)]
pub struct StepLimits {
    /// See [`limits::MEMORY_READ_ENTRIES_MAX`].
    pub memory_entries_max: usize,
    /// See [`limits::CATCH_UP_WRITE_BYTES`].
    pub catch_up_bytes: usize,
    /// See [`limits::LIVE_WRITE_BYTES`].
    pub live_bytes_max: usize,
    /// See [`limits::FILTER_SCAN_RECORDS_MAX`].
    pub scanned_records_max: u64,
    /// See [`limits::PROGRESS_RECORDS`].
    pub progress_records: u64,
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            memory_entries_max: limits::MEMORY_READ_ENTRIES_MAX,
            catch_up_bytes: limits::CATCH_UP_WRITE_BYTES,
            live_bytes_max: limits::LIVE_WRITE_BYTES,
            scanned_records_max: limits::FILTER_SCAN_RECORDS_MAX,
            progress_records: limits::PROGRESS_RECORDS,
        }
    }
}

/// How far a record's timestamp must lie ahead of this machine's clock to be of the future.
pub const FUTURE_MIN: Duration = Duration::from_hours(1);

/// Routes records from the live consumer to the memory logs and the feeds.
#[derive(Debug)]
pub struct Hub {
    /// Locked briefly, and never while events are rendered.
    routes: RwLock<Routes>,
    /// Locked while something is published, and before any other lock. Joining and leaving do not
    /// take it.
    retention: Mutex<Retention>,
    ready: watch::Sender<bool>,
    limits: HubLimits,
    rewrites: AtomicU64,
    /// Bytes that one feed's ring may hold now: fewer when there are many feeds.
    feed_bytes_max: Arc<AtomicUsize>,
    memory: Arc<MemoryBudget>,
    pub(super) replay_permits: ReplayPermits,
    /// How fast subscribers with filters look at records.
    pub(super) scan_pace: ScanPace,
    pub(super) upstream: Upstream,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Routes {
    partitions: HashMap<Topic, Vec<Arc<HubPartition>>>,
    feeds: HashMap<FeedKey, Arc<FeedEntry>>,
    /// The feeds that follow a topic.
    by_topic: HashMap<Topic, Vec<Arc<FeedEntry>>>,
}

impl Routes {
    fn partitions_of(&self, topic: &Topic) -> impl Iterator<Item = &Arc<HubPartition>> {
        self.partitions.get(topic).into_iter().flatten()
    }

    fn feeds_of(&self, topic: &Topic) -> impl Iterator<Item = &Arc<FeedEntry>> {
        self.by_topic.get(topic).into_iter().flatten()
    }
}

impl Hub {
    /// A hub without partitions.
    #[must_use]
    pub fn new(limits: HubLimits, upstream: Upstream, metrics: Arc<Metrics>) -> Arc<Self> {
        let permit_limits = PermitLimits {
            permits: limits.replays_max,
            permits_per_client: limits.replays_per_client_max,
            queue: limits.replay_queue_max,
        };
        Arc::new(Self {
            routes: RwLock::default(),
            retention: Mutex::default(),
            ready: watch::Sender::new(false),
            limits,
            rewrites: AtomicU64::new(0),
            feed_bytes_max: Arc::new(AtomicUsize::new(limits.feed_bytes_max)),
            memory: MemoryBudget::with_feeds(limits.memory_bytes_max, limits.feeds_bytes_max),
            replay_permits: ReplayPermits::new(permit_limits),
            scan_pace: ScanPace::new(limits::FILTER_SCAN_RECORDS_PER_SECOND),
            upstream,
            metrics,
        })
    }

    /// Sets whether every partition has been read up to its end at start. Clients can subscribe
    /// only then.
    pub fn set_ready(&self, ready: bool) {
        self.ready
            .send_if_modified(|now| std::mem::replace(now, ready) != ready);
    }

    /// Whether clients can subscribe.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Changes when the hub becomes ready.
    #[must_use]
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The server's metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The budget of the memory that clients cause.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.memory
    }

    /// Frees memory when it is short: rings shrink, stalled replays drop what they fetched, and as
    /// many stalled clients as necessary are disconnected. Call it every
    /// [`limits::MEMORY_POLL_INTERVAL`].
    pub fn relieve(&self) {
        if self.memory.held_for(Use::Feeds) > self.memory.feeds_max() || self.memory.excess() > 0 {
            let entries: Vec<_> = self.routes.read().feeds.values().cloned().collect();
            for entry in entries {
                entry.feed.shrink();
            }
        }
        if self.memory.excess() > 0 {
            self.replay_permits.revoke_stalled();
        }
        let excess = self.memory.excess();
        if excess > 0 {
            let evicted = self.memory.stalled().evict(excess);
            self.metrics.memory_disconnects.increment(evicted as u64);
        }
        self.memory.reset_demand();
    }

    /// Requests a look-up of topics now, because the wanted ones may have changed.
    pub fn rediscover(&self) {
        self.upstream.rediscover();
    }

    /// Waits a moment until discovery has made `is_found` true, and returns whether it has.
    pub async fn await_discovery(&self, is_found: impl Fn() -> bool) -> bool {
        for pause in limits::DISCOVERY_PAUSES {
            if is_found() {
                return true;
            }
            self.upstream.rediscover_for_client();
            tokio::time::sleep(pause).await;
        }
        is_found()
    }

    /// Updates the gauges that are not kept up to date continuously. Call it before they are read.
    pub fn update_gauges(&self) {
        self.metrics
            .replays_running
            .set(gauge_value(self.replay_permits.in_use()));
        self.metrics
            .replays_waiting
            .set(gauge_value(self.replay_permits.waiting()));
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

    /// Publishes a batch from the live consumer: to the memory logs, to every feed that follows,
    /// then one wake-up for each feed. Never waits for a subscriber.
    pub fn publish(&self, batch: Vec<Arrival>) {
        let horizon = TimestampMs::now().saturating_add(FUTURE_MIN);
        let mut retention = self.retention.lock();
        let mut touched: Vec<Arc<FeedEntry>> = Vec::new();
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
            let mut followers = partition.followers.admit();
            // A feed that joins from here on starts after this record, and does not wait until it
            // is rendered.
            drop(log);
            followers.retain(|follower| {
                if follower.is_closed() {
                    return false;
                }
                follower.feed.push(&partition, &entry);
                // Searching `touched` instead would cost the square of the number of feeds.
                if follower.touch() {
                    touched.push(Arc::clone(follower));
                }
                true
            });
            drop(followers);
            retention.add(Arrived {
                partition,
                cost: entry.cost(),
                timestamp,
            });
        }
        for follower in touched {
            follower.wake();
        }
        retention.trim(self.limits.memory_log_bytes_max);
        self.metrics
            .memory_log_bytes
            .set(gauge_value(retention.bytes()));
        self.metrics
            .memory_log_seconds
            .set(gauge_value(retention.span_ms() / 1000));
    }

    /// Replaces each event for which `rewrite` returns another one, in the memory logs, in the
    /// feeds and in the buffers of subscribers that catch up.
    pub fn rewrite(&self, rewrite: impl Fn(&Topic, &PublicEvent) -> Option<PublicEvent>) {
        // Nothing is published meanwhile: an event on its way to the feeds would reach them
        // unchanged.
        let _publishing = self.retention.lock();
        let routes = self.routes.write();
        for partition in routes.partitions.values().flatten() {
            partition
                .log
                .write()
                .rewrite(|event| rewrite(&partition.topic, event));
        }
        for entry in routes.feeds.values() {
            entry.feed.forget_frames();
        }
        self.rewrites.fetch_add(1, Ordering::Release);
    }

    pub(super) fn step_limits(&self) -> StepLimits {
        self.limits.step
    }

    /// How often [`Hub::rewrite`] has run. What was fetched before a run must not be delivered
    /// after it.
    pub(super) fn rewrites(&self) -> u64 {
        self.rewrites.load(Ordering::Acquire)
    }
}
