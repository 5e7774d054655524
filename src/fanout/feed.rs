//! A feed: the newest events of one set of topics in one format, rendered once for all its
//! subscribers.
//!
//! * `ring`: its frames. `slot`: its partitions. `read`: how it returns frames.
//! * `filtered`: the views of a feed, each with the frames that a filter matches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::watch;

pub(super) use self::filtered::FilterCounters;
pub use self::read::FeedRead;
pub(super) use self::read::Handout;
use self::ring::{FeedFrame, Ring};
pub use self::slot::{Replaced, Replacement, Slot, Tail};
use super::log_entry::LogEntry;
use super::moved::Moved;
use super::partition::HubPartition;
use crate::cursor::{EventId, IdForm, Position};
use crate::event::Projection;
use crate::event::frame::{self, Format};
use crate::filter::Selection;
use crate::limits;
use crate::memory::{MemoryBudget, Use};
use crate::stream::Topic;

mod filtered;
mod read;
mod ring;
mod slot;

/// What subscribers share: the topics (sorted, each once), the format, the selection and the
/// members of the events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedKey {
    /// The topics of the subscription.
    pub topics: Arc<[Topic]>,
    /// The format of its frames.
    pub format: Format,
    /// Which of the events; `None` for all.
    pub selection: Option<Arc<Selection>>,
    /// Which members of the events; `None` for all.
    pub fields: Option<Arc<Projection>>,
    /// The form of the ids. [`IdForm::Auto`] in NDJSON, which has none.
    pub ids: IdForm,
}

impl FeedKey {
    /// The key of the feed that has all events, whole.
    pub(super) fn base(&self) -> Self {
        Self {
            selection: None,
            ..self.with_whole_events()
        }
    }

    /// The key of the same events with all their members.
    #[must_use]
    pub fn with_whole_events(&self) -> Self {
        Self {
            fields: None,
            ..self.clone()
        }
    }
}

/// A ring of rendered frames, bounded in bytes, with the cursor after the newest of them.
#[derive(Debug)]
pub struct Feed {
    key: FeedKey,
    /// Bytes that the ring of each feed may hold now.
    bytes_max: Arc<AtomicUsize>,
    memory: Arc<MemoryBudget>,
    /// Subscribers that get all events: without them, an event is rendered only if a filter
    /// matches.
    unfiltered: AtomicUsize,
    ring: Mutex<Ring>,
    /// The sequence number of the next frame. Subscribers wait until it changes.
    wake: watch::Sender<u64>,
}

impl Feed {
    pub(super) fn new(
        key: FeedKey,
        bytes_max: Arc<AtomicUsize>,
        memory: Arc<MemoryBudget>,
        counters: FilterCounters,
    ) -> Self {
        let held = memory.hold(Use::Feeds, limits::FEED_BYTES);
        Self {
            ring: Mutex::new(Ring::new(key.ids, held, counters)),
            key,
            bytes_max,
            memory,
            unfiltered: AtomicUsize::new(0),
            wake: watch::Sender::new(0),
        }
    }

    /// Its topics and format.
    #[must_use]
    pub fn key(&self) -> &FeedKey {
        &self.key
    }

    /// Adds a partition, from `start` on.
    pub(super) fn add_partition(&self, partition: Arc<HubPartition>, start: Position) {
        self.ring.lock().add_slot(partition, start, None);
    }

    /// Replaces `old` by `partition`, from `start` on. Live subscribers get `notice`.
    pub(super) fn replace_partition(
        &self,
        old: &Arc<HubPartition>,
        partition: Arc<HubPartition>,
        start: Position,
        how: Replacement,
        notice: &Moved,
    ) {
        let mut ring = self.ring.lock();
        let Some(slot) = ring.slot_of(old) else {
            return;
        };
        ring.retire(slot);
        let added = ring.add_slot(partition, start, Some(Replaced { slot, how }));
        ring.push_notice(self.key.format, added, start, notice);
        ring.trim(&self.bytes_max);
    }

    /// Omits from ids a partition that is no longer read.
    pub(super) fn retire_partition(&self, partition: &Arc<HubPartition>) {
        let mut ring = self.ring.lock();
        if let Some(slot) = ring.slot_of(partition) {
            ring.retire(slot);
        }
    }

    /// Renders one event at the end of the ring. [`Feed::wake`] wakes the subscribers. Without
    /// memory for the event, the ring is emptied: subscribers find the event in the memory log.
    pub(super) fn push(&self, partition: &Arc<HubPartition>, entry: &LogEntry) {
        let mut ring = self.ring.lock();
        let Some(slot) = ring.slot_of(partition) else {
            return;
        };
        let position = entry.position_after();
        ring.slots[slot].position = position;
        ring.event_id.set(slot, position);
        ring.records += 1;
        let Some(event) = &entry.event else { return };
        let (next, first) = (ring.next(), ring.first);
        let is_matched = ring.views.push(next, first, event);
        if !is_matched && self.unfiltered.load(Ordering::Relaxed) == 0 {
            return;
        }
        if !self.memory.has_room(event.json().len()) {
            ring.forget(next + 1);
            return;
        }
        let id = match self.key.format {
            Format::Sse => ring.event_id.as_bytes(),
            Format::Ndjson => &[],
        };
        let bytes = frame::render(self.key.format, id, event);
        let bytes = self.memory.keep(Use::Feeds, bytes);
        ring.bytes += bytes.len();
        ring.frames.push_back(FeedFrame {
            bytes,
            slot,
            position,
            timestamp: Some(entry.timestamp),
        });
        // The newest frame stays even if it alone is too large, so that live subscribers share it.
        ring.trim(&self.bytes_max);
    }

    /// Moves past offsets that hold no record.
    pub(super) fn pass_hole(&self, partition: &Arc<HubPartition>, position: Position) {
        let mut ring = self.ring.lock();
        if let Some(slot) = ring.slot_of(partition) {
            ring.slots[slot].position = position;
            ring.event_id.set(slot, position);
        }
    }

    /// Forgets frames until the ring holds no more than it may now.
    pub(super) fn shrink(&self) {
        let mut ring = self.ring.lock();
        while ring.bytes > self.bytes_max.load(Ordering::Relaxed) && !ring.frames.is_empty() {
            ring.forget_oldest();
        }
    }

    /// Forgets all frames. Subscribers find the events that they have not read in the memory log.
    pub(super) fn forget_frames(&self) {
        let mut ring = self.ring.lock();
        let next = ring.next();
        ring.forget(next);
    }

    /// Frees what it holds, when it has no subscriber left.
    pub(super) fn close(&self) {
        let mut ring = self.ring.lock();
        ring.slots = Vec::new();
        ring.frames = VecDeque::new();
        ring.event_id = EventId::default();
        ring.bytes = 0;
        ring.views.clear();
        ring.held.set(0);
    }

    /// Continues at `position` in a partition that lost records. Live subscribers get `notice`.
    pub(super) fn skip_to(
        &self,
        partition: &Arc<HubPartition>,
        position: Position,
        notice: &Moved,
    ) {
        let mut ring = self.ring.lock();
        let Some(slot) = ring.slot_of(partition) else {
            return;
        };
        ring.slots[slot].position = position;
        ring.event_id.set(slot, position);
        ring.push_notice(self.key.format, slot, position, notice);
        ring.trim(&self.bytes_max);
    }

    /// Wakes the subscribers that wait for new frames.
    pub(super) fn wake(&self) {
        let mut ring = self.ring.lock();
        ring.views.wake_touched();
        let next = ring.next();
        drop(ring);
        self.wake.send_replace(next);
    }
}
