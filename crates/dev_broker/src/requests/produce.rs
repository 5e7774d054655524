//! `Produce`: appends record batches.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::RequestError;
use crate::acls::WRITE;
use crate::batch::{Batch, BatchKind};
use crate::broker::Broker;
use crate::topics::{Refusal, Topic};
use crate::transactions::Identity;

/// From this version on topics have ids instead of names (KIP-516).
const BY_ID: i16 = 13;

/// Appends each partition's batch. With acks=0 there is no answer, and a refusal closes the
/// connection: the producer can learn of it in no other way.
pub(super) fn produce(
    broker: &Broker,
    version: i16,
    request: ProduceRequest,
) -> Result<Option<ProduceResponse>, RequestError> {
    let acks = request.acks;
    let transactional_id = request.transactional_id.as_ref().map(|id| &***id);
    let mut refused = None;
    let topics = request.topic_data.into_iter().map(|data| {
        let topic = if version >= BY_ID {
            let topic = broker.topics.get_by_id(data.topic_id);
            topic.ok_or(ResponseError::UnknownTopicId)
        } else {
            let topic = broker.topics.get(&data.name);
            topic.ok_or(ResponseError::UnknownTopicOrPartition)
        };
        let partitions = data.partition_data.into_iter().map(|partition| {
            let number = partition.index;
            let answer = PartitionProduceResponse::default().with_index(number);
            match append(broker, acks, transactional_id, topic.as_ref(), partition) {
                Ok((base_offset, start)) => answer
                    .with_base_offset(base_offset)
                    .with_log_start_offset(start),
                Err(refusal) => {
                    let topic = &*data.name.0;
                    tracing::debug!(topic, partition = number, %refusal, "refused a batch");
                    refused = Some(refusal.error);
                    answer
                        .with_error_code(refusal.error.code())
                        .with_error_message(Some(StrBytes::from_string(refusal.message)))
                        .with_base_offset(-1)
                }
            }
        });
        let partitions = partitions.collect();
        TopicProduceResponse::default()
            .with_name(data.name)
            .with_topic_id(data.topic_id)
            .with_partition_responses(partitions)
    });
    let response = ProduceResponse::default().with_responses(topics.collect());
    match refused {
        Some(error) if acks == 0 => Err(RequestError::Unacknowledged(error)),
        _ => Ok((acks != 0).then_some(response)),
    }
}

fn append(
    broker: &Broker,
    acks: i16,
    transactional_id: Option<&str>,
    topic: Result<&Arc<Topic>, &ResponseError>,
    data: PartitionProduceData,
) -> Result<(i64, i64), Refusal> {
    let refusal = |error: ResponseError| Refusal::new(error, error.to_string());
    if !(-1..=1).contains(&acks) {
        return Err(refusal(ResponseError::InvalidRequiredAcks));
    }
    let topic = topic.map_err(|error| refusal(*error))?;
    broker.acls.check(&topic.name, WRITE).map_err(refusal)?;
    let log = topic.partition(data.index).map_err(refusal)?;
    if !log.lock().has_leader {
        return Err(refusal(ResponseError::NotLeaderOrFollower));
    }
    let bytes = data
        .records
        .ok_or_else(|| Refusal::new(ResponseError::InvalidRecord, "no records"))?;
    let batch =
        Batch::parse(&bytes).map_err(|error| Refusal::new(error.response(), error.to_string()))?;
    if batch.kind() == BatchKind::Plain {
        return broker.produce(&log, &batch).map_err(refusal);
    }
    let (Some(id), Some(producer)) = (transactional_id, batch.producer()) else {
        return Err(Refusal::new(
            ResponseError::InvalidTxnState,
            "a transaction without a transactional id",
        ));
    };
    let identity = Identity {
        producer_id: producer.id,
        epoch: producer.epoch,
    };
    let produce = || broker.produce(&log, &batch);
    broker
        .transactions
        .append(id, identity, (topic.id, data.index), produce)
        .map_err(refusal)
}
