//! Whether each topic can be read, asked once for `check-config --connect`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset as KafkaOffset, TopicPartitionList};

use super::client::{Consumer, KafkaClient, KafkaClientError};
use super::topics::{Described, describe, nearest_name, trouble_of};
use crate::cursor::Partition;
use crate::stream::Topic;
use crate::telemetry::kafka_health::TopicTrouble;

/// How long Kafka may take for each answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long to wait for the client's report of why it got no answer.
const REPORT_WAIT: Duration = Duration::from_secs(1);

/// What Kafka answers about the topics.
#[derive(Debug)]
pub struct Probe {
    /// Brokers that metadata names.
    pub brokers: usize,
    /// In the order of the topics.
    pub topics: Vec<TopicProbe>,
}

/// What Kafka answers about one topic.
#[derive(Debug)]
pub struct TopicProbe {
    /// The topic.
    pub topic: Topic,
    /// How many partitions it has, or why it cannot be read.
    pub result: Result<usize, Unreadable>,
}

/// Why a topic cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The kind of trouble.
    pub trouble: TopicTrouble,
    /// What may help, as the end of a sentence; often empty.
    pub detail: String,
}

/// Nothing was learned about any topic.
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
        let topic = &self.topic;
        match &self.result {
            Ok(1) => write!(f, "{topic}: 1 partition, can be read"),
            Ok(partitions) => write!(f, "{topic}: {partitions} partitions, can be read"),
            Err(Unreadable { trouble, detail }) => {
                write!(f, "{topic} {}{detail}", trouble.words())
            }
        }
    }
}

/// Asks Kafka about each of `topics`. Blocks, at worst for a few seconds for each topic.
///
/// # Errors
/// When Kafka does not answer at all.
pub fn probe(client: &KafkaClient, topics: &BTreeSet<Topic>) -> Result<Probe, ProbeError> {
    let consumer = client.consumer("check", &[("fetch.wait.max.ms", "100".to_owned())])?;
    let no_answer = |error| no_answer(client, &consumer, &error);
    let metadata = consumer
        .fetch_metadata(None, ANSWER_MAX)
        .map_err(no_answer)?;
    let described = describe(&consumer, topics, ANSWER_MAX).map_err(no_answer)?;
    let topics = described.into_iter().map(|described| TopicProbe {
        result: probe_topic(&consumer, &described, &metadata),
        topic: described.topic,
    });
    Ok(Probe {
        brokers: metadata.brokers().len(),
        topics: topics.collect(),
    })
}

fn no_answer(client: &KafkaClient, consumer: &Consumer, error: &KafkaError) -> ProbeError {
    // What the client reports waits until it is polled, behind lines of its log.
    let until = Instant::now() + REPORT_WAIT;
    while client.health().fault().is_none() && Instant::now() < until {
        let _ = consumer.poll(Duration::from_millis(10));
    }
    let fault = client.health().fault();
    ProbeError::NoAnswer(fault.unwrap_or_else(|| error.to_string()))
}

fn probe_topic(
    consumer: &Consumer,
    described: &Described,
    metadata: &Metadata,
) -> Result<usize, Unreadable> {
    if let Some(trouble) = described.trouble {
        let detail = match trouble {
            TopicTrouble::DoesNotExist => nearest_name(metadata, &described.topic)
                .map_or_else(String::new, |name| format!("; the nearest is {name}")),
            TopicTrouble::NoLeader => {
                let numbers: Vec<_> = described
                    .leaderless()
                    .map(|Partition(number)| number.to_string())
                    .collect();
                format!(": {}", numbers.join(", "))
            }
            TopicTrouble::Failing => described
                .error
                .map_or_else(String::new, |error| format!(": {error}")),
            TopicTrouble::NotAuthorized => String::new(),
        };
        return Err(Unreadable { trouble, detail });
    }
    read_ends(consumer, described).map_err(|error| unreadable(&error))?;
    Ok(described.partitions.len())
}

/// Reads the end of each partition: a topic that may be described may still not be read.
fn read_ends(consumer: &Consumer, described: &Described) -> Result<(), KafkaError> {
    let topic = described.topic.as_str();
    let mut ends = TopicPartitionList::new();
    let mut waiting = BTreeSet::new();
    for (Partition(number), _) in &described.partitions {
        let (_, high) = consumer.fetch_watermarks(topic, *number, ANSWER_MAX)?;
        ends.add_partition_offset(topic, *number, KafkaOffset::Offset(high))?;
        waiting.insert(*number);
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

fn unreadable(error: &KafkaError) -> Unreadable {
    let trouble = error
        .rdkafka_error_code()
        .map_or(TopicTrouble::Failing, trouble_of);
    let detail = match trouble {
        TopicTrouble::Failing => format!(": {error}"),
        _ => String::new(),
    };
    Unreadable { trouble, detail }
}
