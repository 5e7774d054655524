//! Whether the logs in Kafka are still the ones that were read.
//!
//! Discovery recognises a recreated topic by its id. What remains for here:
//!
//! * A log may lose its newest records (an unclean leader election, a crash without a replica) and
//!   continue with others at the same offsets. It is then shorter than what was read, or librdkafka
//!   reports that the position is lost. Its records are compared with those in memory, and reading
//!   continues where they begin to differ.
//! * A log may lose its oldest records before they were read.
//! * A log may end in offsets that hold no record (transaction markers, compaction). They are
//!   skipped once Kafka has shown that nothing lies there.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::Message as _;

use super::partitions::KnownPartition;
use crate::cursor::Offset;
use crate::fanout::{HubPartition, LogEntry};
use crate::kafka::TopicPartition;
use crate::kafka::client::Consumer;
use crate::kafka::event_pipeline::timestamp;
use crate::kafka::history::{RangeEnd, RangeReader};
use crate::kafka::offsets::{LOG_END, LOG_START, offsets_at};
use crate::kafka::topics::describe;
use crate::limits;

/// The newest records in memory that a log is compared with first. If none agrees, it is compared
/// with all of them.
const COMPARED_RECORDS: usize = 1000;

/// How long a log must stay shorter than what was read of it, with the same end, to count as cut.
const SHORTER_FOR: Duration = Duration::from_millis(1500);

/// How long no record of a partition is read, although it has some, until the live consumer gets a
/// new client. A client of librdkafka may stay with a broker that no longer leads the partition
/// (librdkafka issue 5593).
pub(super) const UNREAD_FOR: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct LogChecker {
    questions: Arc<Consumer>,
    /// The live consumer sets this when it has lost its position in some partition.
    in_doubt: Arc<AtomicBool>,
}

/// The bounds of logs, as Kafka gave them for one check.
pub(super) struct LogBounds {
    pub(super) highs: HashMap<TopicPartition, Offset>,
    /// Asked for only in doubt.
    lows: HashMap<TopicPartition, Offset>,
}

/// What the last check of a partition found.
#[derive(Debug, Default)]
pub(super) struct LastCheck {
    /// How far it was read, and where its log ended.
    read_and_high: Option<(Offset, Offset)>,
    /// When a record of it was last read, or none was left to be read.
    progress: Option<Instant>,
    shorter: Option<Shorter>,
}

/// A log that ends before what was read of it.
#[derive(Debug)]
struct Shorter {
    end: Offset,
    since: Instant,
}

/// What has to be done about a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Intact,
    /// The log is shorter than what was read, but not for long: a broker that has just become the
    /// leader may not know the end yet. It must be checked again soon.
    Unsettled,
    /// No record was read for [`UNREAD_FOR`], although the log has some: the live consumer needs a
    /// new client.
    Unread,
    /// The live consumer must try again: at the next offset, or at `low` where the log begins
    /// later.
    ReadAgain { low: Offset },
    /// The newest records are gone, and reading must continue at `at`.
    Cut { at: Offset },
    /// No record lies below `end`.
    Hole { end: Offset },
}

impl LogChecker {
    pub(super) fn new(questions: Arc<Consumer>, in_doubt: Arc<AtomicBool>) -> Self {
        Self {
            questions,
            in_doubt,
        }
    }

    /// Asks for the bounds of the logs.
    pub(super) fn bounds(&self, partitions: &[TopicPartition]) -> LogBounds {
        let in_doubt = self.in_doubt.swap(false, Ordering::AcqRel);
        let highs = offsets_at(&self.questions, partitions, LOG_END);
        let lows = if in_doubt {
            offsets_at(&self.questions, partitions, LOG_START)
        } else {
            HashMap::new()
        };
        if in_doubt && lows.len() < partitions.len() {
            self.put_in_doubt();
        }
        LogBounds { highs, lows }
    }

    /// Compares a partition's log with what was read of it. `prober` reads what decides.
    pub(super) fn check(
        &self,
        known: &mut KnownPartition,
        bounds: &LogBounds,
        prober: &mut RangeReader,
    ) -> Verdict {
        let partition = Arc::clone(&known.partition);
        let key = (partition.topic.clone(), partition.partition);
        let Some(high) = bounds.highs.get(&key).copied() else {
            return Verdict::Intact;
        };
        let low = bounds.lows.get(&key).copied();
        let read = partition.end().next;
        let is_stuck = known.last_check.is_stuck(read, high);
        if high < read {
            if known.last_check.shorter_for(high) >= SHORTER_FOR {
                return self.find_cut(known, low.unwrap_or(Offset(0)), high, prober);
            }
            self.put_in_doubt();
            return Verdict::Unsettled;
        }
        known.last_check.shorter = None;
        match low {
            Some(low) if low > read => Verdict::ReadAgain { low },
            _ if known.last_check.has_no_progress() => Verdict::Unread,
            _ if is_stuck => self.check_stuck(&partition, high, prober),
            Some(low) => self.check_doubtful(known, low, high, prober),
            None => Verdict::Intact,
        }
    }

    /// Nothing was read since the last check although the log is longer: either the next offsets
    /// hold no record, or the live consumer has to try again.
    fn check_stuck(
        &self,
        partition: &HubPartition,
        high: Offset,
        prober: &mut RangeReader,
    ) -> Verdict {
        let next = partition.end().next;
        let mut found = None;
        let end = prober.read(
            &partition.topic,
            partition.partition,
            next,
            limits::PROBE_TIMEOUT,
            |message| {
                found = Some(Offset(message.offset()));
                ControlFlow::Break(())
            },
        );
        match (end, found) {
            (RangeEnd::LogEnd, None) => Verdict::Hole { end: high },
            (RangeEnd::Enough, Some(record)) if record >= high => Verdict::Hole { end: high },
            (RangeEnd::Enough, Some(_)) => Verdict::ReadAgain { low: Offset(0) },
            (RangeEnd::OutOfRange, _) => {
                self.put_in_doubt();
                Verdict::Intact
            }
            _ => Verdict::Intact,
        }
    }

    /// In doubt, a log may have been cut and have grown beyond what was read.
    fn check_doubtful(
        &self,
        known: &KnownPartition,
        low: Offset,
        high: Offset,
        prober: &mut RangeReader,
    ) -> Verdict {
        match compare(&known.partition, low, high, 1, prober) {
            // A record that has come since Kafka gave `high` is no sign of a cut.
            Some(Agreement::Nowhere) if known.partition.end().next > high => {
                self.put_in_doubt();
                Verdict::Intact
            }
            Some(Agreement::Nowhere) => self.find_cut(known, low, high, prober),
            // Without a record in memory nothing can be compared.
            Some(Agreement::UpTo(_)) | None => Verdict::ReadAgain { low },
        }
    }

    /// Where the log in memory and the log in Kafka begin to differ.
    fn find_cut(
        &self,
        known: &KnownPartition,
        low: Offset,
        high: Offset,
        prober: &mut RangeReader,
    ) -> Verdict {
        // The log of a recreated topic is another log, and no part of the old one.
        if !self.is_same_topic(known) {
            self.put_in_doubt();
            return Verdict::Intact;
        }
        let partition = &*known.partition;
        let mut agreement = compare(partition, low, high, COMPARED_RECORDS, prober);
        if agreement == Some(Agreement::Nowhere) {
            agreement = compare(partition, low, high, usize::MAX, prober);
        }
        let cut = match agreement {
            Some(Agreement::UpTo(cut)) => cut,
            Some(Agreement::Nowhere) => partition.memory_start().min(high),
            None => return Verdict::Intact,
        };
        let read = partition.end().next;
        if cut >= read {
            return Verdict::ReadAgain { low };
        }
        let HubPartition {
            topic, partition, ..
        } = partition;
        tracing::error!(
            %topic, %partition, read = read.0, high = high.0, cut = cut.0,
            "Kafka lost the newest records of a log; reading continues where it was cut"
        );
        Verdict::Cut { at: cut }
    }

    /// Whether the topic of a partition has the id that it had when reading began, as far as Kafka
    /// answers now.
    fn is_same_topic(&self, known: &KnownPartition) -> bool {
        let topics = BTreeSet::from([known.partition.topic.clone()]);
        let described =
            describe(&self.questions, &topics, limits::LOOKUP_TIMEOUT).unwrap_or_default();
        described.first().is_some_and(|topic| {
            let ids = known.topic_id.zip(topic.topic_id);
            topic.is_visible() && ids.is_none_or(|(before, now)| before == now)
        })
    }

    fn put_in_doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }
}

impl LastCheck {
    /// Stores what this check found. Returns whether nothing was read since the last one although
    /// the log is longer.
    fn is_stuck(&mut self, read: Offset, high: Offset) -> bool {
        let last = self.read_and_high.replace((read, high));
        let has_progress = last.is_none_or(|(last_read, _)| last_read != read);
        if has_progress || read >= high {
            self.progress = Some(Instant::now());
        }
        last == Some((read, high)) && read < high
    }

    /// Whether nothing was read for [`UNREAD_FOR`]. The time starts again then.
    fn has_no_progress(&mut self) -> bool {
        let is_over = self
            .progress
            .is_some_and(|progress| progress.elapsed() >= UNREAD_FOR);
        if is_over {
            self.progress = Some(Instant::now());
        }
        is_over
    }

    /// How long the log has been shorter than what was read, with this end.
    fn shorter_for(&mut self, end: Offset) -> Duration {
        let now = Instant::now();
        let since = match &self.shorter {
            Some(shorter) if shorter.end == end => shorter.since,
            _ => now,
        };
        self.shorter = Some(Shorter { end, since });
        now.duration_since(since)
    }
}

/// How far Kafka's log agrees with the one in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// In every record below this offset.
    UpTo(Offset),
    /// In no record that was compared.
    Nowhere,
}

/// Compares Kafka's log with the newest `count` records in memory that it has not deleted: those
/// from `low` on. `None` when there are none, or the log cannot be read now.
fn compare(
    partition: &HubPartition,
    low: Offset,
    high: Offset,
    count: usize,
    prober: &mut RangeReader,
) -> Option<Agreement> {
    let mut kept = partition.newest(count);
    kept.retain(|entry| entry.offset >= low);
    let from = kept.first()?.offset;
    if from >= high {
        return Some(Agreement::Nowhere);
    }
    let mut ours = kept.into_iter();
    let mut agreed = None;
    let end = prober.read(
        &partition.topic,
        partition.partition,
        from,
        limits::LOOKUP_TIMEOUT,
        |message| {
            let theirs = (Offset(message.offset()), timestamp(message));
            let is_same = |ours: LogEntry| (ours.offset, ours.timestamp) == theirs;
            if !ours.next().is_some_and(is_same) {
                return ControlFlow::Break(());
            }
            let next = Offset(message.offset() + 1);
            agreed = Some(next);
            if next < high {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        },
    );
    match end {
        RangeEnd::Enough | RangeEnd::LogEnd => {
            Some(agreed.map_or(Agreement::Nowhere, Agreement::UpTo))
        }
        RangeEnd::OutOfRange => Some(Agreement::Nowhere),
        RangeEnd::TimedOut => None,
    }
}
