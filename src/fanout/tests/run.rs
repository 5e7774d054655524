//! One seeded run.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::LocalSet;

use super::TINY_STEPS;
use super::client::{Client, Fate, Truth};
use super::cluster::{KINDS, Log};
use super::server::{Cluster, Server};
use crate::fanout::{Bound, HubLimits};
use crate::stream::Topic;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records may be out of time order, and servers restart.
    OneCluster,
    /// The same records at other offsets.
    TwoClusters,
    /// Partitions are added.
    Growth,
    /// Logs lose their oldest records.
    Retention,
    /// Logs lose single records.
    Compaction,
}

pub struct Run {
    kind: Kind,
    rng: ChaCha8Rng,
    truth: Truth,
    clusters: Vec<Cluster>,
    servers: Vec<Server>,
    clients: Vec<Client>,
    now: i64,
}

const TOPICS: [&str; 3] = ["codfw.a", "eqiad.a", "eqiad.b"];

impl Run {
    pub fn new(kind: Kind, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (truth, clusters, servers, clients) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            kind,
            rng,
            truth,
            clusters,
            servers,
            clients,
            now: 1_700_000_000_000,
        }
    }

    /// Runs it and returns the number of delivered events.
    pub fn play(mut self) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        let runtime = runtime.expect("a runtime");
        LocalSet::new().block_on(&runtime, async {
            self.set_up();
            for _ in 0..self.rng.random_range(100..400) {
                self.step();
                // The clock is paused, but answers from Kafka take time.
                match self.below(10) {
                    yields @ 0..7 => {
                        for _ in 0..yields {
                            tokio::task::yield_now().await;
                        }
                    }
                    ms => tokio::time::sleep(Duration::from_millis(ms as u64 - 6)).await,
                }
                self.servers.iter().for_each(Server::check);
            }
            self.finish().await;
        });
        self.clients.iter().map(|client| client.events).sum()
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }

    fn set_up(&mut self) {
        let clusters = if self.kind == Kind::TwoClusters { 2 } else { 1 };
        self.clusters = (0..clusters)
            .map(|_| Rc::new(RefCell::new(Vec::new())))
            .collect();
        for topic in TOPICS {
            for partition in 0..self.rng.random_range(1..3) {
                self.add_log(&topic.into(), partition);
            }
        }
        for _ in 0..self.rng.random_range(0..6) {
            self.produce();
        }
        for number in 0..clusters.max(2) {
            self.start_server(number % clusters);
        }
        for _ in 0..self.rng.random_range(3..9) {
            let client = self.new_client();
            self.clients.push(client);
            self.connect(self.clients.len() - 1);
        }
    }

    fn add_log(&mut self, topic: &Topic, partition: i32) {
        self.truth.push(Vec::new());
        for (number, cluster) in self.clusters.iter().enumerate() {
            let mut log = Log::new(number, topic.clone(), partition);
            // Older records that exist only on this cluster shift the offsets.
            let fillers = if self.clusters.len() > 1 {
                self.rng.random_range(0..8)
            } else {
                0
            };
            for filler in 0..fillers {
                log.append(None, filler, false, 0);
            }
            cluster.borrow_mut().push(log);
        }
    }

    fn limits(&mut self) -> HubLimits {
        HubLimits {
            // From a single event to a hundred.
            memory_log_bytes_max: 250 << self.rng.random_range(0..8),
            feed_bytes_max: 500 << self.rng.random_range(0..7),
            feeds_bytes_max: None,
            memory_bytes_max: 1 << 30,
            replays_max: self.rng.random_range(1..4),
            replays_per_client_max: None,
            replay_queue_max: self.rng.random_range(0..4),
            step: TINY_STEPS,
        }
    }

    fn start_server(&mut self, cluster: usize) {
        let limits = self.limits();
        self.servers.push(Server::start(
            cluster,
            &self.clusters[cluster],
            limits,
            &mut self.rng,
        ));
    }

    fn new_client(&mut self) -> Client {
        let mut topics: Vec<Topic> = TOPICS.into_iter().map(Topic::from).collect();
        while topics.len() > 1 && self.below(2) == 0 {
            let gone = self.below(topics.len());
            topics.remove(gone);
        }
        let since = (self.below(3) == 0).then(|| self.now - self.rng.random_range(-50..1000));
        let kind = (self.below(2) == 0).then(|| self.below(KINDS));
        let events = (self.below(3) == 0).then(|| self.rng.random_range(3..20));
        let in_order = self.kind != Kind::OneCluster;
        Client::new(
            topics,
            since,
            in_order,
            kind,
            Bound {
                events,
                until: None,
                page: None,
            },
        )
    }

    fn step(&mut self) {
        let client = self.below(self.clients.len());
        match self.below(100) {
            0..18 => self.produce(),
            18..38 => {
                let (server, most) = (
                    self.below(3) % self.servers.len(),
                    self.rng.random_range(1..24),
                );
                self.servers[server].publish(most, &mut self.rng);
                if self.below(3) == 0 {
                    let interval = Duration::from_millis(self.rng.random_range(0..2));
                    self.servers[server].hub.report_progress(interval);
                }
            }
            38..70 => {
                let reads = self.rng.random_range(1..12);
                self.clients[client].allow_reads(reads);
            }
            70..78 => self.take_in(client),
            78..86 => {
                self.cut(client);
                if self.below(3) > 0 {
                    self.connect(client);
                }
            }
            86..97 => self.connect(client),
            97 => self.restart_server(),
            _ => self.special(),
        }
    }

    /// A burst of records, mostly within a few milliseconds.
    fn produce(&mut self) {
        for _ in 0..self.rng.random_range(1..12) {
            let number = self.below(self.truth.len());
            if self.below(3) == 0 {
                self.now += self.rng.random_range(1..40);
            }
            let disorder = self.kind == Kind::OneCluster && self.below(8) == 0;
            let timestamp = self.now
                - if disorder {
                    self.rng.random_range(0..60)
                } else {
                    0
                };
            let delivered = self.below(6) > 0;
            let index = self.truth[number].len();
            let fate = if delivered {
                Fate::Delivered
            } else {
                Fate::Skipped
            };
            self.truth[number].push((timestamp, fate));
            for cluster in &self.clusters {
                // Transaction marks, and sometimes a whole aborted transaction.
                let hole = match self.rng.random_range(0..40) {
                    0..4 => self.rng.random_range(1..4),
                    4 => self.rng.random_range(1000..5000),
                    _ => 0,
                };
                let log = &mut cluster.borrow_mut()[number];
                log.append(Some(index), timestamp, delivered, hole);
                if self.rng.random_range(0..12) == 0 {
                    log.end_transaction();
                }
            }
        }
    }

    fn take_in(&mut self, client: usize) {
        let Some(server) = self.clients[client].server() else {
            return;
        };
        let cluster = self.servers[server].cluster;
        self.clients[client].take_in(&self.clusters[cluster].borrow(), &self.truth);
    }

    fn cut(&mut self, client: usize) {
        let resume = self.below(10) > 0;
        self.cut_and(client, resume);
    }

    fn cut_and(&mut self, client: usize, resume: bool) {
        let Some(server) = self.clients[client].server() else {
            return;
        };
        let cluster = self.servers[server].cluster;
        self.clients[client].cut(
            resume,
            &self.clusters[cluster].borrow(),
            &self.truth,
            &mut self.rng,
        );
    }

    fn connect(&mut self, client: usize) {
        if self.clients[client].is_ended() {
            self.take_in(client);
            // With a new start, a client with a small bound would never get everything.
            self.cut_and(client, true);
        }
        if self.clients[client].server().is_none() {
            let number = self.below(self.servers.len());
            let server = &self.servers[number];
            let logs = self.clusters[server.cluster].borrow();
            self.clients[client].connect(number, server, &logs, &self.truth);
        }
    }

    fn restart_server(&mut self) {
        let number = self.below(self.servers.len());
        for client in 0..self.clients.len() {
            if self.clients[client].server() == Some(number) {
                self.cut(client);
            }
        }
        let cluster = self.servers[number].cluster;
        self.start_server(cluster);
        self.servers.swap_remove(number);
    }

    fn special(&mut self) {
        match self.kind {
            Kind::OneCluster | Kind::TwoClusters => {}
            Kind::Growth => {
                let topic = TOPICS[self.below(TOPICS.len())];
                let topic = Topic::from(topic);
                let partitions = self.clusters[0]
                    .borrow()
                    .iter()
                    .filter(|log| log.topic == topic)
                    .count();
                self.add_log(&topic, i32::try_from(partitions).expect("few"));
                // The other server may discover it later.
                let late = self.below(self.servers.len());
                self.servers[late].discover();
            }
            Kind::Compaction => {
                let number = self.below(self.truth.len());
                let mut logs = self.clusters[0].borrow_mut();
                let log = &mut logs[number];
                for _ in 0..self.rng.random_range(0..6) {
                    let index = self.rng.random_range(0..log.records.len().max(1));
                    let Some(record) = log.records.get(index) else {
                        break;
                    };
                    log.compacted.push(record.offset);
                    if let Some((_, fate @ Fate::Delivered)) =
                        record.index.map(|index| &mut self.truth[number][index])
                    {
                        *fate = Fate::Compacted;
                    }
                }
            }
            Kind::Retention => {
                let number = self.below(self.truth.len());
                let mut logs = self.clusters[0].borrow_mut();
                let Log { low, high, .. } = logs[number];
                logs[number].low = self.rng.random_range(low..=high);
            }
        }
    }

    /// Nothing more happens, so every client must get everything.
    async fn finish(&mut self) {
        for server in &mut self.servers {
            server.discover();
            while server.publish(7, &mut self.rng) {}
        }
        // A client with a limit that changes cluster gets a millisecond again: it may need many
        // connections.
        for _ in 0..3000 {
            for client in 0..self.clients.len() {
                self.connect(client);
                self.clients[client].allow_reads(1000);
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
            (0..self.clients.len()).for_each(|client| self.take_in(client));
            self.servers.iter().for_each(Server::check);
            let logs = self.clusters[0].borrow();
            if self
                .clients
                .iter()
                .all(|client| !client.is_ended() && client.has_all(&logs, &self.truth))
            {
                return;
            }
        }
        panic!("a client never got everything");
    }
}
