//! The feeds that follow a partition. Nobody waits here until an event is rendered for all of them.
//!
//! One thread publishes. It owns the list that it renders for. A feed that joins is left at the
//! partition's door, under the lock of the partition's log, so that it gets every record from its
//! own start on and none before. A feed that has lost its last subscriber is marked as gone; the
//! publisher leaves it out at the next record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::feed::Feed;
use super::partition::HubPartition;
use super::partition_log::PartitionLog;

/// A feed and how many subscribers it has. It goes with the last of them.
#[derive(Debug)]
pub(super) struct FeedUse {
    pub(super) feed: Arc<Feed>,
    pub(super) subscribers: Mutex<usize>,
    /// It has frames of the batch that is being published.
    touched: AtomicBool,
    /// It has no subscriber any more.
    gone: AtomicBool,
}

impl FeedUse {
    pub(super) fn new(feed: Feed) -> Arc<Self> {
        let (touched, gone) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self {
            feed: Arc::new(feed),
            subscribers: Mutex::new(0),
            touched,
            gone,
        })
    }

    /// Marks it as touched by this batch; whether it was not before.
    pub(super) fn touch(&self) -> bool {
        !self.touched.swap(true, Ordering::Relaxed)
    }

    /// Ends the batch, and wakes the feed's subscribers.
    pub(super) fn wake(&self) {
        self.touched.store(false, Ordering::Relaxed);
        self.feed.wake();
    }

    /// Marks it as gone and frees what it holds, the way back to its partitions among it.
    pub(super) fn close(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.feed.close();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Followers {
    /// Feeds that have joined since the last record.
    door: Mutex<Vec<Arc<FeedUse>>>,
    /// All others. The publisher holds this lock while it renders.
    inside: Mutex<Vec<Arc<FeedUse>>>,
}

impl Followers {
    /// Takes a feed in that follows from `log`'s end on. The caller holds the log's lock.
    pub(super) fn join(
        &self,
        partition: &Arc<HubPartition>,
        log: &PartitionLog,
        used: &Arc<FeedUse>,
    ) {
        used.feed.add_partition(Arc::clone(partition), log.end());
        self.follow(used);
    }

    /// Takes a feed in that knows the partition already. Nothing is published meanwhile.
    pub(super) fn follow(&self, used: &Arc<FeedUse>) {
        self.door.lock().push(Arc::clone(used));
    }

    /// Lets those at the door in and hands out all. The caller is the publisher. It holds the log's
    /// lock, has changed the log, and gives the lock back before it renders.
    pub(super) fn let_in(&self) -> MutexGuard<'_, Vec<Arc<FeedUse>>> {
        let mut inside = self.inside.lock();
        inside.append(&mut self.door.lock());
        inside
    }

    /// Takes a feed out that is gone. When the publisher is at work it does that itself.
    pub(super) fn leave(&self, used: &Arc<FeedUse>) {
        let is_it = |other: &Arc<FeedUse>| Arc::ptr_eq(other, used);
        let mut lists = [Some(self.door.lock()), self.inside.try_lock()];
        for list in lists.iter_mut().flatten() {
            if let Some(place) = list.iter().position(is_it) {
                list.swap_remove(place);
            }
        }
    }
}
