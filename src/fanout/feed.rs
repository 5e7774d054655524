//! A feed: the newest events of one set of topics in one format, rendered once for all its
//! subscribers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::partition::HubPartition;
use super::partition_log::LogEntry;
use super::subscription::Moved;
use crate::cursor::{EventId, Offset, Position, TimestampMs};
use crate::event::frame::{self, Format};
use crate::limits;
use crate::memory::{Held, MemoryBudget, Use};
use crate::stream::Topic;

/// What subscribers share: the topics (sorted, each once) and the format.
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
    /// Bytes that each feed's ring may hold now.
    bytes_max: Arc<AtomicUsize>,
    memory: Arc<MemoryBudget>,
    ring: Mutex<Ring>,
    /// The sequence number that the next frame gets; subscribers wait for it to change.
    wake: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    slots: Vec<Slot>,
    event_id: EventId,
    frames: VecDeque<FeedFrame>,
    /// Sequence number of `frames[0]`.
    first: u64,
    bytes: usize,
    /// What the feed costs beside its frames.
    held: Held,
}

#[derive(Debug)]
struct FeedFrame {
    bytes: Bytes,
    slot: usize,
    /// Where a subscriber is once it has this frame.
    position: Position,
    /// Kafka's timestamp of the event; `None` for a notice.
    timestamp: Option<TimestampMs>,
}

/// Events of one topic that a subscriber was handed, for whoever counts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The topic.
    pub topic: Topic,
    /// How many events.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

impl Delivered {
    /// Adds one event to what was handed out of its topic.
    pub(super) fn count(all: &mut Vec<Self>, topic: &Topic, bytes: u64) {
        // The newest first: most batches are of one topic.
        if let Some(of_topic) = all
            .iter_mut()
            .rev()
            .find(|of_topic| of_topic.topic == *topic)
        {
            of_topic.events += 1;
            of_topic.bytes += bytes;
        } else {
            all.push(Self {
                topic: topic.clone(),
                events: 1,
                bytes,
            });
        }
    }
}

/// One partition of a feed. Slots are only ever added, so that a slot's number stays true for every
/// cursor.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The partition.
    pub partition: Arc<HubPartition>,
    /// Where the feed is in it.
    pub position: Position,
    /// Where the feed began in it: a subscriber that has never seen the slot begins here too.
    pub start: Position,
    /// The partition is not read any more; it is left out of ids.
    pub retired: bool,
    /// The slot in whose place this one came, and how its subscribers go on here.
    pub replaces: Option<Replaced>,
}

/// How the subscribers of a retired slot go on in the slot that came in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The retired slot.
    pub slot: usize,
    /// What happened to its log.
    pub how: Replacement,
}

/// What happened to a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// The topic was deleted and made again: everybody begins at the start of the new log.
    Recreated,
    /// Kafka lost the records from this offset on: whoever is below goes on where it is.
    TruncatedAt(Offset),
}

/// The end of a feed at one instant: what a subscriber has to reach to go on live at `next`.
#[derive(Debug)]
pub struct Tail {
    /// Sequence number of the next frame.
    pub next: u64,
    /// Every partition with the feed's position in it.
    pub slots: Vec<Slot>,
}

/// What [`Feed::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedRead {
    /// Frames were handed out.
    Frames {
        /// Sequence number of the frame after them.
        next: u64,
        /// Kafka's timestamp of the last event among them; `None` when there are only notices.
        timestamp: Option<TimestampMs>,
    },
    /// Nothing new.
    Nothing,
    /// The frames asked for have left the ring.
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
            ring: Mutex::new(Ring {
                slots: Vec::new(),
                event_id: EventId::default(),
                frames: VecDeque::new(),
                first: 0,
                bytes: 0,
                held,
            }),
            wake: watch::Sender::new(0),
        }
    }

    /// What its subscribers share.
    #[must_use]
    pub fn key(&self) -> &FeedKey {
        &self.key
    }

    /// Follows one more partition from `start` on.
    pub(super) fn add_partition(&self, partition: Arc<HubPartition>, start: Position) {
        self.ring.lock().add_slot(partition, start, None);
    }

    /// Follows `partition` in the place of `old`, from `start` on. Whoever is live gets `notice`.
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

    /// Leaves a partition that is no more out of ids.
    pub(super) fn retire_partition(&self, partition: &Arc<HubPartition>) {
        let mut ring = self.ring.lock();
        if let Some(slot) = ring.slot_of(partition) {
            ring.retire(slot);
        }
    }

    /// Renders one event at the end of the ring. Subscribers are woken by [`Feed::wake`]. When
    /// memory is too short for it the ring is emptied: subscribers find the event in the memory
    /// log.
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
        // The newest is kept although it alone may be too large, so that those who are live get it
        // once rendered.
        ring.trim(&self.bytes_max);
    }

    /// Moves over offsets that hold no record.
    pub(super) fn pass_hole(&self, partition: &Arc<HubPartition>, position: Position) {
        let mut ring = self.ring.lock();
        if let Some(slot) = ring.slot_of(partition) {
            ring.slots[slot].position = position;
            ring.event_id.set(slot, position);
        }
    }

    /// Forgets frames that are more than it may hold now.
    pub(super) fn shrink(&self) {
        let mut ring = self.ring.lock();
        while ring.bytes > self.bytes_max.load(Ordering::Relaxed) && !ring.frames.is_empty() {
            ring.forget_oldest();
        }
    }

    /// Forgets its frames: subscribers who have not read them all find the events in the memory
    /// log.
    pub(super) fn forget_frames(&self) {
        let mut ring = self.ring.lock();
        let next = ring.next();
        ring.forget(next);
    }

    /// Frees all that it holds: it has no subscriber any more.
    pub(super) fn close(&self) {
        let mut ring = self.ring.lock();
        (ring.slots, ring.frames, ring.event_id, ring.bytes) =
            (Vec::new(), VecDeque::new(), EventId::default(), 0);
        ring.held.set(0);
    }

    /// Goes on at `position` in a partition, where records were lost. Whoever is live gets
    /// `notice`.
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

    /// Wakes the subscribers that wait for what was pushed.
    pub(super) fn wake(&self) {
        let next = self.ring.lock().next();
        self.wake.send_replace(next);
    }

    /// Something to wait on: it changes with each [`Feed::wake`].
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

    /// Hands out the frames from sequence number `from` on, at most about `bytes_max`, moves
    /// `cursor` past them, and counts them in `delivered`.
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
            // A slot is taken in with its first frame, so that a subscriber that falls behind
            // before it still learns what the slot replaces.
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

impl Ring {
    fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.bytes -= oldest.bytes.len();
            self.first += 1;
        }
    }

    /// Forgets all frames; the next one is `next`.
    fn forget(&mut self, next: u64) {
        self.first = next;
        self.frames.clear();
        self.bytes = 0;
    }

    fn add_slot(
        &mut self,
        partition: Arc<HubPartition>,
        start: Position,
        replaces: Option<Replaced>,
    ) -> usize {
        let topic = partition.topic.clone();
        self.event_id
            .push_slot(topic, partition.partition, partition.log_id, start);
        self.slots.push(Slot {
            partition,
            position: start,
            start,
            retired: false,
            replaces,
        });
        let slots = self.slots.len();
        self.held
            .set(limits::FEED_BYTES + slots * limits::FEED_PARTITION_BYTES);
        slots - 1
    }

    fn retire(&mut self, slot: usize) {
        self.slots[slot].retired = true;
        self.event_id.retire(slot);
    }

    /// NDJSON has no comments: an empty line takes the notice's place.
    fn push_notice(&mut self, format: Format, slot: usize, position: Position, notice: &Moved) {
        let bytes = match format {
            Format::Sse => frame::comment(&format!("moved: {notice}")),
            Format::Ndjson => Bytes::from_static(format.heartbeat()),
        };
        self.bytes += bytes.len();
        self.frames.push_back(FeedFrame {
            bytes,
            slot,
            position,
            timestamp: None,
        });
    }

    /// Forgets the oldest frames, but for the last one.
    fn trim(&mut self, bytes_max: &AtomicUsize) {
        while self.bytes > bytes_max.load(Ordering::Relaxed) && self.frames.len() > 1 {
            self.forget_oldest();
        }
    }

    fn slot_of(&self, partition: &Arc<HubPartition>) -> Option<usize> {
        let same = |slot: &Slot| !slot.retired && Arc::ptr_eq(&slot.partition, partition);
        self.slots.iter().position(same)
    }
}
