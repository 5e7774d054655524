//! Filtered feeds: views of a feed, each the list of the frames that its filter matches.
//!
//! A view has no ring of its own. Its list holds sequence numbers of the feed's ring, and progress
//! frames between them. Numbers whose frames have left the ring leave the list when it is next
//! used.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::Counter;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::event::PublicEvent;
use crate::fanout::progress::{Counts, ProgressPoint};
use crate::filter::{FilterId, FilterIndex, Scratch, Selection};
use crate::memory::Held;

/// Progress frames that a list keeps. A subscriber that is further behind catches up.
const PROGRESS_FRAMES_MAX: usize = 4;

/// The views of one feed.
#[derive(Debug)]
pub(super) struct Views {
    index: FilterIndex,
    scratch: Scratch,
    by_id: HashMap<FilterId, View>,
    /// The views whose subscribers must be woken.
    touched: Vec<FilterId>,
    counters: FilterCounters,
}

/// Metrics of filters.
#[derive(Clone, Debug)]
pub(in crate::fanout) struct FilterCounters {
    /// Records looked at.
    pub(in crate::fanout) scanned: Counter,
    /// Events that matched, once for each filter.
    pub(in crate::fanout) matched: Counter,
}

/// One view.
#[derive(Debug)]
pub(super) struct View {
    selection: Arc<Selection>,
    /// The view's own sequence number of `entries[0]`.
    pub(super) first: u64,
    pub(super) entries: VecDeque<ViewEntry>,
    /// Events that have matched since the view began.
    pub(super) matched: u64,
    /// The totals at the last progress frame, at first where the view began.
    pub(super) last_progress: Counts,
    last_progress_at: Instant,
    progress_frames: usize,
    /// A subscriber needs a progress frame soon.
    wants_progress: bool,
    is_touched: bool,
    wake: watch::Sender<u64>,
    _held: Held,
}

/// What a view's subscribers get.
#[derive(Debug)]
pub(super) enum ViewEntry {
    /// The frame with this sequence number in the feed.
    Frame(u64),
    /// A progress frame.
    Progress(Box<Progress>),
}

/// A progress frame of a view.
#[derive(Debug)]
pub(super) struct Progress {
    /// The feed's sequence number there.
    at: u64,
    point: ProgressPoint,
    /// The totals there.
    pub(super) counts: Counts,
    /// The totals at the progress frame before.
    previous: Counts,
    /// Rendered for subscribers that got the progress frame before.
    bytes: Bytes,
}

impl Views {
    pub(super) fn new(counters: FilterCounters) -> Self {
        Self {
            index: FilterIndex::default(),
            scratch: Scratch::default(),
            by_id: HashMap::new(),
            touched: Vec::new(),
            counters,
        }
    }

    /// Adds a view of a feed that has seen `scanned` records.
    pub(super) fn add(&mut self, selection: Arc<Selection>, scanned: u64, held: Held) -> FilterId {
        let id = self.index.add(selection.filter());
        let view = View {
            selection,
            first: 0,
            entries: VecDeque::new(),
            matched: 0,
            last_progress: Counts {
                scanned,
                matched: 0,
            },
            last_progress_at: Instant::now(),
            progress_frames: 0,
            wants_progress: false,
            is_touched: false,
            wake: watch::Sender::new(0),
            _held: held,
        };
        self.by_id.insert(id, view);
        id
    }

    pub(super) fn remove(&mut self, id: FilterId) {
        self.index.remove(id);
        self.by_id.remove(&id);
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn get(&mut self, id: FilterId) -> Option<&mut View> {
        self.by_id.get_mut(&id)
    }

    /// Adds the frame of `event`, number `seq`, to every view that has the event. Returns whether
    /// there is one. The frames before `ring_first` have left the ring.
    pub(super) fn push(&mut self, seq: u64, ring_first: u64, event: &PublicEvent) -> bool {
        if self.is_empty() {
            return false;
        }
        let json = event.text();
        let mut matched = 0;
        for id in self.index.matching(json, &mut self.scratch) {
            let Some(view) = self.by_id.get_mut(id) else {
                continue;
            };
            if view.selection.allows_size(json.len()) {
                matched += 1;
                view.matched += 1;
                view.prune(ring_first);
                view.push(ViewEntry::Frame(seq), *id, &mut self.touched);
            }
        }
        self.counters.scanned.increment(1);
        self.counters.matched.increment(matched);
        matched > 0
    }

    /// Adds a frame to every view: a notice.
    pub(super) fn push_to_all(&mut self, seq: u64) {
        for (id, view) in &mut self.by_id {
            view.push(ViewEntry::Frame(seq), *id, &mut self.touched);
        }
    }

    /// Adds a progress frame to every view whose last one is `interval` ago, or in which a
    /// subscriber needs one, if the feed has moved since. `at` is the feed's next sequence number,
    /// `scanned` the number of its records.
    pub(super) fn push_progress(
        &mut self,
        point: &ProgressPoint,
        at: u64,
        scanned: u64,
        interval: Duration,
    ) {
        for (id, view) in &mut self.by_id {
            let counts = Counts {
                scanned,
                matched: view.matched,
            };
            let is_due = view.wants_progress || view.last_progress_at.elapsed() >= interval;
            if !is_due || view.last_progress.scanned == scanned {
                continue;
            }
            let previous = std::mem::replace(&mut view.last_progress, counts);
            view.last_progress_at = Instant::now();
            view.wants_progress = false;
            view.progress_frames += 1;
            let progress = Progress {
                at,
                point: point.clone(),
                counts,
                previous,
                bytes: point.frame(counts - previous),
            };
            view.push(ViewEntry::Progress(progress.into()), *id, &mut self.touched);
            while view.progress_frames > PROGRESS_FRAMES_MAX {
                view.forget_oldest();
            }
        }
    }

    /// Wakes the subscribers of the views that have new entries.
    pub(super) fn wake_touched(&mut self) {
        for id in self.touched.drain(..) {
            if let Some(view) = self.by_id.get_mut(&id) {
                view.is_touched = false;
                view.wake.send_replace(view.next());
            }
        }
    }
}

impl Progress {
    /// The frame for a subscriber with these totals at its last progress frame.
    pub(super) fn bytes_after(&self, since: Counts) -> Bytes {
        if since == self.previous {
            self.bytes.clone()
        } else {
            self.point.frame(self.counts - since)
        }
    }
}

impl View {
    /// The view's sequence number of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// Asks for a progress frame soon.
    pub(super) fn request_progress(&mut self) {
        self.wants_progress = true;
    }

    fn push(&mut self, entry: ViewEntry, id: FilterId, touched: &mut Vec<FilterId>) {
        self.entries.push_back(entry);
        if !std::mem::replace(&mut self.is_touched, true) {
            touched.push(id);
        }
    }

    /// Forgets the entries whose frames have left the ring.
    pub(super) fn prune(&mut self, ring_first: u64) {
        while self.entries.front().is_some_and(|entry| match entry {
            ViewEntry::Frame(seq) => *seq < ring_first,
            ViewEntry::Progress(progress) => progress.at < ring_first,
        }) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(ViewEntry::Progress(_)) = self.entries.pop_front() {
            self.progress_frames -= 1;
        }
        self.first += 1;
    }
}
