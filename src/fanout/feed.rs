//! A feed: the newest events of one set of topics in one format, rendered once for all its
//! subscribers.
//!
//! * `ring`: its frames.
//! * `slot`: its partitions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use self::ring::{FeedFrame, Ring};
pub use self::slot::{Replaced, Replacement, Slot, Tail};
use super::delivered::Delivered;
use super::log_entry::LogEntry;
use super::moved::Moved;
use super::partition::HubPartition;
use crate::cursor::{EventId, Position, TimestampMs};
use crate::event::frame::{self, Format};
use crate::limits;
use crate::memory::{MemoryBudget, Use};
use crate::stream::Topic;

mod ring;
mod slot;

/// What the subscribers of a feed share: the topics (sorted, each once) and the format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FeedKey {
    /// The topics of the subscription.
    pub topics: Arc<[Topic]>,
    /// The format of its frames.
    pub format: Format,
}

/// A ring of rendered frames, bounded in bytes, with the cursor after the newest of them.
#[derive(Debug)]
pub struct Feed {
    key: FeedKey,
    /// Bytes that the ring of each feed may hold now.
    bytes_max: Arc<AtomicUsize>,
    memory: Arc<MemoryBudget>,
    ring: Mutex<Ring>,
    /// The sequence number of the next frame. Subscribers wait until it changes.
    wake: watch::Sender<u64>,
}

/// The result of [`Feed::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedRead {
    /// There are frames.
    Frames {
        /// Sequence number of the frame after them.
        next: u64,
        /// Kafka's timestamp of the last event among them; `None` when there are only notices.
        timestamp: Option<TimestampMs>,
    },
    /// Nothing new.
    Nothing,
    /// The requested frames have left the ring.
    Behind,
}

impl Feed {
    pub(super) fn new(
        key: FeedKey,
        bytes_max: Arc<AtomicUsize>,
        memory: Arc<MemoryBudget>,
    ) -> Self {
        let held = memory.hold(Use::Feeds, limits::FEED_BYTES);
        Self {
            key,
            bytes_max,
            memory,
            ring: Mutex::new(Ring::new(held)),
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
        let Some(event) = &entry.event else { return };
        if !self.memory.has_room(event.json().len()) {
            let next = ring.next() + 1;
            ring.forget(next);
            return;
        }
        let bytes = self.memory.keep(
            Use::Feeds,
            frame::render(self.key.format, ring.event_id.as_bytes(), event),
        );
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
        let next = self.ring.lock().next();
        self.wake.send_replace(next);
    }

    /// Changes with each [`Feed::wake`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// The end of the feed now.
    #[must_use]
    pub fn tail(&self) -> Tail {
        let ring = self.ring.lock();
        Tail {
            next: ring.next(),
            slots: ring.slots.clone(),
        }
    }

    /// Appends the frames from sequence number `from` on, about `bytes_max` at most, to `frames`,
    /// moves `cursor` past them, and counts their events in `delivered`.
    #[must_use]
    pub fn read(
        &self,
        from: u64,
        bytes_max: usize,
        cursor: &mut Vec<Position>,
        frames: &mut Vec<Bytes>,
        delivered: &mut Vec<Delivered>,
    ) -> FeedRead {
        let ring = self.ring.lock();
        if from < ring.first {
            return FeedRead::Behind;
        }
        let (mut bytes, mut count, mut timestamp) = (0, 0, None);
        let skip = usize::try_from(from - ring.first).unwrap_or(usize::MAX);
        for frame in ring.frames.iter().skip(skip) {
            if bytes > 0 && bytes + frame.bytes.len() > bytes_max {
                break;
            }
            if frame.timestamp.is_some() {
                let topic = &ring.slots[frame.slot].partition.topic;
                Delivered::count(delivered, topic, frame.bytes.len() as u64);
            }
            bytes += frame.bytes.len();
            count += 1;
            timestamp = frame.timestamp.or(timestamp);
            // The cursor gains a slot with the first frame of it, so that a subscriber that falls
            // behind before that frame still sees what the slot replaces.
            for slot in ring.slots.iter().take(frame.slot + 1).skip(cursor.len()) {
                cursor.push(slot.start);
            }
            cursor[frame.slot] = frame.position;
            frames.push(frame.bytes.clone());
        }
        if count == 0 {
            return FeedRead::Nothing;
        }
        FeedRead::Frames {
            next: from + count,
            timestamp,
        }
    }
}
