//! What was written to each partition: the verdict compares clients with this ledger.

use std::collections::{BTreeMap, HashMap};

use eventstreams::cursor::{LogId, TopicIdentity};

use super::partition::{Partition, Written};
use crate::support::admin::{Cluster, LogRecord};
use crate::support::compaction::LAST_KEY;

/// A topic and its partition.
pub type Place = (String, i32);

/// How many records of each partition there are.
pub type Counts = BTreeMap<Place, usize>;

/// The value of a record that only one cluster has.
pub const FILLER: &str = "filler";

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger {
    pub partitions: BTreeMap<Place, Partition>,
    /// Where the event of each number is.
    pub numbers: HashMap<usize, (Place, usize)>,
    cluster_ids: Vec<String>,
    /// Topic, cluster and generation of each log that an id may name.
    logs: HashMap<String, (String, usize, usize)>,
}

impl Ledger {
    pub async fn new(clusters: &[Cluster]) -> Self {
        let mut cluster_ids = Vec::new();
        for cluster in clusters {
            cluster_ids.push(cluster.cluster_id().await);
        }
        Self {
            partitions: BTreeMap::new(),
            numbers: HashMap::new(),
            cluster_ids,
            logs: HashMap::new(),
        }
    }

    /// Takes in a topic that was created everywhere.
    pub async fn add_topic(
        &mut self,
        clusters: &[Cluster],
        topic: &str,
        partitions: i32,
        is_compacted: bool,
    ) {
        for partition in 0..partitions {
            let place = (topic.to_owned(), partition);
            self.partitions
                .insert(place, Partition::new(clusters.len(), is_compacted));
        }
        self.add_logs(clusters, topic, 0).await;
    }

    async fn add_logs(&mut self, clusters: &[Cluster], topic: &str, generation: usize) {
        for (number, cluster) in clusters.iter().enumerate() {
            let id = cluster.topic_id(topic).await;
            let log = LogId::new(&self.cluster_ids[number], TopicIdentity::Id(id));
            self.logs.insert(
                log.as_str().to_owned(),
                (topic.to_owned(), number, generation),
            );
        }
    }

    /// The generation of a topic whose log in a cluster has this id.
    pub fn generation(&self, log: &str, topic: &str, cluster: usize) -> usize {
        let (of, on, generation) = self.logs.get(log).expect("a log that there was");
        assert_eq!((of.as_str(), *on), (topic, cluster), "the log of an id");
        *generation
    }

    /// A topic was deleted, and created again on every cluster.
    pub async fn recreate(&mut self, clusters: &[Cluster], topic: &str) {
        let mut generation = 0;
        for (place, partition) in &mut self.partitions {
            if place.0 == topic {
                generation = partition.recreate();
            }
        }
        self.add_logs(clusters, topic, generation).await;
    }

    /// Adds a record.
    pub fn push(&mut self, place: &Place, written: Written) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        if let Some(number) = written.number {
            self.numbers
                .insert(number, (place.clone(), partition.len()));
        }
        partition.push(written);
    }

    /// The records below `before` were deleted in one cluster.
    pub fn delete(&mut self, place: &Place, cluster: usize, before: i64) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        partition.delete(cluster, before);
    }

    /// The records from `cut` on were lost; the log had ended at `end`.
    pub fn cut(&mut self, place: &Place, cut: i64, end: i64) {
        let partition = self.partitions.get_mut(place).expect("a partition");
        partition.cut(cut, end);
    }

    /// Ends the ledger. The records behind `held` stay invisible for ever.
    pub fn finish(&mut self, held: &Counts) {
        for (place, count) in held {
            let partition = self.partitions.get_mut(place).expect("a partition");
            partition.truncate(*count);
        }
        for partition in self.partitions.values_mut() {
            partition.mark_superseded();
        }
    }

    /// Fails unless the logs hold what the ledger says.
    pub async fn check(&self, clusters: &[Cluster]) {
        let mut topics: Vec<&String> = self.partitions.keys().map(|place| &place.0).collect();
        topics.dedup();
        for (number, cluster) in clusters.iter().enumerate() {
            for topic in &topics {
                let is_ours = |record: &LogRecord| {
                    record.value.as_deref() != Some(FILLER.as_bytes())
                        && record.key.as_deref() != Some(LAST_KEY.as_bytes())
                };
                let log: Vec<_> = cluster
                    .log(topic)
                    .await
                    .into_iter()
                    .filter(is_ours)
                    .collect();
                for (place, partition) in &self.partitions {
                    let own = log.iter().filter(|record| record.partition == place.1);
                    if place.0 == **topic {
                        partition.check(place, number, &own.cloned().collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    /// How many records of each partition there are.
    pub fn counts(&self) -> Counts {
        self.partitions
            .iter()
            .map(|(place, partition)| (place.clone(), partition.len()))
            .collect()
    }
}
