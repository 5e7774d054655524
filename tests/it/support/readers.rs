//! Plain consumers that expect an error from a partition.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::admin::{Cluster, blocking};
use super::deadline::TIMEOUT;

impl Cluster {
    /// The error of reading the first partition of the topic.
    pub async fn read_error(&self, topic: &str) -> RDKafkaErrorCode {
        let (consumer, topic) = (self.consumer(), topic.to_owned());
        blocking(move || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, 0, Offset::Beginning)
                .expect("an offset");
            consumer
                .assign(&list)
                .expect("the partition can be assigned");
            match consumer.poll(TIMEOUT) {
                Some(Err(KafkaError::MessageConsumption(code))) => code,
                other => panic!(
                    "{topic} can be read: {:?}",
                    other.map(|read| read.map(|record| record.offset()))
                ),
            }
        })
        .await
    }

    /// A consumer that starts at `offset` and has read this many records. It never resets its
    /// position.
    pub async fn reader_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        records: usize,
    ) -> Reader {
        let mut config = self.config();
        config
            .set("group.id", "eventstreams-tests")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let topic = topic.to_owned();
        let reader = blocking(move || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&topic, partition, Offset::Offset(offset))
                .expect("an offset");
            consumer
                .assign(&list)
                .expect("the partition can be assigned");
            for _ in 0..records {
                consumer
                    .poll(TIMEOUT)
                    .expect("a record in time")
                    .expect("a record");
            }
            Reader(consumer)
        });
        reader.await
    }
}

/// Errors of a cluster that does not respond.
const UNREACHABLE: [RDKafkaErrorCode; 2] = [
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::AllBrokersDown,
];

/// See [`Cluster::reader_at`].
pub struct Reader(BaseConsumer);

impl Reader {
    /// The first error that is not about an unreachable cluster.
    pub async fn error(self) -> RDKafkaErrorCode {
        blocking(move || {
            loop {
                match self.0.poll(TIMEOUT).expect("an error in time") {
                    Ok(record) => panic!("it read on at {}", record.offset()),
                    Err(KafkaError::MessageConsumption(code)) if !UNREACHABLE.contains(&code) => {
                        return code;
                    }
                    Err(KafkaError::MessageConsumption(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
    }
}
