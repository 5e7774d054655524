//! Whether the logs in Kafka are still the ones that were read.
//!
//! A topic that is deleted and made anew has the same name and other records at the same offsets. Kafka's clients go on at
//! their offset as if nothing had happened, or find that there is no such offset and stop. So each round of discovery asks:
//!
//! * Is the log shorter than what was read of it?
//! * Is there, below what was read, a record later than all that were read? By what was known at the LAST round: since then
//!   the live consumer may have read of the new log.
//! * Where the live consumer has lost its position: does the log begin only above it? Then records were lost unread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::error::KafkaError;

use super::discovery::{Discovery, LOG_END, LOG_START, TopicPartition};
use super::live_consumer::Assignment;
use crate::cursor::{Offset, RUN_MAX, TimestampMs};
use crate::fanout::LogStart;

/// What one round found of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// How far it was read.
    read: Offset,
    /// The latest timestamp of all that was read.
    latest: TimestampMs,
    /// The log ended before that.
    is_short: bool,
}

impl Discovery {
    /// See the module. Logs that are not the ones that were read are retired: discovery finds them anew.
    pub(super) fn check_logs(&mut self) -> Result<(), KafkaError> {
        let in_doubt = self.in_doubt.swap(false, Ordering::AcqRel);
        let checked = self.check(in_doubt);
        if in_doubt && !matches!(checked, Ok(true)) {
            self.in_doubt.store(true, Ordering::Release);
        }
        checked.map(|_| ())
    }

    /// Whether every log could be checked.
    fn check(&mut self, in_doubt: bool) -> Result<bool, KafkaError> {
        // What was read is noted before Kafka is asked: meanwhile a log only grows.
        let seen: Vec<_> = self.known.iter().map(|(key, partition)| (key.clone(), partition.seen())).collect();
        let partitions: Vec<TopicPartition> = seen.iter().map(|(key, _)| key.clone()).collect();
        let highs = self.offsets(&partitions, LOG_END)?;
        self.show_lag(&seen.iter().map(|(key, (read, _))| (key.clone(), *read)).collect(), &highs);
        // Earlier times are no times: they are how `ListOffsets` asks for the ends of the log.
        let marks = self.marks.iter().filter(|(_, mark)| (0..i64::MAX).contains(&mark.latest.0));
        let later = self.offsets_at_times(marks.map(|(key, mark)| (key, TimestampMs(mark.latest.0 + 1))))?;
        let lows = if in_doubt { self.offsets(&partitions, LOG_START)? } else { HashMap::new() };
        let mut complete = true;
        for (key, (read, latest)) in seen {
            let Some(high) = highs.get(&key) else {
                complete = false;
                continue;
            };
            let mark = self.marks.get(&key);
            let is_short = *high < read;
            // A broker that has just become the leader may not know the end yet.
            let is_shorter = is_short && (in_doubt || mark.is_some_and(|mark| mark.is_short));
            let is_later = later.get(&key).zip(mark).is_some_and(|(found, mark)| *found < mark.read);
            if is_shorter || is_later {
                // What was read since the last round may be of the new log already, and would agree with it.
                let known = mark.filter(|_| is_later).map_or(read, |mark| mark.read);
                let seen = Mark { read, latest, is_short };
                self.find_anew(&key, seen, known.min(*high), *high)?;
                continue;
            }
            self.marks.insert(key.clone(), Mark { read, latest, is_short });
            match lows.get(&key) {
                Some(low) => self.say(Assignment::ReadAgain { partition: Arc::clone(&self.known[&key]), low: *low }),
                None => complete &= !in_doubt,
            }
        }
        Ok(complete)
    }

    /// `seen` is what was read of it, and what lies below `known` was read of the log as it was.
    ///
    /// The log is another one, or was cut at its end by a leader who knew less of it and goes on with other records. Where the
    /// memory log still agrees with it, what comes from there on is new. A log that agrees nowhere and begins at offset 0 is a
    /// new topic's: all it holds is new. One that begins later is the old one, cut below what is in memory.
    fn find_anew(&mut self, key: &TopicPartition, seen: Mark, known: Offset, high: Offset) -> Result<(), KafkaError> {
        let Mark { read, latest, .. } = seen;
        let low = self.offsets(std::slice::from_ref(key), LOG_START)?.get(key).copied();
        let agrees_up_to = self.agrees_up_to(key, known)?;
        tracing::warn!(
            topic = %key.0, partition = %key.1, %read, %high, ?low, ?agrees_up_to, "is another log than the one that was read"
        );
        self.retire(key);
        let from = agrees_up_to.or((low > Some(Offset(0)) && high < read).then_some(high));
        match (from, low) {
            (Some(from), Some(low)) => {
                let floor = TimestampMs(latest.0.saturating_add(1));
                let start = LogStart { offset: from, floor, is_log_start: low == from };
                let reading = self.reading(key, start, Offset((from.0 - 1 - RUN_MAX).max(low.0)), high);
                self.say(Assignment::Read(vec![reading]));
            }
            _ => {
                self.absent.insert(key.0.clone());
            }
        }
        Ok(())
    }

    /// The offset after the last record below `to` that is in memory and in Kafka's log alike: at the same offset with the same
    /// time. Only records that are later than all before them can be asked for; where they agree, so does what lies between.
    fn agrees_up_to(&self, key: &TopicPartition, to: Offset) -> Result<Option<Offset>, KafkaError> {
        let records = self.known[key].found_by_time(to);
        let (mut agree, mut differ) = (0, records.len());
        while agree < differ {
            let middle = usize::midpoint(agree, differ);
            let (offset, time) = records[middle];
            // The first record that is not earlier is this one, and the first that is later is another.
            let first = |time| Ok::<_, KafkaError>(self.offsets_at_times(std::iter::once((key, time)))?.get(key).copied());
            let is_there = first(time)? == Some(offset) && first(TimestampMs(time.0 + 1))?.is_none_or(|next| next > offset);
            if is_there { agree = middle + 1 } else { differ = middle }
        }
        Ok(agree.checked_sub(1).map(|last| Offset(records[last].0.0 + 1)))
    }
}
