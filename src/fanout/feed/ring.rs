//! The ring of a feed: its newest frames, and the cursor after the newest of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::filtered::{FilterCounters, Views};
use super::slot::{Replaced, Slot};
use crate::cursor::{EventId, IdForm, Position, TimestampMs};
use crate::event::frame::{self, Format};
use crate::fanout::moved::Moved;
use crate::fanout::partition::HubPartition;
use crate::fanout::progress::ProgressPoint;
use crate::limits;
use crate::memory::Held;

#[derive(Debug)]
pub(super) struct Ring {
    pub(super) slots: Vec<Slot>,
    pub(super) event_id: EventId,
    pub(super) frames: VecDeque<FeedFrame>,
    /// Sequence number of `frames[0]`.
    pub(super) first: u64,
    pub(super) bytes: usize,
    /// Records since the feed started, skipped ones included.
    pub(super) records: u64,
    /// The views of the feed.
    pub(super) views: Views,
    /// The memory of the feed besides its frames.
    pub(super) held: Held,
}

#[derive(Debug)]
pub(super) struct FeedFrame {
    pub(super) bytes: Bytes,
    pub(super) slot: usize,
    /// The position of a subscriber that has received this frame.
    pub(super) position: Position,
    /// Kafka's timestamp of the event; `None` for a notice.
    pub(super) timestamp: Option<TimestampMs>,
}

impl Ring {
    pub(super) fn new(ids: IdForm, held: Held, counters: FilterCounters) -> Self {
        Self {
            slots: Vec::new(),
            event_id: EventId::of_form(ids),
            frames: VecDeque::new(),
            first: 0,
            bytes: 0,
            records: 0,
            views: Views::new(counters),
            held,
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    pub(super) fn forget_oldest(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.bytes -= oldest.bytes.len();
            self.first += 1;
        }
    }

    /// Forgets all frames. The next frame gets number `next`.
    pub(super) fn forget(&mut self, next: u64) {
        self.first = next;
        self.frames.clear();
        self.bytes = 0;
    }

    pub(super) fn add_slot(
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

    pub(super) fn retire(&mut self, slot: usize) {
        self.slots[slot].retired = true;
        self.event_id.retire(slot);
    }

    /// Adds a notice. NDJSON has no comments, so an empty line replaces it.
    pub(super) fn push_notice(
        &mut self,
        format: Format,
        slot: usize,
        position: Position,
        notice: &Moved,
    ) {
        let bytes = match format {
            Format::Sse => frame::comment(&format!("moved: {notice}")),
            Format::Ndjson => Bytes::from_static(format.heartbeat()),
        };
        self.views.push_to_all(self.next());
        self.bytes += bytes.len();
        self.frames.push_back(FeedFrame {
            bytes,
            slot,
            position,
            timestamp: None,
        });
    }

    /// Forgets the oldest frames until at most `bytes_max` are left, but keeps the newest frame.
    pub(super) fn trim(&mut self, bytes_max: &AtomicUsize) {
        while self.bytes > bytes_max.load(Ordering::Relaxed) && self.frames.len() > 1 {
            self.forget_oldest();
        }
    }

    /// The place after the newest record.
    pub(super) fn progress_point(&mut self) -> ProgressPoint {
        ProgressPoint::of(&mut self.event_id)
    }

    pub(super) fn slot_of(&self, partition: &Arc<HubPartition>) -> Option<usize> {
        let same = |slot: &Slot| !slot.retired && Arc::ptr_eq(&slot.partition, partition);
        self.slots.iter().position(same)
    }
}
