//! Questions about logs: start, end, the first offset at a time, and the record before an offset.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_channel::Receiver;
use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::KafkaReader;
use super::client::Consumer;
use super::discovery::TopicPartition;
use super::event_pipeline::timestamp;
use super::range_reader::{RangeEnd, RangeReader};
use crate::cursor::{FoundByTime, LogAnswer, LogQuestion, Offset, Partition, TimestampMs};
use crate::fanout::FUTURE_MIN;
use crate::fanout::upstream::LookupRequest;
use crate::limits;
use crate::stream::Topic;

/// Why a question has no answer: the client gets 503 and asks again.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The records that decide could not be read, or went while they were read.
    #[error("the log could not be read ({0})")]
    NotRead(RangeEnd),
}

/// One thread that answers look-ups.
pub(super) struct Lookups {
    reader: RangeReader,
    /// The connection for questions.
    questions: Arc<Consumer>,
    requests: Receiver<LookupRequest>,
}

impl Lookups {
    pub(super) fn new(
        reader: &KafkaReader,
        questions: Arc<Consumer>,
        requests: Receiver<LookupRequest>,
    ) -> Self {
        // Only a handful of records is ever read here.
        let bounds = vec![
            ("queued.min.messages", "100".to_owned()),
            ("queued.max.messages.kbytes", "16384".to_owned()),
        ];
        Self {
            reader: RangeReader::new(&reader.client, "lookup", bounds),
            questions,
            requests,
        }
    }

    /// Serves until the queue is closed.
    pub(super) fn run(mut self) {
        while let Some(request) = self.reader.next_of(&self.requests) {
            if request.reply.is_closed() {
                continue;
            }
            match self.answer(&request.topic, request.partition, request.question) {
                // Nobody waits any more: the client has left.
                Ok(answer) => drop(request.reply.send(answer)),
                Err(error) => {
                    tracing::warn!(topic = %request.topic, partition = request.partition.0, %error, "look-up failed");
                }
            }
        }
    }

    fn answer(
        &mut self,
        topic: &Topic,
        partition: Partition,
        question: LogQuestion,
    ) -> Result<LogAnswer, LookupError> {
        let watermarks =
            self.questions
                .fetch_watermarks(topic.as_str(), partition.0, limits::LOOKUP_TIMEOUT)?;
        let (low, high) = (Offset(watermarks.0), Offset(watermarks.1));
        let mut answer = LogAnswer {
            low,
            high,
            before: None,
            after: None,
            by_time: None,
            last: None,
        };
        if let Some(time) = question.time {
            match self.by_time(topic, partition, low, time)? {
                Some(found) => answer.by_time = Some(found),
                None => answer.last = self.reader.last_time_before(topic, partition, low, high),
            }
        }
        if let Some(next) = question.before
            && (low..=high).contains(&next)
        {
            (answer.before, answer.after) = self.beside(topic, partition, low, next)?;
        }
        self.reader.rest();
        Ok(answer)
    }

    fn by_time(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        time: TimestampMs,
    ) -> Result<Option<FoundByTime>, LookupError> {
        let first_at = |time: TimestampMs| {
            let wanted = [((topic.clone(), partition), time)];
            Ok::<_, KafkaError>(
                try_offsets_at(&self.questions, &wanted, limits::LOOKUP_TIMEOUT)?.pop(),
            )
        };
        let Some((_, found)) = first_at(time)? else {
            return Ok(None);
        };
        let may_lack_older =
            low.0 > 0 && first_at(TimestampMs(0))?.is_some_and(|(_, first)| first == found);
        let offset = self.reader.first_at_or_after(topic, partition, found, time);
        Ok(offset.map(|offset| FoundByTime {
            offset,
            may_lack_older,
        }))
    }

    /// The timestamps of the record right before `next`, and else of the first one from there on.
    fn beside(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        next: Offset,
    ) -> Result<(Option<TimestampMs>, Option<TimestampMs>), LookupError> {
        let before = Offset((next.0 - 1).max(low.0));
        let mut found = (None, None);
        let end = self.reader.read(
            topic,
            partition,
            before,
            limits::LOOKUP_TIMEOUT,
            |message| {
                let time = Some(timestamp(message));
                found = if message.offset() < next.0 {
                    (time, None)
                } else {
                    (None, time)
                };
                ControlFlow::Break(())
            },
        );
        match end {
            RangeEnd::Enough | RangeEnd::LogEnd => Ok(found),
            // Nothing may be concluded from a log that was not read: a position would be believed unseen.
            RangeEnd::OutOfRange | RangeEnd::TimedOut => Err(LookupError::NotRead(end)),
        }
    }
}

/// Records that are read one after the other in search of a time, where the log's index points
/// before the first one of that time (a transaction's mark carries a later time than its records).
const SCANNED_RECORDS: usize = 10_000;

impl RangeReader {
    /// The first offset from `found` on whose record is of `time` or later, and not of the future.
    /// `found` is what Kafka's index says, which may be wrong in two ways: it also finds marks of
    /// transactions, and a record that claims to be of the far future hides all behind it.
    /// `None` when the log ends without such a record. Where it cannot be read now, `found` itself:
    /// too early rather than too late.
    pub(super) fn first_at_or_after(
        &mut self,
        topic: &Topic,
        partition: Partition,
        found: Offset,
        time: TimestampMs,
    ) -> Option<Offset> {
        let future = TimestampMs::now().saturating_add(FUTURE_MIN);
        let (mut next, mut scanned) = (found, 0);
        let (mut is_found, mut is_future) = (false, false);
        let end = self.read(topic, partition, found, limits::LOOKUP_TIMEOUT, |message| {
            let at = timestamp(message);
            is_future = at > future;
            is_found = at >= time && !is_future;
            next = Offset(message.offset() + i64::from(!is_found && !is_future));
            scanned += 1;
            let has_enough = is_found || is_future || scanned >= SCANNED_RECORDS;
            if has_enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match end {
            RangeEnd::LogEnd => None,
            _ if is_future => Some(self.halve(topic, partition, next, time)),
            _ => Some(next),
        }
    }

    /// The timestamp of the last record in `low..next`; `None` when there is none, or it cannot be read.
    pub(super) fn last_time_before(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        next: Offset,
    ) -> Option<TimestampMs> {
        if low >= next {
            return None;
        }
        for step in [10, 1_000, 100_000, i64::MAX] {
            let from = Offset(next.0.saturating_sub(step).max(low.0));
            let mut last = None;
            self.read(topic, partition, from, limits::LOOKUP_TIMEOUT, |message| {
                let offset = message.offset();
                if offset < next.0 {
                    last = Some(timestamp(message).max(TimestampMs(0)));
                }
                if offset + 1 < next.0 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if last.is_some() || from == low {
                return last;
            }
        }
        None
    }

    /// Finds the time behind a record of the future at `found` by looking at single records: the
    /// others are taken to be in the order of time.
    fn halve(
        &mut self,
        topic: &Topic,
        partition: Partition,
        found: Offset,
        time: TimestampMs,
    ) -> Offset {
        let future = TimestampMs::now().saturating_add(FUTURE_MIN);
        let Some(high) = self.log_end(topic, partition) else {
            return found;
        };
        let (mut low, mut high) = (Offset(found.0 + 1), high);
        while low < high {
            let middle = Offset(i64::midpoint(low.0, high.0));
            let mut at = None;
            self.read(
                topic,
                partition,
                middle,
                limits::LOOKUP_TIMEOUT,
                |message| {
                    let (offset, stamp) = (Offset(message.offset()), timestamp(message));
                    // One of the future says nothing: the next one does.
                    if stamp <= future {
                        at = Some((offset, stamp));
                    }
                    if stamp > future && offset < high {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                },
            );
            match at {
                Some((offset, stamp)) if stamp < time && offset < high => {
                    low = Offset(offset.0 + 1);
                }
                _ => high = middle,
            }
        }
        low
    }
}

/// Partitions with the time that is asked of each: -1 for the end of its log, -2 for its start.
pub(super) type Times = Vec<(TopicPartition, TimestampMs)>;

/// Kafka's times that stand for a log's end and start in `ListOffsets`.
pub(super) const LOG_END: TimestampMs = TimestampMs(-1);
pub(super) const LOG_START: TimestampMs = TimestampMs(-2);

/// The first offset of each time. Left out are partitions in which every record is earlier, and
/// those that Kafka does not answer for now: one of these makes librdkafka's whole call fail, so that
/// the others are asked again without it.
pub(super) fn offsets_at(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
) -> HashMap<TopicPartition, Offset> {
    ask_in_halves(consumer, wanted, limits::LOOKUP_TIMEOUT)
}

fn ask_in_halves(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
    timeout: Duration,
) -> HashMap<TopicPartition, Offset> {
    match try_offsets_at(consumer, wanted, timeout) {
        Ok(found) => found.into_iter().collect(),
        Err(error) if wanted.len() < 2 => {
            let partition = wanted
                .first()
                .map(|(key, _)| format!("{}/{}", key.0, key.1));
            tracing::debug!(partition, %error, "no offset");
            HashMap::new()
        }
        Err(_) => {
            let (left, right) = wanted.split_at(wanted.len() / 2);
            let mut found = ask_in_halves(consumer, left, limits::PROBE_TIMEOUT);
            found.extend(ask_in_halves(consumer, right, limits::PROBE_TIMEOUT));
            found
        }
    }
}

/// One round of Kafka's `ListOffsets`.
fn try_offsets_at(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
    timeout: Duration,
) -> Result<Vec<(TopicPartition, Offset)>, KafkaError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for ((topic, Partition(number)), time) in wanted {
        list.add_partition_offset(topic.as_str(), *number, KafkaOffset::from_raw(time.0))?;
    }
    let found = consumer.offsets_for_times(list, timeout)?;
    let answered = found.elements().into_iter().filter_map(|element| {
        let KafkaOffset::Offset(offset) = element.offset() else {
            return None;
        };
        element.error().ok()?;
        let key = (Topic::from(element.topic()), Partition(element.partition()));
        Some((key, Offset(offset)))
    });
    Ok(answered.collect())
}
