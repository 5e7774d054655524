//! `ListOffsets` and `OffsetForLeaderEpoch`: from times and epochs to offsets.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

use super::super::LEADER_EPOCH;
use super::super::broker::Broker;

/// "Timestamps" that ask for a place in the log (`ListOffsetsRequest` in Apache Kafka; KIP-734, KIP-405, KIP-1005).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// Refuses a client that knows another leader epoch than the only one there is (KIP-320); -1 is a client that does not say.
pub(super) fn check_epoch(epoch: i32) -> Result<(), ResponseError> {
    if epoch > LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch) } else { Ok(()) }
}

/// `ListOffsets`: for a timestamp the first record with at least that timestamp, exactly, inside batches too; -1 for none.
pub(super) fn list_offsets(broker: &Broker, version: i16, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            match list_offset(broker, &topic.name, partition) {
                Ok(Some((offset, timestamp))) => {
                    let answer = answer.with_offset(offset).with_timestamp(timestamp);
                    // The codec refuses to leave out what an older version has no field for.
                    if version >= 4 { answer.with_leader_epoch(LEADER_EPOCH) } else { answer }
                }
                Ok(None) => answer.with_offset(-1).with_timestamp(-1),
                Err(error) => answer.with_error_code(error.code()).with_offset(-1).with_timestamp(-1),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn list_offset(broker: &Broker, topic: &str, asked: &ListOffsetsPartition) -> Result<Option<(i64, i64)>, ResponseError> {
    let log = broker.topics.partition(topic, asked.partition_index)?;
    check_epoch(asked.current_leader_epoch)?;
    let log = log.lock();
    match asked.timestamp {
        LATEST => Ok(Some((log.end(), -1))),
        EARLIEST | EARLIEST_LOCAL => Ok(Some((log.start(), -1))),
        MAX_TIMESTAMP => Ok(log.newest()),
        LATEST_TIERED => Ok(None),
        timestamp if timestamp >= 0 => Ok(log.first_since(timestamp)),
        _ => Err(ResponseError::InvalidRequest),
    }
}

/// `OffsetForLeaderEpoch` (KIP-320): where an epoch ends, so that a client sees when the log was cut before its position.
pub(super) fn offset_for_leader_epoch(broker: &Broker, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = EpochEndOffset::default().with_partition(partition.partition);
            let log = check_epoch(partition.current_leader_epoch)
                .and_then(|()| broker.topics.partition(&topic.topic, partition.partition));
            match log {
                Ok(log) if partition.leader_epoch == LEADER_EPOCH => {
                    answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(log.lock().end())
                }
                Ok(_) => answer,
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
