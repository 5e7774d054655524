//! The live consumer: reads every partition once, in one OS thread, and publishes what it reads. It never waits for a
//! subscriber.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use metrics::Counter;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message, Offset as KafkaOffset, TopicPartitionList};

use super::KafkaReader;
use super::client::{self, Consumer, KafkaClient};
use super::event_pipeline::{EventPipeline, PipelineSnapshot, timestamp};
use crate::cursor::{Offset, Partition};
use crate::fanout::{Arrival, Hub, HubPartition};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::metrics::{NewestGauge, TopicLabel};

/// What discovery tells the live consumer.
pub(super) enum Assignment {
    /// Read one more partition.
    Read(Reading),
    /// Read on, where the position may be lost: at what comes next, or at `low` where the log begins only there.
    ReadAgain {
        partition: Arc<HubPartition>,
        low: Offset,
    },
    /// Stop reading a partition.
    Stop(Arc<HubPartition>),
    /// Read with a new client of librdkafka.
    NewClient,
}

/// A partition to be read from `from` on.
pub(super) struct Reading {
    pub(super) partition: Arc<HubPartition>,
    pub(super) from: Offset,
}

/// See the module.
pub(super) struct LiveConsumer {
    client: KafkaClient,
    consumer: Consumer,
    hub: Arc<Hub>,
    pipeline: Arc<EventPipeline>,
    assignments: Receiver<Assignment>,
    stopping: Arc<AtomicBool>,
    assigned: HashMap<Topic, HashMap<i32, Assigned>>,
    /// Whether Kafka said that it has no such offset as the next one of some partition.
    position_lost: bool,
    /// When a line of the log last said so.
    loss_logged: Option<Instant>,
    /// Tells discovery so.
    in_doubt: Arc<AtomicBool>,
}

struct Assigned {
    partition: Arc<HubPartition>,
    read: Counter,
    /// Made with the first record: a topic that was silent so far has no newest one.
    newest_seconds: OnceCell<NewestGauge>,
}

/// How long one poll waits, and so how long an assignment or the end waits for its turn.
const POLL: Duration = Duration::from_millis(50);

/// The least time between two lines of the log about lost positions.
const LOSS_LOG_INTERVAL: Duration = Duration::from_mins(1);

impl LiveConsumer {
    pub(super) fn new(
        reader: &KafkaReader,
        consumer: Consumer,
        hub: Arc<Hub>,
        assignments: Receiver<Assignment>,
        stopping: Arc<AtomicBool>,
        in_doubt: Arc<AtomicBool>,
    ) -> Self {
        Self {
            client: reader.client.clone(),
            consumer,
            hub,
            pipeline: Arc::clone(&reader.pipeline),
            assignments,
            stopping,
            assigned: HashMap::new(),
            position_lost: false,
            loss_logged: None,
            in_doubt,
        }
    }

    /// Reads until told to stop.
    pub(super) fn run(mut self) {
        while !self.stopping.load(Ordering::Relaxed) {
            self.take_assignments();
            let pipeline = Arc::clone(&self.pipeline);
            let held = pipeline.hold();
            let batch = self.poll_batch(&held);
            if !batch.is_empty() {
                self.hub.publish(batch);
            }
            drop(held);
            if std::mem::take(&mut self.position_lost) {
                // Not before what was read until then is published.
                self.in_doubt.store(true, Ordering::Release);
                self.hub.rediscover();
            }
        }
    }

    /// Waits for the first record, then takes what has arrived besides.
    fn poll_batch(&mut self, pipeline: &PipelineSnapshot<'_>) -> Vec<Arrival> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut wait = POLL;
        while batch.len() < limits::LIVE_BATCH_RECORDS_MAX && bytes < limits::LIVE_BATCH_BYTES_MAX {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    wait = Duration::ZERO;
                    bytes += message.payload_len();
                    batch.extend(self.arrival(&message, pipeline));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    // The client has told it, but for a lost position.
                    tracing::debug!(%error, "live consumer");
                    if is_position_lost(&error) {
                        self.position_lost = true;
                        self.log_loss(&error);
                    }
                }
            }
        }
        batch
    }

    /// At most a line a minute: a topic that is deleted loses the positions of all its partitions.
    fn log_loss(&mut self, error: &KafkaError) {
        if self
            .loss_logged
            .is_none_or(|logged| logged.elapsed() > LOSS_LOG_INTERVAL)
        {
            self.loss_logged = Some(Instant::now());
            tracing::warn!(
                %error,
                "Kafka does not have the next offset of a partition; its log is checked"
            );
        }
    }

    fn arrival(
        &self,
        message: &BorrowedMessage<'_>,
        pipeline: &PipelineSnapshot<'_>,
    ) -> Option<Arrival> {
        let assigned = self
            .assigned
            .get(message.topic())?
            .get(&message.partition())?;
        let topic = &assigned.partition.topic;
        assigned.read.increment(1);
        let timestamp = timestamp(message);
        let newest = assigned.newest_seconds.get_or_init(|| {
            let label = TopicLabel {
                topic: topic.to_string(),
            };
            self.hub
                .metrics()
                .newest_record_seconds
                .get_or_create(&label)
        });
        newest.raise_to(timestamp.as_secs_f64());
        Some(Arrival {
            partition: Arc::clone(&assigned.partition),
            offset: Offset(message.offset()),
            timestamp,
            event: pipeline.event(topic, message),
        })
    }

    fn take_assignments(&mut self) {
        let mut readings = Vec::new();
        while let Ok(assignment) = self.assignments.try_recv() {
            match assignment {
                Assignment::Read(reading) => readings.push(reading),
                // Partitions are assigned together: each assignment interrupts the fetches.
                other => {
                    self.read(std::mem::take(&mut readings));
                    match other {
                        Assignment::ReadAgain { partition, low } => {
                            self.read_again(&partition, low);
                        }
                        Assignment::Stop(partition) => self.stop(&partition),
                        Assignment::NewClient => self.renew_client(),
                        Assignment::Read(_) => {}
                    }
                }
            }
        }
        self.read(readings);
    }

    fn read(&mut self, readings: Vec<Reading>) {
        if readings.is_empty() {
            return;
        }
        if self.assigned.is_empty() {
            self.find_leaders();
        }
        let from = |reading: &Reading| KafkaOffset::Offset(reading.from.0);
        let all = list(
            readings
                .iter()
                .map(|reading| (&*reading.partition, from(reading))),
        );
        if let Err(error) = all.and_then(|all| self.consumer.incremental_assign(&all)) {
            tracing::error!(%error, "partitions could not be assigned");
            return;
        }
        for reading in readings {
            self.begin(reading.partition);
        }
    }

    /// Asks for the leaders of all topics. Unasked, librdkafka learns about new topics once a second. Only a client that
    /// reads nothing yet may ask: otherwise the answer would come behind a fetch that waits for the next event.
    fn find_leaders(&self) {
        if let Err(error) = self.consumer.fetch_metadata(None, limits::LOOKUP_TIMEOUT) {
            tracing::debug!(%error, "the leaders were not found at once");
        }
    }

    /// Reads on with a new client. librdkafka remembers the leader and its epoch by the topic's name, also when the topic
    /// is deleted and created again, and ignores the lower epoch of the new topic (librdkafka issue 4898). Such a partition
    /// would not be read until its epoch has caught up.
    fn renew_client(&mut self) {
        match self.client.consumer(client::LIVE, &[]) {
            Ok(consumer) => self.consumer = consumer,
            Err(error) => return tracing::error!(%error, "no new client for the live consumer"),
        }
        self.find_leaders();
        let partitions = self.assigned.values().flat_map(HashMap::values);
        let positions = partitions.map(|assigned| {
            let partition = &*assigned.partition;
            (partition, KafkaOffset::Offset(partition.end().next.0))
        });
        if let Err(error) = list(positions).and_then(|all| self.consumer.incremental_assign(&all)) {
            tracing::error!(%error, "partitions could not be assigned");
        }
    }

    fn begin(&mut self, partition: Arc<HubPartition>) {
        let metrics = self.hub.metrics();
        let label = TopicLabel {
            topic: partition.topic.to_string(),
        };
        let read = metrics.records_read.get_or_create(&label);
        let number = partition.partition.0;
        self.assigned
            .entry(partition.topic.clone())
            .or_default()
            .insert(
                number,
                Assigned {
                    partition,
                    read,
                    newest_seconds: OnceCell::new(),
                },
            );
        metrics.partitions.increment(1);
    }

    fn read_again(&mut self, partition: &Arc<HubPartition>, low: Offset) {
        let mut next = partition.end().next;
        if next < low {
            tracing::error!(topic = %partition.topic, partition = %partition.partition, from = %next, to = %low, "gone unread");
            self.hub.skip_to(partition, low);
            next = low;
        }
        let stopped = list(std::iter::once((&**partition, KafkaOffset::Invalid)))
            .and_then(|one| self.consumer.incremental_unassign(&one));
        let one = stopped
            .and_then(|()| list(std::iter::once((&**partition, KafkaOffset::Offset(next.0)))));
        if let Err(error) = one.and_then(|one| self.consumer.incremental_assign(&one)) {
            tracing::error!(topic = %partition.topic, partition = %partition.partition, %error, "could not be assigned again");
        }
    }

    fn stop(&mut self, partition: &Arc<HubPartition>) {
        let one = list(std::iter::once((&**partition, KafkaOffset::Invalid)));
        if let Err(error) = one.and_then(|one| self.consumer.incremental_unassign(&one)) {
            tracing::warn!(topic = %partition.topic, partition = %partition.partition, %error, "could not be unassigned");
        }
        if let Some(partitions) = self.assigned.get_mut(&partition.topic) {
            partitions.remove(&partition.partition.0);
            self.hub.metrics().partitions.decrement(1);
            if partitions.is_empty() {
                self.assigned.remove(&partition.topic);
            }
        }
    }
}

fn list<'a>(
    partitions: impl Iterator<Item = (&'a HubPartition, KafkaOffset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (
        HubPartition {
            topic,
            partition: Partition(number),
            ..
        },
        offset,
    ) in partitions
    {
        list.add_partition_offset(topic.as_str(), *number, offset)?;
    }
    Ok(list)
}

/// `auto.offset.reset` is `error`: librdkafka says this once, and reads the partition no more.
fn is_position_lost(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}
