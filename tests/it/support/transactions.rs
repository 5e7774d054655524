//! Producers that write in transactions: committed, aborted, or left open.

use std::time::Duration;

use rdkafka::producer::{FutureProducer, Producer as _};

use super::admin::{Cluster, NewRecord, Producer, blocking};
use super::deadline::TIMEOUT;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records count.
    Committed,
    /// Its records are taken back; their offsets stay empty.
    Aborted,
    /// Neither: what comes after its first record is held back until the transaction's time is up, or until its transactional id
    /// is used by another producer.
    LeftOpen,
}

/// A producer with a transactional id. Of one id only the newest can write.
pub struct TransactionalProducer(Producer);

impl Cluster {
    /// A producer with this transactional id; what an older one of the same id left open is aborted.
    pub async fn transactional_producer(&self, id: &str) -> TransactionalProducer {
        self.transactional_producer_with_timeout(id, TIMEOUT).await
    }

    /// The same, whose transactions are aborted by the cluster after `timeout` (Kafka looks every ten seconds).
    pub async fn transactional_producer_with_timeout(
        &self,
        id: &str,
        timeout: Duration,
    ) -> TransactionalProducer {
        let mut config = self.producer_config("none");
        config
            .set("transactional.id", id)
            .set("transaction.timeout.ms", timeout.as_millis().to_string());
        // Not larger than the transaction's time.
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
    /// Writes the records in one transaction and ends it; gives their offsets.
    pub async fn transaction(
        &self,
        records: impl IntoIterator<Item = NewRecord>,
        ending: Outcome,
    ) -> Vec<i64> {
        self.0.0.begin_transaction().expect("a transaction begins");
        let offsets = self.0.produce_many(records).await;
        match ending {
            Outcome::Committed => self.commit().await,
            Outcome::Aborted => self.abort().await,
            Outcome::LeftOpen => {}
        }
        offsets
    }

    /// Commits the transaction that was left open.
    pub async fn commit(&self) {
        let producer = self.0.0.clone();
        blocking(move || producer.commit_transaction(TIMEOUT))
            .await
            .expect("the transaction is committed");
    }

    /// Aborts the transaction that was left open.
    pub async fn abort(&self) {
        let producer = self.0.0.clone();
        blocking(move || producer.abort_transaction(TIMEOUT))
            .await
            .expect("the transaction is aborted");
    }
}
