//! Merges the buffers of a subscriber that catches up by time, and renders the events.

use bytes::{Bytes, BytesMut};

use super::CatchUp;
use super::scan::Scan;
use crate::cursor::Position;
use crate::event::{Format, PublicEvent, frame};
use crate::fanout::delivered::Delivered;
use crate::fanout::feed::Tail;

/// The frames of one merge.
pub(super) struct Merged {
    pub(super) bytes: Bytes,
    pub(super) delivered: Vec<Delivered>,
    /// Whether it stopped because there was no memory for the next event.
    pub(super) is_short: bool,
}

/// Where the next entry of a merge is.
enum Next {
    /// At the front of this buffer.
    Buffer(usize),
    /// Unknown: an empty buffer must be filled first.
    NotFetched,
    /// There is none.
    Nowhere,
}

impl CatchUp {
    /// Renders the buffered entries in time order, while every buffer that has more to come shows
    /// its next entry and there is memory for it.
    pub(super) fn merge(&mut self, tail: &Tail, cursor: &mut [Position]) -> Merged {
        let mut bytes = BytesMut::new();
        let mut delivered = Vec::new();
        let mut is_short = false;
        let mut is_fetched = true;
        let bytes_max = self.hub.step_limits().catch_up_bytes;
        while bytes.len() < bytes_max && !self.is_step_full() && !self.is_spent() {
            let index = match self.next_entry(tail) {
                Next::Buffer(index) => index,
                Next::Nowhere => break,
                Next::NotFetched => {
                    is_fetched = false;
                    break;
                }
            };
            if !self.has_room(index, bytes.len()) {
                is_short = true;
                break;
            }
            let Some(entry) = self.buffers[index].entries.pop_front() else {
                break;
            };
            cursor[index] = entry.position_after();
            self.event_id.set(index, cursor[index]);
            let is_before_end = self.is_before_end(index, &entry);
            let is_wanted = self.look_at(&entry, is_before_end);
            if let Some(event) = entry.event.as_ref().filter(|_| is_wanted) {
                let before = bytes.len();
                self.append_frame(&mut bytes, event);
                let length = bytes.len() - before;
                let topic = &tail.slots[index].partition.topic;
                Delivered::count(&mut delivered, topic, length as u64);
                self.count_event(length);
            }
        }
        if is_fetched {
            self.pass_holes(cursor);
        }
        self.append_progress(&mut bytes);
        Merged {
            bytes: bytes.freeze(),
            delivered,
            is_short,
        }
    }

    fn append_frame(&mut self, bytes: &mut BytesMut, event: &PublicEvent) {
        let id = match self.format {
            Format::Sse => self.event_id.as_bytes(),
            Format::Ndjson => &[],
        };
        match &self.fields {
            None => frame::append_to(bytes, self.format, id, event),
            Some(fields) => frame::append_fields_to(bytes, self.format, id, event, fields),
        }
    }

    fn is_step_full(&self) -> bool {
        self.scan.as_ref().is_some_and(Scan::is_step_full)
    }

    fn next_entry(&self, tail: &Tail) -> Next {
        let mut earliest: Option<usize> = None;
        for (index, buffer) in self.buffers.iter().enumerate() {
            let Some(entry) = buffer.entries.front() else {
                let slot = &tail.slots[index];
                // A partition that cannot be read now does not hold up the others.
                if slot.is_reached_at(buffer.fetched) || slot.is_unavailable() {
                    continue;
                }
                return Next::NotFetched;
            };
            let first = earliest.and_then(|other| self.buffers[other].entries.front());
            if first.is_none_or(|other| entry.timestamp < other.timestamp) {
                earliest = Some(index);
            }
        }
        earliest.map_or(Next::Nowhere, Next::Buffer)
    }

    /// Whether there is memory for the next event of a buffer after `bytes` of frames.
    fn has_room(&self, index: usize, bytes: usize) -> bool {
        let buffer = &self.buffers[index];
        // Entries from Kafka are counted already.
        let is_counted = buffer.held.bytes() > 0;
        let next = buffer
            .entries
            .front()
            .and_then(|entry| entry.event.as_ref());
        next.is_none_or(|event| {
            is_counted || self.hub.memory().has_room(bytes + event.json().len())
        })
    }

    /// Moves the cursor past offsets that hold no record (compacted, or a transaction's marks).
    fn pass_holes(&mut self, cursor: &mut [Position]) {
        for (index, buffer) in self.buffers.iter().enumerate() {
            if buffer.entries.is_empty() && buffer.fetched > cursor[index].next {
                cursor[index].next = buffer.fetched;
                self.event_id.set(index, cursor[index]);
            }
        }
    }
}
