//! The live consumer: reads every partition once, in one OS thread, and publishes what it reads. It
//! never waits for a subscriber.

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

use super::last_read::{LastRead, OtherLog, last_read_offset};
use crate::cursor::Offset;
use crate::fanout::{Arrival, Hub, HubPartition};
use crate::kafka::KafkaReader;
use crate::kafka::client::{self, Consumer, KafkaClient};
use crate::kafka::event_pipeline::{EventPipeline, PipelineSnapshot, timestamp};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::metrics::{NewestGauge, TopicLabel};

/// A command of discovery to the live consumer.
pub(in crate::kafka) enum Assignment {
    /// Read one more partition.
    Read(Reading),
    /// Read on where the position may be lost: at the next offset, or at `low` where the log begins
    /// later.
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
pub(in crate::kafka) struct Reading {
    pub(super) partition: Arc<HubPartition>,
    pub(super) from: Offset,
}

/// See the module.
pub(in crate::kafka) struct LiveConsumer {
    client: KafkaClient,
    consumer: Consumer,
    hub: Arc<Hub>,
    pipeline: Arc<EventPipeline>,
    assignments: Receiver<Assignment>,
    stopping: Arc<AtomicBool>,
    assigned: HashMap<Topic, HashMap<i32, Assigned>>,
    /// Whether Kafka does not have the next offset of some partition.
    position_lost: bool,
    /// When the log last had a line about it.
    loss_logged: Option<Instant>,
    /// Signals to discovery that a position was lost.
    in_doubt: Arc<AtomicBool>,
}

struct Assigned {
    partition: Arc<HubPartition>,
    read: Counter,
    /// Created with the first record: a topic that was silent so far has no newest one.
    newest_seconds: OnceCell<NewestGauge>,
    last_read: LastRead,
}

/// How long one poll waits, and so how long an assignment or the shutdown may wait.
const POLL: Duration = Duration::from_millis(50);

/// The least time between two log lines about lost positions.
const LOSS_LOG_INTERVAL: Duration = Duration::from_mins(1);

impl LiveConsumer {
    pub(in crate::kafka) fn new(
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

    /// Reads until it is stopped.
    pub(in crate::kafka) fn run(mut self) {
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
                // Only after what was read until then is published.
                self.in_doubt.store(true, Ordering::Release);
                self.hub.rediscover();
            }
        }
    }

    /// Waits for the first record, then takes what else has arrived.
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
                    match self.arrival(&message, pipeline) {
                        Ok(arrival) => batch.extend(arrival),
                        Err(OtherLog) => self.position_lost = true,
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    // The client's context has reported the error, unless the position is lost.
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

    /// Logs at most once a minute: a topic that is deleted loses the positions of all its
    /// partitions.
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
    ) -> Result<Option<Arrival>, OtherLog> {
        let partitions = self.assigned.get(message.topic());
        let assigned = partitions.and_then(|partitions| partitions.get(&message.partition()));
        let Some(assigned) = assigned else {
            return Ok(None);
        };
        let (offset, timestamp) = (Offset(message.offset()), timestamp(message));
        if !assigned.last_read.agrees(offset, timestamp)? {
            return Ok(None);
        }
        let topic = &assigned.partition.topic;
        assigned.read.increment(1);
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
        Ok(Some(Arrival {
            partition: Arc::clone(&assigned.partition),
            offset,
            timestamp,
            event: pipeline.event(topic, message),
        }))
    }

    fn take_assignments(&mut self) {
        let mut readings = Vec::new();
        while let Ok(assignment) = self.assignments.try_recv() {
            match assignment {
                // Partitions are assigned together: each assignment interrupts the fetches.
                Assignment::Read(reading) => readings.push(reading),
                Assignment::ReadAgain { partition, low } => {
                    self.read(std::mem::take(&mut readings));
                    self.read_again(&partition, low);
                }
                Assignment::Stop(partition) => {
                    self.read(std::mem::take(&mut readings));
                    self.stop(&partition);
                }
                Assignment::NewClient => {
                    self.read(std::mem::take(&mut readings));
                    self.renew_client();
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
        let all = readings
            .iter()
            .map(|reading| (&*reading.partition, KafkaOffset::Offset(reading.from.0)));
        if let Err(error) = list(all).and_then(|all| self.consumer.incremental_assign(&all)) {
            tracing::error!(%error, "partitions could not be assigned");
            return;
        }
        for reading in readings {
            self.begin(reading);
        }
    }

    /// Asks for the leaders of all topics. Otherwise librdkafka learns about new topics only once a
    /// second. Only for a client that reads nothing yet: the answer would wait behind a fetch that
    /// waits for the next event.
    fn find_leaders(&self) {
        if let Err(error) = self.consumer.fetch_metadata(None, limits::LOOKUP_TIMEOUT) {
            tracing::debug!(%error, "the leaders were not found at once");
        }
    }

    /// Reads on with a new client. librdkafka remembers the leader and its epoch by the topic's
    /// name, even when the topic is deleted and created again, and ignores the lower epoch of the
    /// new topic (librdkafka issue 4898). Such a partition would not be read until its epoch has
    /// caught up.
    fn renew_client(&mut self) {
        match self.client.consumer(client::LIVE, &[]) {
            Ok(consumer) => self.consumer = consumer,
            Err(error) => return tracing::error!(%error, "no new client for the live consumer"),
        }
        self.find_leaders();
        let partitions = self.assigned.values().flat_map(HashMap::values);
        let positions = partitions.map(|assigned| {
            let partition = &*assigned.partition;
            let from = last_read_offset(partition, Offset(0));
            assigned.last_read.expect(partition, from);
            (partition, KafkaOffset::Offset(from.0))
        });
        if let Err(error) = list(positions).and_then(|all| self.consumer.incremental_assign(&all)) {
            tracing::error!(%error, "partitions could not be assigned");
        }
    }

    fn begin(&mut self, Reading { partition, from }: Reading) {
        let last_read = LastRead::default();
        last_read.expect(&partition, from);
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
                    last_read,
                },
            );
        metrics.partitions.increment(1);
    }

    fn read_again(&mut self, partition: &Arc<HubPartition>, low: Offset) {
        let next = partition.end().next;
        if next < low {
            tracing::error!(
                topic = %partition.topic, partition = %partition.partition, from = %next, to = %low,
                "records were deleted before they were read"
            );
            self.hub.skip_to(partition, low);
        }
        let from = last_read_offset(partition, low);
        let partitions = self.assigned.get(&partition.topic);
        if let Some(assigned) = partitions.and_then(|all| all.get(&partition.partition.0)) {
            assigned.last_read.expect(partition, from);
        }
        let assigned = self
            .unassign(partition)
            .and_then(|()| list([(&**partition, KafkaOffset::Offset(from.0))]))
            .and_then(|one| self.consumer.incremental_assign(&one));
        if let Err(error) = assigned {
            tracing::error!(
                topic = %partition.topic, partition = %partition.partition, %error,
                "a partition could not be assigned again"
            );
        }
    }

    fn unassign(&self, partition: &HubPartition) -> Result<(), KafkaError> {
        let one = list([(partition, KafkaOffset::Invalid)])?;
        self.consumer.incremental_unassign(&one)
    }

    fn stop(&mut self, partition: &Arc<HubPartition>) {
        if let Err(error) = self.unassign(partition) {
            tracing::warn!(
                topic = %partition.topic, partition = %partition.partition, %error,
                "a partition could not be unassigned"
            );
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
    partitions: impl IntoIterator<Item = (&'a HubPartition, KafkaOffset)>,
) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(partition.topic.as_str(), partition.partition.0, offset)?;
    }
    Ok(list)
}

/// `auto.offset.reset` is `error`: librdkafka reports this once, and stops reading the partition.
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
