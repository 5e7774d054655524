//! The end of a stream that has one. It is exact because the stream never becomes live: each event
//! goes through the merge, one at a time.
//!
//! A partition has passed [`Bound::until`] at a record that is later by [`limits::UNTIL_GRACE`], or
//! when it is read to its end and the clock is later by that. Until then, what is in time is sent,
//! although it may come behind records that are not.

use std::time::Duration;

use super::{CatchUp, Step};
use crate::cursor::{EventId, Offset, Position, TimestampMs};
use crate::fanout::bound::{AtTail, Bound, BoundReached, PageBound};
use crate::fanout::feed::{Slot, Tail};
use crate::fanout::hub::FUTURE_MIN;
use crate::fanout::log_entry::LogEntry;
use crate::fanout::partition_buffer::PartitionBuffer;
use crate::limits;

/// What is left of a subscriber's [`Bound`].
#[derive(Debug)]
pub(super) struct End {
    events_left: Option<u64>,
    until: Option<TimestampMs>,
    page_left: Option<PageBound>,
    /// Whether an event was delivered.
    has_event: bool,
    /// One for each slot that has records of `until` or later.
    partitions: Vec<PartitionEnd>,
}

/// Where `until` lies in a partition.
#[derive(Clone, Copy, Debug, Default)]
struct PartitionEnd {
    /// The first record of that time or later.
    first_outside: Option<Offset>,
    is_passed: bool,
}

impl End {
    /// `None` for a stream without an end.
    pub(super) fn new(bound: Bound) -> Option<Self> {
        bound.is_set().then_some(Self {
            events_left: bound.events,
            until: bound.until,
            page_left: bound.page,
            has_event: false,
            partitions: Vec::new(),
        })
    }

    /// Whether a record comes before `until`. Notes where `until` lies.
    fn admits(&mut self, slot: usize, entry: &LogEntry) -> bool {
        let Some(until) = self.until.filter(|until| entry.timestamp >= *until) else {
            return true;
        };
        // A record of the future shows nothing about the records behind it.
        if !is_of_the_future(entry.timestamp) {
            if self.partitions.len() <= slot {
                self.partitions.resize_with(slot + 1, PartitionEnd::default);
            }
            let partition = &mut self.partitions[slot];
            partition.first_outside.get_or_insert(entry.offset);
            partition.is_passed |= entry.timestamp >= until.saturating_add(limits::UNTIL_GRACE);
        }
        false
    }

    fn has_passed(&self, slot: usize) -> bool {
        let partition = self.partitions.get(slot);
        partition.is_some_and(|partition| partition.is_passed)
    }

    /// Whether a stream that has nothing more to read has passed `until` in every partition.
    fn is_over(&self, slots: &[Slot]) -> bool {
        let is_late = self.time_left() == Some(Duration::ZERO);
        let has_passed = |(number, slot): (usize, &Slot)| {
            slot.retired || self.has_passed(number) || (is_late && slot.partition.is_available())
        };
        self.until.is_some() && slots.iter().enumerate().all(has_passed)
    }

    /// The time until a partition without records has passed `until`.
    fn time_left(&self) -> Option<Duration> {
        let end = self.until?.saturating_add(limits::UNTIL_GRACE);
        let left = end.0.saturating_sub(TimestampMs::now().0).max(0);
        Some(Duration::from_millis(left.unsigned_abs()))
    }

    /// The position at which a client goes on in a partition that has passed `until`. Its timestamp
    /// is not earlier, so that the same request with this id is over.
    fn position_behind(&self, slot: usize, until: TimestampMs, own: Position) -> Position {
        let partition = self.partitions.get(slot).copied().unwrap_or_default();
        match partition.first_outside {
            None if own.timestamp >= until && !is_of_the_future(own.timestamp) => own,
            first_outside => Position {
                next: first_outside.unwrap_or(own.next),
                timestamp: until,
            },
        }
    }

    /// The id behind `until`.
    fn id_behind(&self, id: &EventId) -> Option<EventId> {
        let until = self.until?;
        let mut behind = id.clone();
        for (slot, .., own) in id.slots() {
            behind.set(slot, self.position_behind(slot, until, own));
        }
        Some(behind)
    }
}

fn is_of_the_future(time: TimestampMs) -> bool {
    time > TimestampMs::now().saturating_add(FUTURE_MIN)
}

impl CatchUp {
    /// What is left of the bound.
    pub(in crate::fanout) fn bound(&self) -> Bound {
        let left = self.end.as_ref().map(|end| Bound {
            events: end.events_left,
            until: end.until,
            page: end.page_left,
        });
        left.unwrap_or_default()
    }

    /// How long a subscriber that waits for the feed may have to wait for the clock; `None` when
    /// the clock changes nothing.
    pub(in crate::fanout) fn time_left(&self) -> Option<Duration> {
        let left = self.end.as_ref()?.time_left()?;
        (!left.is_zero()).then(|| left.min(limits::CLOCK_CHECK_INTERVAL))
    }

    /// Replaces the end of a subscriber that has reached it: it goes on to the next one.
    pub(in crate::fanout) fn set_bound(&mut self, bound: Bound) {
        self.end = End::new(bound);
    }

    /// Whether the subscriber has got all that it asked for.
    pub(super) fn is_spent(&self) -> bool {
        self.spent().is_some()
    }

    /// What of its end the subscriber has used up.
    pub(super) fn spent(&self) -> Option<BoundReached> {
        let end = self.end.as_ref()?;
        if end.events_left == Some(0) {
            return Some(BoundReached::Limit);
        }
        let is_full = |page: PageBound| page.bytes == 0 || page.records == 0;
        end.page_left
            .is_some_and(is_full)
            .then_some(BoundReached::PageFull)
    }

    /// Counts an event that is delivered in a frame of `bytes`.
    pub(super) fn count_event(&mut self, bytes: usize) {
        let Some(end) = &mut self.end else { return };
        end.has_event = true;
        if let Some(left) = &mut end.events_left {
            *left -= 1;
        }
        if let Some(page) = &mut end.page_left {
            page.bytes = page.bytes.saturating_sub(bytes as u64);
        }
    }

    /// Whether the subscriber reads a page that ends where nothing more is to be read.
    pub(super) fn ends_at_tail(&self) -> bool {
        let Some(end) = &self.end else { return false };
        end.page_left.is_some_and(|page| match page.at_tail {
            AtTail::End => true,
            AtTail::WaitForEvent => end.has_event,
        })
    }

    /// Whether the record comes before the end of the stream. Reads no more of a partition that has
    /// passed it.
    pub(super) fn is_before_end(&mut self, slot: usize, entry: &LogEntry) -> bool {
        let Some(end) = &mut self.end else {
            return true;
        };
        if let Some(page) = &mut end.page_left {
            page.records = page.records.saturating_sub(1);
        }
        let is_before = end.admits(slot, entry);
        if end.has_passed(slot) {
            let next = entry.position_after().next;
            self.buffers[slot] = PartitionBuffer::new(next, self.hub.memory());
        }
        is_before
    }

    /// Whether a record of `until` or later was passed. Then the position is no longer one at which
    /// any request could go on, until the stream ends.
    pub(super) fn is_ending(&self) -> bool {
        let end = self.end.as_ref();
        end.is_some_and(|end| !end.partitions.is_empty())
    }

    /// In a partition that has passed `until`, nothing is left to read.
    pub(super) fn cut_passed(&self, tail: &mut Tail, cursor: &[Position]) {
        let Some(end) = &self.end else { return };
        for (number, slot) in tail.slots.iter_mut().enumerate() {
            if end.has_passed(number) {
                slot.position = cursor[number];
            }
        }
    }

    /// The step of a subscriber that has reached the tail. With an end, it never becomes live.
    pub(super) fn step_at_tail(&mut self, tail: &Tail) -> Step {
        match &self.end {
            None => Step::Live(self.last_progress()),
            Some(end) if end.is_over(&tail.slots) => self.end_step(BoundReached::Until),
            Some(_) if self.ends_at_tail() => self.end_step(BoundReached::Tail),
            Some(_) => Step::Wait,
        }
    }

    /// Ends the stream here.
    pub(super) fn end_step(&mut self, reached: BoundReached) -> Step {
        let own = &mut self.event_id;
        let behind = match reached {
            BoundReached::Limit | BoundReached::PageFull | BoundReached::Tail => None,
            BoundReached::Until => self.end.as_ref().and_then(|end| end.id_behind(own)),
        };
        let id = behind.map_or_else(|| own.to_bytes(), |mut id| id.to_bytes());
        Step::End { reached, id }
    }
}
