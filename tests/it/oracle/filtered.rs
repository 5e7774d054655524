//! The verdict about the progress frames of subscribers with a filter.

use std::collections::HashMap;

use super::ledger::{Ledger, Place};
use super::subscribe::Connection;
use super::verdict::{Position, Progress, notice, positions};
use crate::support::sse::Frame;

impl Ledger {
    /// Progress moves the subscriber past events that it does not choose, and no others. A server
    /// that has not noticed yet that a log is another one may be in the old one: then only what is
    /// left of the log counts.
    pub fn pass(&self, progress: &mut Progress, frame: &Frame, connection: &Connection) {
        let (cluster, choice) = (connection.cluster, connection.choice);
        for (place, mut says) in self.progress(id(frame), cluster) {
            let (has, partition) = (&progress[&place], &self.partitions[&place]);
            let is_reached = |says: usize, is_lacking: &dyn Fn(usize, usize) -> bool| {
                has.iter()
                    .any(|has| !is_lacking(says.min(*has), says.max(*has)))
            };
            let in_any_log = |from, to| partition.has_unexcused(choice, from..to);
            let in_the_last = |from, to| {
                !partition.has_shrunk() || partition.has_required(cluster, choice, from..to)
            };
            if says.iter().any(|says| is_reached(*says, &in_any_log)) {
                says.retain(|says| is_reached(*says, &in_any_log));
            } else {
                assert!(
                    says.iter().any(|says| is_reached(*says, &in_the_last)),
                    "progress of {place:?} passes events to {says:?}, the subscriber has {has:?}: \
                     {connection:?}"
                );
                says.extend(has);
            }
            progress.insert(place, says);
        }
    }

    /// Fails unless ids never go back on a connection without a notice, and progress counts what
    /// lies between two of them.
    pub fn check_progress(&self, connection: &Connection) {
        if !connection.choice.is_filter() {
            let is_any = connection.frames.iter().any(is_progress);
            assert!(!is_any, "progress without a filter: {connection:?}");
            return;
        }
        let (mut is_first, mut events) = (true, 0);
        let (mut before, mut at_progress) = (None, None);
        for frame in &connection.frames {
            if notice(frame).is_some() {
                (before, at_progress) = (None, None);
            }
            if frame.data.is_none() {
                continue;
            }
            check_order(before.replace(id(frame)), id(frame), connection);
            if !is_progress(frame) {
                assert!(!is_first, "progress is not first: {connection:?}");
                events += 1;
                continue;
            }
            let data = frame.json();
            let count = |name: &str| {
                let count = data[name].as_u64().expect("a number");
                usize::try_from(count).expect("a small number")
            };
            let (scanned, matched) = (count("scanned"), count("matched"));
            assert_eq!(matched, events, "{frame:?} counts wrongly: {connection:?}");
            assert_eq!(scanned == 0, is_first, "{frame:?}: {connection:?}");
            if let Some(before) = at_progress.replace(id(frame)) {
                self.check_scanned(before, id(frame), scanned, connection);
            }
            (is_first, events) = (false, 0);
        }
    }

    /// Fails unless so many records lie between two ids, or may lie there.
    fn check_scanned(&self, before: &str, now: &str, scanned: usize, connection: &Connection) {
        let before = self.progress(before, connection.cluster);
        let (mut count, mut is_exact) = (0, true);
        for (place, to) in self.progress(now, connection.cluster) {
            let partition = &self.partitions[&place];
            // An offset can be one of several logs.
            if partition.has_been_cut {
                is_exact = false;
                continue;
            }
            is_exact &= partition.has_exact_counts();
            count += partition.count(before[&place][0]..to[0]);
        }
        assert!(
            if is_exact {
                scanned == count
            } else {
                scanned >= count
            },
            "{scanned} scanned up to {now}, {count} are there: {connection:?}"
        );
    }
}

/// Fails if an id is behind the one before it.
fn check_order(before: Option<&str>, now: &str, connection: &Connection) {
    let offsets = |id: &str| -> HashMap<(Place, String), i64> {
        let entry = |position: Position| ((position.place, position.log), position.offset);
        positions(id).into_iter().map(entry).collect()
    };
    let before = before.map(offsets).unwrap_or_default();
    for (of, offset) in offsets(now) {
        let goes_back = before.get(&of).is_some_and(|before| *before > offset);
        assert!(!goes_back, "{of:?} goes back to {offset}: {connection:?}");
    }
}

/// Whether a frame only moves the id of a subscriber with a filter.
pub fn is_progress(frame: &Frame) -> bool {
    frame.event.as_deref() == Some("progress")
}

fn id(frame: &Frame) -> &str {
    frame.id.as_deref().expect("an id")
}
