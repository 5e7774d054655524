//! The task of a write group: reads a batch, compresses it once, writes it to every member, and
//! admits or releases members between two rounds of writes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::Delivery;
use super::compression::SharedCompressor;
use super::counters::{DeliveryCounters, DeliveryTotals};
use super::heartbeat::HeartbeatTimer;
use super::payload::Payload;
use super::sink::{Chunk, SinkRef, WriteOutcome};
use super::stream_output::StreamOutput;
use super::write_group::{Deliveries, Detached, GroupKey, Joining, Member, WriteGroup};
use crate::event::Format;
use crate::fanout::Subscription;
use crate::limits;
use crate::memory::Use;

/// The task of a write group.
pub(super) struct GroupTask {
    delivery: Arc<Delivery>,
    group: Arc<WriteGroup>,
    key: GroupKey,
    format: Format,
    subscription: Subscription,
    compressor: SharedCompressor,
    last_restart: Restart,
    members: Vec<Member>,
    /// Streams that are ahead of the group, or wait for the compressor to restart.
    waiting: Vec<Joining>,
    heartbeat_timer: HeartbeatTimer,
    counters: DeliveryCounters,
}

/// When the compressor restarted, and how many events it has compressed since.
struct Restart {
    at: Instant,
    events: u64,
}

impl Restart {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            events: 0,
        }
    }

    /// Whether the compressor may restart: each restart costs compression ratio.
    fn is_long_ago(&self) -> bool {
        self.at.elapsed() >= limits::COMPRESSOR_RESTART_PAUSE
            || self.events >= limits::COMPRESSOR_RESTART_EVENTS
    }
}

impl GroupTask {
    pub(super) fn new(
        output: &StreamOutput,
        group: &Arc<WriteGroup>,
        subscription: Subscription,
    ) -> Self {
        let delivery = Arc::clone(&output.delivery);
        let coding = output.compressor.coding();
        Self {
            group: Arc::clone(group),
            key: (subscription.feed_key().clone(), coding),
            format: subscription.feed_key().format,
            subscription,
            compressor: SharedCompressor::new(coding, &delivery.memory),
            last_restart: Restart::now(),
            members: Vec::new(),
            waiting: Vec::new(),
            heartbeat_timer: HeartbeatTimer::new(delivery.heartbeat),
            counters: DeliveryCounters::new(Arc::clone(&delivery.metrics)),
            delivery,
        }
    }

    pub(super) async fn run(mut self) {
        let group = Arc::clone(&self.group);
        loop {
            tokio::select! {
                () = group.wake.notified() => self.release_leaving(),
                batch = self.subscription.next() => {
                    self.deliver(Payload::of(batch, self.format)).await;
                }
                () = self.heartbeat_timer.due() => self.send_heartbeat().await,
            }
            self.admit().await;
            if self.size() == 0 && self.delivery.groups.close(&self.key, &group) {
                return;
            }
        }
    }

    fn size(&self) -> usize {
        self.members.len() + self.waiting.len()
    }

    /// Writes a payload to all members. When more is there already, events come faster than they
    /// are written. The task then pauses for as long as the write took, within the operator's
    /// bound, so that each write carries more.
    async fn deliver(&mut self, payload: Payload) {
        if payload.end.is_some() {
            self.disband();
            return;
        }
        let started = Instant::now();
        let totals = self.counters.deliver(&payload);
        self.group
            .events
            .fetch_add(totals.events, Ordering::Relaxed);
        self.group.bytes.fetch_add(totals.bytes, Ordering::Relaxed);
        self.last_restart.events += totals.events;
        let compressed = self.compressor.compress(payload.pieces);
        self.write_pieces(compressed).await;
        self.heartbeat_timer.reset();
        if self.subscription.has_more() {
            pause(started.elapsed().min(self.delivery.batch_wait_max)).await;
        }
    }

    async fn send_heartbeat(&mut self) {
        self.admit().await;
        let members = self.members.len() as u64;
        self.delivery.metrics.heartbeats.increment(members);
        let payload = Payload::heartbeat(self.format);
        let compressed = self.compressor.compress(payload.pieces);
        self.write_pieces(compressed).await;
    }

    /// Writes to all members. The pieces are dropped before the task waits.
    async fn write_pieces(&mut self, pieces: Vec<Bytes>) {
        let chunk = Chunk::of(&pieces, &self.delivery.memory);
        drop(pieces);
        self.write(&chunk).await;
    }

    async fn write(&mut self, chunk: &Chunk) {
        if chunk.is_empty() {
            return;
        }
        for (number, slice) in write_slices(self.members.len()).enumerate() {
            if number > 0 {
                tokio::task::yield_now().await;
            }
            for (index, outcome) in self.write_slice(slice, chunk).into_iter().rev() {
                let member = self.remove(index);
                if let WriteOutcome::Partial(unwritten) = outcome {
                    self.release(member, unwritten);
                }
            }
        }
    }

    /// Writes to a range of members. Returns those that did not take all, in order. It resolves the
    /// sockets first, so that the cache misses of the members overlap.
    fn write_slice(&self, range: Range<usize>, chunk: &Chunk) -> Vec<(usize, WriteOutcome)> {
        let members = self.members[range.clone()].iter();
        let sinks: Vec<SinkRef<'_>> = members.map(|member| member.sink.as_ref()).collect();
        let outcomes = range
            .zip(sinks)
            .map(|(index, sink)| (index, sink.write(chunk)));
        outcomes
            .filter(|(_, outcome)| !matches!(outcome, WriteOutcome::Complete))
            .collect()
    }

    fn remove(&mut self, index: usize) -> Member {
        let member = self.members.swap_remove(index);
        self.counters.remove(&member.streams);
        member
    }

    /// Hands a member back to its task, with the bytes that its client did not take.
    fn release(&self, member: Member, unwritten: Bytes) {
        let (end, checksum) = self.compressor.leave(member.joined);
        let memory = &self.delivery.memory;
        let end = Chunk::of(&[end], memory);
        let unwritten = if end.is_empty() {
            unwritten
        } else {
            let bytes = [&unwritten[..], member.sink.as_ref().bytes_of(&end)].concat();
            memory.keep(Use::Unwritten, bytes.into())
        };
        let detached = Detached {
            subscription: self.subscription.fork(member.client),
            unwritten,
            checksum: member.before.then(checksum),
            not_admitted: false,
        };
        member.release(self.group.delivered(), detached);
    }

    /// Releases all members.
    fn disband(&mut self) {
        while !self.members.is_empty() {
            let member = self.remove(self.members.len() - 1);
            self.release(member, Bytes::new());
        }
    }

    /// Releases the members that want to leave, and removes those that are gone.
    fn release_leaving(&mut self) {
        if !self.group.leaving.swap(false, Ordering::Acquire) {
            return;
        }
        self.waiting.retain(|joining| !joining.member.is_gone());
        for index in (0..self.members.len()).rev() {
            let member = &self.members[index];
            if member.is_gone() || member.wants_to_leave() {
                let member = self.remove(index);
                self.release(member, Bytes::new());
            }
        }
    }

    /// Admits the streams that are at the position of the group. The compressor restarts for them,
    /// but not at every event: that would compress each event separately.
    async fn admit(&mut self) {
        let mut joining = std::mem::take(&mut self.waiting);
        joining.append(&mut self.group.joining.lock());
        for stream in joining {
            self.catch_up(stream);
        }
        let position = self.subscription.live_at();
        let waits_here = |joining: &Joining| joining.subscription.live_at() == position;
        if self.last_restart.is_long_ago() && self.waiting.iter().any(waits_here) {
            self.last_restart = Restart::now();
            let end = self.compressor.restart();
            self.write_pieces(vec![end]).await;
            for stream in std::mem::take(&mut self.waiting) {
                self.catch_up(stream);
            }
        }
        self.group.size.store(self.size(), Ordering::Relaxed);
    }

    /// Writes to a joining stream what lies between its position and that of the group.
    fn catch_up(&mut self, mut joining: Joining) {
        loop {
            let position = joining.subscription.live_at();
            let (Some(own), Some(group)) = (position, self.subscription.live_at()) else {
                return joining.release(Bytes::new(), true);
            };
            if own >= group {
                return self.admit_one(joining, own == group && self.compressor.at_restart_point());
            }
            let Some(batch) = joining.subscription.next().now_or_never() else {
                continue;
            };
            let payload = Payload::of(batch, self.format);
            if let Deliveries::Own(totals) = &mut *joining.member.state.deliveries.lock() {
                let mut counters = DeliveryCounters::new(Arc::clone(&self.delivery.metrics));
                counters.add(&joining.member.streams);
                *totals += counters.deliver(&payload);
            }
            let pieces = joining.compressor.compress(payload.pieces);
            let chunk = Chunk::of(&pieces, &self.delivery.memory);
            match joining.member.sink.as_ref().write(&chunk) {
                WriteOutcome::Complete => {}
                WriteOutcome::Partial(unwritten) => return joining.release(unwritten, false),
                WriteOutcome::Closed => return,
            }
        }
    }

    /// Makes a joining stream a member, or lets it wait, unless it wants to leave.
    fn admit_one(&mut self, joining: Joining, is_ready: bool) {
        if joining.member.is_gone() {
            return;
        }
        if joining.member.wants_to_leave() {
            return joining.release(Bytes::new(), false);
        }
        if !is_ready {
            return self.waiting.push(joining);
        }
        let Joining {
            mut member,
            compressor,
            ..
        } = joining;
        member.count_in_group(self.group.delivered());
        member.before = compressor.checksum();
        member.joined = self.compressor.checksum();
        self.counters.add(&member.streams);
        self.members.push(member);
    }
}

/// Pauses, or only yields when the pause is too short for a timer.
async fn pause(time: Duration) {
    if time >= limits::GROUP_PAUSE_MIN {
        tokio::time::sleep(time).await;
    } else {
        tokio::task::yield_now().await;
    }
}

impl Joining {
    fn release(self, unwritten: Bytes, not_admitted: bool) {
        let detached = Detached {
            subscription: self.subscription,
            unwritten,
            checksum: self.compressor.checksum(),
            not_admitted,
        };
        self.member.release(DeliveryTotals::default(), detached);
    }
}

/// The slices of members that are written without yielding. They go from the end: the member that
/// takes the place of a removed one has been written already.
fn write_slices(members: usize) -> impl Iterator<Item = Range<usize>> {
    let ends = (1..=members).rev().step_by(limits::GROUP_SLICE_WRITES);
    ends.map(|end| end.saturating_sub(limits::GROUP_SLICE_WRITES)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_in_one_slice() {
        for members in [0, 1, 255, 256, 257, 512, 1000] {
            let slices: Vec<_> = write_slices(members).collect();
            let fits = |slice: &Range<usize>| slice.len() <= limits::GROUP_SLICE_WRITES;
            assert!(slices.iter().all(fits), "{slices:?}");
            let indices: Vec<usize> = slices.into_iter().flat_map(Iterator::rev).collect();
            assert_eq!(indices, (0..members).rev().collect::<Vec<_>>());
        }
    }
}
