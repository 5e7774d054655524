//! A cluster with faults: partitions without a leader, and logs that lose their end.

use std::fs::{self, File};
use std::path::Path;

use dev_broker::{BrokerConfig, DevBroker};

use super::admin::{Cluster, NewRecord};
use super::deadline::eventually;
use super::kafka::KafkaBroker;

/// A cluster for one test. Apache Kafka runs two nodes, and the second one can stop. The embedded
/// broker removes the leaders of the same partitions.
pub struct FaultyCluster {
    /// For records and administration.
    pub cluster: Cluster,
    kind: Kind,
    /// The partitions on the second node.
    second: Vec<(String, i32)>,
}

enum Kind {
    Embedded(DevBroker),
    Kafka {
        first: Box<KafkaBroker>,
        second: Option<Box<KafkaBroker>>,
    },
}

impl FaultyCluster {
    pub(super) async fn embedded() -> Self {
        let config = BrokerConfig {
            auto_create_topics: false,
            ..BrokerConfig::default()
        };
        let broker = DevBroker::start(config)
            .await
            .expect("a free port on loopback");
        let cluster = Cluster::new(&broker.address().to_string());
        Self {
            cluster,
            kind: Kind::Embedded(broker),
            second: Vec::new(),
        }
    }

    pub(super) async fn kafka() -> Self {
        let first = Box::new(KafkaBroker::start("of a faulty cluster").await);
        Self {
            cluster: first.cluster(),
            kind: Kind::Kafka {
                first,
                second: None,
            },
            second: Vec::new(),
        }
    }

    /// Creates a topic with all its partitions on the second node.
    pub async fn create_topic_on_second(&mut self, topic: &str, partitions: i32) {
        match &mut self.kind {
            Kind::Embedded(_) => self.cluster.create_topic(topic, partitions).await,
            Kind::Kafka { first, second } => {
                if second.is_none() {
                    *second = Some(Box::new(first.start_second_node().await));
                }
                self.cluster.create_topic_on(2, topic, partitions).await;
            }
        }
        self.second
            .extend((0..partitions).map(|partition| (topic.to_owned(), partition)));
    }

    /// Stops the second node: its partitions have no leader.
    pub async fn stop_second_node(&mut self) {
        self.set_leaders(false);
        if let Kind::Kafka { second, .. } = &mut self.kind {
            second.as_mut().expect("a topic on the second node").kill();
        }
        self.wait_for_leaders(false).await;
    }

    /// Restarts the second node with its records.
    pub async fn restart_second_node(&mut self) {
        self.set_leaders(true);
        if let Kind::Kafka { second, .. } = &mut self.kind {
            second
                .as_mut()
                .expect("a topic on the second node")
                .restart()
                .await;
        }
        self.wait_for_leaders(true).await;
    }

    fn set_leaders(&self, has_leader: bool) {
        if let Kind::Embedded(broker) = &self.kind {
            for (topic, partition) in &self.second {
                broker
                    .set_leader(topic, *partition, has_leader)
                    .expect("a partition");
            }
        }
    }

    async fn wait_for_leaders(&self, wanted: bool) {
        let mut topics: Vec<&str> = self
            .second
            .iter()
            .map(|(topic, _)| topic.as_str())
            .collect();
        topics.dedup();
        eventually(
            format!("all partitions of {topics:?} to have a leader: {wanted}"),
            async || {
                let described = self.cluster.describe(&topics).await;
                let mut partitions = described.iter().flat_map(|topic| &topic.partitions);
                partitions
                    .all(|partition| partition.has_leader == wanted)
                    .then_some(())
            },
        )
        .await;
    }

    /// Removes the records at `offset` and after it from a partition of the first node, as an
    /// unclean shutdown does. Whole batches go, so the log may end before `offset`. Apache Kafka is
    /// down for some seconds meanwhile. The log must fit into one segment.
    pub async fn truncate_log(&mut self, topic: &str, partition: i32, offset: i64) {
        match &mut self.kind {
            Kind::Embedded(broker) => {
                broker
                    .cut(topic, partition, offset)
                    .expect("a log in memory");
            }
            Kind::Kafka { first, .. } => {
                first.kill();
                truncate_segment(&first.segment(topic, partition), offset);
                first.restart().await;
            }
        }
        let (_, end) = self.cluster.watermarks(topic, partition).await;
        assert!(
            end <= offset,
            "{topic} {partition} ends at {end}, after {offset}"
        );
    }

    /// [`Self::truncate_log`], and others take the place of these records. On the embedded broker
    /// hardly a fetch comes in between.
    pub async fn replace_log_end(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        records: Vec<NewRecord>,
    ) {
        if let Kind::Embedded(broker) = &self.kind {
            let records: Vec<_> = records.iter().map(NewRecord::for_embedded).collect();
            broker
                .cut(topic, partition, offset)
                .expect("a log in memory");
            broker
                .append(topic, partition, &records)
                .expect("a log in memory");
        } else {
            self.truncate_log(topic, partition, offset).await;
            self.cluster.produce_many("none", records).await;
        }
    }
}

/// Truncates a segment before the first batch that reaches `offset`. A batch begins with its base
/// offset (8 bytes) and the length of what follows (4 bytes). The offset of its last record,
/// relative to the base, is at byte 23.
fn truncate_segment(segment: &Path, offset: i64) {
    let bytes = fs::read(segment).expect("the segment");
    let mut kept = 0;
    while let Some(batch) = bytes.get(kept..).filter(|rest| rest.len() > 27) {
        let base_offset = i64::from_be_bytes(*batch.first_chunk().expect("8 bytes"));
        let length = u32::from_be_bytes(*batch[8..].first_chunk().expect("4 bytes"));
        let last_delta = i32::from_be_bytes(*batch[23..].first_chunk().expect("4 bytes"));
        if base_offset + i64::from(last_delta) >= offset {
            break;
        }
        kept += 12 + length as usize;
    }
    let file = File::options()
        .write(true)
        .open(segment)
        .expect("the segment opens");
    file.set_len(kept as u64).expect("the segment is truncated");
}
