//! `Fetch`: returns record batches, and waits for them if necessary.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, PartitionData,
};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::offsets::{READ_COMMITTED, check_leader};
use crate::acls::READ;
use crate::broker::Broker;
use crate::log::{Batches, PartitionLog};
use crate::open_transactions::Aborted;

/// From this version on topics have ids instead of names (KIP-516).
const BY_ID: i16 = 13;

/// The largest answer, whatever the client accepts (Apache Kafka's `fetch.max.bytes`).
const ANSWER_BYTES_MAX: usize = 55 << 20;

/// The longest wait, whatever the client requests: it bounds how long a fetch outlives its client.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// The data of a partition at one look at the logs.
struct Look {
    found: Result<Batches, ResponseError>,
    start: i64,
    end: i64,
    last_stable: i64,
    /// The aborted transactions whose records a client of committed records must omit.
    aborted: Option<Vec<Aborted>>,
}

impl Look {
    fn refused(error: ResponseError) -> Self {
        Self {
            found: Err(error),
            start: -1,
            end: -1,
            last_stable: -1,
            aborted: None,
        }
    }
}

/// Reads what is there. If that is less than the client wants, waits for appends, or until the
/// client's time is up.
pub(super) async fn fetch(broker: &Broker, version: i16, request: FetchRequest) -> FetchResponse {
    // Sessions (KIP-227) are never granted, so a request that names one is wrong.
    if request.session_id != 0 {
        return FetchResponse::default()
            .with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let wait =
        Duration::from_millis(request.max_wait_ms.max(0).unsigned_abs().into()).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    let wanted = usize::try_from(request.min_bytes).unwrap_or(0);
    let mut changes = broker.changes();
    loop {
        changes.mark_unchanged();
        let looks = look(broker, version, &request);
        let bytes: usize = looks
            .iter()
            .flatten()
            .map(|look| look.found.as_ref().map_or(0, |batches| batches.bytes))
            .sum();
        let settled = bytes >= wanted || looks.iter().flatten().any(|look| look.found.is_err());
        // A timeout is `Err(Elapsed)`. The sender lives as long as the broker, so `Ok(Err(_))` is
        // impossible.
        if settled || timeout_at(deadline, changes.changed()).await.is_err() {
            return answer(request, looks);
        }
    }
}

fn look(broker: &Broker, version: i16, request: &FetchRequest) -> Vec<Vec<Look>> {
    let mut room = usize::try_from(request.max_bytes)
        .unwrap_or(0)
        .min(ANSWER_BYTES_MAX);
    let mut is_first = true;
    let mut looks = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let look = match log(broker, version, topic, partition) {
                Ok(log) => look_at(
                    &log.lock(),
                    request.isolation_level == READ_COMMITTED,
                    partition,
                    room,
                    is_first,
                ),
                Err(error) => Look::refused(error),
            };
            if let Ok(batches) = &look.found {
                room = room.saturating_sub(batches.bytes);
                is_first &= batches.batches.is_empty();
            }
            partitions.push(look);
        }
        looks.push(partitions);
    }
    looks
}

fn log(
    broker: &Broker,
    version: i16,
    topic: &FetchTopic,
    partition: &FetchPartition,
) -> Result<Arc<Mutex<PartitionLog>>, ResponseError> {
    let found = if version >= BY_ID {
        broker
            .topics
            .get_by_id(topic.topic_id)
            .ok_or(ResponseError::UnknownTopicId)
    } else {
        broker
            .topics
            .get(&topic.topic)
            .ok_or(ResponseError::UnknownTopicOrPartition)
    };
    let found = found?;
    broker.acls.check(&found.name, READ)?;
    found.partition(partition.partition)
}

fn look_at(
    log: &PartitionLog,
    committed: bool,
    partition: &FetchPartition,
    room: usize,
    is_first: bool,
) -> Look {
    if let Err(error) = check_leader(log, partition.current_leader_epoch) {
        return Look::refused(error);
    }
    let room = room.min(usize::try_from(partition.partition_max_bytes).unwrap_or(0));
    let until = if committed {
        log.last_stable()
    } else {
        log.end()
    };
    let found = log.read_before(until, partition.fetch_offset, room, is_first);
    let aborted = found.as_ref().ok().filter(|_| committed).map(|batches| {
        let after = batches.next_offset.unwrap_or(partition.fetch_offset);
        log.transactions().aborted_in(partition.fetch_offset, after)
    });
    Look {
        found,
        start: log.start(),
        end: log.end(),
        last_stable: log.last_stable(),
        aborted,
    }
}

fn answer(request: FetchRequest, looks: Vec<Vec<Look>>) -> FetchResponse {
    let topics = request.topics.into_iter().zip(looks).map(|(topic, looks)| {
        let partitions = topic.partitions.iter().zip(looks).map(|(partition, look)| {
            let data = PartitionData::default()
                .with_partition_index(partition.partition)
                .with_high_watermark(look.end)
                .with_last_stable_offset(look.last_stable)
                .with_log_start_offset(look.start)
                .with_aborted_transactions(
                    look.aborted
                        .map(|aborted| aborted.into_iter().map(aborted_transaction).collect()),
                );
            match look.found {
                Ok(batches) => data.with_records(Some(join(batches))),
                Err(error) => data
                    .with_error_code(error.code())
                    .with_records(Some(Bytes::new())),
            }
        });
        let partitions = partitions.collect();
        FetchableTopicResponse::default()
            .with_topic(topic.topic)
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions)
    });
    FetchResponse::default().with_responses(topics.collect())
}

fn aborted_transaction(aborted: Aborted) -> AbortedTransaction {
    AbortedTransaction::default()
        .with_producer_id(aborted.producer_id.into())
        .with_first_offset(aborted.first_offset)
}

fn join(mut batches: Batches) -> Bytes {
    if batches.batches.len() == 1 {
        return batches.batches.remove(0);
    }
    let mut joined = BytesMut::with_capacity(batches.bytes);
    batches
        .batches
        .iter()
        .for_each(|batch| joined.extend_from_slice(batch));
    joined.freeze()
}
