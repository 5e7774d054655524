//! A Kafka cluster as a test uses it, embedded or real: create topics, produce records, read the
//! log back. It uses only rdkafka, so that neither kind of broker is easier to test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kafka_topic_ids::{TopicDescription, describe_topics};
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::deadline::{TIMEOUT, eventually, within};
pub use super::records::{LogRecord, NewRecord};

/// A name that no other test of this process uses: `mediawiki.recentchange` becomes
/// `mediawiki.recentchange.t7`.
///
/// Tests share brokers, but not topics.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name}.t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A cluster at a bootstrap address. Cheap to clone. Every call fails the test when the cluster
/// refuses it or does not respond.
#[derive(Clone)]
pub struct Cluster {
    /// For `metadata.broker.list`.
    pub brokers: String,
}

impl Cluster {
    /// The cluster at `host:port[,host:port...]`. Connects to nothing yet.
    pub fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
        }
    }

    /// Creates a topic and waits until it accepts records.
    pub async fn create_topic(&self, topic: &str, partitions: i32) {
        self.create_topic_with(topic, partitions, &[]).await;
    }

    /// [`Self::create_topic`] with settings (`retention.bytes`, `segment.bytes`, ...).
    pub async fn create_topic_with(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings
            .iter()
            .fold(new, |new, (key, value)| new.set(key, value));
        expect_success(
            within(
                "CreateTopics",
                self.admin().create_topics([&new], &options()),
            )
            .await,
        );
        self.wait_for_partitions(topic, partitions).await;
    }

    /// Creates a topic with all its partitions on one node.
    pub async fn create_topic_on(&self, node: i32, topic: &str, partitions: i32) {
        let node = [node];
        let assignment =
            vec![&node[..]; usize::try_from(partitions).expect("a count is not negative")];
        let new = NewTopic::new(topic, partitions, TopicReplication::Variable(&assignment));
        expect_success(
            within(
                "CreateTopics",
                self.admin().create_topics([&new], &options()),
            )
            .await,
        );
        self.wait_for_partitions(topic, partitions).await;
    }

    /// Deletes the topic and waits until the cluster no longer lists it.
    pub async fn delete_topic(&self, topic: &str) {
        expect_success(
            within(
                "DeleteTopics",
                self.admin().delete_topics(&[topic], &options()),
            )
            .await,
        );
        eventually(format!("{topic} to be gone"), async || {
            (self.partitions(topic).await == 0).then_some(())
        })
        .await;
    }

    /// Raises the topic's number of partitions to `total` and waits until they accept records.
    pub async fn add_partitions(&self, topic: &str, total: i32) {
        let count = usize::try_from(total).expect("a count is not negative");
        let new = NewPartitions::new(topic, count);
        expect_success(
            within(
                "CreatePartitions",
                self.admin().create_partitions([&new], &options()),
            )
            .await,
        );
        self.wait_for_partitions(topic, total).await;
    }

    /// Moves the start of the partition's log to `before`, as retention does: earlier records are
    /// gone.
    pub async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before))
            .expect("an offset");
        let answer = within(
            "DeleteRecords",
            self.admin().delete_records(&list, &options()),
        )
        .await
        .expect("DeleteRecords");
        for element in answer.elements() {
            element.error().expect("DeleteRecords of the partition");
        }
    }

    /// Produces one record, waits for the acknowledgement of all replicas and returns its offset.
    pub async fn produce(&self, record: NewRecord) -> i64 {
        self.produce_many("none", [record]).await[0]
    }

    /// Produces records in order, compressed with `codec` (`none`, `gzip`, `snappy`, `lz4`,
    /// `zstd`), and waits until all replicas acknowledge them. Returns their offsets in the same
    /// order. The producer is idempotent: a retry repeats nothing.
    pub async fn produce_many(
        &self,
        codec: &str,
        records: impl IntoIterator<Item = NewRecord>,
    ) -> Vec<i64> {
        self.producer(codec).produce_many(records).await
    }

    /// A producer that stays connected, for repeated calls of [`Producer::produce_many`].
    pub fn producer(&self, codec: &str) -> Producer {
        Producer(self.producer_config(codec).create().expect("a producer"))
    }

    pub(super) fn producer_config(&self, codec: &str) -> ClientConfig {
        let mut config = self.config();
        config
            .set("compression.codec", codec)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "11534336")
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151")
            .set("delivery.timeout.ms", TIMEOUT.as_millis().to_string());
        config
    }

    /// The partition's low and high watermark: its first offset, and the offset of the next record.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> (i64, i64) {
        let (consumer, topic) = (self.consumer(), topic.to_owned());
        blocking(move || {
            consumer
                .fetch_watermarks(&topic, partition, TIMEOUT)
                .expect("watermarks")
        })
        .await
    }

    /// The committed records of a topic, partition by partition, in order of offset.
    pub async fn log(&self, topic: &str) -> Vec<LogRecord> {
        let (consumer, topic, partitions) = (
            self.consumer(),
            topic.to_owned(),
            self.partitions(topic).await,
        );
        blocking(move || {
            (0..partitions)
                .flat_map(|partition| read_partition(&consumer, &topic, partition))
                .collect()
        })
        .await
    }

    /// Descriptions of the topics, in the given order.
    pub async fn describe(&self, topics: &[&str]) -> Vec<TopicDescription> {
        let consumer = self.consumer();
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        blocking(move || {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            describe_topics(consumer.client(), &topics, true, TIMEOUT).expect("a description")
        })
        .await
    }

    /// The topic's id, which changes when the topic is recreated.
    pub async fn topic_id(&self, topic: &str) -> [u8; 16] {
        let described = self.describe(&[topic]).await.remove(0);
        assert_eq!(described.error, None, "{topic}");
        described.id.expect("the cluster has topic ids")
    }

    /// The cluster's id.
    pub async fn cluster_id(&self) -> String {
        let consumer = self.consumer();
        blocking(move || consumer.client().fetch_cluster_id(TIMEOUT))
            .await
            .expect("a cluster has an id")
    }

    /// Whether the cluster responds within a second.
    pub async fn is_reachable(&self) -> bool {
        let consumer = self.consumer();
        let metadata =
            blocking(move || consumer.fetch_metadata(None, Duration::from_secs(1))).await;
        metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// The number of partitions that have a leader, 0 when the topic does not exist.
    async fn partitions(&self, topic: &str) -> i32 {
        let (consumer, topic) = (self.consumer(), topic.to_owned());
        let metadata = blocking(move || consumer.fetch_metadata(Some(&topic), TIMEOUT))
            .await
            .expect("metadata");
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        i32::try_from(
            partitions
                .filter(|partition| partition.leader() >= 0)
                .count(),
        )
        .expect("the count fits")
    }

    /// Kafka acknowledges a new partition before all its threads know it.
    async fn wait_for_partitions(&self, topic: &str, total: i32) {
        let what = format!("{topic} to have {total} partitions");
        eventually(what, async || {
            (self.partitions(topic).await == total).then_some(())
        })
        .await;
    }

    /// Properties of every client.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("metadata.broker.list", &self.brokers)
            .set("broker.address.family", "v4")
            .set("reconnect.backoff.max.ms", "200")
            .set("allow.auto.create.topics", "false")
            // Tests of absent brokers refuse connections: keep standard error quiet.
            .set("log_level", "2");
        config
    }

    /// A consumer that reports the end of each partition.
    pub(super) fn consumer(&self) -> BaseConsumer {
        let mut config = self.config();
        // The records exist already. A fetch that waits at the end of one partition delays the next
        // one.
        config
            .set("group.id", "eventstreams-tests")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10");
        config
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest");
        config.create().expect("a consumer")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }
}

/// See [`Cluster::producer`].
pub struct Producer(pub(super) FutureProducer);

impl Producer {
    /// See [`Cluster::produce_many`].
    pub async fn produce_many(&self, records: impl IntoIterator<Item = NewRecord>) -> Vec<i64> {
        let mut deliveries = Vec::new();
        for record in records {
            deliveries.push(send(&self.0, &record).await);
        }
        let mut offsets = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let delivery = within("the delivery report", delivery)
                .await
                .expect("the producer lives");
            offsets.push(
                delivery
                    .unwrap_or_else(|(err, _)| panic!("not delivered: {err}"))
                    .offset,
            );
        }
        offsets
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT))
}

fn expect_success(answer: KafkaResult<Vec<TopicResult>>) {
    for result in answer.expect("the cluster responds") {
        result.unwrap_or_else(|(topic, code)| panic!("{topic}: {code}"));
    }
}

/// Queues the record. Waits while the queue of the producer is full, so that the order stays.
async fn send(producer: &FutureProducer, record: &NewRecord) -> DeliveryFuture {
    let mut new = FutureRecord::<[u8], [u8]>::to(&record.topic)
        .partition(record.partition)
        .timestamp(record.timestamp);
    new.key = record.key.as_deref();
    new.payload = record.value.as_deref();
    loop {
        match producer.send_result(new) {
            Ok(delivery) => return delivery,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => new = back,
            Err((err, _)) => panic!("produce to {} {}: {err}", record.topic, record.partition),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a blocking call of librdkafka on another thread, so that the tasks of the test, which may
/// include an embedded broker, continue.
pub(super) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call)
        .await
        .expect("the call does not panic")
}

/// The committed records of a partition, up to the first open transaction. Skips offsets without a
/// record.
fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<LogRecord> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)
        .expect("an offset");
    consumer
        .assign(&list)
        .expect("the partition can be assigned");
    let mut records: Vec<LogRecord> = Vec::new();
    loop {
        match consumer
            .poll(TIMEOUT)
            .unwrap_or_else(|| panic!("{topic} {partition}: its end was not reached in time"))
        {
            Ok(record) => records.push(log_record(&record)),
            Err(KafkaError::PartitionEOF(_)) => return records,
            Err(error) => panic!("{topic} {partition}: {error}"),
        }
    }
}

fn log_record(record: &BorrowedMessage<'_>) -> LogRecord {
    LogRecord {
        partition: record.partition(),
        offset: record.offset(),
        timestamp: record
            .timestamp()
            .to_millis()
            .expect("a record has a timestamp"),
        key: record.key().map(<[u8]>::to_vec),
        value: record.payload().map(<[u8]>::to_vec),
    }
}
