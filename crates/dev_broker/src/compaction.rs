//! Compaction of a log (`cleanup.policy=compact`): of the records with the same key the newest
//! stays, at its offset, and the others leave holes.
//!
//! It follows Apache Kafka's cleaner. It covers the records before the active segment and before
//! the first open transaction. Records of aborted transactions are dropped. Transaction marks and
//! records without a value stay; Apache Kafka drops them after `delete.retention.ms`. Unlike there,
//! compaction runs as soon as a segment is closed, so that tests need not wait.

use std::collections::HashMap;

use crate::batch::{Batch, BatchKind};
use crate::open_transactions::OpenTransactions;

/// The batches that stay, with the records that stay. `batches` are in order and before `end`.
pub(crate) fn compacted(
    batches: &[Batch],
    transactions: &OpenTransactions,
    end: i64,
) -> Vec<Batch> {
    let is_data =
        |batch: &Batch| matches!(batch.kind(), BatchKind::Plain | BatchKind::Transactional);
    let is_aborted = |batch: &Batch| {
        let producer = batch
            .producer()
            .filter(|_| batch.kind() == BatchKind::Transactional);
        producer.is_some_and(|producer| transactions.is_aborted(producer.id, batch.base_offset()))
    };
    let counts = |batch: &&Batch| is_data(batch) && batch.base_offset() < end && !is_aborted(batch);
    let mut newest: HashMap<Vec<u8>, i64> = HashMap::new();
    for batch in batches.iter().filter(counts) {
        batch.keys(|offset, key| {
            newest.insert(key.to_vec(), offset);
        });
    }
    let stays = |batch: &Batch| {
        if !is_data(batch) || batch.base_offset() >= end {
            return Some(batch.clone());
        }
        if is_aborted(batch) {
            return None;
        }
        batch.compacted(|offset, key| {
            key.and_then(|key| newest.get(key))
                .is_some_and(|newest| offset >= *newest)
        })
    };
    batches.iter().filter_map(stays).collect()
}
