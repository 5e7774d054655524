//! What a subscriber with a selection looks at while it catches up, and the progress frames that
//! cover what it leaves out.

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::CatchUp;
use crate::cursor::{EventId, IdForm, Position};
use crate::event::frame::Format;
use crate::fanout::feed::{FeedKey, Slot};
use crate::fanout::hub::StepLimits;
use crate::fanout::log_entry::LogEntry;
use crate::fanout::progress::{Counts, ProgressPoint};
use crate::filter::Matcher;
use crate::limits;

/// The matcher of a subscriber, and what it has looked at.
#[derive(Debug)]
pub(super) struct Scan {
    matcher: Matcher,
    limits: StepLimits,
    sends_progress: bool,
    /// Since the last progress frame.
    counts: Counts,
    reported_at: Instant,
    /// Records of the current step.
    step: u64,
    /// What the pace of the client, and the metrics, do not count yet.
    uncounted: Counts,
}

impl Scan {
    /// For a subscriber of `key`; `None` if it gets all events. It looked at `counts` since its
    /// last progress frame.
    pub(super) fn new(key: &FeedKey, counts: Counts, limits: StepLimits) -> Option<Self> {
        let selection = key.selection.as_ref()?;
        Some(Self {
            matcher: Matcher::new(selection),
            limits,
            sends_progress: key.format == Format::Sse,
            counts,
            reported_at: Instant::now(),
            step: 0,
            uncounted: Counts::default(),
        })
    }

    /// Looks at a record, and returns whether the subscriber gets its event. It gets none behind
    /// the end of its stream.
    fn look_at(&mut self, entry: &LogEntry, is_before_end: bool) -> bool {
        self.step += 1;
        self.uncounted.scanned += 1;
        self.counts.scanned += 1;
        let Some(event) = entry.event.as_ref().filter(|_| is_before_end) else {
            return false;
        };
        let is_match = self.matcher.matches(event.text());
        self.uncounted.matched += u64::from(is_match);
        self.counts.matched += u64::from(is_match);
        is_match
    }

    /// Whether this step has looked at enough.
    pub(super) fn is_step_full(&self) -> bool {
        self.step >= self.limits.scanned_records_max
    }

    fn is_due(&self) -> bool {
        let enough = self.counts.scanned >= self.limits.progress_records;
        let late = self.reported_at.elapsed() >= limits::PROGRESS_PAUSE_MAX;
        self.sends_progress && self.counts.scanned > 0 && (enough || late)
    }

    fn report(&mut self, id: &mut EventId) -> Bytes {
        self.reported_at = Instant::now();
        ProgressPoint::of(id).frame(std::mem::take(&mut self.counts))
    }
}

impl CatchUp {
    /// Begins a step: nothing is looked at yet.
    pub(super) fn begin_scan(&mut self) {
        if let Some(scan) = &mut self.scan {
            scan.step = 0;
        }
    }

    /// Looks at a record, and returns whether the subscriber gets its event.
    pub(super) fn look_at(&mut self, entry: &LogEntry, is_before_end: bool) -> bool {
        match &mut self.scan {
            Some(scan) => scan.look_at(entry, is_before_end),
            None => is_before_end,
        }
    }

    /// Appends a progress frame when one is due.
    pub(super) fn append_progress(&mut self, bytes: &mut BytesMut) {
        if self.is_ending() {
            return;
        }
        if let Some(scan) = self.scan.as_mut().filter(|scan| scan.is_due()) {
            bytes.extend_from_slice(&scan.report(&mut self.event_id));
        }
    }

    /// The progress frame before the subscriber is live, if it has looked at something since the
    /// last one.
    pub(super) fn last_progress(&mut self) -> Option<Bytes> {
        let scan = self.scan.as_mut()?;
        (scan.sends_progress && scan.counts.scanned > 0).then(|| scan.report(&mut self.event_id))
    }

    /// Whether the last step looked at records.
    pub(super) fn has_scanned(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| scan.step > 0)
    }

    /// What was looked at since the last progress frame.
    pub(in crate::fanout) fn pending(&self) -> Counts {
        let scan = self.scan.as_ref();
        scan.map(|scan| scan.counts).unwrap_or_default()
    }

    /// Whether the subscriber leaves events out.
    pub(in crate::fanout) fn is_filtered(&self) -> bool {
        self.scan.is_some()
    }

    /// Waits until the client may look at more records.
    pub(in crate::fanout) async fn keep_pace(&mut self) {
        let Some(scan) = &mut self.scan else { return };
        let Counts { scanned, matched } = scan.uncounted;
        self.hub.scan_pace.wait(self.client, scanned).await;
        let metrics = &self.hub.metrics;
        metrics.filter_records_scanned.increment(scanned);
        metrics.filter_events_matched.increment(matched);
        scan.uncounted = Counts::default();
    }
}

/// The place of a cursor in the partitions of a feed.
pub(in crate::fanout) fn progress_point(
    ids: IdForm,
    slots: &[Slot],
    cursor: &[Position],
) -> ProgressPoint {
    let mut id = EventId::of_form(ids);
    for (index, (slot, own)) in slots.iter().zip(cursor).enumerate() {
        let partition = &slot.partition;
        let topic = partition.topic.clone();
        id.push_slot(topic, partition.partition, partition.log_id, *own);
        if slot.retired {
            id.retire(index);
        }
    }
    ProgressPoint::of(&mut id)
}
