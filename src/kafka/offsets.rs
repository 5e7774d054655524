//! Questions about logs: watermarks, the first offset at a time, and the witness of a position.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_channel::Receiver;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::KafkaReader;
use super::client::Consumer;
use super::prepare::timestamp;
use super::range_reader::{RangeEnd, RangeReader};
use crate::cursor::{LogAnswer, LogQuestion, Offset, Partition, RUN_MAX, RunClock, TimestampMs};
use crate::fanout::upstream::LookupRequest;
use crate::limits;
use crate::stream::Topic;

/// Why a question has no answer: whoever asked gets 503 and asks again.
#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The records that decide could not be read, or went while they were read.
    #[error("the log could not be read: {0:?}")]
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
    pub(super) fn new(reader: &KafkaReader, questions: Arc<Consumer>, requests: Receiver<LookupRequest>) -> Self {
        // Only a handful of records is ever read here.
        let bounds = vec![("queued.min.messages", "100".to_owned()), ("queued.max.messages.kbytes", "16384".to_owned())];
        Self { reader: RangeReader::new(&reader.client, "lookup", bounds), questions, requests }
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
                    tracing::warn!(topic = %request.topic, partition = %request.partition, %error, "look-up failed");
                }
            }
        }
    }

    fn answer(&mut self, topic: &Topic, partition: Partition, question: LogQuestion) -> Result<LogAnswer, LookupError> {
        let consumer = Arc::clone(&self.questions);
        let (low, high) = consumer.fetch_watermarks(topic.as_str(), partition.0, limits::LOOKUP_TIMEOUT)?;
        let (low, high) = (Offset(low), Offset(high));
        let by_time = match question.time {
            Some(time) => first_at_or_after(&consumer, topic, partition, time)?,
            None => None,
        };
        let by_time = match by_time {
            Some(next) if low < next => Some((next, self.witness(topic, partition, low, next)?)),
            other => other.map(|next| (next, None)),
        };
        let mut answer = LogAnswer { low, high, witness: None, first_timestamp: None, by_time };
        if let Some(next) = question.next {
            if low < next && next <= high {
                answer.witness = self.witness(topic, partition, low, next)?;
            } else if next == low && low < high {
                answer.first_timestamp = self.first_timestamp(topic, partition, low)?;
            }
        }
        self.reader.rest();
        Ok(answer)
    }

    /// The id timestamp of the last record before `next`; `None` when there is none from `low` on.
    fn witness(
        &mut self,
        topic: &Topic,
        partition: Partition,
        low: Offset,
        next: Offset,
    ) -> Result<Option<TimestampMs>, LookupError> {
        let begin = Offset((next.0 - 1 - RUN_MAX).max(low.0));
        let mut clock = RunClock::default();
        let mut witness = None;
        let end = self.reader.read(topic, partition, begin, limits::LOOKUP_TIMEOUT, |message| {
            let offset = rdkafka::Message::offset(message);
            if offset < next.0 {
                witness = Some(clock.observe(timestamp(message)));
            }
            if offset + 1 < next.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        read_to_its_end(end).map(|()| witness)
    }

    fn first_timestamp(&mut self, topic: &Topic, partition: Partition, low: Offset) -> Result<Option<TimestampMs>, LookupError> {
        let mut first = None;
        let end = self.reader.read(topic, partition, low, limits::LOOKUP_TIMEOUT, |message| {
            first = Some(timestamp(message));
            ControlFlow::Break(())
        });
        read_to_its_end(end).map(|()| first)
    }
}

/// Nothing may be concluded from a log that was not read as far as it had to be: a position would be believed unseen.
fn read_to_its_end(end: RangeEnd) -> Result<(), LookupError> {
    match end {
        RangeEnd::Enough | RangeEnd::LogEnd => Ok(()),
        RangeEnd::OutOfRange | RangeEnd::TimedOut => Err(LookupError::NotRead(end)),
    }
}

fn first_at_or_after(
    consumer: &Consumer,
    topic: &Topic,
    partition: Partition,
    time: TimestampMs,
) -> Result<Option<Offset>, KafkaError> {
    let mut wanted = TopicPartitionList::with_capacity(1);
    wanted.add_partition_offset(topic.as_str(), partition.0, KafkaOffset::Offset(time.0))?;
    Ok(offsets_at(consumer, wanted)?.pop().and_then(|(_, _, offset)| offset))
}

/// One round of Kafka's `ListOffsets`: each partition's offset in `wanted` is a time, or -1 for the end, -2 for the start.
/// `None` where every record is earlier, or the partition has no leader now.
pub(super) fn offsets_at(
    consumer: &Consumer,
    wanted: TopicPartitionList,
) -> Result<Vec<(Topic, Partition, Option<Offset>)>, KafkaError> {
    let found = consumer.offsets_for_times(wanted, limits::LOOKUP_TIMEOUT)?;
    Ok(found
        .elements()
        .iter()
        .map(|element| {
            let offset = match (element.error(), element.offset()) {
                (Ok(()), KafkaOffset::Offset(offset)) => Some(Offset(offset)),
                _ => None,
            };
            (Topic::from(element.topic()), Partition(element.partition()), offset)
        })
        .collect())
}
