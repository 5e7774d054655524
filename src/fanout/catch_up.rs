//! What comes after a cursor, until the feed's end is reached: out of the memory log, else out of
//! Kafka, merged by time.
//!
//! The handoff: each step takes the feed's [`Tail`]: its sequence number S and its position in
//! every partition, the target T. What lies in `[own, T)` is delivered; once own equals T
//! everywhere, reading goes on at S. Nothing is spliced: no gap and no repeat by construction. A
//! cursor can also be AHEAD of the feed (a client comes from a process that had read further): then
//! the subscriber keeps its own ids and waits until the feed has come as far.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::feed::{Delivered, Replaced, Replacement, Slot, Tail};
use super::hub::Hub;
use super::partition::HubPartition;
use super::partition_log::LogEntry;
use super::places::ReplayPlace;
use super::turns::Client;
use super::upstream::{ReplayConsumerNumber, ReplayRange, UpstreamUnavailable};
use crate::cursor::{EventId, MovedReason, Offset, Position, Requested};
use crate::event::frame::{self, Format};
use crate::limits;
use crate::memory::{Held, MemoryBudget, Use};

use super::subscription::Moved;

/// The state of a subscriber that is not live.
#[derive(Debug)]
pub(super) struct CatchUp {
    hub: Arc<Hub>,
    format: Format,
    /// Whose subscription it is.
    client: Client,
    /// The id that this subscriber's frames carry: its own cursor, not the feed's.
    event_id: EventId,
    /// One for each slot. Between two steps they lie in the place, if there is one.
    lanes: Vec<Lane>,
    place: Option<ReplayPlace>,
    /// Whether the place was of use: it is not given back before.
    has_emitted: bool,
    consumer: ReplayConsumerNumber,
    /// [`Hub::rewrites`] when the lanes were filled.
    rewrites: u64,
    /// What the client must be told first.
    notices: VecDeque<Moved>,
}

/// What was fetched of one slot and not delivered yet.
#[derive(Debug)]
pub(super) struct Lane {
    entries: VecDeque<LogEntry>,
    /// The offset up to which the log was fetched into `entries`.
    fetched: Offset,
    /// The last fetch was from Kafka.
    from_kafka: bool,
    /// Counts what was fetched from Kafka. What is out of the memory log is shared with it.
    held: Held,
}

/// What the lanes gave.
struct Emitted {
    bytes: Bytes,
    delivered: Vec<Delivered>,
    /// There is no memory for the next event.
    is_short: bool,
}

/// What one step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Whole frames, ready to be sent.
    Frames {
        bytes: Bytes,
        delivered: Vec<Delivered>,
    },
    /// The cursor is the feed's: go on live at this sequence number.
    Live(u64),
    /// Nothing to send (records that were skipped, holes), but there is more: step again.
    Again,
    /// The cursor is ahead of the feed: wait until the feed moves.
    Wait,
    /// A partition's log was gone below where reading should have gone on.
    Moved(Moved),
    /// Kafka must be read, and a place is needed first.
    PlaceNeeded,
    /// Kafka could not be read in time.
    Unavailable,
}

impl CatchUp {
    pub(super) fn new(hub: Arc<Hub>, format: Format, client: Client) -> Self {
        let (consumer, rewrites) = (hub.upstream.replay_consumer(), hub.rewrites());
        let (event_id, lanes, notices) = (EventId::default(), Vec::new(), VecDeque::new());
        let (place, has_emitted) = (None, false);
        Self {
            hub,
            format,
            client,
            event_id,
            lanes,
            place,
            has_emitted,
            consumer,
            rewrites,
            notices,
        }
    }

    /// Gives it the place that [`Step::PlaceNeeded`] asked for.
    pub(super) fn take_place(&mut self, place: ReplayPlace) {
        self.place = Some(place);
        self.has_emitted = false;
    }

    /// One step towards `tail`. The cursor only moves past what the returned step hands out, so a
    /// step that is dropped half done has lost nothing. The next one may be long in coming, when
    /// the client does not read: until then what was fetched lies in the place, and goes with it
    /// when that is given to somebody else.
    pub(super) async fn step(&mut self, tail: &Tail, cursor: &mut Vec<Position>) -> Step {
        match self.place.as_ref().map(ReplayPlace::resume) {
            None => {}
            Some(Some(parked)) if parked.is_empty() => {}
            Some(Some(parked)) => self.lanes = parked,
            Some(None) => self.give_place_up(cursor),
        }
        self.align(tail, cursor);
        let step = match self.notices.pop_front() {
            Some(moved) => Step::Moved(moved),
            None => self.step_aligned(tail, cursor).await,
        };
        if let Some(place) = &self.place {
            place.park(std::mem::take(&mut self.lanes));
        }
        step
    }

    async fn step_aligned(&mut self, tail: &Tail, cursor: &mut [Position]) -> Step {
        match self.fetch(tail, cursor).await {
            Ok(None) => {}
            Ok(Some(step)) => return step,
            Err(UpstreamUnavailable) => return Step::Unavailable,
        }
        if self.rewrites != self.hub.rewrites() {
            self.fetch_again(cursor);
            return Step::Again;
        }
        let Emitted {
            bytes,
            delivered,
            is_short,
        } = self.emit(tail, cursor);
        self.lanes
            .iter_mut()
            .filter(|lane| lane.held.bytes() > 0)
            .for_each(Lane::count);
        if !delivered.is_empty() {
            self.has_emitted = true;
            let bytes = self.hub.memory().keep(Use::Unwritten, bytes);
            return Step::Frames { bytes, delivered };
        }
        if is_short {
            self.give_place_up(cursor);
            return Step::Unavailable;
        }
        let reached =
            |(slot, own): (&Slot, &Position)| slot.retired || own.next == slot.position.next;
        if tail.slots.iter().zip(cursor.iter()).all(reached) {
            return Step::Live(tail.next);
        }
        let has_more = |(lane, slot): (&Lane, &Slot)| {
            let is_done = slot.has_been_passed_by(lane.fetched) || slot.is_out_of_reach();
            !lane.entries.is_empty() || !is_done
        };
        if self.lanes.iter().zip(&tail.slots).any(has_more) {
            Step::Again
        } else {
            Step::Wait
        }
    }

    /// Takes in slots that the feed gained, and leaves out those it lost.
    fn align(&mut self, tail: &Tail, cursor: &mut Vec<Position>) {
        for (index, slot) in tail.slots.iter().enumerate() {
            if index == cursor.len() {
                let start = self.start_of(slot, cursor);
                cursor.push(start);
            }
            if index == self.lanes.len() {
                let own = cursor[index];
                let HubPartition {
                    topic,
                    partition,
                    log_id,
                    ..
                } = &*slot.partition;
                self.event_id
                    .push_slot(topic.clone(), *partition, *log_id, own);
                self.lanes.push(Lane::new(own.next, self.hub.memory()));
            }
            if slot.retired {
                self.event_id.retire(index);
                self.lanes[index].entries.clear();
            }
        }
    }

    /// Where this subscriber begins in a slot that the feed gained.
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
        let asked = Requested::Offset(own.next);
        self.notices
            .push_back(slot.partition.moved(asked, slot.start.next, reason));
        slot.start
    }

    /// Fills every lane that has nothing to give although its target is not reached.
    async fn fetch(
        &mut self,
        tail: &Tail,
        cursor: &mut [Position],
    ) -> Result<Option<Step>, UpstreamUnavailable> {
        let mut from_kafka = false;
        for (index, slot) in tail.slots.iter().enumerate() {
            let lane = &mut self.lanes[index];
            if !lane.entries.is_empty() || slot.has_been_passed_by(lane.fetched) {
                continue;
            }
            let target = slot.position.next;
            if lane.read_memory(slot, target) {
                continue;
            }
            let asked = lane.fetched;
            let gone = slot.partition.log.read().gone_from(asked);
            if let Some(log_start) = gone {
                *lane = Lane::new(log_start, self.hub.memory());
                return Ok(Some(
                    self.begin_later(index, slot, asked, log_start, cursor),
                ));
            }
            if slot.is_out_of_reach() {
                continue;
            }
            from_kafka = true;
            if !self.has_place(cursor) {
                return Ok(Some(Step::PlaceNeeded));
            }
            // What is read counts before it is there: only for those whose turn is near.
            let _reading = self.hub.upstream.turn_to_read().await?;
            let bytes_max = self.share_of_each(tail);
            if !self.hub.memory().has_room(bytes_max) {
                // Those who have much fetched let it go first.
                self.give_place_up(cursor);
                return Ok(Some(Step::Unavailable));
            }
            let lane = &mut self.lanes[index];
            lane.held.set(bytes_max);
            let range = ReplayRange {
                topic: slot.partition.topic.clone(),
                partition: slot.partition.partition,
                from: lane.fetched,
                to: slot
                    .partition
                    .memory_start()
                    .min(target)
                    .max(Offset(lane.fetched.0 + 1)),
            };
            let read = self
                .hub
                .upstream
                .replay(self.consumer, range, bytes_max)
                .await;
            lane.count();
            let read = read?;
            lane.entries.extend(read.entries);
            lane.count();
            lane.fetched = read.next;
            lane.from_kafka = true;
            if let Some(log_start) = read.log_start.filter(|start| *start > asked) {
                return Ok(Some(
                    self.begin_later(index, slot, asked, log_start, cursor),
                ));
            }
        }
        // Who has all of a partition that the feed has needs Kafka no more for it, and may wait for
        // long.
        let waits = |lane: &Lane, slot: &Slot| {
            lane.entries.is_empty() && slot.has_been_passed_by(lane.fetched)
        };
        let is_done = |(lane, slot): (&Lane, &Slot)| !lane.from_kafka || waits(lane, slot);
        if !from_kafka && self.lanes.iter().zip(&tail.slots).all(is_done) {
            self.place = None;
        }
        Ok(None)
    }

    /// Bytes that are read at once of each partition that needs Kafka.
    fn share_of_each(&self, tail: &Tail) -> usize {
        let needs_kafka = |(slot, lane): &(&Slot, &Lane)| {
            !slot.has_been_passed_by(lane.fetched)
                && !slot.partition.log.read().covers(lane.fetched)
        };
        let count = tail
            .slots
            .iter()
            .zip(&self.lanes)
            .filter(needs_kafka)
            .count();
        (limits::REPLAY_READ_BYTES_MAX / count.max(1)).max(limits::REPLAY_SHARE_BYTES_MIN)
    }

    /// Moves the cursor to where a partition's log begins now.
    fn begin_later(
        &mut self,
        index: usize,
        slot: &Slot,
        asked: Offset,
        log_start: Offset,
        cursor: &mut [Position],
    ) -> Step {
        cursor[index].next = log_start;
        // Said once: an id that follows must not ask for what is gone.
        self.event_id.set(index, cursor[index]);
        let asked = Requested::Offset(asked);
        Step::Moved(
            slot.partition
                .moved(asked, log_start, MovedReason::BelowLogStart),
        )
    }

    /// Whether there is a place to read from Kafka in. After a turn it is given up, if others wait.
    fn has_place(&mut self, cursor: &[Position]) -> bool {
        if self.has_emitted && self.place.as_ref().is_some_and(ReplayPlace::is_due) {
            self.give_place_up(cursor);
            return false;
        }
        if self.place.is_none()
            && let Some(place) = self.hub.places.take(self.client)
        {
            self.take_place(place);
        }
        self.place.is_some()
    }

    /// Gives the place up, and what was fetched in it: those who have no place hold nothing out of
    /// Kafka.
    fn give_place_up(&mut self, cursor: &[Position]) {
        self.place = None;
        self.fetch_again(cursor);
    }

    /// Throws away what was fetched.
    fn fetch_again(&mut self, cursor: &[Position]) {
        self.rewrites = self.hub.rewrites();
        self.lanes = cursor
            .iter()
            .map(|own| Lane::new(own.next, self.hub.memory()))
            .collect();
    }

    /// Renders what the lanes hold in time order, as long as every lane that has more to come shows
    /// its next entry, and there is memory for it.
    fn emit(&mut self, tail: &Tail, cursor: &mut [Position]) -> Emitted {
        let mut buffer = BytesMut::new();
        let (mut delivered, mut is_short) = (Vec::new(), false);
        while buffer.len() < limits::CATCH_UP_WRITE_BYTES {
            let mut earliest: Option<usize> = None;
            for (index, lane) in self.lanes.iter().enumerate() {
                let Some(entry) = lane.entries.front() else {
                    let slot = &tail.slots[index];
                    // The others do not wait for a partition that cannot be read now.
                    if slot.has_been_passed_by(lane.fetched) || slot.is_out_of_reach() {
                        continue;
                    }
                    return Emitted {
                        bytes: buffer.freeze(),
                        delivered,
                        is_short,
                    };
                };
                let first = earliest.and_then(|other| self.lanes[other].entries.front());
                if first.is_none_or(|other| entry.timestamp < other.timestamp) {
                    earliest = Some(index);
                }
            }
            let Some(index) = earliest else { break };
            let lane = &self.lanes[index];
            let next = lane.entries.front().and_then(|entry| entry.event.as_ref());
            // What was fetched for this subscriber is counted already.
            let is_counted = lane.held.bytes() > 0;
            if next.is_some_and(|event| {
                !is_counted
                    && !self
                        .hub
                        .memory()
                        .has_room(buffer.len() + event.json().len())
            }) {
                is_short = true;
                break;
            }
            let Some(entry) = self.lanes[index].entries.pop_front() else {
                break;
            };
            cursor[index] = entry.position_after();
            self.event_id.set(index, cursor[index]);
            if let Some(event) = &entry.event {
                let before = buffer.len();
                frame::append_to(&mut buffer, self.format, self.event_id.as_bytes(), event);
                Delivered::count(
                    &mut delivered,
                    &tail.slots[index].partition.topic,
                    (buffer.len() - before) as u64,
                );
            }
        }
        self.pass_holes(cursor);
        Emitted {
            bytes: buffer.freeze(),
            delivered,
            is_short,
        }
    }

    /// Moves the cursor over offsets that hold no record (compacted, or a transaction's marks).
    fn pass_holes(&mut self, cursor: &mut [Position]) {
        for (index, lane) in self.lanes.iter().enumerate() {
            if lane.entries.is_empty() && lane.fetched > cursor[index].next {
                cursor[index].next = lane.fetched;
                self.event_id.set(index, cursor[index]);
            }
        }
    }
}

impl Lane {
    /// A lane that nothing was fetched into yet.
    fn new(fetched: Offset, memory: &Arc<MemoryBudget>) -> Self {
        let held = memory.hold(Use::Replays, 0);
        Self {
            entries: VecDeque::new(),
            fetched,
            from_kafka: false,
            held,
        }
    }

    /// Counts what lies here out of Kafka.
    fn count(&mut self) {
        self.held.set(self.entries.iter().map(LogEntry::cost).sum());
    }

    /// Fetches out of the memory log; `false` when it does not reach back that far.
    fn read_memory(&mut self, slot: &Slot, target: Offset) -> bool {
        self.held.set(0);
        let before = self.entries.len();
        let count = limits::MEMORY_READ_ENTRIES_MAX;
        if !slot
            .partition
            .log
            .read()
            .read(self.fetched, target, count, &mut self.entries)
        {
            return false;
        }
        let complete = self.entries.len() - before < count;
        self.fetched = match self.entries.back() {
            Some(last) if !complete => Offset(last.offset.0 + 1),
            _ => target,
        };
        self.from_kafka = false;
        true
    }
}

impl Slot {
    /// Whether Kafka cannot be asked for it now. It is read on when it can.
    fn is_out_of_reach(&self) -> bool {
        !self.retired && !self.partition.is_available()
    }

    /// Whether nothing of this slot is left to fetch for somebody who has it up to `fetched`.
    fn has_been_passed_by(&self, fetched: Offset) -> bool {
        self.retired || fetched >= self.position.next
    }
}
