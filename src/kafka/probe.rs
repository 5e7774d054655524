//! Asks Kafka for each topic, once, for `check-config --connect`: whether it is there, has leaders, and may be read.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset as KafkaOffset, TopicPartitionList};

use super::client::{Consumer, KafkaClient, KafkaClientError};
use crate::stream::Topic;
use crate::telemetry::kafka_health::TopicTrouble;

/// How long Kafka may take for each answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long a client that got no answer is asked for the reason.
const REPORT_WAIT: Duration = Duration::from_secs(1);

/// What Kafka says of the topics.
#[derive(Debug)]
pub struct Probe {
    /// Brokers that metadata names.
    pub brokers: usize,
    /// In the order of the topics.
    pub topics: Vec<TopicProbe>,
}

/// What Kafka says of a topic.
#[derive(Debug)]
pub struct TopicProbe {
    /// The topic.
    pub topic: Topic,
    /// Its partitions, or why it cannot be read and what may help.
    pub result: Result<usize, (TopicTrouble, String)>,
}

/// Nothing was learned of any topic.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no client.
    #[error(transparent)]
    Client(#[from] KafkaClientError),
    /// Kafka does not answer.
    #[error("Kafka cannot be read: {0}")]
    NoAnswer(String),
}

impl fmt::Display for TopicProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(1) => write!(f, "{}: 1 partition, can be read", self.topic),
            Ok(partitions) => write!(f, "{}: {partitions} partitions, can be read", self.topic),
            Err((trouble, more)) => write!(f, "{} {}{more}", self.topic, trouble.words()),
        }
    }
}

/// Asks Kafka for each of `topics`. Blocks, at worst for a few seconds for each topic.
///
/// # Errors
/// When Kafka does not answer at all.
pub fn probe(client: &KafkaClient, topics: &BTreeSet<Topic>) -> Result<Probe, ProbeError> {
    let consumer = client.consumer("check", &[("fetch.wait.max.ms", "100".to_owned())])?;
    let all = match consumer.fetch_metadata(None, ANSWER_MAX) {
        Ok(all) => all,
        Err(error) => {
            // What its client has to report waits until it is polled, behind lines of its log.
            let until = Instant::now() + REPORT_WAIT;
            while client.health().fault().is_none() && Instant::now() < until {
                let _ = consumer.poll(Duration::from_millis(10));
            }
            return Err(ProbeError::NoAnswer(
                client.health().fault().unwrap_or_else(|| error.to_string()),
            ));
        }
    };
    let one = |topic: &Topic| TopicProbe {
        topic: topic.clone(),
        result: probe_topic(&consumer, topic, &all),
    };
    Ok(Probe {
        brokers: all.brokers().len(),
        topics: topics.iter().map(one).collect(),
    })
}

fn probe_topic(
    consumer: &Consumer,
    topic: &Topic,
    all: &Metadata,
) -> Result<usize, (TopicTrouble, String)> {
    let failing = |error: KafkaError| trouble(error.rdkafka_error_code(), &error.to_string());
    let metadata = consumer
        .fetch_metadata(Some(topic.as_str()), ANSWER_MAX)
        .map_err(failing)?;
    let found = metadata
        .topics()
        .iter()
        .find(|found| found.name() == topic.as_str());
    let Some(found) = found else {
        return Err((TopicTrouble::DoesNotExist, nearest(topic, all)));
    };
    if let Some(code) = found.error().map(RDKafkaErrorCode::from) {
        let (trouble, more) = trouble(Some(code), &code.to_string());
        return Err((
            trouble,
            if trouble == TopicTrouble::DoesNotExist {
                nearest(topic, all)
            } else {
                more
            },
        ));
    }
    let leaderless: Vec<String> = found
        .partitions()
        .iter()
        .filter(|partition| partition.leader() < 0)
        .map(|partition| partition.id().to_string())
        .collect();
    if !leaderless.is_empty() {
        return Err((
            TopicTrouble::NoLeader,
            format!(": {}", leaderless.join(", ")),
        ));
    }
    read_ends(consumer, topic, found).map_err(failing)?;
    Ok(found.partitions().len())
}

/// Reads the end of each partition: what may be described may not be read yet.
fn read_ends(consumer: &Consumer, topic: &Topic, found: &MetadataTopic) -> Result<(), KafkaError> {
    let mut ends = TopicPartitionList::new();
    let mut waiting = BTreeSet::new();
    for partition in found.partitions() {
        let (_, high) = consumer.fetch_watermarks(topic.as_str(), partition.id(), ANSWER_MAX)?;
        ends.add_partition_offset(topic.as_str(), partition.id(), KafkaOffset::Offset(high))?;
        waiting.insert(partition.id());
    }
    consumer.assign(&ends)?;
    let until = Instant::now() + ANSWER_MAX;
    while !waiting.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => drop(waiting.remove(&message.partition())),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(waiting.remove(&partition)),
            Some(Err(error @ KafkaError::MessageConsumption(_))) => return Err(error),
            Some(Err(_)) | None if Instant::now() > until => {
                return Err(KafkaError::MessageConsumption(
                    RDKafkaErrorCode::OperationTimedOut,
                ));
            }
            Some(Err(_)) | None => {}
        }
    }
    consumer.unassign()
}

fn trouble(code: Option<RDKafkaErrorCode>, text: &str) -> (TopicTrouble, String) {
    match code {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            (TopicTrouble::DoesNotExist, String::new())
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            (TopicTrouble::NotAuthorized, String::new())
        }
        Some(RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::NotLeaderForPartition) => {
            (TopicTrouble::NoLeader, String::new())
        }
        _ => (TopicTrouble::Failing, format!(": {text}")),
    }
}

fn nearest(topic: &Topic, all: &Metadata) -> String {
    let near = |name: &str| strsim::normalized_damerau_levenshtein(topic.as_str(), name);
    let names = all
        .topics()
        .iter()
        .map(MetadataTopic::name)
        .filter(|name| near(name) > 0.6);
    let nearest = names.max_by(|a, b| near(a).total_cmp(&near(b)));
    nearest.map_or_else(String::new, |name| format!("; the nearest is {name}"))
}
