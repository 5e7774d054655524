//! What Kafka says of the topics that are to be read: whether each exists, which log it is, which
//! of its partitions have a leader, and whether this client may read it.

use std::collections::BTreeSet;

use kafka_topic_ids::{Operation, TopicDescription, describe_topics};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::client::Consumer;
use crate::cursor::{LogId, Partition, TopicIdentity};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::kafka_health::TopicTrouble;

/// A topic as Kafka describes it.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) topic: Topic,
    /// Its log; `None` where Kafka names neither cluster nor topic, or the topic cannot be seen.
    pub(super) log_id: Option<LogId>,
    /// Kafka's id of the topic; `None` for brokers before 2.8.
    pub(super) topic_id: Option<[u8; 16]>,
    /// Its partitions, and whether each has a leader.
    pub(super) partitions: Vec<(Partition, bool)>,
    /// Why it cannot be read now.
    pub(super) trouble: Option<TopicTrouble>,
}

impl Described {
    /// Whether Kafka said what the topic is.
    pub(super) fn is_visible(&self) -> bool {
        !self.partitions.is_empty()
    }
}

/// Asks for all topics at once, and for the cluster's id as long as `cluster` has none. Topics are
/// never made by it.
pub(super) fn describe(
    consumer: &Consumer,
    topics: &BTreeSet<Topic>,
    cluster: &mut Option<String>,
) -> Result<Vec<Described>, KafkaError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = topics.iter().map(Topic::as_str).collect();
    let timeout = limits::LOOKUP_TIMEOUT;
    let found = describe_topics(consumer.client(), &names, true, timeout)?;
    if cluster.is_none() {
        // Kafka answers now: before that the question would only have waited.
        *cluster = consumer.client().fetch_cluster_id(timeout);
    }
    Ok(found
        .into_iter()
        .map(|topic| described(topic, cluster.as_deref()))
        .collect())
}

fn described(description: TopicDescription, cluster: Option<&str>) -> Described {
    let TopicDescription {
        name,
        error,
        id,
        partitions,
        authorized_operations,
    } = description;
    let identity = id.map_or(TopicIdentity::Name(&name), TopicIdentity::Id);
    let log_id = cluster.map(|cluster| LogId::new(cluster, identity));
    let may_read = authorized_operations.is_none_or(|granted| granted.contains(&Operation::Read));
    let partitions: Vec<_> = partitions
        .iter()
        .map(|of| (Partition(of.number), of.has_leader))
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
        log_id,
        topic_id: id,
        partitions,
        trouble,
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

/// The name of an existing topic that is nearest to `topic`, for a name that may be misspelt.
pub(super) fn nearest(consumer: &Consumer, topic: &Topic) -> Option<String> {
    let metadata = consumer.fetch_metadata(None, limits::LOOKUP_TIMEOUT).ok()?;
    let names = metadata
        .topics()
        .iter()
        .map(|topic| topic.name().to_owned());
    let score = |name: &str| strsim::jaro_winkler(name, topic.as_str());
    let best = names.max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(&best) > 0.8).then_some(best)
}
