//! Records in bursts of one millisecond, on one cluster or the same ones on two: plain, in transactions, and aborted.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::PARTITIONS;
use crate::support::admin::{Cluster, NewRecord, Producer, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::TIME;
use crate::support::transactions::{Outcome, TransactionalProducer};

/// A topic and its partition.
pub type Place = (String, i32);

/// How many records of each partition there are.
pub type Counts = BTreeMap<Place, usize>;

/// What must never be shown.
pub const SECRET: &str = "HIDDEN";

pub struct Publisher {
    clusters: Vec<Cluster>,
    producers: Vec<Producer>,
    transactional: Vec<TransactionalProducer>,
    topics: Vec<String>,
    counts: Counts,
    next: usize,
    now: i64,
    dice: ChaCha8Rng,
}

impl Publisher {
    /// Makes the topics. With two clusters, each has records of its own below the common ones: its offsets are shifted.
    pub async fn new(clusters: &[Cluster], topics: Vec<String>, mut dice: ChaCha8Rng) -> Self {
        let mut counts = Counts::new();
        for cluster in clusters {
            let mut fillers = Vec::new();
            for topic in &topics {
                cluster.create_topic(topic, PARTITIONS).await;
                for partition in 0..PARTITIONS {
                    counts.insert((topic.clone(), partition), 0);
                    let count = if clusters.len() > 1 {
                        dice.random_range(0..20)
                    } else {
                        0
                    };
                    // Long before everything else, and no events: nobody may ask for them.
                    fillers.extend(
                        (0..count).map(|_| NewRecord::new(topic, partition, 1000, "filler")),
                    );
                }
            }
            cluster.produce_many("none", fillers).await;
        }
        let codec = ["none", "gzip", "snappy", "lz4", "zstd"][dice.random_range(0..5)];
        let producers = clusters
            .iter()
            .map(|cluster| cluster.producer(codec))
            .collect();
        let mut transactional = Vec::new();
        for cluster in clusters {
            transactional.push(cluster.transactional_producer(&unique("oracle")).await);
        }
        let clusters = clusters.to_vec();
        Self {
            clusters,
            producers,
            transactional,
            topics,
            counts,
            next: 0,
            now: TIME,
            dice,
        }
    }

    /// Publishes so many records everywhere, in the same order. `sending` learns how many there will be, before the first is sent;
    /// returns when all are acknowledged, with the same counts.
    pub async fn publish(&mut self, count: usize, sending: impl FnOnce(&Counts)) -> Counts {
        let aborted = self.aborted();
        let records: Vec<NewRecord> = (0..count).map(|_| self.record()).collect();
        let in_transaction = self.dice.random_range(0..3) == 0;
        sending(&self.counts);
        for (number, producer) in self.producers.iter().enumerate() {
            let transactional = &self.transactional[number];
            if !aborted.is_empty() {
                transactional
                    .transaction(aborted.clone(), Outcome::Aborted)
                    .await;
            }
            // The mark that ends it has the wall clock's time, years after its records.
            if in_transaction {
                let offsets = transactional
                    .transaction(records.clone(), Outcome::Committed)
                    .await;
                self.await_visible(&self.clusters[number], &records, &offsets)
                    .await;
            } else {
                producer.produce_many(records.clone()).await;
            }
        }
        self.counts.clone()
    }

    /// Kafka acknowledges a commit before its marks are written, and only then the records are seen.
    async fn await_visible(&self, cluster: &Cluster, records: &[NewRecord], offsets: &[i64]) {
        let mut ends: BTreeMap<Place, i64> = BTreeMap::new();
        for (record, offset) in records.iter().zip(offsets) {
            let end = ends
                .entry((record.topic.clone(), record.partition))
                .or_default();
            *end = (*end).max(offset + 1);
        }
        for ((topic, partition), end) in ends {
            eventually("the transaction is visible", async || {
                (cluster.watermarks(&topic, partition).await.1 >= end).then_some(())
            })
            .await;
        }
    }

    /// Records that nobody may get; their offsets stay empty. Often none.
    fn aborted(&mut self) -> Vec<NewRecord> {
        let count = if self.dice.random_range(0..4) == 0 {
            self.dice.random_range(1..200)
        } else {
            0
        };
        let topic = self.topics[self.dice.random_range(0..self.topics.len())].clone();
        let partition = self.dice.random_range(0..PARTITIONS);
        let value = format!(r#"{{"aborted":"{SECRET}"}}"#);
        (0..count)
            .map(|_| NewRecord::new(&topic, partition, self.now, value.clone()))
            .collect()
    }

    fn record(&mut self) -> NewRecord {
        if self.dice.random_range(0..6) == 0 {
            self.now += self.dice.random_range(1..400);
        }
        let topic = self.topics[self.dice.random_range(0..self.topics.len())].clone();
        let partition = self.dice.random_range(0..PARTITIONS);
        let n = self.next;
        self.next += 1;
        let padding = "x".repeat(self.dice.random_range(0..6000));
        *self.counts.entry((topic.clone(), partition)).or_default() += 1;
        match self.dice.random_range(0..12) {
            0 => NewRecord::new(&topic, partition, self.now, format!("not JSON {n}")),
            1 => NewRecord::tombstone(&topic, partition, self.now, "key"),
            2 | 3 => {
                let page = r#""meta":{"domain":"en.wikipedia.org"},"page_title":"Secret_page""#;
                let value = format!(
                    r#"{{"n":{n},{page},"performer":{{"user_text":"{SECRET}"}},"padding":"{padding}"}}"#
                );
                NewRecord::new(&topic, partition, self.now, value)
            }
            _ => NewRecord::new(
                &topic,
                partition,
                self.now,
                format!(r#"{{"n":{n},"padding":"{padding}"}}"#),
            )
            .key("key"),
        }
    }
}
