//! Reads a range of one partition with a consumer of its own, and stays where it stopped: going on there costs no seek.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset as KafkaOffset, TopicPartitionList};

use super::client::Consumer;
use crate::cursor::{Offset, Partition};
use crate::stream::Topic;

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeEnd {
    /// The visitor had enough.
    Enough,
    /// The log ends here.
    LogEnd,
    /// The log has no such offset (any more).
    OutOfRange,
    /// No record came in time.
    TimedOut,
}

/// See the module.
pub(super) struct RangeReader {
    consumer: Consumer,
    at: Option<(Topic, Partition, Offset)>,
}

impl RangeReader {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer, at: None }
    }

    pub(super) fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Hands the records from `from` on to `visit` until it breaks. `timeout` bounds the wait for each record.
    pub(super) fn read(
        &mut self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        timeout: Duration,
        mut visit: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> RangeEnd {
        if let Err(error) = self.seek(topic, partition, from) {
            tracing::warn!(%topic, %partition, offset = %from, %error, "could not seek");
            return RangeEnd::TimedOut;
        }
        let mut deadline = Instant::now() + timeout;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(wait) {
                None if wait.is_zero() => return self.lost(RangeEnd::TimedOut),
                None => {}
                Some(Ok(message)) if message.topic() != topic.as_str() || message.partition() != partition.0 => {}
                Some(Ok(message)) => {
                    deadline = Instant::now() + timeout;
                    let flow = visit(&message);
                    self.at = Some((topic.clone(), partition, Offset(message.offset() + 1)));
                    if flow.is_break() {
                        return RangeEnd::Enough;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return self.lost(RangeEnd::LogEnd),
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                ))) => return self.lost(RangeEnd::OutOfRange),
                Some(Err(error)) => tracing::debug!(%topic, %partition, %error, "while reading a range"),
            }
        }
    }

    /// Fetches no more until the next [`RangeReader::read`].
    pub(super) fn rest(&mut self) {
        if self.at.take().is_some()
            && let Err(error) = self.consumer.unassign()
        {
            tracing::warn!(%error, "could not unassign");
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.at.is_none()
    }

    fn seek(&mut self, topic: &Topic, partition: Partition, from: Offset) -> Result<(), KafkaError> {
        if self.at.as_ref().is_some_and(|(at, number, next)| at == topic && *number == partition && *next == from) {
            return Ok(());
        }
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment.add_partition_offset(topic.as_str(), partition.0, KafkaOffset::Offset(from.0))?;
        self.consumer.assign(&assignment)?;
        self.at = Some((topic.clone(), partition, from));
        Ok(())
    }

    /// The consumer is not where it was: the next read seeks.
    fn lost(&mut self, end: RangeEnd) -> RangeEnd {
        self.rest();
        end
    }
}
