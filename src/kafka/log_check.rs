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
use std::time::{Duration, Instant};

use rdkafka::Message as _;

use super::discovery::{Discovery, Known, TopicPartition};
use super::event_pipeline::timestamp;
use super::live_consumer::Assignment;
use super::offsets::{LOG_END, LOG_START};
use super::range_reader::RangeEnd;
use crate::cursor::Offset;
use crate::fanout::LogEntry;
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::metrics::{TopicLabel, gauge_value};

/// Records in memory that a log is compared with at first; if none agrees, all that there are.
const COMPARED_RECORDS: usize = 1000;

/// How long a log must stay shorter than what was read of it, with the same end, to count as cut.
const SHORTER_FOR: Duration = Duration::from_millis(1500);

/// How long nothing of a partition is read that has more records, before the live consumer gets a new client. A client of
/// librdkafka may stay with a broker that no longer leads the partition (librdkafka issue 5593).
const UNREAD_FOR: Duration = Duration::from_secs(30);

/// What a look at a partition calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// Nothing.
    Fine,
    /// It is shorter than what was read, and has been for [`SHORTER_FOR`].
    Shorter,
    /// The same, but not for long: a broker that has just become the leader may not know the end yet.
    Unsettled,
    /// Kafka's records from what was read up to here are gone.
    BeginsAt(Offset),
    /// Nothing of it was read since the last look, although it is longer.
    Stuck,
    /// Nothing of it was read for [`UNREAD_FOR`], although it is longer.
    Unread,
}

impl Discovery {
    /// See the module.
    pub(super) fn check_logs(&mut self) {
        let in_doubt = self.take_doubt();
        // What was read is noted before Kafka is asked: meanwhile a log only grows.
        let known = self.readable();
        let highs = self.offsets(&known, LOG_END);
        let lows = if in_doubt {
            self.offsets(&known, LOG_START)
        } else {
            HashMap::new()
        };
        if in_doubt && lows.len() < known.len() {
            self.put_in_doubt();
        }
        self.show_lag(&highs);
        let mut unread = None;
        for key in known {
            let Some(high) = highs.get(&key).copied() else {
                continue;
            };
            let finding = self.look(&key, high, lows.get(&key).copied());
            match finding {
                Finding::Shorter => self.shorten(&key, high),
                Finding::Unsettled => {
                    self.put_in_doubt();
                    self.hub.rediscover();
                }
                Finding::BeginsAt(low) => self.read_again(&key, low),
                Finding::Stuck => self.pass_hole_or_read_again(&key, high),
                Finding::Unread => unread = Some(key),
                Finding::Fine if lows.contains_key(&key) => self.verify(&key, high),
                Finding::Fine => {}
            }
        }
        if let Some((topic, partition)) = unread {
            tracing::warn!(
                %topic, %partition, seconds = UNREAD_FOR.as_secs(),
                "nothing was read of a partition that has records; the live consumer gets a new client"
            );
            self.assign(Assignment::NewClient);
        }
    }

    fn look(&mut self, key: &TopicPartition, high: Offset, low: Option<Offset>) -> Finding {
        let Some(known) = self.known.get_mut(key) else {
            return Finding::Fine;
        };
        let Known {
            partition,
            last_read,
            last_high,
            unread_since,
            shorter_since,
            ..
        } = known;
        let read = partition.end().next;
        let is_stuck = read == *last_read && high == *last_high && read < high;
        if read != *last_read || read >= high {
            *unread_since = None;
        }
        let unread_for = unread_since.get_or_insert_with(Instant::now).elapsed();
        (*last_read, *last_high) = (read, high);
        if high < read {
            let since = match shorter_since {
                Some((end, since)) if *end == high => *since,
                _ => shorter_since.insert((high, Instant::now())).1,
            };
            return if since.elapsed() >= SHORTER_FOR {
                Finding::Shorter
            } else {
                Finding::Unsettled
            };
        }
        *shorter_since = None;
        match low {
            Some(low) if low > read => Finding::BeginsAt(low),
            _ if unread_for >= UNREAD_FOR => {
                *unread_since = None;
                Finding::Unread
            }
            _ if is_stuck => Finding::Stuck,
            _ => Finding::Fine,
        }
    }

    fn show_lag(&self, highs: &HashMap<TopicPartition, Offset>) {
        let mut lags: HashMap<&Topic, i64> = HashMap::new();
        for (key, high) in highs {
            let read = self
                .known
                .get(key)
                .map_or(high.0, |known| known.partition.end().next.0);
            *lags.entry(&key.0).or_default() += (high.0 - read).max(0);
        }
        for (topic, lag) in lags {
            let label = TopicLabel {
                topic: topic.to_string(),
            };
            self.hub
                .metrics()
                .lag_records
                .get_or_create(&label)
                .set(gauge_value(lag));
        }
    }

    /// Has the live consumer read on, unless Kafka's log is not the one that was read any more: it
    /// may have been cut and have grown beyond what was read.
    fn verify(&mut self, key: &TopicPartition, high: Offset) {
        match self.agrees_up_to(key, high, 1) {
            Some(Agreement::Nowhere) => self.shorten(key, high),
            // Without a record in memory nothing can be compared.
            Some(Agreement::UpTo(_)) | None => self.read_again(key, Offset(0)),
        }
    }

    /// Goes on where the log in memory and the log in Kafka stop to agree.
    fn shorten(&mut self, key: &TopicPartition, high: Offset) {
        let Some(cut) = self.agrees_up_to(key, high, COMPARED_RECORDS) else {
            return;
        };
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
        if cut >= read {
            return self.read_again(key, Offset(0));
        }
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
    fn agrees_up_to(
        &mut self,
        key: &TopicPartition,
        high: Offset,
        count: usize,
    ) -> Option<Agreement> {
        let kept = self.known[key].partition.newest(count);
        let from = kept.first()?.offset;
        if from >= high {
            return Some(Agreement::Nowhere);
        }
        let mut ours = kept.into_iter().peekable();
        let mut agreed = None;
        let (topic, partition) = key;
        let timeout = limits::LOOKUP_TIMEOUT;
        let end = self
            .prober
            .read(topic, *partition, from, timeout, |message| {
                let theirs = (Offset(message.offset()), timestamp(message));
                let same = ours.next().is_some_and(
                    |LogEntry {
                         offset, timestamp, ..
                     }| (offset, timestamp) == theirs,
                );
                if !same {
                    return ControlFlow::Break(());
                }
                agreed = Some(Offset(theirs.0.0 + 1));
                if theirs.0.0 + 1 < high.0 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
        match end {
            RangeEnd::Enough | RangeEnd::LogEnd => {
                Some(agreed.map_or(Agreement::Nowhere, Agreement::UpTo))
            }
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
