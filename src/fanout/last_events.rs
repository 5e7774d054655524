//! Where a client starts that wants the last events (docs/protocol.md, "The last events").
//!
//! Partitions are looked at backwards, always the one that may hold the newest event, in memory and
//! then in Kafka. The events of each partition that are found are its last ones, so a client that
//! catches up from the first of them gets just these, and goes on live.

use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use tokio::time::timeout;

use super::fair_queue::Client;
use super::feed::Slot;
use super::hub::Hub;
use super::log_entry::LogEntry;
use super::replay_permits::{ReplayPermit, WaitOutcome};
use super::upstream::{ReplayConsumerNumber, ReplayRange, ReplayRead, UpstreamUnavailable};
use crate::cursor::{Offset, Position, TimestampMs};
use crate::filter::{Matcher, Selection};
use crate::limits;
use crate::memory::Use;

/// Offsets that are looked at in one go: at first, and at most.
const STEP_MIN: usize = 16;
const STEP_FIRST_MAX: usize = 1024;
const STEP_MAX: usize = 4096;

/// The events that a client wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// How many of the last ones.
    pub(super) count: usize,
    /// Those that match; `None` for all.
    pub(super) selection: Option<&'a Selection>,
    /// Those before this time.
    pub(super) until: Option<TimestampMs>,
}

/// Why Kafka could not be read.
#[derive(Debug)]
pub(super) enum SearchError {
    /// There is no permit, and no room in the queue.
    Refused,
    /// It did not respond in time.
    Unavailable,
}

impl From<UpstreamUnavailable> for SearchError {
    fn from(_: UpstreamUnavailable) -> Self {
        Self::Unavailable
    }
}

/// Moves `cursor`, the ends of what the client wants, back to the first of its last events. After
/// [`limits::TAIL_RECORDS_MAX`] records, or [`limits::TAIL_TIME_MAX`], what was found counts.
///
/// # Errors
/// When Kafka is needed and cannot be read.
pub(super) async fn rewind(
    hub: &Arc<Hub>,
    client: Client,
    wanted: Wanted<'_>,
    slots: &[Slot],
    cursor: &mut [Position],
) -> Result<(), SearchError> {
    let mut search = Search::new(hub, client, wanted, slots, cursor);
    if let Ok(result) = timeout(limits::TAIL_TIME_MAX, search.run()).await {
        result?;
    }
    for (own, partition) in cursor.iter_mut().zip(&search.partitions) {
        *own = partition.start;
    }
    Ok(())
}

struct Search<'a> {
    hub: &'a Arc<Hub>,
    client: Client,
    matcher: Option<Matcher>,
    until: Option<TimestampMs>,
    /// Events that are still wanted.
    left: usize,
    looked_at: u64,
    partitions: Vec<PartitionSearch<'a>>,
    /// The partitions that may have more, by the newest time that they may have.
    by_time: BinaryHeap<(TimestampMs, usize)>,
    permit: Option<ReplayPermit>,
    consumer: ReplayConsumerNumber,
}

struct PartitionSearch<'a> {
    slot: &'a Slot,
    /// Where the client starts.
    start: Position,
    /// Everything from here on was looked at.
    looked_at_from: Offset,
    /// About the time of the newest record before that.
    newest_before: TimestampMs,
    /// Events from there on that the client does not get yet, the last one at the back.
    found: Vec<(Offset, TimestampMs)>,
    /// How many offsets are looked at next.
    step: usize,
}

impl<'a> Search<'a> {
    fn new(
        hub: &'a Arc<Hub>,
        client: Client,
        wanted: Wanted<'_>,
        slots: &'a [Slot],
        ends: &[Position],
    ) -> Self {
        let step = (wanted.count / slots.len().max(1)).clamp(STEP_MIN, STEP_FIRST_MAX);
        let partition = |(slot, end): (&'a Slot, &Position)| PartitionSearch {
            slot,
            start: *end,
            looked_at_from: end.next,
            newest_before: end.timestamp,
            found: Vec::new(),
            step,
        };
        let partitions: Vec<_> = slots.iter().zip(ends).map(partition).collect();
        let times = partitions.iter().enumerate();
        let by_time = times.filter_map(|(index, partition)| Some((partition.newest()?, index)));
        Self {
            hub,
            client,
            matcher: wanted.selection.map(Matcher::new),
            until: wanted.until,
            left: wanted.count,
            looked_at: 0,
            by_time: by_time.collect(),
            partitions,
            permit: None,
            consumer: hub.upstream.replay_consumer(),
        }
    }

    /// Takes events, the newest first, until there are enough.
    async fn run(&mut self) -> Result<(), SearchError> {
        while self.left > 0
            && self.looked_at < limits::TAIL_RECORDS_MAX
            && let Some((_, index)) = self.by_time.pop()
        {
            let partition = &mut self.partitions[index];
            if let Some((next, timestamp)) = partition.found.pop() {
                let timestamp = timestamp.max(TimestampMs(0));
                partition.start = Position { next, timestamp };
                self.left -= 1;
            } else {
                self.look_back(index).await?;
            }
            if let Some(newest) = self.partitions[index].newest() {
                self.by_time.push((newest, index));
            }
        }
        Ok(())
    }

    /// Looks at the records right before those of a partition that were looked at.
    async fn look_back(&mut self, index: usize) -> Result<(), SearchError> {
        let before = self.looked_at;
        let partition = &self.partitions[index];
        let mut entries = VecDeque::new();
        if let Some(from) = partition.read_memory(&mut entries) {
            let oldest = self.look_at(index, &entries);
            self.partitions[index].looked_back_to(from, oldest);
        } else if partition.is_readable() {
            self.look_back_in_kafka(index).await?;
        } else {
            self.partitions[index].looked_back_to(Offset(0), None);
        }
        if self.matcher.is_some() {
            let scanned = self.looked_at - before;
            self.hub.scan_pace.wait(self.client, scanned).await;
            self.hub.metrics.filter_records_scanned.increment(scanned);
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn look_back_in_kafka(&mut self, index: usize) -> Result<(), SearchError> {
        if self.permit.is_none() {
            self.permit = Some(permit(self.hub, self.client).await?);
        }
        let partition = &self.partitions[index];
        let slot = partition.slot;
        let (mut from, to) = (partition.step_from(), partition.looked_at_from);
        let (mut next, mut oldest) = (from, None);
        while next < to {
            let range = ReplayRange {
                topic: slot.partition.topic.clone(),
                partition: slot.partition.partition,
                from: next,
                to,
            };
            let read = read(self.hub, self.consumer, range).await?;
            // Kafka has deleted what is earlier.
            if read.log_start.is_some_and(|start| start > next) {
                from = Offset(0);
            }
            let first = self.look_at(index, &read.entries.into());
            oldest = oldest.or(first);
            next = read.next.max(Offset(next.0 + 1));
        }
        self.partitions[index].looked_back_to(from, oldest);
        Ok(())
    }

    /// Looks at records of a partition, which are in order. Returns the time of the first.
    fn look_at(&mut self, index: usize, entries: &VecDeque<LogEntry>) -> Option<TimestampMs> {
        self.looked_at += entries.len() as u64;
        for entry in entries {
            let is_late = self.until.is_some_and(|until| entry.timestamp >= until);
            let Some(event) = entry.event.as_ref().filter(|_| !is_late) else {
                continue;
            };
            let matcher = self.matcher.as_mut();
            if matcher.is_none_or(|matcher| matcher.matches(event.text())) {
                let found = &mut self.partitions[index].found;
                found.push((entry.offset, entry.timestamp));
            }
        }
        entries.front().map(|entry| entry.timestamp)
    }
}

impl PartitionSearch<'_> {
    /// About the newest time that the partition may still have; `None` when it has nothing more.
    fn newest(&self) -> Option<TimestampMs> {
        let found = self.found.last().map(|(_, timestamp)| *timestamp);
        let may_have_more = self.looked_at_from > Offset(0) && !self.slot.retired;
        found.or(may_have_more.then_some(self.newest_before))
    }

    /// The first offset that is looked at next.
    fn step_from(&self) -> Offset {
        let step = i64::try_from(self.step).unwrap_or(i64::MAX);
        Offset(self.looked_at_from.0.saturating_sub(step).max(0))
    }

    /// Whether Kafka has, and can serve, what is earlier.
    fn is_readable(&self) -> bool {
        let log = self.slot.partition.log.read();
        log.gone_from(Offset(self.looked_at_from.0 - 1)).is_none() && !self.slot.is_unavailable()
    }

    /// Reads earlier records from memory, and returns the offset of the first one that it reads;
    /// `None` when memory has none.
    fn read_memory(&self, entries: &mut VecDeque<LogEntry>) -> Option<Offset> {
        let log = self.slot.partition.log.read();
        let from = log.start().max(self.step_from());
        let is_held = from < self.looked_at_from
            && log.covers(self.looked_at_from)
            && log.read(from, self.looked_at_from, self.step, entries);
        is_held.then_some(from)
    }

    /// Notes that everything from `from` on was looked at. `oldest`: the time of the first record.
    fn looked_back_to(&mut self, from: Offset, oldest: Option<TimestampMs>) {
        self.looked_at_from = from;
        self.newest_before = oldest.unwrap_or(self.newest_before);
        self.step = (self.step * 2).min(STEP_MAX);
    }
}

async fn read(
    hub: &Hub,
    consumer: ReplayConsumerNumber,
    range: ReplayRange,
) -> Result<ReplayRead, UpstreamUnavailable> {
    let _reading = hub.upstream.read_permit().await?;
    let bytes_max = limits::REPLAY_READ_BYTES_MAX;
    if !hub.memory().has_room(bytes_max) {
        return Err(UpstreamUnavailable);
    }
    let _held = hub.memory().hold(Use::Replays, bytes_max);
    hub.upstream.replay(consumer, range, bytes_max).await
}

/// A permit to read Kafka, when there is one.
async fn permit(hub: &Hub, client: Client) -> Result<ReplayPermit, SearchError> {
    loop {
        if let Some(permit) = hub.replay_permits.try_acquire(client) {
            return Ok(permit);
        }
        let waiter = hub.replay_permits.enqueue(client);
        let mut waiter = waiter.ok_or(SearchError::Refused)?;
        loop {
            match waiter.wait().await {
                WaitOutcome::Granted(permit) => return Ok(permit),
                WaitOutcome::StillWaiting(_) => {}
                WaitOutcome::Expired => break,
                WaitOutcome::Evicted => return Err(SearchError::Refused),
            }
        }
    }
}
