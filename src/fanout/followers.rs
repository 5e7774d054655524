//! The feeds that follow a partition. A feed joins or leaves without waiting for an event to be
//! rendered for all of them.
//!
//! One thread publishes and owns the list that it renders for. A joining feed goes to a second
//! list, under the lock of the partition's log, so that it gets every record from its start on and
//! none before. A feed that loses its last subscriber is marked as closed, and the publisher drops
//! it at the next record.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::feed::Feed;
use super::partition::HubPartition;
use super::partition_log::PartitionLog;
use crate::filter::{FilterId, Selection};

/// A feed and the number of its subscribers. It closes with the last of them.
#[derive(Debug)]
pub(super) struct FeedEntry {
    pub(super) feed: Arc<Feed>,
    pub(super) subscribers: Mutex<usize>,
    /// The views of the feed.
    pub(super) views: Mutex<HashMap<Arc<Selection>, ViewUse>>,
    /// Whether the batch that is being published has reached it.
    is_touched: AtomicBool,
    is_closed: AtomicBool,
}

impl FeedEntry {
    pub(super) fn new(feed: Feed) -> Arc<Self> {
        Arc::new(Self {
            feed: Arc::new(feed),
            subscribers: Mutex::new(0),
            views: Mutex::default(),
            is_touched: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Marks it as reached by the current batch; `true` the first time.
    pub(super) fn touch(&self) -> bool {
        !self.is_touched.swap(true, Ordering::Relaxed)
    }

    /// Ends the batch and wakes the feed's subscribers.
    pub(super) fn wake(&self) {
        self.is_touched.store(false, Ordering::Relaxed);
        self.feed.wake();
    }

    /// Marks it as closed and frees what the feed holds, its references to partitions included.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.feed.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// A view and the number of its subscribers.
#[derive(Debug)]
pub(super) struct ViewUse {
    pub(super) id: FilterId,
    pub(super) subscribers: usize,
}

/// The feeds that follow one partition.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Feeds that have joined since the last record.
    joining: Mutex<Vec<Arc<FeedEntry>>>,
    /// All others. The publisher holds this lock while it renders.
    publishing: Mutex<Vec<Arc<FeedEntry>>>,
}

impl Followers {
    /// Adds a feed that follows from the end of `log` on. The caller holds the log's lock.
    pub(super) fn join(
        &self,
        partition: &Arc<HubPartition>,
        log: &PartitionLog,
        follower: &Arc<FeedEntry>,
    ) {
        follower
            .feed
            .add_partition(Arc::clone(partition), log.end());
        self.follow(follower);
    }

    /// Adds a feed that has a slot for the partition already. Nothing is published meanwhile.
    pub(super) fn follow(&self, follower: &Arc<FeedEntry>) {
        self.joining.lock().push(Arc::clone(follower));
    }

    /// Admits the joining feeds and returns the locked list of all feeds. Called by the publisher:
    /// it holds the log's lock, has changed the log, and releases that lock before it renders.
    pub(super) fn admit(&self) -> MutexGuard<'_, Vec<Arc<FeedEntry>>> {
        let mut publishing = self.publishing.lock();
        publishing.append(&mut self.joining.lock());
        publishing
    }

    /// Removes a closed feed. While the publisher works, it removes the feed itself.
    pub(super) fn leave(&self, follower: &Arc<FeedEntry>) {
        let is_it = |other: &Arc<FeedEntry>| Arc::ptr_eq(other, follower);
        let mut lists = [Some(self.joining.lock()), self.publishing.try_lock()];
        for list in lists.iter_mut().flatten() {
            if let Some(index) = list.iter().position(is_it) {
                list.swap_remove(index);
            }
        }
    }
}
