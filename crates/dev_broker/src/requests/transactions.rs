//! The requests of transactional producers (KIP-98). Committing offsets in a transaction is not
//! supported: `AddOffsetsToTxn` and `TxnOffsetCommit` are not advertised, and clients refuse to use
//! them.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::code;
use crate::broker::Broker;
use crate::log::PartitionLog;
use crate::transactions::{Identity, new_producer_id};

type Found = ((Uuid, i32), Arc<Mutex<PartitionLog>>);

/// `InitProducerId`: an id for an idempotent producer, or for one with a transactional id. A
/// producer that sends its id keeps it in the next epoch (KIP-360).
pub(super) fn init_producer_id(
    broker: &Broker,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let known = (request.producer_id.0 >= 0 && request.producer_epoch >= 0).then_some(Identity {
        producer_id: request.producer_id.0,
        epoch: request.producer_epoch,
    });
    let given = match (&request.transactional_id, known) {
        (Some(id), known) => {
            let given =
                broker
                    .transactions
                    .begin_producer(id, known, request.transaction_timeout_ms);
            broker.notify_changed();
            given
        }
        (None, Some(known)) if known.epoch < i16::MAX => Ok(Identity {
            epoch: known.epoch + 1,
            ..known
        }),
        (None, _) => Ok(Identity {
            producer_id: new_producer_id(),
            epoch: 0,
        }),
    };
    match given {
        Ok(Identity { producer_id, epoch }) => InitProducerIdResponse::default()
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch),
        Err(error) => InitProducerIdResponse::default().with_error_code(error.code()),
    }
}

/// `AddPartitionsToTxn`: adds all partitions, or none when one does not exist.
pub(super) fn add_partitions(
    broker: &Broker,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let find = |topic: &AddPartitionsToTxnTopic| -> Vec<Result<Found, ResponseError>> {
        let found = broker
            .topics
            .get(&topic.name)
            .ok_or(ResponseError::UnknownTopicOrPartition);
        let found = |number: &i32| {
            let topic = found.as_ref().map_err(|error| *error)?;
            Ok(((topic.id, *number), topic.partition(*number)?))
        };
        topic.partitions.iter().map(found).collect()
    };
    let topics = &request.v3_and_below_topics;
    let found: Vec<Vec<Result<Found, ResponseError>>> = topics.iter().map(find).collect();
    let all = found
        .iter()
        .flatten()
        .cloned()
        .collect::<Result<Vec<Found>, ResponseError>>();
    let identity = Identity {
        producer_id: request.v3_and_below_producer_id.0,
        epoch: request.v3_and_below_producer_epoch,
    };
    let added = match all {
        Ok(all) => broker
            .transactions
            .add(&request.v3_and_below_transactional_id, identity, all),
        Err(_) => Err(ResponseError::OperationNotAttempted),
    };
    let results = topics.iter().zip(&found).map(|(topic, found)| {
        let partitions = topic.partitions.iter().zip(found).map(|(number, found)| {
            let error = found.as_ref().err().copied().or(added.err());
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*number)
                .with_partition_error_code(code(error))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

/// `EndTxn`: commits or aborts.
pub(super) fn end(broker: &Broker, request: &EndTxnRequest) -> EndTxnResponse {
    let identity = Identity {
        producer_id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let ended = broker
        .transactions
        .end(&request.transactional_id, identity, request.committed);
    broker.notify_changed();
    EndTxnResponse::default().with_error_code(code(ended.err()))
}
