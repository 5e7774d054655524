//! The topics of the broker: names, ids, partitions, configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::BrokerError;
use crate::log::{LogConfig, PartitionLog};
use crate::store::{Catalog, CatalogTopic, Folder};

/// The most partitions of one topic.
const PARTITIONS_MAX: usize = 1000;

/// The most topics: with [`PARTITIONS_MAX`] the bound for a client that creates them by metadata
/// requests.
const TOPICS_MAX: usize = 10_000;

/// The configuration key for the bytes that each partition of a topic keeps; -1 is the broker's own
/// bound.
pub(crate) const RETENTION_BYTES: &str = "retention.bytes";
/// The configuration key for the time that a segment of a compacted topic spans.
const SEGMENT_MS: &str = "segment.ms";
/// Its default, a week, as on Apache Kafka.
const SEGMENT_MS_DEFAULT: i64 = 7 * 24 * 60 * 60 * 1000;

/// A topic. Adding partitions replaces it with a new value that shares the logs.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Random; a new topic of the same name has another id.
    pub(crate) id: Uuid,
    /// As given when it was created.
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) partitions: Vec<Arc<Mutex<PartitionLog>>>,
}

/// Why an admin operation is refused: Kafka's error and a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
        }
    }
}

/// All topics by name, and the folder they are kept in.
#[derive(Debug)]
pub(crate) struct Topics {
    by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    folder: Option<Folder>,
    cluster_id: String,
    retention_bytes: u64,
}

impl Topics {
    /// Reads the topics back from `folder`, or starts without any.
    pub(crate) fn open(folder: Option<&Path>, retention_bytes: u64) -> Result<Self, BrokerError> {
        let new_cluster = || Catalog {
            cluster_id: Uuid::new_v4().simple().to_string(),
            topics: Vec::new(),
        };
        let (folder, catalog) = match folder {
            Some(path) => Folder::open(path)
                .map(|(folder, catalog)| (Some(folder), catalog.unwrap_or_else(new_cluster)))?,
            None => (None, new_cluster()),
        };
        let topics = Self {
            by_name: RwLock::default(),
            folder,
            cluster_id: catalog.cluster_id,
            retention_bytes,
        };
        let mut by_name = BTreeMap::new();
        for CatalogTopic {
            name,
            id,
            partitions,
            configs,
        } in catalog.topics
        {
            let mut topic = Topic {
                name: name.clone(),
                id,
                configs,
                partitions: Vec::new(),
            };
            topics
                .open_partitions(&mut topic, usize::try_from(partitions).unwrap_or(0))
                .map_err(|r| BrokerError::Topic(r.message))?;
            by_name.insert(name, Arc::new(topic));
        }
        topics
            .save(&by_name)
            .map_err(|refusal| BrokerError::Topic(refusal.message))?;
        *topics.by_name.write() = by_name;
        Ok(topics)
    }

    /// The cluster's id: random, kept in the folder.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The bound of a partition whose topic has none of its own.
    pub(crate) fn retention_bytes(&self) -> u64 {
        self.retention_bytes
    }

    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().values().cloned().collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().get(name).cloned()
    }

    pub(crate) fn get_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.by_name
            .read()
            .values()
            .find(|topic| topic.id == id)
            .cloned()
    }

    /// A partition's log.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn partition(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Arc<Mutex<PartitionLog>>, ResponseError> {
        self.get(topic)
            .ok_or(ResponseError::UnknownTopicOrPartition)?
            .partition(partition)
    }

    /// Creates a topic; with `validate_only` only checks whether it could.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: BTreeMap<String, String>,
        validate_only: bool,
    ) -> Result<Arc<Topic>, Refusal> {
        check_name(name)?;
        check_configs(&configs, self.folder.is_some())?;
        let partitions = partition_count(partitions)?;
        let mut by_name = self.by_name.write();
        if by_name.contains_key(name) {
            return Err(Refusal::new(
                ResponseError::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        if by_name.len() >= TOPICS_MAX {
            return Err(Refusal::new(
                ResponseError::PolicyViolation,
                format!("This broker has its {TOPICS_MAX} topics already."),
            ));
        }
        let mut topic = Topic {
            name: name.to_owned(),
            id: Uuid::new_v4(),
            configs,
            partitions: Vec::new(),
        };
        if validate_only {
            return Ok(Arc::new(topic));
        }
        self.open_partitions(&mut topic, partitions)?;
        self.put(&mut by_name, topic)
    }

    /// Adds partitions up to `count` in all.
    pub(crate) fn grow(
        &self,
        name: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<Arc<Topic>, Refusal> {
        let count = partition_count(count)?;
        let mut by_name = self.by_name.write();
        let topic = by_name.get(name).ok_or_else(|| unknown_topic(name))?;
        if count <= topic.partitions.len() {
            let message = format!(
                "Topic '{name}' has {} partitions: ask for more than that.",
                topic.partitions.len()
            );
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        if validate_only {
            return Ok(Arc::clone(topic));
        }
        let mut grown = Topic {
            name: topic.name.clone(),
            id: topic.id,
            configs: topic.configs.clone(),
            partitions: topic.partitions.clone(),
        };
        self.open_partitions(&mut grown, count)?;
        self.put(&mut by_name, grown)
    }

    /// Deletes a topic with all its records.
    pub(crate) fn delete(&self, name: &str) -> Result<(), Refusal> {
        let mut by_name = self.by_name.write();
        let mut without = by_name.clone();
        let topic = without.remove(name).ok_or_else(|| unknown_topic(name))?;
        self.save(&without)?;
        *by_name = without;
        if let Some(Err(error)) = self
            .folder
            .as_ref()
            .map(|folder| folder.remove_topic(topic.id))
        {
            tracing::warn!(
                topic = name,
                %error,
                "a deleted topic's files are still there: the next start removes them"
            );
        }
        Ok(())
    }

    fn open_partitions(&self, topic: &mut Topic, count: usize) -> Result<(), Refusal> {
        let number = |key: &str| {
            topic
                .configs
                .get(key)
                .and_then(|number| number.parse().ok())
        };
        let is_compacted = topic
            .configs
            .get("cleanup.policy")
            .is_some_and(|policy| policy == "compact");
        let config = LogConfig {
            retention_bytes: number(RETENTION_BYTES)
                .and_then(|bytes| u64::try_from(bytes).ok())
                .unwrap_or(self.retention_bytes),
            compacted_every_ms: is_compacted
                .then(|| number(SEGMENT_MS).unwrap_or(SEGMENT_MS_DEFAULT)),
        };
        for partition in topic.partitions.len()..count {
            let folder = self
                .folder
                .as_ref()
                .map(|folder| folder.partition(topic.id, partition));
            let log = PartitionLog::open(config, folder).map_err(|error| {
                let message = format!(
                    "cannot use the folder of partition {partition} of topic '{}': {error}",
                    topic.name
                );
                Refusal::new(ResponseError::KafkaStorageError, message)
            })?;
            topic.partitions.push(Arc::new(Mutex::new(log)));
        }
        Ok(())
    }

    fn put(
        &self,
        by_name: &mut BTreeMap<String, Arc<Topic>>,
        topic: Topic,
    ) -> Result<Arc<Topic>, Refusal> {
        let topic = Arc::new(topic);
        let mut with = by_name.clone();
        with.insert(topic.name.clone(), Arc::clone(&topic));
        self.save(&with)?;
        *by_name = with;
        Ok(topic)
    }

    fn save(&self, by_name: &BTreeMap<String, Arc<Topic>>) -> Result<(), Refusal> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let topics = by_name.values().map(|topic| CatalogTopic {
            name: topic.name.clone(),
            id: topic.id,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
            configs: topic.configs.clone(),
        });
        let catalog = Catalog {
            cluster_id: self.cluster_id.clone(),
            topics: topics.collect(),
        };
        folder.write_catalog(&catalog).map_err(|error| {
            Refusal::new(
                ResponseError::KafkaStorageError,
                format!("cannot write the folder's catalog: {error}"),
            )
        })
    }
}

impl Topic {
    /// A partition's log.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) fn partition(
        &self,
        partition: i32,
    ) -> Result<Arc<Mutex<PartitionLog>>, ResponseError> {
        let index = usize::try_from(partition).ok();
        index
            .and_then(|index| self.partitions.get(index))
            .cloned()
            .ok_or(ResponseError::UnknownTopicOrPartition)
    }
}

fn unknown_topic(name: &str) -> Refusal {
    Refusal::new(
        ResponseError::UnknownTopicOrPartition,
        format!("There is no topic '{name}'."),
    )
}

/// Kafka's rule for topic names (`org.apache.kafka.common.internals.Topic`).
fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(legal) {
        return Ok(());
    }
    let message = format!(
        "Topic name {name:?} is not 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', or is '.' or '..'."
    );
    Err(Refusal::new(ResponseError::InvalidTopicException, message))
}

fn partition_count(partitions: i32) -> Result<usize, Refusal> {
    let count = usize::try_from(partitions).unwrap_or(0);
    if (1..=PARTITIONS_MAX).contains(&count) {
        return Ok(count);
    }
    let message = format!("A topic here has 1 to {PARTITIONS_MAX} partitions, not {partitions}.");
    Err(Refusal::new(ResponseError::InvalidPartitions, message))
}

/// Accepts any configuration, except one that would change a topic's behaviour and is not
/// implemented here.
fn check_configs(configs: &BTreeMap<String, String>, has_folder: bool) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ResponseError::InvalidConfig, message));
    for (key, value) in configs {
        match (key.as_str(), value.as_str()) {
            ("cleanup.policy", "compact") if has_folder => {
                let message = "cleanup.policy=compact: a broker with a folder compacts nothing. \
                               Run it without one.";
                return refuse(message.to_owned());
            }
            ("cleanup.policy", policy) if !matches!(policy, "delete" | "compact") => {
                return refuse(format!(
                    "cleanup.policy={policy}: only delete or compact is done here."
                ));
            }
            (SEGMENT_MS, ms) if ms.parse::<i64>().is_ok_and(|ms| ms >= 1) => {}
            (SEGMENT_MS, ms) => {
                return refuse(format!("{SEGMENT_MS}={ms} is no number of milliseconds."));
            }
            ("message.timestamp.type", kind) if kind != "CreateTime" => {
                return refuse(format!(
                    "message.timestamp.type={kind}: only CreateTime is done here."
                ));
            }
            (RETENTION_BYTES, bytes) if bytes.parse::<i64>().is_ok_and(|bytes| bytes >= -1) => {}
            (RETENTION_BYTES, bytes) => {
                return refuse(format!(
                    "{RETENTION_BYTES}={bytes} is neither -1 nor a number of bytes."
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
