//! The admin operations on topics.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::broker::Broker;
use crate::topics::{Refusal, Topic};

/// `CreateTopics`. -1 for partitions and replicas means 1. More than 1 replica is refused: there is
/// only one node.
pub(super) fn create_topics(broker: &Broker, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let result = CreatableTopicResult::default().with_name(asked.name.clone());
        match create_topic(broker, &asked, request.validate_only) {
            Ok((topic, partitions)) => {
                let configs = topic.configs.iter().map(|(name, value)| {
                    CreatableTopicConfigs::default()
                        .with_name(StrBytes::from_string(name.clone()))
                        .with_value(Some(StrBytes::from_string(value.clone())))
                        .with_config_source(1)
                });
                result
                    .with_topic_id(topic.id)
                    .with_num_partitions(partitions)
                    .with_replication_factor(1)
                    .with_configs(Some(configs.collect()))
            }
            Err(refusal) => result
                .with_error_code(refusal.error.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message)))
                .with_configs(None),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create_topic(
    broker: &Broker,
    asked: &CreatableTopic,
    validate_only: bool,
) -> Result<(std::sync::Arc<Topic>, i32), Refusal> {
    let mut partitions = if asked.num_partitions == -1 {
        1
    } else {
        asked.num_partitions
    };
    if !asked.assignments.is_empty() {
        partitions = i32::try_from(asked.assignments.len()).unwrap_or(i32::MAX);
    } else if !matches!(asked.replication_factor, -1 | 1) {
        let message = format!(
            "{} replicas: this broker is the only node, ask for 1.",
            asked.replication_factor
        );
        return Err(Refusal::new(
            ResponseError::InvalidReplicationFactor,
            message,
        ));
    }
    let configs = asked
        .configs
        .iter()
        .filter_map(|config| Some((config.name.to_string(), config.value.as_ref()?.to_string())));
    let topic = broker
        .topics
        .create(&asked.name, partitions, configs.collect(), validate_only)?;
    Ok((topic, partitions))
}

/// `DeleteTopics`, by name or (from version 6 on) by id.
pub(super) fn delete_topics(
    broker: &Broker,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = |name| DeleteTopicState::default().with_name(Some(name));
    let asked = if version < 6 {
        request.topic_names.into_iter().map(by_name).collect()
    } else {
        request.topics
    };
    let responses = asked.into_iter().map(|asked| {
        let topic = match &asked.name {
            Some(name) => broker
                .topics
                .get(name)
                .ok_or(ResponseError::UnknownTopicOrPartition),
            None => broker
                .topics
                .get_by_id(asked.topic_id)
                .ok_or(ResponseError::UnknownTopicId),
        };
        let deleted = match topic {
            Ok(topic) => broker.delete_topic(&topic.name).map(|()| topic),
            Err(error) => Err(Refusal::new(error, error.to_string())),
        };
        match deleted {
            Ok(topic) => deletable(
                Some(TopicName(StrBytes::from_string(topic.name.clone()))),
                topic.id,
            ),
            Err(refusal) => deletable(asked.name, asked.topic_id)
                .with_error_code(refusal.error.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message))),
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

fn deletable(name: Option<TopicName>, id: Uuid) -> DeletableTopicResult {
    DeletableTopicResult::default()
        .with_name(name)
        .with_topic_id(id)
}

/// `CreatePartitions`: more partitions for topics that exist.
pub(super) fn create_partitions(
    broker: &Broker,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let grown = broker
            .topics
            .grow(&topic.name, topic.count, request.validate_only);
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        match grown {
            Ok(_) => result,
            Err(refusal) => result
                .with_error_code(refusal.error.code())
                .with_error_message(Some(StrBytes::from_string(refusal.message))),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

/// `DeleteRecords`: moves the start of logs forward.
pub(super) fn delete_records(
    broker: &Broker,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index);
            let log = broker
                .topics
                .partition(&topic.name, partition.partition_index);
            match log.and_then(|log| log.lock().delete_before(partition.offset)) {
                Ok(start) => result.with_low_watermark(start),
                Err(error) => result.with_error_code(error.code()).with_low_watermark(-1),
            }
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    let topics = topics.collect();
    broker.notify_changed();
    DeleteRecordsResponse::default().with_topics(topics)
}
