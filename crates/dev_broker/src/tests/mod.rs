//! Common parts of the tests, and the tests that need a socket or a folder.
//!
//! * `clients`: librdkafka against a running broker. `group_clients`: its consumer groups. `admin`:
//!   its admin operations.
//! * `raw`: frames that no proper client sends. `wire` tests with them, `fetch` tests Fetch.
//! * `logs`: a partition's log in memory. `folders`: in a folder, read back after a kill.

mod admin;
mod clients;
mod fetch;
mod folders;
mod group_clients;
mod logs;
pub(crate) mod raw;
mod wire;

use bytes::BytesMut;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rdkafka::ClientConfig;
use tokio::runtime::Runtime;

use crate::batch::Batch;
use crate::{BrokerConfig, DevBroker, LEADER_EPOCH, NewRecord, TopicSpec};

/// A broker on a runtime of its own, so that the test may block.
pub(crate) struct TestBroker {
    pub(crate) runtime: Runtime,
    pub(crate) broker: DevBroker,
}

impl TestBroker {
    pub(crate) fn start(config: BrokerConfig) -> Self {
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(DevBroker::start(config)).unwrap();
        Self { runtime, broker }
    }

    /// With one topic `t`.
    pub(crate) fn with_partitions(partitions: i32) -> Self {
        Self::start(BrokerConfig {
            topics: vec![topic("t", partitions)],
            ..BrokerConfig::default()
        })
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.broker.address().to_string())
            .set("group.id", "test");
        config
            .set("auto.offset.reset", "error")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "100");
        config
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.broker.stop());
    }

    /// Ends all tasks where they are, and leaves what a kill leaves.
    pub(crate) fn kill(self) {
        drop(self.runtime);
    }
}

pub(crate) fn topic(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec {
        name: name.to_owned(),
        partitions,
    }
}

pub(crate) fn record(timestamp: i64, value: &str) -> NewRecord {
    NewRecord {
        timestamp_ms: timestamp,
        key: None,
        value: Some(value.to_owned().into()),
    }
}

/// `count` records as an idempotent producer sends them.
pub(crate) fn idempotent_batch(
    producer_id: i64,
    epoch: i16,
    first_sequence: i32,
    count: i32,
) -> Batch {
    batch_of(false, None, producer_id, epoch, first_sequence, count)
}

/// The same of a transaction.
pub(crate) fn transactional_batch(
    producer_id: i64,
    epoch: i16,
    first_sequence: i32,
    count: i32,
) -> Batch {
    batch_of(true, None, producer_id, epoch, first_sequence, count)
}

/// One record of a transaction, with a key.
pub(crate) fn keyed_transactional_batch(producer_id: i64, key: &str) -> Batch {
    batch_of(true, Some(key), producer_id, 0, 0, 1)
}

fn batch_of(
    transactional: bool,
    key: Option<&str>,
    producer_id: i64,
    epoch: i16,
    first_sequence: i32,
    count: i32,
) -> Batch {
    let records = (0..count).map(|i| Record {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: LEADER_EPOCH,
        producer_id,
        producer_epoch: epoch,
        timestamp_type: TimestampType::Creation,
        offset: i.into(),
        sequence: first_sequence.wrapping_add(i),
        timestamp: 1,
        key: key.map(|key| key.to_owned().into()),
        value: Some("v".into()),
        headers: IndexMap::new(),
    });
    let records: Vec<Record> = records.collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    Batch::parse(&bytes.freeze()).unwrap()
}
