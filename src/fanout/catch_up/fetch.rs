//! Fills the buffers of a subscriber that catches up, from the memory logs and from Kafka.

use super::{CatchUp, Step};
use crate::cursor::{MovedReason, Offset, Position, Requested};
use crate::fanout::feed::{Slot, Tail};
use crate::fanout::partition_buffer::PartitionBuffer;
use crate::fanout::replay_permits::ReplayPermit;
use crate::fanout::upstream::{ReplayRange, UpstreamUnavailable};
use crate::limits;

impl CatchUp {
    /// Fills every empty buffer whose target is not reached. Returns the step to take if it cannot.
    pub(super) async fn fetch(
        &mut self,
        tail: &Tail,
        cursor: &mut [Position],
    ) -> Result<Option<Step>, UpstreamUnavailable> {
        let mut needs_kafka = false;
        for (index, slot) in tail.slots.iter().enumerate() {
            let buffer = &mut self.buffers[index];
            if !buffer.entries.is_empty() || slot.is_reached_at(buffer.fetched) {
                continue;
            }
            let count = self.hub.step_limits().memory_entries_max;
            if buffer.read_memory(&slot.partition.log.read(), slot.position.next, count) {
                continue;
            }
            let expected = buffer.fetched;
            let lost_below = slot.partition.log.read().gone_from(expected);
            if let Some(log_start) = lost_below {
                *buffer = PartitionBuffer::new(log_start, self.hub.memory());
                return Ok(Some(
                    self.continue_at(index, slot, expected, log_start, cursor),
                ));
            }
            if slot.is_unavailable() {
                continue;
            }
            needs_kafka = true;
            if let Some(step) = self.fetch_from_kafka(tail, index, cursor).await? {
                return Ok(Some(step));
            }
        }
        // A buffer that has reached the feed needs no Kafka read and may stay empty for long.
        let waits = |buffer: &PartitionBuffer, slot: &Slot| {
            buffer.entries.is_empty() && slot.is_reached_at(buffer.fetched)
        };
        let is_done = |(buffer, slot): (&PartitionBuffer, &Slot)| {
            !buffer.is_from_kafka || waits(buffer, slot)
        };
        if !needs_kafka && self.buffers.iter().zip(&tail.slots).all(is_done) {
            self.permit = None;
        }
        Ok(None)
    }

    async fn fetch_from_kafka(
        &mut self,
        tail: &Tail,
        index: usize,
        cursor: &mut [Position],
    ) -> Result<Option<Step>, UpstreamUnavailable> {
        if !self.has_permit(cursor) {
            return Ok(Some(Step::PermitNeeded));
        }
        // The memory counts before it is filled, so only for reads that start soon.
        let _reading = self.hub.upstream.read_permit().await?;
        let bytes_max = self.bytes_per_partition(tail);
        if !self.hub.memory().has_room(bytes_max) {
            // The buffers may be what takes the memory.
            self.release_permit(cursor);
            return Ok(Some(Step::Unavailable));
        }
        let slot = &tail.slots[index];
        let buffer = &mut self.buffers[index];
        buffer.held.set(bytes_max);
        let expected = buffer.fetched;
        let range = ReplayRange {
            topic: slot.partition.topic.clone(),
            partition: slot.partition.partition,
            from: expected,
            to: slot
                .partition
                .memory_start()
                .min(slot.position.next)
                .max(Offset(expected.0 + 1)),
        };
        let read = self
            .hub
            .upstream
            .replay(self.consumer, range, bytes_max)
            .await;
        buffer.count_entries();
        let read = read?;
        buffer.entries.extend(read.entries);
        buffer.count_entries();
        buffer.fetched = read.next;
        buffer.is_from_kafka = true;
        if let Some(log_start) = read.log_start.filter(|start| *start > expected) {
            return Ok(Some(
                self.continue_at(index, slot, expected, log_start, cursor),
            ));
        }
        Ok(None)
    }

    /// Bytes to read at once from each partition that needs Kafka.
    fn bytes_per_partition(&self, tail: &Tail) -> usize {
        let needs_kafka = |(slot, buffer): &(&Slot, &PartitionBuffer)| {
            !slot.is_reached_at(buffer.fetched) && !slot.partition.log.read().covers(buffer.fetched)
        };
        let count = tail
            .slots
            .iter()
            .zip(&self.buffers)
            .filter(needs_kafka)
            .count();
        (limits::REPLAY_READ_BYTES_MAX / count.max(1)).max(limits::REPLAY_SHARE_BYTES_MIN)
    }

    /// Moves the cursor to the offset at which a partition's log starts now.
    fn continue_at(
        &mut self,
        index: usize,
        slot: &Slot,
        expected: Offset,
        log_start: Offset,
        cursor: &mut [Position],
    ) -> Step {
        cursor[index].next = log_start;
        // The client gets one notice: the next id must not name the missing records again.
        self.event_id.set(index, cursor[index]);
        let requested = Requested::Offset(expected);
        Step::Moved(
            slot.partition
                .moved(requested, log_start, MovedReason::BelowLogStart),
        )
    }

    /// Whether there is a permit for reads from Kafka. Releases one that is due.
    fn has_permit(&mut self, cursor: &[Position]) -> bool {
        if self.has_advanced && self.permit.as_ref().is_some_and(ReplayPermit::is_due) {
            self.release_permit(cursor);
            return false;
        }
        if self.permit.is_none()
            && let Some(permit) = self.hub.replay_permits.try_acquire(self.client)
        {
            self.set_permit(permit);
        }
        self.permit.is_some()
    }
}
