//! `ListOffsets` and `OffsetForLeaderEpoch`: offsets for timestamps and epochs.

use std::cmp::Ordering;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
};

use crate::acls::DESCRIBE;
use crate::broker::Broker;
use crate::log::PartitionLog;

/// Special "timestamps" (`ListOffsetsRequest` in Apache Kafka; KIP-734, KIP-405, KIP-1005).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// The isolation level of a client that reads only committed records.
pub(super) const READ_COMMITTED: i8 = 1;

/// Checks the leader epoch that a client knows (KIP-320); -1 is a client that gives none.
///
/// # Errors
/// `NOT_LEADER_OR_FOLLOWER` without a leader, `FENCED_LEADER_EPOCH` or `UNKNOWN_LEADER_EPOCH` for
/// another epoch.
pub(super) fn check_leader(log: &PartitionLog, known: i32) -> Result<(), ResponseError> {
    match known.cmp(&log.leader_epoch()) {
        _ if !log.has_leader => Err(ResponseError::NotLeaderOrFollower),
        Ordering::Greater => Err(ResponseError::UnknownLeaderEpoch),
        Ordering::Less if known >= 0 => Err(ResponseError::FencedLeaderEpoch),
        _ => Ok(()),
    }
}

/// `ListOffsets`: for a timestamp, the first record with at least that timestamp, also inside a
/// batch; -1 for none. As on Apache Kafka, a transaction mark counts as a record with the time when
/// it was written. A client that reads only committed records gets none from the last stable offset
/// on.
pub(super) fn list_offsets(
    broker: &Broker,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = ListOffsetsPartitionResponse::default()
                .with_partition_index(partition.partition_index);
            match list_offset(
                broker,
                &topic.name,
                request.isolation_level == READ_COMMITTED,
                partition,
            ) {
                Ok(Some((offset, timestamp, epoch))) => {
                    let answer = answer.with_offset(offset).with_timestamp(timestamp);
                    // The codec does not omit a field that an older version lacks.
                    if version >= 4 {
                        answer.with_leader_epoch(epoch)
                    } else {
                        answer
                    }
                }
                Ok(None) => answer.with_offset(-1).with_timestamp(-1),
                Err(error) => answer
                    .with_error_code(error.code())
                    .with_offset(-1)
                    .with_timestamp(-1),
            }
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// Offset, timestamp, leader epoch.
fn list_offset(
    broker: &Broker,
    topic: &str,
    committed: bool,
    asked: &ListOffsetsPartition,
) -> Result<Option<(i64, i64, i32)>, ResponseError> {
    broker.acls.check(topic, DESCRIBE)?;
    let log = broker.topics.partition(topic, asked.partition_index)?;
    let log = log.lock();
    check_leader(&log, asked.current_leader_epoch)?;
    let end = if committed {
        log.last_stable()
    } else {
        log.end()
    };
    let found = match asked.timestamp {
        LATEST => Some((end, -1)),
        EARLIEST | EARLIEST_LOCAL => Some((log.start(), -1)),
        MAX_TIMESTAMP => log.newest(),
        LATEST_TIERED => None,
        timestamp if timestamp >= 0 => log
            .first_since(timestamp)
            .filter(|(offset, _)| *offset < end),
        _ => return Err(ResponseError::InvalidRequest),
    };
    Ok(found.map(|(offset, timestamp)| (offset, timestamp, log.leader_epoch())))
}

/// `OffsetForLeaderEpoch` (KIP-320): the end of an epoch, so that a client notices when the log was
/// cut before its position.
pub(super) fn offset_for_leader_epoch(
    broker: &Broker,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = EpochEndOffset::default().with_partition(partition.partition);
            match epoch_end(broker, &topic.topic, partition) {
                Ok(Some((epoch, end))) => answer.with_leader_epoch(epoch).with_end_offset(end),
                Ok(None) => answer,
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn epoch_end(
    broker: &Broker,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ResponseError> {
    broker.acls.check(topic, DESCRIBE)?;
    let log = broker.topics.partition(topic, asked.partition)?;
    let log = log.lock();
    check_leader(&log, asked.current_leader_epoch)?;
    Ok(if asked.leader_epoch > log.leader_epoch() {
        None
    } else {
        log.epoch_end(asked.leader_epoch)
    })
}
