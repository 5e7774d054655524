//! How a feed hands out its frames, to subscribers of all events and to those of a view.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::filtered::ViewEntry;
use super::ring::{FeedFrame, Ring};
use super::{Feed, Slot, Tail};
use crate::cursor::{Position, TimestampMs};
use crate::event::frame::Format;
use crate::fanout::delivered::Delivered;
use crate::fanout::progress::{Counts, ReadProgress};
use crate::filter::{FilterId, Selection};
use crate::limits;
use crate::memory::Use;

/// What was read of a feed or a view.
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

/// What a read hands out.
#[derive(Debug, Default)]
pub(in crate::fanout) struct Handout {
    pub(in crate::fanout) pieces: Vec<Bytes>,
    pub(in crate::fanout) delivered: Vec<Delivered>,
    /// Whether each event is counted on its own.
    counts_singly: bool,
    bytes: usize,
    count: u64,
    timestamp: Option<TimestampMs>,
}

impl Handout {
    /// One in which `delivered` has an entry for each event, in order, if it `counts_singly`.
    pub(in crate::fanout) fn new(counts_singly: bool) -> Self {
        Self {
            counts_singly,
            ..Self::default()
        }
    }

    /// Whether a frame of this length fits into `bytes_max`. The first one always does.
    fn has_room(&self, length: usize, bytes_max: usize) -> bool {
        self.bytes == 0 || self.bytes + length <= bytes_max
    }

    fn add(&mut self, piece: Option<Bytes>) {
        self.count += 1;
        if let Some(piece) = piece {
            self.bytes += piece.len();
            self.pieces.push(piece);
        }
    }

    fn add_frame(&mut self, frame: &FeedFrame, slots: &[Slot]) {
        if frame.timestamp.is_some() {
            let topic = &slots[frame.slot].partition.topic;
            if self.counts_singly {
                self.delivered.push(Delivered::one(topic, 0));
            } else {
                Delivered::count(&mut self.delivered, topic, frame.bytes.len() as u64);
            }
        }
        self.timestamp = frame.timestamp.or(self.timestamp);
        self.add(Some(frame.bytes.clone()));
    }

    fn result(&self, from: u64) -> FeedRead {
        if self.count == 0 {
            return FeedRead::Nothing;
        }
        FeedRead::Frames {
            next: from + self.count,
            timestamp: self.timestamp,
        }
    }
}

impl Feed {
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
            counts: Counts::default(),
            last_progress: Counts::default(),
        }
    }

    /// Hands out the frames from sequence number `from` on, at most about `bytes_max`, and moves
    /// `cursor` past them.
    pub(in crate::fanout) fn read(
        &self,
        from: u64,
        bytes_max: usize,
        cursor: &mut Vec<Position>,
        handout: &mut Handout,
    ) -> FeedRead {
        let ring = self.ring.lock();
        if from < ring.first {
            return FeedRead::Behind;
        }
        let skip = usize::try_from(from - ring.first).unwrap_or(usize::MAX);
        for frame in ring.frames.iter().skip(skip) {
            if !handout.has_room(frame.bytes.len(), bytes_max) {
                break;
            }
            handout.add_frame(frame, &ring.slots);
            // A slot is taken in with its first frame, so that a subscriber that falls behind
            // before it still learns what the slot replaces.
            for slot in ring.slots.iter().take(frame.slot + 1).skip(cursor.len()) {
                cursor.push(slot.start);
            }
            cursor[frame.slot] = frame.position;
        }
        handout.result(from)
    }

    /// Counts a subscriber that gets all events.
    pub(in crate::fanout) fn add_unfiltered(&self) {
        self.unfiltered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts it no longer.
    pub(in crate::fanout) fn remove_unfiltered(&self) {
        self.unfiltered.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds a view.
    pub(in crate::fanout) fn add_view(&self, selection: Arc<Selection>) -> FilterId {
        let held = self.memory.hold(Use::Feeds, limits::VIEW_BYTES);
        let mut ring = self.ring.lock();
        let records = ring.records;
        ring.views.add(selection, records, held)
    }

    /// Removes a view, which has no subscriber any more.
    pub(in crate::fanout) fn remove_view(&self, view: FilterId) {
        self.ring.lock().views.remove(view);
    }

    /// Changes when the view has new frames.
    pub(in crate::fanout) fn watch_view(&self, view: FilterId) -> watch::Receiver<u64> {
        let mut ring = self.ring.lock();
        let view = ring.views.get(view);
        view.map_or_else(|| self.wake.subscribe(), |view| view.watch())
    }

    /// The end of a view now.
    pub(in crate::fanout) fn tail_of_view(&self, view: FilterId) -> Tail {
        let mut ring = self.ring.lock();
        let scanned = ring.records;
        let (next, matched, last_progress) = match ring.views.get(view) {
            Some(view) => (view.next(), view.matched, view.last_progress),
            None => (0, 0, Counts::default()),
        };
        Tail {
            next,
            slots: ring.slots.clone(),
            counts: Counts { scanned, matched },
            last_progress,
        }
    }

    /// Requests a progress frame in a view. A subscriber shares the next ones after it.
    pub(in crate::fanout) fn request_progress(&self, view: FilterId) {
        if let Some(view) = self.ring.lock().views.get(view) {
            view.request_progress();
        }
    }

    /// Adds progress frames to the views in which one is due, and wakes their subscribers. NDJSON
    /// has none.
    pub(in crate::fanout) fn report_progress(&self, interval: Duration) {
        let mut ring = self.ring.lock();
        if self.key.format == Format::Ndjson || ring.views.is_empty() {
            return;
        }
        let point = ring.progress_point();
        let (at, scanned) = (ring.next(), ring.records);
        ring.views.push_progress(&point, at, scanned, interval);
        ring.views.wake_touched();
    }

    /// Hands out all frames of a view from its sequence number `from` on, and moves `cursor` to the
    /// end of the feed, past what the view leaves out. The ring bounds the frames: a smaller part
    /// of them would leave the cursor inexact in the other partitions.
    pub(in crate::fanout) fn read_view(
        &self,
        view: FilterId,
        from: u64,
        cursor: &mut Vec<Position>,
        progress: &mut ReadProgress,
        handout: &mut Handout,
    ) -> FeedRead {
        let mut ring = self.ring.lock();
        let Ring {
            slots,
            frames,
            first,
            records,
            views,
            ..
        } = &mut *ring;
        let Some(view) = views.get(view) else {
            return FeedRead::Behind;
        };
        view.prune(*first);
        if from < view.first {
            return FeedRead::Behind;
        }
        let skip = usize::try_from(from - view.first).unwrap_or(usize::MAX);
        for entry in view.entries.iter().skip(skip) {
            match entry {
                ViewEntry::Frame(seq) => {
                    let index = usize::try_from(*seq - *first).unwrap_or(usize::MAX);
                    handout.add_frame(&frames[index], slots);
                }
                ViewEntry::Progress(one) => {
                    // A subscriber that joined right before this frame has scanned nothing.
                    let is_new = progress.since != one.counts;
                    handout.add(is_new.then(|| one.bytes_after(progress.since)));
                    progress.since = one.counts;
                    progress.is_synced = true;
                }
            }
        }
        cursor.clear();
        cursor.extend(slots.iter().map(|slot| slot.position));
        progress.seen = Counts {
            scanned: *records,
            matched: view.matched,
        };
        handout.result(from)
    }
}
