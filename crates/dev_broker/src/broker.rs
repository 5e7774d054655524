//! The state that all connections share.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::BrokerConfig;
use crate::acls::Acls;
use crate::batch::Batch;
use crate::groups::Groups;
use crate::log::PartitionLog;
use crate::topics::{Refusal, Topic, Topics};
use crate::transactions::Transactions;
use crate::{BrokerError, DevBroker, NewRecord};

/// Bytes of keys and values in one batch of [`Broker::append`] before the next one begins. Fetches
/// return whole batches, so large batches would make small fetches large.
const APPEND_BATCH_BYTES: usize = 128 << 10;

/// Topics, groups, transactions, and the wake-up of waiting fetches.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) topics: Topics,
    pub(crate) acls: Acls,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) auto_create_topics: bool,
    pub(crate) request_bytes_max: usize,
    /// Changes whenever any log does. One serves the whole broker: a fetch waits for dozens of
    /// partitions at once, and looking at logs that did not change costs microseconds.
    changed: watch::Sender<()>,
}

impl DevBroker {
    /// Creates a topic without a client.
    ///
    /// # Errors
    /// [`BrokerError::Topic`].
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        let topics = &self.broker.topics;
        let created = topics.create(name, partitions, [].into(), false);
        created.map_err(|refusal| BrokerError::Topic(refusal.message))?;
        Ok(())
    }
}

impl Broker {
    pub(crate) fn open(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let topics = Topics::open(config.data.as_deref(), config.retention_bytes_per_partition)?;
        for spec in &config.topics {
            let made = match topics.get(&spec.name) {
                None => topics.create(&spec.name, spec.partitions, [].into(), false),
                Some(topic)
                    if topic.partitions.len() < usize::try_from(spec.partitions).unwrap_or(0) =>
                {
                    topics.grow(&spec.name, spec.partitions, false)
                }
                Some(topic) => Ok(topic),
            };
            made.map_err(|refusal| BrokerError::Topic(refusal.message))?;
        }
        Ok(Self {
            topics,
            acls: Acls::default(),
            groups: Groups::default(),
            transactions: Transactions::default(),
            auto_create_topics: config.auto_create_topics,
            request_bytes_max: config.request_bytes_max,
            changed: watch::Sender::new(()),
        })
    }

    /// Changes whenever a log changes after this call.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Makes waiting fetches look again.
    pub(crate) fn notify_changed(&self) {
        self.changed.send_replace(());
    }

    /// Appends a producer's batch; returns its base offset and the log's start.
    pub(crate) fn produce(
        &self,
        log: &Mutex<PartitionLog>,
        batch: &Batch,
    ) -> Result<(i64, i64), ResponseError> {
        let mut log = log.lock();
        let base_offset = log.append(batch)?;
        let start = log.start();
        drop(log);
        self.notify_changed();
        Ok((base_offset, start))
    }

    /// The newest timestamp (ms) of all records.
    pub(crate) fn newest_timestamp(&self) -> Option<i64> {
        let topics = self.topics.all();
        let logs = topics.iter().flat_map(|topic| &topic.partitions);
        logs.filter_map(|log| log.lock().newest())
            .map(|(_, timestamp)| timestamp)
            .max()
    }

    /// A partition's log.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`].
    pub(crate) fn log(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Arc<Mutex<PartitionLog>>, BrokerError> {
        let unknown = |_| BrokerError::UnknownPartition {
            topic: topic.to_owned(),
            partition,
        };
        self.topics.partition(topic, partition).map_err(unknown)
    }

    /// As [`super::DevBroker::append`].
    pub(crate) fn append(
        &self,
        topic: &str,
        partition: i32,
        records: &[NewRecord],
    ) -> Result<i64, BrokerError> {
        let log = self.log(topic, partition)?;
        let refused = |reason: String| BrokerError::Append {
            topic: topic.to_owned(),
            partition,
            reason,
        };
        let batches = chunks(records)
            .map(Batch::encode)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| refused(e.to_string()))?;
        let mut log = log.lock();
        let base_offset = log.end();
        for batch in &batches {
            log.append(batch).map_err(|e| refused(e.to_string()))?;
        }
        drop(log);
        self.notify_changed();
        Ok(base_offset)
    }

    /// Deletes a topic, its records, and what groups committed for it; wakes fetches that wait for
    /// it.
    pub(crate) fn delete_topic(&self, name: &str) -> Result<(), Refusal> {
        self.topics.delete(name)?;
        self.groups.forget_topic(name);
        self.notify_changed();
        Ok(())
    }

    /// The topic, created with one partition if it does not exist and both the broker and the
    /// client allow that.
    pub(crate) fn get_or_create(
        &self,
        name: &str,
        client_allows: bool,
    ) -> Result<Arc<Topic>, ResponseError> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic);
        }
        if !(self.auto_create_topics && client_allows) {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        match self.topics.create(name, 1, [].into(), false) {
            Ok(topic) => Ok(topic),
            // Another connection has just created it.
            Err(Refusal {
                error: ResponseError::TopicAlreadyExists,
                ..
            }) => self
                .topics
                .get(name)
                .ok_or(ResponseError::UnknownTopicOrPartition),
            Err(refusal) => {
                tracing::debug!(topic = name, %refusal, "did not create a topic");
                Err(refusal.error)
            }
        }
    }
}

/// Cuts records into runs of about [`APPEND_BATCH_BYTES`].
fn chunks(mut records: &[NewRecord]) -> impl Iterator<Item = &[NewRecord]> {
    let size = |record: &NewRecord| {
        [&record.key, &record.value]
            .into_iter()
            .flatten()
            .map(bytes::Bytes::len)
            .sum::<usize>()
    };
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = records.iter().take_while(|record| {
            bytes += size(record);
            bytes <= APPEND_BATCH_BYTES
        });
        let count = fitting.count().max(1).min(records.len());
        let (run, rest) = records.split_at(count);
        records = rest;
        (!run.is_empty()).then_some(run)
    })
}
