//! Producers of transactions that commit, abort or stay open.

use std::time::Duration;

use rdkafka::producer::{FutureProducer, Producer as _};

use super::admin::{Cluster, NewRecord, Producer, blocking};
use super::deadline::TIMEOUT;

/// The outcome of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Consumers get the records.
    Committed,
    /// The records are discarded; their offsets stay without a record.
    Aborted,
    /// Consumers get nothing after its first record, until the transaction expires or another
    /// producer uses its transactional id.
    LeftOpen,
}

/// A producer with a transactional id. Only the newest producer of an id can write.
pub struct TransactionalProducer(Producer);

impl Cluster {
    /// A producer with this transactional id. Aborts the open transaction of an older producer.
    pub async fn transactional_producer(&self, id: &str) -> TransactionalProducer {
        self.transactional_producer_with_timeout(id, TIMEOUT).await
    }

    /// [`Self::transactional_producer`] with a timeout, after which the cluster aborts a
    /// transaction.
    pub async fn transactional_producer_with_timeout(
        &self,
        id: &str,
        timeout: Duration,
    ) -> TransactionalProducer {
        let mut config = self.producer_config("none");
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string());
        // Must not exceed the timeout of the transaction.
        config
            .set("delivery.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "0");
        let producer: FutureProducer = config.create().expect("a producer");
        let fencing = producer.clone();
        blocking(move || fencing.init_transactions(TIMEOUT))
            .await
            .expect("the transactional id");
        TransactionalProducer(Producer(producer))
    }
}

impl TransactionalProducer {
    /// Produces the records in one transaction, ends it and returns their offsets.
    pub async fn transaction(
        &self,
        records: impl IntoIterator<Item = NewRecord>,
        outcome: Outcome,
    ) -> Vec<i64> {
        self.0.0.begin_transaction().expect("a transaction begins");
        let offsets = self.0.produce_many(records).await;
        match outcome {
            Outcome::Committed => self.commit().await,
            Outcome::Aborted => self.abort().await,
            Outcome::LeftOpen => {}
        }
        offsets
    }

    /// Commits the open transaction.
    pub async fn commit(&self) {
        let producer = self.0.0.clone();
        blocking(move || producer.commit_transaction(TIMEOUT))
            .await
            .expect("the transaction is committed");
    }

    /// Aborts the open transaction.
    pub async fn abort(&self) {
        let producer = self.0.0.clone();
        blocking(move || producer.abort_transaction(TIMEOUT))
            .await
            .expect("the transaction is aborted");
    }
}
