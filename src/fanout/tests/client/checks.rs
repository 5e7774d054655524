//! Each frame and notice that a client receives, compared with the model.

use super::connection::moved;
use super::{Client, Fate, Progress, Truth};
use crate::cursor::{IdEntry, LastEventId, MovedReason, Requested, RequestedPosition};
use crate::fanout::Moved;
use crate::fanout::tests::cluster::{KINDS, Log};

impl Client {
    /// Processes the whole frames, and returns their bytes.
    pub(super) fn take_frames(&mut self, bytes: &[u8], logs: &[Log], truth: &Truth) -> usize {
        let text = str::from_utf8(bytes).expect("UTF-8");
        let mut whole = 0;
        for frame in text
            .split_inclusive("\n\n")
            .filter(|frame| frame.ends_with("\n\n"))
        {
            if let Some(notice) = frame.strip_prefix(": moved: ") {
                self.take_moved(&moved(notice), logs);
            } else if let Some(progress) = frame.strip_prefix("event: progress\nid: ") {
                self.take_progress(progress, logs, truth);
            } else {
                self.take_frame(frame, logs, truth);
            }
            whole += frame.len();
        }
        whole
    }

    fn take_frame(&mut self, frame: &str, logs: &[Log], truth: &Truth) {
        let rest = frame
            .strip_prefix("event: message\nid: ")
            .unwrap_or_else(|| panic!("a frame: {frame}"));
        let (id, rest) = rest.split_once("\ndata: ").expect("data");
        let event: serde_json::Value = serde_json::from_str(rest).expect("JSON");
        let (topic, partition) = (&event["meta"]["topic"], &event["meta"]["partition"]);
        let offset = event["meta"]["offset"].as_i64().expect("an offset");
        let same = |log: &&Log| *topic == log.topic.as_str() && *partition == log.partition.0;
        let number = logs
            .iter()
            .position(|log| same(&log))
            .expect("a known partition");
        let record = logs[number]
            .records
            .iter()
            .find(|record| record.offset == offset)
            .expect("a record of the log");
        let index = record.index.expect("no filler is delivered");
        let id_of = LastEventId::parse(id).expect("a valid id");
        for entry in id_of.entries() {
            self.set_start(entry, Some((number, index)), logs, truth, frame);
        }
        let Some(Progress::At(next)) = self.progress[number] else {
            panic!("not subscribed: {frame}")
        };
        let records = &truth[number];
        let lost = (next..index).find(|index| self.wants(records, *index));
        assert_eq!(lost, None, "lost in {number}, from {next} on: {frame}");
        assert!(index >= next, "again in {number}, from {next} on: {frame}");
        assert_ne!(records[index].1, Fate::Skipped, "{frame}");
        assert!(
            self.kind.is_none_or(|kind| index % KINDS == kind),
            "not wanted: {frame}"
        );
        self.progress[number] = Some(Progress::At(index + 1));
        self.events += 1;
        for entry in id_of.entries() {
            self.check_entry(entry, logs, truth, frame);
        }
        self.seen.events += 1;
        self.seen.total += 1;
        let most = self.bound.events.unwrap_or(u64::MAX);
        assert!(self.seen.total <= most, "more than {most}: {frame}");
        self.take_id(id, id_of);
    }

    /// Within a filtered connection ids never go back. Without a filter they may, over records that
    /// are no events, when the client falls behind.
    fn take_id(&mut self, id: &str, id_of: LastEventId) {
        let cluster = self.connection.as_ref().expect("connected").cluster;
        self.last_id = Some((id.to_owned(), cluster));
        if let Some(before) = self.seen.id.as_ref().filter(|_| self.kind.is_some()) {
            for (entry, offset) in offsets(before) {
                let now = offsets(&id_of).find(|(other, _)| same_partition(other, entry));
                assert!(now.is_some_and(|(_, now)| now >= offset), "went back: {id}");
            }
        }
        self.seen.id = Some(id_of);
    }

    /// The last id of a connection that had an end.
    pub(super) fn take_end(&mut self, id: &[u8], logs: &[Log], truth: &Truth) {
        let id = str::from_utf8(id).expect("UTF-8");
        assert_eq!(Some(self.seen.total), self.bound.events, "{id}");
        let id_of = self.pass_to(id, logs, truth);
        self.take_id(id, id_of);
    }

    /// Moves to an id without an event: nothing that the client must get lies before it.
    fn pass_to(&mut self, id: &str, logs: &[Log], truth: &Truth) -> LastEventId {
        let id_of = LastEventId::parse(id).expect("a valid id");
        for entry in id_of.entries() {
            self.set_start(entry, None, logs, truth, id);
            let (number, offset) = log_and_offset(entry, logs);
            let Some(Progress::At(next)) = self.progress[number] else {
                panic!("{number} has not begun: {id}")
            };
            let records = &truth[number];
            let passed = logs[number].index_at(offset);
            let lost = (next..passed).find(|index| self.wants(records, *index));
            assert_eq!(lost, None, "lost in {number}, from {next} on: {id}");
            self.progress[number] = Some(Progress::At(passed.max(next)));
            self.check_entry(entry, logs, truth, id);
        }
        id_of
    }

    /// A progress frame passes what the client does not get, and counts it.
    fn take_progress(&mut self, progress: &str, logs: &[Log], truth: &Truth) {
        let (id, data) = progress.split_once("\ndata: ").expect("data");
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        let id_of = self.pass_to(id, logs, truth);
        assert_eq!(data["matched"], self.seen.events, "{progress}");
        if let Some(before) = &self.seen.progress {
            let grown = offsets(&id_of).any(|(entry, now)| {
                offsets(before).all(|(other, then)| !same_partition(other, entry) || then < now)
            });
            assert!(grown, "the same place again: {progress}");
            let between = scanned_between(before, &id_of, logs);
            assert!(
                between.is_none_or(|between| data["scanned"] == between),
                "{between:?}: {progress}"
            );
        }
        self.seen.events = 0;
        self.seen.progress = Some(id_of.clone());
        self.take_id(id, id_of);
    }

    /// Takes the start of a partition from the first id of a connection, if it was not known.
    fn set_start(
        &mut self,
        entry: &IdEntry,
        event: Option<(usize, usize)>,
        logs: &[Log],
        truth: &Truth,
        frame: &str,
    ) {
        let (number, next) = log_and_offset(entry, logs);
        assert!(
            self.topics.contains(&logs[number].topic),
            "not subscribed: {frame}"
        );
        self.progress.resize(logs.len(), None);
        let begun = match event {
            Some((of, index)) if number == of => index,
            _ => logs[number].index_at(next),
        };
        match self.progress[number] {
            Some(Progress::At(_)) => {}
            // It was added while connected.
            None => self.progress[number] = Some(Progress::At(0)),
            Some(Progress::Begins { want, time, live }) => {
                let records = &truth[number];
                // Retention may have deleted some of what `since` requested before the look-up.
                let want = if self.last_id.is_none() {
                    want.max(logs[number].index_at(logs[number].low))
                } else {
                    want
                };
                let lost = (want.min(begun)..begun).find(|index| self.wants(records, *index));
                assert_eq!(
                    lost, None,
                    "lost in {number}, wanted from {want} on, began at {begun}: {frame}"
                );
                let first = time
                    .and_then(|time| records.iter().position(|(timestamp, _)| *timestamp >= time));
                let earliest = first.map_or(live, |first| first.min(live));
                assert!(
                    begun >= earliest,
                    "began at {begun}, before {earliest}, in {number}: {frame}"
                );
                self.progress[number] = Some(Progress::At(begun));
            }
        }
    }

    /// An id must name exactly what the client has.
    fn check_entry(&self, entry: &IdEntry, logs: &[Log], truth: &Truth, frame: &str) {
        let (number, offset) = log_and_offset(entry, logs);
        let Some(Progress::At(next)) = self.progress[number] else {
            panic!("{number} has not begun: {frame}")
        };
        let index = logs[number].index_at(offset);
        let records = &truth[number];
        assert!(
            (index.min(next)..index.max(next)).all(|index| !self.wants(records, index)),
            "in {number} the client has {next}: {frame}"
        );
        let RequestedPosition::Both { timestamp, .. } = entry.position else {
            return;
        };
        let safe = logs[number].is_safe_time(timestamp, offset, self.in_order);
        assert!(
            safe,
            "the timestamp in {number} is no time to read on from: {frame}"
        );
    }

    pub(super) fn take_moved(&mut self, moved: &Moved, logs: &[Log]) {
        let same = |log: &Log| log.topic == moved.topic && log.partition == moved.partition;
        let number = logs.iter().position(same).expect("a known partition");
        if moved.reason == MovedReason::AboveLogEnd {
            return;
        }
        let log = &logs[number];
        // Offsets at either end of the log may hold no record.
        let first_left = log
            .records
            .get(log.record_at(log.low))
            .map_or(log.high, |record| record.offset);
        // The first record of a time may or may not be gone.
        let Requested::Offset(asked) = moved.requested else {
            return;
        };
        assert!(
            asked < moved.actual && moved.actual.0 <= first_left,
            "nothing was gone: {moved}"
        );
        let gone = logs[number].index_at(moved.actual.0);
        match self.progress[number].as_mut().expect("subscribed") {
            Progress::At(next) | Progress::Begins { want: next, .. } => *next = gone.max(*next),
        }
    }
}

fn offsets(id: &LastEventId) -> impl Iterator<Item = (&IdEntry, i64)> {
    id.entries().iter().map(|entry| {
        let RequestedPosition::Both { next, .. } = entry.position else {
            panic!("an invalid id: {entry:?}")
        };
        (entry, next.0)
    })
}

fn same_partition(a: &IdEntry, b: &IdEntry) -> bool {
    (&a.topic, a.partition) == (&b.topic, b.partition)
}

/// The records between two ids; `None` where logs lose records, or a partition is new.
fn scanned_between(before: &LastEventId, now: &LastEventId, logs: &[Log]) -> Option<usize> {
    let mut scanned = 0;
    for (entry, to) in offsets(now) {
        let (_, from) = offsets(before).find(|(other, _)| same_partition(other, entry))?;
        let (number, _) = log_and_offset(entry, logs);
        let log = &logs[number];
        if log.low > 0 || !log.compacted.is_empty() {
            return None;
        }
        scanned += log.record_at(to) - log.record_at(from);
    }
    Some(scanned)
}

/// The number of the log that an entry names, and its offset.
fn log_and_offset(entry: &IdEntry, logs: &[Log]) -> (usize, i64) {
    let same = |log: &Log| log.topic == entry.topic && Some(log.partition) == entry.partition;
    let RequestedPosition::Both { next, .. } = entry.position else {
        panic!("an invalid id: {entry:?}")
    };
    (
        logs.iter().position(same).expect("a known partition"),
        next.0,
    )
}
