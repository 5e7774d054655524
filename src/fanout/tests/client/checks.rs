//! Each frame and notice that a client receives, compared with the model.

use super::connection::moved;
use super::{Client, Fate, Progress, Truth};
use crate::cursor::{IdEntry, LastEventId, MovedReason, Requested, RequestedPosition};
use crate::fanout::Moved;
use crate::fanout::tests::cluster::Log;

impl Client {
    /// Processes the whole frames, and returns their bytes.
    pub(super) fn take_frames(&mut self, bytes: &[u8], logs: &[Log], truth: &Truth) -> usize {
        let text = str::from_utf8(bytes).expect("UTF-8");
        let mut whole = 0;
        for frame in text
            .split_inclusive("\n\n")
            .filter(|frame| frame.ends_with("\n\n"))
        {
            match frame.strip_prefix(": moved: ") {
                Some(notice) => self.take_moved(&moved(notice), logs),
                None => self.take_frame(frame, logs, truth),
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
            self.set_start(entry, number, index, logs, truth, frame);
        }
        let Some(Progress::At(next)) = self.progress[number] else {
            panic!("not subscribed: {frame}")
        };
        let records = &truth[number];
        let lost = (next..index).find(|index| records[*index].1 == Fate::Delivered);
        assert_eq!(lost, None, "lost in {number}, from {next} on: {frame}");
        assert!(index >= next, "again in {number}, from {next} on: {frame}");
        assert_ne!(records[index].1, Fate::Skipped, "{frame}");
        self.progress[number] = Some(Progress::At(index + 1));
        self.events += 1;
        for entry in id_of.entries() {
            self.check_entry(entry, logs, truth, frame);
        }
        let cluster = self.connection.as_ref().expect("connected").cluster;
        self.last_id = Some((id.to_owned(), cluster));
    }

    /// Takes the start of a partition from the first id of a connection, if it was not known.
    fn set_start(
        &mut self,
        entry: &IdEntry,
        of: usize,
        index: usize,
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
        let begun = if number == of {
            index
        } else {
            logs[number].index_at(next)
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
                let lost =
                    (want.min(begun)..begun).find(|index| records[*index].1 == Fate::Delivered);
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
        let between = &truth[number][index.min(next)..index.max(next)];
        assert!(
            between.iter().all(|(_, fate)| *fate != Fate::Delivered),
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
