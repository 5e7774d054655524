//! Records in bursts of one millisecond, on one cluster or the same ones on two: plain, in
//! transactions, and aborted.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::PARTITIONS;
use super::choice;
use super::ledger::{Counts, FILLER, Ledger, Place};
use super::partition::Written;
use super::trouble::{Open, Trouble};
use crate::support::admin::{Cluster, NewRecord, Producer, unique};
use crate::support::deadline::eventually;
use crate::support::numbered::TIME;
use crate::support::transactions::{Outcome, TransactionalProducer};

/// What must never be shown.
pub const SECRET: &str = "HIDDEN";

pub struct Publisher {
    pub(super) clusters: Vec<Cluster>,
    pub(super) topics: Vec<String>,
    pub(super) ledger: Ledger,
    pub(super) dice: ChaCha8Rng,
    /// Later than every record.
    pub(super) now: i64,
    pub(super) compacted: BTreeSet<String>,
    /// Logs that are cut lie in one segment, although marks of transactions are years newer than
    /// the records before them.
    has_cuts: bool,
    /// The transaction that is open.
    pub(super) open: Option<Open>,
    /// Below these offsets no log is cut: marks of transactions lie there.
    pub(super) marks: BTreeMap<Place, i64>,
    codec: &'static str,
    producers: Vec<Producer>,
    transactional: Vec<TransactionalProducer>,
    next: usize,
}

/// An offset of each partition.
pub(super) type Offsets = BTreeMap<Place, i64>;

/// A record to be published, and the number of its event.
pub(super) struct Planned {
    record: NewRecord,
    number: Option<usize>,
    key: Option<String>,
    timestamp: i64,
}

impl Publisher {
    /// Makes the topics. With two clusters, each has records of its own below the common ones: its
    /// offsets are shifted.
    pub async fn new(
        clusters: &[Cluster],
        topics: Vec<String>,
        troubles: &[Trouble],
        dice: ChaCha8Rng,
    ) -> Self {
        let mut publisher = Self {
            clusters: clusters.to_vec(),
            topics,
            ledger: Ledger::new(clusters).await,
            dice,
            now: TIME,
            compacted: BTreeSet::new(),
            has_cuts: troubles.contains(&Trouble::Cut),
            open: None,
            marks: BTreeMap::new(),
            codec: "none",
            producers: Vec::new(),
            transactional: Vec::new(),
            next: 0,
        };
        let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
        publisher.codec = codecs[publisher.dice.random_range(0..codecs.len())];
        for topic in publisher.topics.clone() {
            let is_compacted =
                troubles.contains(&Trouble::Compacted) && publisher.dice.random_range(0..2) == 0;
            if is_compacted {
                publisher.compacted.insert(topic.clone());
            }
            publisher.create(&topic).await;
            publisher
                .ledger
                .add_topic(clusters, &topic, PARTITIONS, is_compacted)
                .await;
            if clusters.len() > 1 {
                publisher.fill(&topic).await;
            }
        }
        publisher.connect().await;
        publisher
    }

    /// Creates a topic everywhere.
    pub(super) async fn create(&self, topic: &str) {
        for cluster in &self.clusters {
            if self.compacted.contains(topic) {
                cluster.create_compacted_topic(topic, PARTITIONS).await;
            } else if self.has_cuts {
                let settings = [("segment.ms", "1000000000000000")];
                cluster
                    .create_topic_with(topic, PARTITIONS, &settings)
                    .await;
            } else {
                cluster.create_topic(topic, PARTITIONS).await;
            }
        }
    }

    /// Long before everything else, and no events: nobody may ask for them.
    async fn fill(&mut self, topic: &str) {
        for cluster in &self.clusters {
            let mut fillers = Vec::new();
            for partition in 0..PARTITIONS {
                for number in 0..self.dice.random_range(0..20) {
                    let filler = NewRecord::new(topic, partition, 1000, FILLER);
                    fillers.push(filler.key(format!("filler {number}")));
                }
            }
            cluster.produce_many("none", fillers).await;
        }
    }

    /// Makes new producers: the old ones do not know what happened to the logs.
    pub(super) async fn connect(&mut self) {
        (self.producers, self.transactional) = (Vec::new(), Vec::new());
        for cluster in &self.clusters {
            self.producers.push(cluster.producer(self.codec));
            self.transactional
                .push(cluster.transactional_producer(&unique("oracle")).await);
        }
    }

    /// What was written.
    pub fn into_ledger(self) -> Ledger {
        self.ledger
    }

    /// The records that are there to be seen.
    pub fn acknowledged(&self) -> Counts {
        let mut counts = self.ledger.counts();
        counts.extend(self.held());
        counts
    }

    /// In the partitions that an open transaction holds back, how many records come before it.
    pub fn held(&self) -> Counts {
        self.open
            .as_ref()
            .map(|open| open.held.clone())
            .unwrap_or_default()
    }

    /// Publishes so many records everywhere, in the same order. `sending` learns how many there
    /// will be, before the first is sent; returns when all are acknowledged, with the number of
    /// those that can be seen.
    pub async fn publish(&mut self, count: usize, sending: impl FnOnce(Counts)) -> Counts {
        let (aborted, planned) = (self.aborted(), self.plan(count));
        sending(self.counts_with(&planned));
        let in_transaction = self.dice.random_range(0..3) == 0;
        let records: Vec<NewRecord> = planned.iter().map(Planned::record).collect();
        // A mark of the wall clock's time would keep a log of old records from being compacted.
        let is_inside =
            |at: &usize| in_transaction && !self.compacted.contains(&records[*at].topic);
        let (inside, outside): (Vec<_>, Vec<_>) = (0..records.len()).partition(is_inside);
        let (mut offsets, mut ended) = (Vec::new(), Vec::new());
        for (number, producer) in self.producers.iter().enumerate() {
            let transactional = &self.transactional[number];
            let mut last = Offsets::new();
            if !aborted.is_empty() {
                let aborting = transactional.transaction(aborted.clone(), Outcome::Aborted);
                note_last(&mut last, &aborted, &aborting.await);
            }
            // The mark that ends it has the wall clock's time, years after its records.
            let mut written = vec![0; records.len()];
            let committing = inside
                .iter()
                .map(|at| records[*at].clone())
                .collect::<Vec<_>>();
            if !committing.is_empty() {
                let offsets = transactional.transaction(committing.clone(), Outcome::Committed);
                let offsets = offsets.await;
                note_last(&mut last, &committing, &offsets);
                inside
                    .iter()
                    .zip(offsets)
                    .for_each(|(at, offset)| written[*at] = offset);
            }
            let plain = outside.iter().map(|at| records[*at].clone());
            let plain = producer.produce_many(plain).await;
            outside
                .iter()
                .zip(plain)
                .for_each(|(at, offset)| written[*at] = offset);
            offsets.push(written);
            ended.push(last);
        }
        self.enter(&planned, &offsets);
        self.await_visible(&ended).await;
        self.acknowledged()
    }

    /// Publishes these without a transaction.
    pub(super) async fn produce_plain(&mut self, planned: Vec<Planned>) {
        let mut offsets = Vec::new();
        for producer in &self.producers {
            offsets.push(
                producer
                    .produce_many(planned.iter().map(Planned::record))
                    .await,
            );
        }
        self.enter(&planned, &offsets);
    }

    /// How many records there will be.
    pub(super) fn counts_with(&self, planned: &[Planned]) -> Counts {
        let mut counts = self.ledger.counts();
        for planned in planned {
            *counts.get_mut(&planned.place()).expect("a partition") += 1;
        }
        counts
    }

    /// Enters records with their offsets on each cluster.
    pub(super) fn enter(&mut self, planned: &[Planned], offsets: &[Vec<i64>]) {
        for (number, planned) in planned.iter().enumerate() {
            let written = Written {
                timestamp: planned.timestamp,
                number: planned.number,
                key: planned.key.clone(),
                offsets: offsets.iter().map(|of| of[number]).collect(),
            };
            self.ledger.push(&planned.place(), written);
        }
    }

    /// Waits until transactions have ended whose last offsets on each cluster are these. Kafka
    /// acknowledges the end before the marks are written, and only then what comes after it is
    /// seen.
    pub(super) async fn await_visible(&mut self, ended: &[Offsets]) {
        let held = self.held();
        for (cluster, last) in self.clusters.iter().zip(ended) {
            for (place, last) in last.iter().filter(|(place, _)| !held.contains_key(*place)) {
                let end = eventually("the transaction has ended", async || {
                    let (_, end) = cluster.watermarks(&place.0, place.1).await;
                    (end > *last).then_some(end)
                });
                self.marks.insert(place.clone(), end.await);
            }
        }
    }

    /// Records that no client may receive; their offsets stay empty. Often none.
    fn aborted(&mut self) -> Vec<NewRecord> {
        if self.dice.random_range(0..4) > 0 {
            return Vec::new();
        }
        let count = self.dice.random_range(1..200);
        self.secret(count)
    }

    /// Records that no client may receive, in one partition. Empty where its topic is compacted.
    pub(super) fn secret(&mut self, count: usize) -> Vec<NewRecord> {
        let (topic, partition) = self.any_place();
        if self.compacted.contains(&topic) {
            return Vec::new();
        }
        let value = format!(r#"{{"aborted":"{SECRET}"}}"#);
        let record = NewRecord::new(&topic, partition, self.now, value).key("aborted");
        vec![record; count]
    }

    pub(super) fn any_place(&mut self) -> Place {
        let topic = self.topics[self.dice.random_range(0..self.topics.len())].clone();
        (topic, self.dice.random_range(0..PARTITIONS))
    }

    pub(super) fn plan(&mut self, count: usize) -> Vec<Planned> {
        (0..count).map(|_| self.record()).collect()
    }

    fn record(&mut self) -> Planned {
        let place = self.any_place();
        self.record_in(&place)
    }

    pub(super) fn record_in(&mut self, place: &Place) -> Planned {
        if self.dice.random_range(0..6) == 0 {
            self.now += self.dice.random_range(1..400);
        }
        let n = self.next;
        self.next += 1;
        let padding = "x".repeat(self.dice.random_range(0..6000));
        // Compaction leaves the newest of each key.
        let key = match self.dice.random_range(0..10) {
            of @ 0..5 => format!("key {of}"),
            _ => format!("key of {n}"),
        };
        let start = format!(r#"{{"n":{n},{}"#, choice::kind(n));
        let page = r#""meta":{"domain":"en.wikipedia.org"},"page_title":"Secret_page""#;
        let value = match self.dice.random_range(0..12) {
            0 => Some(format!("not JSON {n}")),
            1 => None,
            2 | 3 => Some(format!(
                r#"{start},{page},"performer":{{"user_text":"{SECRET}"}},"padding":"{padding}"}}"#
            )),
            _ => Some(format!(r#"{start},"padding":"{padding}"}}"#)),
        };
        let is_event = value.as_ref().is_some_and(|value| value.starts_with('{'));
        let (topic, partition) = (&place.0, place.1);
        let record = match value {
            Some(value) => NewRecord::new(topic, partition, self.now, value).key(key.clone()),
            None => NewRecord::tombstone(topic, partition, self.now, &key),
        };
        Planned {
            record,
            number: is_event.then_some(n),
            key: Some(key),
            timestamp: self.now,
        }
    }
}

impl Planned {
    pub(super) fn place(&self) -> Place {
        place(&self.record)
    }

    pub(super) fn record(&self) -> NewRecord {
        self.record.clone()
    }
}

/// Notes the last offset of each partition that records were written to.
pub(super) fn note_last(last: &mut Offsets, records: &[NewRecord], offsets: &[i64]) {
    for (record, offset) in records.iter().zip(offsets) {
        let known = last.entry(place(record)).or_default();
        *known = (*known).max(*offset);
    }
}

pub(super) fn place(record: &NewRecord) -> Place {
    (record.topic.clone(), record.partition)
}
