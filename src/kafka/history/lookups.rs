//! Answers questions about a log: its start and end, the first offset at a time, and the record
//! before an offset.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_channel::Receiver;
use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;

use super::range_reader::{RangeEnd, RangeReader};
use crate::cursor::{FoundByTime, LogAnswer, LogQuestion, Offset, Partition, TimestampMs};
use crate::fanout::upstream::LookupRequest;
use crate::kafka::KafkaReader;
use crate::kafka::client::Consumer;
use crate::kafka::event_pipeline::timestamp;
use crate::kafka::offsets::try_offsets_at_times;
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::LogPace;

/// Why a question has no answer. The client gets 503 and tries again.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The deciding records could not be read, or were deleted while they were read.
    #[error("the log could not be read ({0})")]
    NotRead(RangeEnd),
}

/// One thread that answers look-ups.
pub(in crate::kafka) struct Lookups {
    reader: RangeReader,
    /// The connection for questions.
    questions: Arc<Consumer>,
    requests: Receiver<LookupRequest>,
    log_pace: LogPace,
}

/// The timestamp of the record right before an offset, or else of the first one from there on.
#[derive(Default)]
struct Neighbour {
    before: Option<TimestampMs>,
    after: Option<TimestampMs>,
}

impl Lookups {
    pub(in crate::kafka) fn new(
        reader: &KafkaReader,
        questions: Arc<Consumer>,
        requests: Receiver<LookupRequest>,
    ) -> Self {
        Self {
            reader: RangeReader::for_few_records(&reader.client, "lookup"),
            questions,
            requests,
            log_pace: LogPace::new(limits::FAULT_LOG_INTERVAL),
        }
    }

    /// Serves until the queue is closed.
    pub(in crate::kafka) fn run(mut self) {
        while let Some(request) = self.reader.next_of(&self.requests) {
            if request.reply.is_closed() {
                continue;
            }
            match self.answer(&request.topic, request.partition, request.question) {
                // The reply fails when the client has left: nobody waits for it then.
                Ok(answer) => drop(request.reply.send(answer)),
                Err(error) => self.log_failure(&request, &error),
            }
        }
    }

    /// Clients repeat a look-up that failed: without a bound they would fill the log.
    fn log_failure(&self, request: &LookupRequest, error: &LookupError) {
        if let Some(not_logged) = self.log_pace.next() {
            tracing::warn!(
                topic = %request.topic, partition = request.partition.0, %error, not_logged,
                "look-up failed (logged at most once a minute)"
            );
        }
    }

    fn answer(
        &mut self,
        topic: &Topic,
        partition: Partition,
        question: LogQuestion,
    ) -> Result<LogAnswer, LookupError> {
        let (low, high) = self.watermarks(topic, partition)?;
        let mut answer = LogAnswer {
            low,
            high,
            before: None,
            after: None,
            by_time: None,
            last: None,
        };
        if let Some(time) = question.time {
            self.by_time(topic, partition, time, &mut answer)?;
        }
        if let Some(next) = question.before
            && (low..=high).contains(&next)
        {
            let neighbour = self.neighbour(topic, partition, low, next)?;
            answer.before = neighbour.before;
            answer.after = neighbour.after;
        }
        self.reader.rest();
        Ok(answer)
    }

    /// The log's first offset, and its end.
    fn watermarks(
        &self,
        topic: &Topic,
        partition: Partition,
    ) -> Result<(Offset, Offset), KafkaError> {
        let timeout = limits::LOOKUP_TIMEOUT;
        let (low, high) =
            (self.questions).fetch_watermarks(topic.as_str(), partition.0, timeout)?;
        Ok((Offset(low), Offset(high)))
    }

    fn by_time(
        &mut self,
        topic: &Topic,
        partition: Partition,
        time: TimestampMs,
        answer: &mut LogAnswer,
    ) -> Result<(), LookupError> {
        let found = self.first_at(topic, partition, time)?;
        // The start is asked for afterwards: until then records of that time may be deleted.
        answer.low = self.watermarks(topic, partition)?.0;
        let (low, high) = (answer.low, answer.high);
        let mut offset =
            found.and_then(|found| self.reader.first_at_or_after(topic, partition, found, time));
        if offset.is_none() {
            answer.last = self.reader.last_time_before(topic, partition, low, high);
            // Kafka's index overlooks this time.
            if answer.last.is_some_and(|last| last >= time) {
                offset = Some(self.reader.first_in(topic, partition, low..high, time));
            }
        }
        if let Some(offset) = offset {
            let first = found.unwrap_or(offset);
            answer.by_time = Some(FoundByTime {
                offset,
                may_lack_older: self.may_lack_older(topic, partition, low, first, time)?,
            });
        }
        Ok(())
    }

    /// Whether records before `found`, the first one of a time, may have been deleted: no record is
    /// earlier.
    fn may_lack_older(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        found: Offset,
        time: TimestampMs,
    ) -> Result<bool, LookupError> {
        if low.0 == 0 {
            return Ok(false);
        }
        if let Some(first) = self.first_at(topic, partition, TimestampMs(0))? {
            return Ok(first >= found);
        }
        // Kafka's index overlooks the first records too.
        let first = self.neighbour(topic, partition, low, low)?.after;
        Ok(first.is_none_or(|first| first >= time))
    }

    /// The first offset of a time, by Kafka's index. It has none where the first segment with
    /// records of that time lost them ([`RangeReader::first_in`]).
    fn first_at(
        &self,
        topic: &Topic,
        partition: Partition,
        time: TimestampMs,
    ) -> Result<Option<Offset>, KafkaError> {
        let wanted = [((topic.clone(), partition), time)];
        let found = try_offsets_at_times(&self.questions, &wanted, limits::LOOKUP_TIMEOUT)?;
        Ok(found.first().map(|(_, offset)| *offset))
    }

    fn neighbour(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        next: Offset,
    ) -> Result<Neighbour, LookupError> {
        let before = Offset((next.0 - 1).max(low.0));
        let timeout = limits::LOOKUP_TIMEOUT;
        let mut found = Neighbour::default();
        let end = self
            .reader
            .read(topic, partition, before, timeout, |message| {
                let time = Some(timestamp(message));
                if message.offset() < next.0 {
                    found.before = time;
                } else {
                    found.after = time;
                }
                ControlFlow::Break(())
            });
        match end {
            RangeEnd::Enough | RangeEnd::LogEnd => Ok(found),
            // Nothing can be concluded from a log that was not read: a position would be accepted
            // unchecked.
            RangeEnd::OutOfRange | RangeEnd::TimedOut => Err(LookupError::NotRead(end)),
        }
    }
}
