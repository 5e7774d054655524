//! What Kafka knows of the topics that are to be read: whether each exists, which log it is, which
//! of its partitions have a leader, and whether this client may read it.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_topic_ids::{Operation, TopicDescription, describe_topics};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;

use super::client::Consumer;
use crate::cursor::{LogId, Partition, TopicIdentity};
use crate::limits;
use crate::spelling;
use crate::stream::Topic;
use crate::telemetry::kafka_health::TopicTrouble;

/// A topic as Kafka describes it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) topic: Topic,
    /// Its log, once [`set_log_ids`] has set it. `None` where Kafka names neither cluster nor
    /// topic, or the topic cannot be seen.
    pub(super) log_id: Option<LogId>,
    /// Kafka's id of the topic; `None` for brokers before 2.8.
    pub(super) topic_id: Option<[u8; 16]>,
    /// Its partitions, and whether each has a leader.
    pub(super) partitions: Vec<(Partition, bool)>,
    /// Why it cannot be read now.
    pub(super) trouble: Option<TopicTrouble>,
    /// Kafka's error behind the trouble, if there is one.
    pub(super) error: Option<RDKafkaErrorCode>,
}

impl Described {
    /// Whether Kafka has described the topic.
    pub(super) fn is_visible(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// The numbers of its partitions without a leader.
    pub(super) fn leaderless(&self) -> impl Iterator<Item = Partition> {
        let leaderless = self.partitions.iter().filter(|(_, has_leader)| !has_leader);
        leaderless.map(|(number, _)| *number)
    }
}

/// Asks for all topics at once. Never creates one.
pub(super) fn describe(
    consumer: &Consumer,
    topics: &BTreeSet<Topic>,
    timeout: Duration,
) -> Result<Vec<Described>, KafkaError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = topics.iter().map(Topic::as_str).collect();
    let found = describe_topics(consumer.client(), &names, true, timeout)?;
    Ok(found.into_iter().map(described).collect())
}

fn described(description: TopicDescription) -> Described {
    let TopicDescription {
        name,
        error,
        id,
        partitions,
        authorized_operations,
    } = description;
    let may_read = authorized_operations.is_none_or(|granted| granted.contains(&Operation::Read));
    let partitions: Vec<_> = partitions
        .iter()
        .map(|partition| (Partition(partition.number), partition.has_leader))
        .collect();
    let trouble = match error {
        Some(error) => Some(trouble_of(error)),
        None if !may_read => Some(TopicTrouble::NotAuthorized),
        None if partitions.iter().any(|(_, has_leader)| !has_leader) => {
            Some(TopicTrouble::NoLeader)
        }
        None => None,
    };
    Described {
        topic: name.into(),
        log_id: None,
        topic_id: id,
        partitions,
        trouble,
        error,
    }
}

/// Sets the log ids of the topics. Asks for the cluster's id while `cluster` has none.
pub(super) fn set_log_ids(
    consumer: &Consumer,
    topics: &mut [Described],
    cluster: &mut Option<String>,
) {
    // Kafka answers by now: before that, this question would only have waited.
    if cluster.is_none() && !topics.is_empty() {
        *cluster = consumer.client().fetch_cluster_id(limits::LOOKUP_TIMEOUT);
    }
    let Some(cluster) = cluster else { return };
    for topic in topics {
        let identity = match topic.topic_id {
            Some(id) => TopicIdentity::Id(id),
            None => TopicIdentity::Name(topic.topic.as_str()),
        };
        topic.log_id = Some(LogId::new(cluster, identity));
    }
}

/// What an error of Kafka means for a topic.
pub(super) fn trouble_of(error: RDKafkaErrorCode) -> TopicTrouble {
    match error {
        RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition => TopicTrouble::DoesNotExist,
        RDKafkaErrorCode::TopicAuthorizationFailed => TopicTrouble::NotAuthorized,
        RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::NotLeaderForPartition => {
            TopicTrouble::NoLeader
        }
        _ => TopicTrouble::Failing,
    }
}

/// The name of an existing topic that is most like `topic`, for a name that may be misspelt.
pub(super) fn nearest_topic(consumer: &Consumer, topic: &Topic) -> Option<String> {
    let metadata = consumer.fetch_metadata(None, limits::LOOKUP_TIMEOUT).ok()?;
    nearest_name(&metadata, topic).map(str::to_owned)
}

/// The topic of `metadata` that is most like `topic`, if one is much like it.
pub(super) fn nearest_name<'a>(metadata: &'a Metadata, topic: &Topic) -> Option<&'a str> {
    let names = metadata.topics().iter().map(MetadataTopic::name);
    spelling::similar(topic.as_str(), names)
}
