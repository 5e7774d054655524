//! A hub that reads from the model instead of Kafka: what is read when, in which pieces and how
//! late is random.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::{JoinHandle, spawn_local};

use super::cluster::{Log, LogRecord};
use crate::cursor::{Offset, Partition, TimestampMs};
use crate::fanout::upstream::{UpstreamRequests, upstream};
use crate::fanout::{Arrival, Hub, HubLimits, HubPartition, LogStart};
use crate::stream::Topic;
use crate::telemetry::metrics::Metrics;

/// The logs of one cluster, by their number.
pub type Cluster = Rc<RefCell<Vec<Log>>>;

pub struct Server {
    /// The number of its cluster.
    pub cluster: usize,
    pub hub: Arc<Hub>,
    logs: Cluster,
    partitions: Vec<Arc<HubPartition>>,
    /// For each log, the index of the next record to read.
    read: Vec<usize>,
    answering: Vec<JoinHandle<()>>,
}

impl Server {
    /// A server that is ready: it has read every log from a random offset to its end.
    pub fn start(cluster: usize, logs: &Cluster, limits: HubLimits, rng: &mut ChaCha8Rng) -> Self {
        let (to_kafka, requests) = upstream(64, 1);
        let hub = Hub::new(limits, to_kafka, Arc::new(Metrics::default()));
        let mut server = Self {
            cluster,
            hub,
            logs: Rc::clone(logs),
            partitions: Vec::new(),
            read: Vec::new(),
            answering: Vec::new(),
        };
        for number in 0..logs.borrow().len() {
            server.read_old(number, rng);
        }
        while server.publish(100, rng) {}
        server.hub.set_ready(true);
        for _ in 0..2 {
            let answering = answer(Rc::clone(logs), requests.clone(), ChaCha8Rng::from_rng(rng));
            server.answering.push(spawn_local(answering));
        }
        server
    }

    fn read_old(&mut self, number: usize, rng: &mut ChaCha8Rng) {
        let logs = self.logs.borrow();
        let log = &logs[number];
        let left = log.record_at(log.low);
        let from = rng.random_range(left..=log.records.len());
        let start = log
            .records
            .get(from)
            .map_or(log.high, |record| record.offset)
            .max(log.low);
        let floor = log.records[left..from]
            .iter()
            .map(|record| record.timestamp + 1)
            .max()
            .unwrap_or(i64::MIN);
        let timestamp = Some(log.timestamp_before(start));
        let start = LogStart {
            offset: Offset(start),
            floor: TimestampMs(floor),
            timestamp,
        };
        self.partitions.push(self.hub.add_partition(
            &log.topic,
            log.partition,
            log.identity,
            start,
        ));
        self.read.push(log.record_at(start.offset.0));
    }

    /// Discovers the logs that were added.
    pub fn discover(&mut self) {
        let logs = self.logs.borrow();
        for log in &logs[self.partitions.len()..] {
            let start = LogStart::of_log(Offset(log.low));
            self.partitions.push(self.hub.add_partition(
                &log.topic,
                log.partition,
                log.identity,
                start,
            ));
            self.read.push(0);
        }
    }

    /// Reads some records from the logs in random order and publishes them as one batch; `false`
    /// when there were none.
    pub fn publish(&mut self, most: usize, rng: &mut ChaCha8Rng) -> bool {
        let logs = self.logs.borrow();
        for (number, log) in logs.iter().enumerate().take(self.read.len()) {
            // The next record is gone from Kafka already.
            if log
                .records
                .get(self.read[number])
                .is_some_and(|record| record.offset < log.low)
            {
                self.hub.skip_to(&self.partitions[number], Offset(log.low));
                self.read[number] = log.record_at(log.low);
            }
        }
        let mut batch = Vec::new();
        for _ in 0..most {
            let waiting: Vec<usize> = (0..self.read.len())
                .filter(|number| self.read[*number] < logs[*number].records.len())
                .collect();
            if waiting.is_empty() {
                break;
            }
            let number = waiting[rng.random_range(0..waiting.len())];
            let LogRecord {
                offset,
                timestamp,
                event,
                ..
            } = logs[number].records[self.read[number]].clone();
            self.read[number] += 1;
            let partition = Arc::clone(&self.partitions[number]);
            batch.push(Arrival {
                partition,
                offset: Offset(offset),
                timestamp: TimestampMs(timestamp),
                event,
            });
        }
        let is_some = !batch.is_empty();
        self.hub.publish(batch);
        for (number, log) in logs.iter().enumerate().take(self.read.len()) {
            // Kafka has shown that no record is left up to the log's end.
            if self.read[number] == log.records.len() && rng.random_range(0..4) == 0 {
                self.hub
                    .pass_hole(&self.partitions[number], Offset(log.high));
            }
        }
        is_some
    }

    /// The end of a log here; `None` while the log is not discovered.
    pub fn live(&self, number: usize) -> Option<i64> {
        Some(self.partitions.get(number)?.end().next.0)
    }

    /// Fails if a request to the model was invalid.
    pub fn check(&self) {
        assert!(
            self.answering.iter().all(|task| !task.is_finished()),
            "see the panic above"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.answering {
            task.abort();
        }
    }
}

/// Answers one request after another: late, in small pieces, and sometimes not at all.
async fn answer(logs: Cluster, requests: UpstreamRequests, mut rng: ChaCha8Rng) {
    loop {
        tokio::select! {
            biased;
            Ok(request) = requests.lookups.recv() => {
                linger(&mut rng).await;
                let answer = {
                    let logs = logs.borrow();
                    find(&logs, &request.topic, request.partition).answer(request.question)
                };
                if rng.random_range(0..50) > 0 {
                    let _ = request.reply.send(answer);
                }
            }
            Ok(request) = requests.replays[0].recv() => {
                linger(&mut rng).await;
                let count = rng.random_range(1..6);
                let read = {
                    let (logs, range) = (logs.borrow(), &request.range);
                    find(&logs, &range.topic, range.partition).replay(range, count)
                };
                linger(&mut rng).await;
                if rng.random_range(0..100) > 0 {
                    let _ = request.reply.send(read);
                }
            }
            else => return,
        }
    }
}

async fn linger(rng: &mut ChaCha8Rng) {
    match rng.random_range(0..8) {
        0 => tokio::time::sleep(Duration::from_millis(rng.random_range(1..20))).await,
        yields => {
            for _ in 4..yields {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn find<'a>(logs: &'a [Log], topic: &Topic, partition: Partition) -> &'a Log {
    logs.iter()
        .find(|log| log.topic == *topic && log.partition == partition)
        .expect("a known partition")
}
