//! What happens to logs while records are written and read.

use std::time::Duration;

use rand::RngExt;

use super::ledger::{Counts, Place};
use super::publish::{Offsets, Planned, Publisher, note_last, place};
use crate::support::admin::unique;
use crate::support::brokers::FaultyCluster;
use crate::support::transactions::{Outcome, TransactionalProducer};

/// What can happen to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A transaction is left open: what comes after its first record is held back until it ends,
    /// which may be never.
    Held,
    /// Its oldest records are deleted.
    Deleted,
    /// Of the records with the same key the newest stays.
    Compacted,
    /// Its topic is deleted and created again.
    Recreated,
    /// It loses its newest records.
    Cut,
}

/// A transaction that is open on every cluster.
pub struct Open {
    id: String,
    producers: Vec<TransactionalProducer>,
    ending: Option<Outcome>,
    /// How many records of each of its partitions come before it.
    pub held: Counts,
    /// Its last offsets on each cluster.
    last: Vec<Offsets>,
}

/// Longer than a run.
const TRANSACTION_TIMEOUT: Duration = Duration::from_mins(14);

impl Publisher {
    /// Lets something of this kind happen. `sending` learns how many records there will be then.
    pub async fn trouble(
        &mut self,
        trouble: Trouble,
        faulty: Option<&mut FaultyCluster>,
        sending: impl FnOnce(Counts),
    ) {
        match trouble {
            Trouble::Held if self.open.is_none() => self.begin_transaction(sending).await,
            Trouble::Held => self.end_transaction().await,
            Trouble::Deleted => self.delete().await,
            // An open transaction keeps a log from being compacted, and a topic from being deleted.
            Trouble::Compacted | Trouble::Recreated if self.open.is_some() => {}
            Trouble::Compacted => self.compact().await,
            Trouble::Recreated => self.recreate().await,
            Trouble::Cut => {
                let faulty = faulty.expect("a cluster that can lose records");
                self.cut(faulty).await;
            }
        }
    }

    /// Decides now how the transaction will end: the records of an aborted one are not entered.
    async fn begin_transaction(&mut self, sending: impl FnOnce(Counts)) {
        let ending = match self.dice.random_range(0..7) {
            0..3 => Some(Outcome::Committed),
            3..5 => Some(Outcome::Aborted),
            5 => Some(Outcome::LeftOpen),
            _ => None,
        };
        let count = self.dice.random_range(1..20);
        let (mut planned, mut records) = (Vec::new(), Vec::new());
        if ending == Some(Outcome::Committed) {
            planned = self.plan(count);
            planned.retain(|planned| !self.compacted.contains(&planned.place().0));
            records.extend(planned.iter().map(Planned::record));
        } else {
            records.extend((0..3).flat_map(|_| self.secret(count)));
        }
        if records.is_empty() {
            return;
        }
        let mut held = self.ledger.counts();
        held.retain(|of, _| records.iter().any(|record| place(record) == *of));
        sending(self.counts_with(&planned));
        let id = unique("oracle-open");
        let (mut producers, mut offsets) = (Vec::new(), Vec::new());
        let mut last = vec![Offsets::new(); self.clusters.len()];
        for (number, cluster) in self.clusters.iter().enumerate() {
            let producer = cluster
                .transactional_producer_with_timeout(&id, TRANSACTION_TIMEOUT)
                .await;
            let open = producer.transaction(records.clone(), Outcome::LeftOpen);
            offsets.push(open.await);
            note_last(&mut last[number], &records, &offsets[number]);
            producers.push(producer);
        }
        self.enter(&planned, &offsets);
        self.open = Some(Open {
            id,
            producers,
            ending,
            held,
            last,
        });
    }

    async fn end_transaction(&mut self) {
        let Some(open) = self.open.take_if(|open| open.ending.is_some()) else {
            return;
        };
        for (cluster, producer) in self.clusters.iter().zip(open.producers) {
            match open.ending {
                Some(Outcome::Committed) => producer.commit().await,
                Some(Outcome::Aborted) => producer.abort().await,
                // A new producer with this id aborts it.
                _ => drop(cluster.transactional_producer(&open.id).await),
            }
        }
        self.await_visible(&open.last).await;
    }

    /// Deletes the oldest records of a partition, on one cluster.
    async fn delete(&mut self) {
        let place = self.any_place();
        if self.compacted.contains(&place.0) {
            return;
        }
        let number = self.dice.random_range(0..self.clusters.len());
        let cluster = &self.clusters[number];
        let (low, high) = cluster.watermarks(&place.0, place.1).await;
        let before = self.dice.random_range(low..=high);
        // Often all of them.
        let before = if self.dice.random_range(0..4) == 0 {
            high
        } else {
            before
        };
        if before > low {
            self.ledger.delete(&place, number, before);
            cluster.delete_records(&place.0, place.1, before).await;
        }
    }

    async fn compact(&mut self) {
        for topic in self.compacted.clone() {
            for cluster in &self.clusters {
                cluster.compact(&topic).await;
            }
        }
        // Compaction has written records later than all others.
        self.now += 1000;
    }

    async fn recreate(&mut self) {
        let topic = self.any_place().0;
        for cluster in &self.clusters {
            cluster.delete_topic(&topic).await;
        }
        self.create(&topic).await;
        self.ledger.recreate(&self.clusters, &topic).await;
        self.marks.retain(|place, _| place.0 != topic);
        self.connect().await;
    }

    /// Cuts a log behind the last mark of a transaction.
    async fn cut(&mut self, faulty: &mut FaultyCluster) {
        let place = self.any_place();
        let (low, high) = self.clusters[0].watermarks(&place.0, place.1).await;
        let first = self.marks.get(&place).copied().unwrap_or(0).max(low);
        if first >= high {
            return;
        }
        let at = self.dice.random_range(first..high);
        faulty.truncate_log(&place.0, place.1, at).await;
        let (_, end) = self.clusters[0].watermarks(&place.0, place.1).await;
        self.ledger.cut(&place, end, high);
        // Another leader takes longer than a millisecond. An id of a lost record is known by its
        // time.
        self.now += 1;
        self.connect().await;
    }

    /// Ends the run. Records behind a transaction that never ends stay invisible. Each log that was
    /// cut grows beyond its old end, so that no offset is ambiguous any more.
    pub async fn finish(&mut self, sending: impl Fn(Counts)) {
        self.end_transaction().await;
        let cut: Vec<Place> = (self.ledger.partitions.iter())
            .filter(|(_, partition)| partition.has_been_cut)
            .map(|(place, _)| place.clone())
            .collect();
        for place in cut {
            let last = self.ledger.partitions[&place].last_end();
            while self.clusters[0].watermarks(&place.0, place.1).await.1 <= last {
                let planned: Vec<_> = (0..20).map(|_| self.record_in(&place)).collect();
                sending(self.counts_with(&planned));
                self.produce_plain(planned).await;
            }
        }
        let held = self.held();
        self.ledger.finish(&held);
        self.ledger.check(&self.clusters).await;
    }
}
