//! Delivers what comes after a cursor until the cursor reaches the feed's end: from the memory log,
//! else from Kafka, merged by time.
//!
//! The handoff: each step takes the feed's [`Tail`], which is its sequence number S and its
//! position T in every partition. The step delivers from `[own, T)`. Once own equals T everywhere,
//! the subscriber continues live at S. No two sequences are joined, so there is no gap and no
//! repeat. A cursor can also be AHEAD of the feed, when the client comes from a process that had
//! read further. Then the subscriber keeps its own ids and waits until the feed has reached it.
//!
//! * `fetch`: fills the buffers from memory and Kafka.
//! * `scan`: looks at events for a subscriber that does not get all of them.
//! * `merge`: renders the buffered entries in time order.
//! * `end`: the end of a stream that has one.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use self::end::End;
use self::merge::Merged;
use self::scan::Scan;
pub(super) use self::scan::progress_point;
use super::bound::{Bound, BoundReached};
use super::delivered::Delivered;
use super::fair_queue::Client;
use super::feed::{FeedKey, Replaced, Replacement, Slot, Tail};
use super::hub::Hub;
use super::moved::Moved;
use super::partition::HubPartition;
use super::partition_buffer::PartitionBuffer;
use super::progress::Counts;
use super::replay_permits::ReplayPermit;
use super::upstream::{ReplayConsumerNumber, UpstreamUnavailable};
use crate::cursor::{EventId, MovedReason, Position, Requested};
use crate::event::Projection;
use crate::event::frame::Format;
use crate::memory::Use;

mod end;
mod fetch;
mod merge;
mod scan;

/// The state of a subscriber that is not live.
#[derive(Debug)]
pub(super) struct CatchUp {
    hub: Arc<Hub>,
    format: Format,
    fields: Option<Arc<Projection>>,
    client: Client,
    /// The id for this subscriber's frames: its own cursor, not the feed's.
    event_id: EventId,
    /// One for each slot. Between two steps they are stored with the permit, if there is one.
    buffers: Vec<PartitionBuffer>,
    permit: Option<ReplayPermit>,
    /// Whether the permit was of use: events were delivered, or looked at. It is not released
    /// before.
    has_advanced: bool,
    consumer: ReplayConsumerNumber,
    /// [`Hub::rewrites`] when the buffers were filled.
    rewrites: u64,
    /// Notices that the client gets first.
    notices: VecDeque<Moved>,
    /// For a subscriber that does not get all events.
    scan: Option<Scan>,
    /// For a subscriber whose stream has an end.
    end: Option<End>,
}

/// The result of one step.
#[derive(Debug)]
pub(super) enum Step {
    /// Whole frames to send.
    Frames {
        bytes: Bytes,
        delivered: Vec<Delivered>,
    },
    /// The cursor has reached the tail of the feed: continue live there, after this progress frame.
    Live(Option<Bytes>),
    /// Nothing to send (skipped records, holes), but there is more: step again.
    Again,
    /// The cursor is ahead of the feed: wait until the feed moves.
    Wait,
    /// A partition's log is gone below the offset at which reading should continue.
    Moved(Moved),
    /// The stream ends here.
    End { reached: BoundReached, id: Bytes },
    /// Kafka must be read, which needs a permit.
    PermitNeeded,
    /// Kafka could not be read in time.
    Unavailable,
}

impl CatchUp {
    /// A subscriber of `key` that looked at `pending` records since its last progress frame, and
    /// whose stream ends at `bound`.
    pub(super) fn new(
        hub: Arc<Hub>,
        key: &FeedKey,
        client: Client,
        pending: Counts,
        bound: Bound,
    ) -> Self {
        Self {
            format: key.format,
            fields: key.fields.clone(),
            scan: Scan::new(key, pending, hub.step_limits()),
            end: End::new(bound),
            client,
            event_id: EventId::of_form(key.ids),
            buffers: Vec::new(),
            permit: None,
            has_advanced: false,
            consumer: hub.upstream.replay_consumer(),
            rewrites: hub.rewrites(),
            notices: VecDeque::new(),
            hub,
        }
    }

    /// Takes the permit that [`Step::PermitNeeded`] requested.
    pub(super) fn set_permit(&mut self, permit: ReplayPermit) {
        self.permit = Some(permit);
        self.has_advanced = false;
    }

    /// Makes one step towards `tail`. The cursor moves only past what the step returns, so dropping
    /// an unfinished step loses nothing. While the client does not read, the next step may be long
    /// in coming: until then the fetched entries are stored with the permit, and are dropped if the
    /// permit is revoked.
    pub(super) async fn step(&mut self, tail: &mut Tail, cursor: &mut Vec<Position>) -> Step {
        match self.permit.as_ref().map(ReplayPermit::resume) {
            None => {}
            Some(Some(parked)) if parked.is_empty() => {}
            Some(Some(parked)) => self.buffers = parked,
            Some(None) => self.release_permit(cursor),
        }
        self.align(tail, cursor);
        self.cut_passed(tail, cursor);
        self.begin_scan();
        let step = match self.notices.pop_front() {
            Some(moved) => Step::Moved(moved),
            None => self.step_aligned(tail, cursor).await,
        };
        if let Some(permit) = &self.permit {
            permit.park(std::mem::take(&mut self.buffers));
        }
        step
    }

    async fn step_aligned(&mut self, tail: &Tail, cursor: &mut [Position]) -> Step {
        if let Some(spent) = self.spent() {
            let is_at_tail = self.ends_at_tail() && has_reached(tail, cursor);
            return self.end_step(if is_at_tail {
                BoundReached::Tail
            } else {
                spent
            });
        }
        match self.fetch(tail, cursor).await {
            Ok(None) => {}
            Ok(Some(step)) => return step,
            Err(UpstreamUnavailable) => return Step::Unavailable,
        }
        if self.rewrites != self.hub.rewrites() {
            self.discard_buffers(cursor);
            return Step::Again;
        }
        let Merged {
            bytes,
            delivered,
            is_short,
        } = self.merge(tail, cursor);
        self.buffers
            .iter_mut()
            .filter(|buffer| buffer.held.bytes() > 0)
            .for_each(PartitionBuffer::count_entries);
        self.has_advanced |= !delivered.is_empty() || self.has_scanned();
        if !bytes.is_empty() {
            let bytes = self.hub.memory().keep(Use::Unwritten, bytes);
            return Step::Frames { bytes, delivered };
        }
        if is_short {
            self.release_permit(cursor);
            return Step::Unavailable;
        }
        if has_reached(tail, cursor) {
            return self.step_at_tail(tail);
        }
        let has_more = |(buffer, slot): (&PartitionBuffer, &Slot)| {
            let is_done = slot.is_reached_at(buffer.fetched) || slot.is_unavailable();
            !buffer.entries.is_empty() || !is_done
        };
        if self.buffers.iter().zip(&tail.slots).any(has_more) {
            Step::Again
        } else if self.ends_at_tail() {
            self.end_step(BoundReached::Tail)
        } else {
            Step::Wait
        }
    }

    /// Adds the slots that the feed has gained, and omits those that it has retired.
    fn align(&mut self, tail: &Tail, cursor: &mut Vec<Position>) {
        for (index, slot) in tail.slots.iter().enumerate() {
            if index == cursor.len() {
                let start = self.start_of(slot, cursor);
                cursor.push(start);
            }
            if index == self.buffers.len() {
                let own = cursor[index];
                let HubPartition {
                    topic,
                    partition,
                    log_id,
                    ..
                } = &*slot.partition;
                self.event_id
                    .push_slot(topic.clone(), *partition, *log_id, own);
                self.buffers
                    .push(PartitionBuffer::new(own.next, self.hub.memory()));
            }
            if slot.retired {
                self.event_id.retire(index);
                self.buffers[index].entries.clear();
            }
        }
    }

    /// The position at which this subscriber starts in a slot that the feed has gained.
    fn start_of(&mut self, slot: &Slot, cursor: &[Position]) -> Position {
        let Some(Replaced { slot: old, how }) = slot.replaces else {
            return slot.start;
        };
        let own = cursor[old];
        let reason = match how {
            Replacement::TruncatedAt(cut) if own.next <= cut => return own,
            Replacement::TruncatedAt(_) => MovedReason::LogTruncated,
            Replacement::Recreated => MovedReason::TopicRecreated,
        };
        let requested = Requested::Offset(own.next);
        self.notices
            .push_back(slot.partition.moved(requested, slot.start.next, reason));
        slot.start
    }

    /// Releases the permit and discards the buffers: without a permit, a subscriber holds nothing
    /// from Kafka.
    fn release_permit(&mut self, cursor: &[Position]) {
        self.permit = None;
        self.discard_buffers(cursor);
    }

    fn discard_buffers(&mut self, cursor: &[Position]) {
        self.rewrites = self.hub.rewrites();
        self.buffers = cursor
            .iter()
            .map(|own| PartitionBuffer::new(own.next, self.hub.memory()))
            .collect();
    }
}

/// Whether a cursor is at the end of the feed in every partition.
pub(super) fn has_reached(tail: &Tail, cursor: &[Position]) -> bool {
    let mut slots = tail.slots.iter().zip(cursor);
    slots.all(|(slot, own)| slot.retired || own.next == slot.position.next)
}
