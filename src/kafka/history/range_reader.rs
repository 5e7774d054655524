//! Reads a range of one partition with its own consumer, and keeps the position where it stopped:
//! reading on from there needs no seek.
//!
//! The consumer is created when it is first needed and dropped when it was not needed for a while,
//! so that a server that replays nothing has no threads for it.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use async_channel::{Receiver, TryRecvError};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset as KafkaOffset, TopicPartitionList};

use crate::cursor::{Offset, Partition};
use crate::kafka::client::{Consumer, KafkaClient, KafkaClientError};
use crate::limits;
use crate::stream::Topic;

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::kafka) enum RangeEnd {
    /// The visitor wanted no more.
    #[error("enough was read")]
    Enough,
    /// The log ends here.
    #[error("it ends there")]
    LogEnd,
    /// The log does not have this offset, or no longer.
    #[error("it has no such offset")]
    OutOfRange,
    /// No record came in time.
    #[error("no record came in time")]
    TimedOut,
}

/// How long the consumer prefetches where it stopped before it rests.
const LINGER: Duration = Duration::from_millis(200);

/// How long a resting consumer is kept.
const KEEP: Duration = Duration::from_secs(10);

/// How long a broker may hold a fetch at the end of a log, in milliseconds.
const FETCH_WAIT_MS: u32 = 10;

/// See the module.
pub(in crate::kafka) struct RangeReader {
    client: KafkaClient,
    purpose: &'static str,
    properties: Vec<(&'static str, String)>,
    consumer: Option<Consumer>,
    /// The topics whose leaders this consumer knows.
    known: HashSet<Topic>,
    at: Option<(Topic, Partition, Offset)>,
    /// When it was last used.
    used: Option<Instant>,
}

impl RangeReader {
    /// A reader whose consumers have these properties in addition to the client's.
    pub(in crate::kafka) fn new(
        client: &KafkaClient,
        purpose: &'static str,
        mut properties: Vec<(&'static str, String)>,
    ) -> Self {
        // The records exist already, and the next seek waits for the answer to the fetch before it.
        properties.push(("fetch.wait.max.ms", FETCH_WAIT_MS.to_string()));
        Self {
            client: client.clone(),
            purpose,
            properties,
            consumer: None,
            known: HashSet::new(),
            at: None,
            used: None,
        }
    }

    /// A reader that prefetches little, for single records.
    pub(in crate::kafka) fn for_few_records(client: &KafkaClient, purpose: &'static str) -> Self {
        let bounds = vec![
            ("queued.min.messages", "100".to_owned()),
            ("queued.max.messages.kbytes", "16384".to_owned()),
        ];
        Self::new(client, purpose, bounds)
    }

    /// The next of `requests`. While there is none, the consumer goes to rest, and is then dropped.
    /// `None` when the queue is closed.
    pub(in crate::kafka) fn next_of<T>(&mut self, requests: &Receiver<T>) -> Option<T> {
        let idle_since = Instant::now();
        while self.consumer.is_some() {
            match requests.try_recv() {
                Ok(request) => return Some(request),
                Err(TryRecvError::Closed) => return None,
                Err(TryRecvError::Empty) if self.at.is_some() && idle_since.elapsed() > LINGER => {
                    self.rest();
                }
                Err(TryRecvError::Empty) if idle_since.elapsed() > KEEP => self.consumer = None,
                Err(TryRecvError::Empty) if self.at.is_some() => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        requests.recv_blocking().ok()
    }

    /// Passes the records from `from` on to `visit` until it breaks. `timeout` bounds the wait for
    /// each record.
    pub(in crate::kafka) fn read(
        &mut self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        timeout: Duration,
        mut visit: impl FnMut(&BorrowedMessage<'_>) -> ControlFlow<()>,
    ) -> RangeEnd {
        let consumer = match self.seek(topic, partition, from) {
            Ok(consumer) => consumer,
            Err(error) => {
                tracing::warn!(%topic, %partition, offset = %from, %error, "could not seek");
                return RangeEnd::TimedOut;
            }
        };
        let mut deadline = Instant::now() + timeout;
        let mut at = None;
        let end = loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            match consumer.poll(wait) {
                None if wait.is_zero() => break RangeEnd::TimedOut,
                None => {}
                Some(Ok(message))
                    if message.topic() != topic.as_str() || message.partition() != partition.0 => {}
                Some(Ok(message)) => {
                    deadline = Instant::now() + timeout;
                    let flow = visit(&message);
                    at = Some(Offset(message.offset() + 1));
                    if flow.is_break() {
                        break RangeEnd::Enough;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break RangeEnd::LogEnd,
                Some(Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                ))) => break RangeEnd::OutOfRange,
                Some(Err(error)) => {
                    tracing::debug!(%topic, %partition, %error, "while reading a range");
                }
            }
        };
        match (end, at) {
            (RangeEnd::Enough, Some(next)) => self.at = Some((topic.clone(), partition, next)),
            // Its client may stay with a broker that no longer leads the partition.
            (RangeEnd::TimedOut, _) => self.renew(),
            // The position of the consumer is unknown now: the next read seeks.
            _ => self.rest(),
        }
        end
    }

    /// Drops the consumer. The next read creates another one, which knows nothing of earlier
    /// leaders.
    pub(in crate::kafka) fn renew(&mut self) {
        self.at = None;
        self.consumer = None;
    }

    /// The end of a partition's log; `None` when Kafka does not answer.
    pub(in crate::kafka) fn log_end(&self, topic: &Topic, partition: Partition) -> Option<Offset> {
        let consumer = self.consumer.as_ref()?;
        let found = consumer.fetch_watermarks(topic.as_str(), partition.0, limits::LOOKUP_TIMEOUT);
        found.ok().map(|(_, high)| Offset(high))
    }

    /// Rests, and drops the consumer when it was not used for a while.
    pub(in crate::kafka) fn rest_long(&mut self) {
        self.rest();
        if self.used.is_some_and(|used| used.elapsed() > KEEP) {
            self.consumer = None;
            self.used = None;
        }
    }

    /// Stops fetching until the next [`RangeReader::read`].
    pub(in crate::kafka) fn rest(&mut self) {
        if let (Some(_), Some(consumer)) = (self.at.take(), &self.consumer)
            && let Err(error) = consumer.unassign()
        {
            tracing::warn!(%error, "could not unassign");
        }
    }

    fn seek(
        &mut self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
    ) -> Result<&Consumer, KafkaClientError> {
        self.used = Some(Instant::now());
        let consumer = if let Some(consumer) = self.consumer.take() {
            consumer
        } else {
            self.known.clear();
            self.client.consumer(self.purpose, &self.properties)?
        };
        let consumer = &*self.consumer.insert(consumer);
        if self
            .at
            .as_ref()
            .is_none_or(|(at, number, next)| at != topic || *number != partition || *next != from)
        {
            if !self.known.contains(topic) {
                // Otherwise librdkafka learns the leaders of a topic that is new to it only once a
                // second.
                consumer.fetch_metadata(Some(topic.as_str()), limits::LOOKUP_TIMEOUT)?;
                self.known.insert(topic.clone());
            }
            let mut assignment = TopicPartitionList::with_capacity(1);
            assignment.add_partition_offset(
                topic.as_str(),
                partition.0,
                KafkaOffset::Offset(from.0),
            )?;
            consumer.assign(&assignment)?;
            self.at = Some((topic.clone(), partition, from));
        }
        Ok(consumer)
    }
}
