//! Whether the logs in Kafka are still the ones that were read.
//!
//! A topic that was made anew has another id, which discovery sees. What is left for here:
//!
//! * A log may lose its newest records (an unclean leader election, a crash without a copy) and go
//!   on with others at the same offsets. It is then shorter than what was read, or librdkafka
//!   reports that the position is lost. Its records are compared with those in memory: where they
//!   stop to agree, reading goes on.
//! * A log may lose its oldest records before they were read.
//! * A log may end in offsets that hold no record (marks of transactions, compaction). They are
//!   passed, once Kafka has shown that nothing lies there.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use rdkafka::Message as _;

use super::discovery::{Discovery, Known, TopicPartition};
use super::live_consumer::Assignment;
use super::offsets::{LOG_END, LOG_START};
use super::prepare::timestamp;
use super::range_reader::RangeEnd;
use crate::cursor::{Offset, TimestampMs};
use crate::fanout::LogEntry;
use crate::limits;

/// Records in memory that a log is compared with at first; if none agrees, all that there are.
const COMPARED_RECORDS: usize = 1000;

/// What a look at a partition calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// Nothing.
    Fine,
    /// It is shorter than what was read. A broker that has just become the leader may not know the
    /// end yet, so that it counts only when it stays so.
    Shorter,
    /// Kafka's records from what was read up to here are gone.
    BeginsAt(Offset),
    /// Nothing of it was read since the last look, although it is longer.
    Stuck,
}

impl Discovery {
    /// See the module.
    pub(super) fn check_logs(&mut self) {
        let in_doubt = self.take_doubt();
        // What was read is noted before Kafka is asked: meanwhile a log only grows.
        let known = self.readable();
        let highs = self.offsets(&known, LOG_END);
        let lows = if in_doubt { self.offsets(&known, LOG_START) } else { HashMap::new() };
        if in_doubt && lows.len() < known.len() {
            self.put_in_doubt();
        }
        self.show_lag(&highs);
        for key in known {
            let Some(high) = highs.get(&key).copied() else { continue };
            let finding = self.look(&key, high, lows.get(&key).copied());
            match finding {
                Finding::Shorter => self.shorten(&key, high),
                Finding::BeginsAt(low) => self.read_again(&key, low),
                Finding::Stuck => self.pass_hole_or_read_again(&key, high),
                Finding::Fine if lows.contains_key(&key) => self.read_again(&key, Offset(0)),
                Finding::Fine => {}
            }
        }
    }

    fn look(&mut self, key: &TopicPartition, high: Offset, low: Option<Offset>) -> Finding {
        let Some(known) = self.known.get_mut(key) else { return Finding::Fine };
        let Known { partition, last_read, last_high, shorter_before, .. } = known;
        let read = partition.end().next;
        let is_stuck = read == *last_read && high == *last_high && read < high;
        let was_shorter = std::mem::replace(shorter_before, high < read);
        (*last_read, *last_high) = (read, high);
        if high < read {
            // A lost position shows the same at once.
            return if was_shorter || low.is_some() { Finding::Shorter } else { Finding::Fine };
        }
        match low {
            Some(low) if low > read => Finding::BeginsAt(low),
            _ if is_stuck => Finding::Stuck,
            _ => Finding::Fine,
        }
    }

    /// Goes on where the log in memory and the log in Kafka stop to agree.
    fn shorten(&mut self, key: &TopicPartition, high: Offset) {
        let Some(cut) = self.agrees_up_to(key, high, COMPARED_RECORDS) else { return };
        let cut = match cut {
            Agreement::UpTo(cut) => cut,
            Agreement::Nowhere => match self.agrees_up_to(key, high, usize::MAX) {
                Some(Agreement::UpTo(cut)) => cut,
                Some(Agreement::Nowhere) => self.known[key].partition.memory_start().min(high),
                None => return,
            },
        };
        let old = Arc::clone(&self.known[key].partition);
        let read = old.end().next;
        let (topic, partition) = key;
        tracing::error!(
            %topic, %partition, read = read.0, high = high.0, cut = cut.0,
            "Kafka lost the newest records of a log; reading goes on where it was cut"
        );
        self.assign(Assignment::Stop(Arc::clone(&old)));
        let new = self.hub.truncate_partition(&old, cut);
        if let Some(known) = self.known.get_mut(key) {
            known.go_on_in(&new);
        }
        self.read_from(new, cut);
    }

    /// Compares Kafka's log with the newest `count` records in memory. `None` when it cannot be read now.
    fn agrees_up_to(&mut self, key: &TopicPartition, high: Offset, count: usize) -> Option<Agreement> {
        let kept = self.known[key].partition.newest(count);
        let from = kept.first()?.offset;
        if from >= high {
            return Some(Agreement::Nowhere);
        }
        let mut ours = kept.into_iter().peekable();
        let mut agreed = None;
        let (topic, partition) = key;
        let timeout = limits::LOOKUP_TIMEOUT;
        let end = self.prober.read(topic, *partition, from, timeout, |message| {
            let theirs = (Offset(message.offset()), timestamp(message));
            let same = ours.next().is_some_and(|LogEntry { offset, timestamp, .. }| (offset, timestamp) == theirs);
            if !same {
                return ControlFlow::Break(());
            }
            agreed = Some(Offset(theirs.0.0 + 1));
            if theirs.0.0 + 1 < high.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match end {
            RangeEnd::Enough | RangeEnd::LogEnd => Some(agreed.map_or(Agreement::Nowhere, Agreement::UpTo)),
            RangeEnd::OutOfRange => Some(Agreement::Nowhere),
            RangeEnd::TimedOut => None,
        }
    }

    /// Passes offsets without a record, or has the live consumer try again where there is one.
    fn pass_hole_or_read_again(&mut self, key: &TopicPartition, high: Offset) {
        let partition = Arc::clone(&self.known[key].partition);
        let next = partition.end().next;
        let (topic, number) = key;
        let mut found = None;
        let timeout = limits::PROBE_TIMEOUT;
        let end = self.prober.read(topic, *number, next, timeout, |message| {
            found = Some(Offset(message.offset()));
            ControlFlow::Break(())
        });
        match (end, found) {
            (RangeEnd::LogEnd, None) => self.hub.pass_hole(&partition, high),
            (RangeEnd::Enough, Some(record)) if record >= high => {
                self.hub.pass_hole(&partition, high);
            }
            (RangeEnd::Enough, Some(_)) => self.read_again(key, Offset(0)),
            (RangeEnd::OutOfRange, _) => self.put_in_doubt(),
            _ => {}
        }
    }

    /// Has the live consumer read on at what comes next, or at `low` where the log begins only there.
    pub(super) fn read_again(&self, key: &TopicPartition, low: Offset) {
        if let Some(known) = self.known.get(key) {
            let partition = Arc::clone(&known.partition);
            self.assign(Assignment::ReadAgain { partition, low });
        }
    }
}

/// How far Kafka's log agrees with the one in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// In every record below.
    UpTo(Offset),
    /// In none that was compared.
    Nowhere,
}

/// The timestamp of the last record before the end of each of `partitions`, all of which are
/// earlier than `before`; left out where there is no record at all.
///
/// Found by halving: Kafka tells the first record at or after a time, but not the last one.
pub(super) fn latest_times(
    partitions: &[(TopicPartition, Offset)],
    before: TimestampMs,
    mut first_at: impl FnMut(&[(TopicPartition, TimestampMs)]) -> HashMap<TopicPartition, Offset>,
) -> HashMap<TopicPartition, TimestampMs> {
    let mut ranges: Vec<_> = partitions.iter().map(|(key, high)| (key.clone(), *high, 0, before.0)).collect();
    // The latest time lies in `low..high`; a log without any record has none at or after 0.
    let start: Vec<_> = partitions.iter().map(|(key, _)| (key.clone(), TimestampMs(0))).collect();
    let any = first_at(&start);
    ranges.retain(|(key, high, ..)| any.get(key).is_some_and(|first| first < high));
    while ranges.iter().any(|(_, _, low, high)| low + 1 < *high) {
        let open = ranges.iter().filter(|(_, _, low, high)| low + 1 < *high);
        let asked: Vec<_> = open.map(|(key, _, low, high)| (key.clone(), TimestampMs(i64::midpoint(*low, *high)))).collect();
        let found = first_at(&asked);
        for (key, end, low, high) in &mut ranges {
            let middle = i64::midpoint(*low, *high);
            if found.get(key).is_some_and(|first| first < end) {
                *low = middle;
            } else {
                *high = middle;
            }
        }
    }
    ranges.into_iter().map(|(key, _, low, _)| (key, TimestampMs(low))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Partition;

    #[test]
    fn the_latest_time_of_a_log_is_found_by_halving() {
        let logs: [&[i64]; 5] = [&[5], &[7, 1_764_000_000_000, 9], &[], &[0, 0], &[3, 2]];
        let key = |index: usize| (format!("t{index}").into(), Partition(0));
        let end = |log: &[i64]| Offset(i64::try_from(log.len()).expect("few") + 2);
        let partitions: Vec<_> = logs.iter().enumerate().map(|(index, log)| (key(index), end(log))).collect();
        let mut rounds = 0;
        let found = latest_times(&partitions, TimestampMs(1_764_000_000_001), |asked| {
            rounds += 1;
            let first = |(key, time): &(TopicPartition, TimestampMs)| {
                let index = partitions.iter().position(|(other, _)| other == key)?;
                let record = logs[index].iter().position(|record| *record >= time.0)?;
                Some((key.clone(), Offset(i64::try_from(record).ok()?)))
            };
            asked.iter().filter_map(first).collect()
        });
        let times: Vec<_> = (0..5).map(|index| found.get(&key(index)).map(|time| time.0)).collect();
        assert_eq!(times, [Some(5), Some(1_764_000_000_000), None, Some(0), Some(3)]);
        assert!(rounds < 50, "{rounds} rounds");
    }
}
