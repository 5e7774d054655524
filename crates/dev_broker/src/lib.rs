//! An embedded Kafka broker: the real Kafka protocol on a socket of this process, for development
//! and tests.
//!
//! ```no_run
//! # async fn example() -> Result<(), dev_broker::BrokerError> {
//! use dev_broker::{BrokerConfig, DevBroker, NewRecord, TopicSpec};
//!
//! let topics = vec![TopicSpec { name: "clicks".to_owned(), partitions: 2 }];
//! let broker = DevBroker::start(BrokerConfig { topics, ..BrokerConfig::default() }).await?;
//! println!("bootstrap.servers={}", broker.address());
//!
//! let record = NewRecord { timestamp_ms: 0, key: None, value: Some("hello".into()) };
//! broker.append("clicks", 0, &[record])?;
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Any Kafka client can produce and consume: idempotent and transactional producers, consumer
//! groups (the classic protocol), lookups by timestamp, all codecs, and the admin operations for
//! topics.
//!
//! # How it works
//!
//! The broker is the only node and the leader of every partition. There are no replicas. A log is a
//! list of record batches as producers sent them. The broker reads a batch to check it and to find
//! a record by its timestamp; it rewrites only the base offset and the leader epoch. Compaction is
//! the exception. Everything is in memory, bounded by retention in bytes. A folder, if one is
//! configured, mirrors topics and records.
//!
//! * `server`: accepts connections, cuts the stream into frames, answers one request after the
//!   other.
//! * `requests`: the table of APIs and versions; one file for each group of APIs turns requests
//!   into answers.
//! * `decode`: reads a request's body without trusting the lengths in it.
//! * `broker`: the state that all connections share.
//! * `topics`: names, ids, partitions, configuration.
//! * `groups`: all consumer groups, and waiting in them. `group`: the states of one group.
//! * `transactions`: the coordinator: transactional ids and their open transactions.
//! * `acls`: denied operations.
//! * `log`: one partition's log. `producers`: its idempotent producers. `open_transactions`: its
//!   transactions. `compaction`: the records that compaction keeps.
//! * `batch`: one record batch. `compression`: unpacking one. `outline`: the records in one.
//! * `store`: the optional folder.
//!
//! # What it lacks
//!
//! * Replication, TLS, SASL, quotas, and the group protocols of KIP-848 and KIP-932.
//! * Access control except for denied topic operations.
//! * Durability: nothing is synced to disk. A folder survives a kill of the process, not of the
//!   machine.
//! * Offsets committed in a transaction (`AddOffsetsToTxn`).
//!
//! # Deliberate quirks
//!
//! Each has a test that locks it.
//!
//! * Produce is advertised from version 0 although 0 to 2 are refused, as Apache Kafka 4 does.
//!   Otherwise librdkafka takes compression for unsupported (KAFKA-18659):
//!   `produce_is_advertised_from_version_0`.
//! * A version that is not advertised gets `UNSUPPORTED_VERSION` for `ApiVersions` (KIP-511) and a
//!   closed connection for every other API, as on Apache Kafka: an answer in an unknown version
//!   cannot be written: `an_unsupported_api_versions_request_gets_the_supported_versions`,
//!   `a_bad_request_closes_only_its_own_connection`.
//! * The new group protocol (KIP-848) is advertised and refused, because librdkafka reports nothing
//!   where it is not advertised: `a_client_learns_that_the_new_group_protocol_is_unsupported`.
//! * Fetch sessions are not kept: every answer has session 0, so that clients send whole requests:
//!   `a_fetch_session_that_does_not_exist_is_refused`.
//! * Retention drops whole segments, a sixteenth of the bound each, and never the newest:
//!   `retention_keeps_the_newest_within_the_bound`,
//!   `a_batch_larger_than_the_bound_is_kept_until_the_next`.
//! * A new member joins a group at once, without the round that only assigns an id (KIP-394), and a
//!   group never waits for more members than it knows: `members_of_a_group_share_its_partitions`.
//! * Groups, their commits and transactional ids do not outlive the process, even with a folder:
//!   `groups_do_not_survive_a_restart`. A restart with a folder aborts the transactions that were
//!   open: `open_transactions_are_aborted_by_a_restart`.
//! * Compacted topics exist only in memory and are compacted whenever a segment is closed:
//!   `a_compacted_log_keeps_the_newest_of_each_key`.

mod acls;
mod batch;
mod broker;
mod compaction;
mod compression;
mod decode;
mod group;
mod groups;
mod log;
mod open_transactions;
mod outline;
mod producers;
mod requests;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use broker::Broker;

/// The id of the only node.
const NODE_ID: i32 = 1;

/// The first leader epoch of every partition. A new epoch begins only when a log is cut.
const LEADER_EPOCH: i32 = 0;

/// How often the broker looks for transactions that exceeded their timeout.
const TRANSACTION_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How to run a [`DevBroker`].
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where to listen; port 0 takes a free one. Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// A folder that keeps topics and records across restarts, even after a kill -9 (not after a
    /// power failure). It is created if it does not exist, and serves one broker at a time.
    /// Default: none; everything ends with the process.
    pub data: Option<PathBuf>,
    /// Bytes of record batches, as sent (so compressed), that each partition keeps; older ones are
    /// dropped. A topic's own `retention.bytes` takes precedence. This bounds memory, and the
    /// folder. Default: 64 MiB.
    pub retention_bytes_per_partition: u64,
    /// Topics that exist from the start. One that is read back from the folder gets the partitions
    /// that it lacks. Default: none.
    pub topics: Vec<TopicSpec>,
    /// Whether a metadata request may create a topic with one partition, if the client allows it as
    /// well (`allow.auto.create.topics`). Default: yes.
    pub auto_create_topics: bool,
    /// Largest request in bytes; a larger one closes its connection. Default: 32 MiB.
    pub request_bytes_max: usize,
    /// Concurrent connections; more wait to be accepted. Default: 1000.
    pub connections_max: usize,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            data: None,
            retention_bytes_per_partition: 64 << 20,
            topics: Vec::new(),
            auto_create_topics: true,
            request_bytes_max: 32 << 20,
            connections_max: 1000,
        }
    }
}

/// A topic that exists from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name: 1 to 249 of `a-z A-Z 0-9 . _ -`.
    pub name: String,
    /// How many partitions: 1 to 1000.
    pub partitions: i32,
}

/// A record to append in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its creation time in milliseconds since 1970; not negative.
    pub timestamp_ms: i64,
    /// Its key, if any.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why the broker does not start or does not append.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is taken, or is not one of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder cannot be read or written.
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another broker runs on the folder.
    #[error(
        "the folder {} is in use by another broker: stop it, or choose another folder",
        path.display()
    )]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A topic of the configuration or the folder is unusable, for the reason given.
    #[error("{0}")]
    Topic(String),
    /// There is no such topic or partition to append to.
    #[error(
        "there is no partition {partition} of topic '{topic}': \
         create it first (BrokerConfig::topics)"
    )]
    UnknownPartition {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: i32,
    },
    /// The records cannot be encoded or stored.
    #[error("cannot append to partition {partition} of topic '{topic}': {reason}")]
    Append {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong.
        reason: String,
    },
}

/// A running broker. Dropping it stops it too, without waiting for its connections to end.
#[derive(Debug)]
pub struct DevBroker {
    broker: Arc<Broker>,
    address: SocketAddr,
    tasks: TaskTracker,
    running: DropGuard,
}

impl DevBroker {
    /// Reads the folder back (if there is one), creates the topics, and listens. Clients can
    /// connect when this returns.
    ///
    /// # Errors
    /// Any [`BrokerError`]; then nothing runs.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        let (listen, connections_max) = (config.listen, config.connections_max);
        // Reading a folder blocks for a while. Nobody aborts the task, so only a panic in it can
        // fail the join.
        let opened = tokio::task::spawn_blocking(move || Broker::open(&config)).await;
        let broker =
            Arc::new(opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?);
        let error = |source| BrokerError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let server = server::Server {
            broker: Arc::clone(&broker),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(server.run(listener, connections_max));
        tasks.spawn(abort_expired_transactions(
            Arc::clone(&broker),
            stop.clone(),
        ));
        let cluster_id = broker.topics.cluster_id();
        tracing::info!(%address, cluster_id, "embedded broker listens");
        Ok(Self {
            broker,
            address,
            tasks,
            running: stop.drop_guard(),
        })
    }

    /// The address that it listens on, for a client's `bootstrap.servers`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends records to one partition without a client, and wakes waiting fetches. Returns the
    /// offset of the first record; the others follow it. Without records, returns the offset that
    /// the next one gets.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`], or [`BrokerError::Append`] for a negative timestamp or a
    /// folder that cannot be written. In the latter case the first records may be in the log.
    pub fn append(
        &self,
        topic: &str,
        partition: i32,
        records: &[NewRecord],
    ) -> Result<i64, BrokerError> {
        self.broker.append(topic, partition, records)
    }

    /// The newest timestamp of all records; `None` while there are none.
    #[must_use]
    pub fn newest_timestamp_ms(&self) -> Option<i64> {
        self.broker.newest_timestamp()
    }

    /// Removes a partition's leader, or elects one again. A partition without a leader is in the
    /// metadata, and every request for it fails. Each election begins a new leader epoch.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`].
    pub fn set_leader(
        &self,
        topic: &str,
        partition: i32,
        has_leader: bool,
    ) -> Result<(), BrokerError> {
        self.broker
            .log(topic, partition)?
            .lock()
            .set_leader(has_leader);
        self.broker.notify_changed();
        Ok(())
    }

    /// Cuts a partition's log at `offset`, as when a leader comes back with less than it had: the
    /// records from `offset` on are lost, with the whole batch that contains it, and a new leader
    /// epoch begins. Returns the log's end.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`], or [`BrokerError::Append`] for a broker with a folder,
    /// which cannot be cut.
    pub fn cut(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, BrokerError> {
        let log = self.broker.log(topic, partition)?;
        let mut log = log.lock();
        let cut = log.cut(offset);
        drop(log);
        self.broker.notify_changed();
        cut.map_err(|reason| BrokerError::Append {
            topic: topic.to_owned(),
            partition,
            reason: reason.to_owned(),
        })
    }

    /// Closes all connections. Returns when they are closed and the folder is free for another
    /// broker.
    pub async fn stop(self) {
        drop(self.running);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Aborts transactions that exceeded their timeout.
async fn abort_expired_transactions(broker: Arc<Broker>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TRANSACTION_CHECK_INTERVAL);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if broker.transactions.abort_expired() {
            broker.notify_changed();
        }
    }
}

/// The answers of a new broker to the requests of one client, without a socket: for fuzzing and
/// tests.
///
/// A request is a frame without its length, an answer one with it. A request without an answer
/// (Produce with acks=0) adds none. The first request that would close its connection is the last
/// one that is read.
///
/// # Errors
/// Any [`BrokerError`], when the broker cannot be opened.
pub async fn answer_requests(
    config: &BrokerConfig,
    requests: impl IntoIterator<Item = Bytes>,
) -> Result<Vec<Bytes>, BrokerError> {
    let broker = Broker::open(config)?;
    let peer = requests::Peer {
        client: config.listen,
        advertised: config.listen,
    };
    let mut answers = Vec::new();
    for request in requests {
        match requests::answer(&broker, &peer, request).await {
            Ok(answer) => answers.extend(answer.map(bytes::BytesMut::freeze)),
            Err(error) => {
                tracing::debug!(%error, "closed a connection");
                break;
            }
        }
    }
    Ok(answers)
}
