//! An embedded broker: the real Kafka protocol on a socket of this process, for `eventstreams dev`, samples and tests.
//!
//! One node, node id 1, leader of every partition, no replicas. A log is a list of record batches exactly as producers sent them;
//! the broker looks into a batch to check it and to find a record by its timestamp, and rewrites nothing but base offset and
//! leader epoch (compaction aside). Everything lives in memory, bounded by retention in bytes; a folder, if one is given, mirrors
//! it.
//!
//! * `server`: accepts connections, cuts the stream into frames, answers one request after the other.
//! * `requests`: the table of APIs and versions; one file for each group of APIs turns requests into answers.
//! * `decode`: reads a request's body without believing the lengths in it.
//! * `broker`: what all connections share.
//! * `topics`: names, ids, partitions, configuration.
//! * `groups`: all consumer groups, and waiting in them. `group`: one group's states.
//! * `transactions`: which producer has which transactional id, and what it has open.
//! * `acls`: what is denied.
//! * `log`: one partition's log. `producers`: its idempotent producers. `open_transactions`: what it knows of transactions.
//!   `compaction`: what stays of a compacted one.
//! * `batch`: one record batch. `compression`: the inside of one. `outline`: the records in there.
//! * `store`: the optional folder.
//!
//! Deliberate quirks, each with the test that locks it:
//!
//! * Produce is advertised from version 0 although 0 to 2 are refused, as Apache Kafka 4 does: librdkafka takes compression for
//!   unsupported otherwise (KAFKA-18659): `produce_is_advertised_from_version_0`.
//! * Another version than the advertised ones gets `UNSUPPORTED_VERSION` for `ApiVersions` (KIP-511) and a closed connection for
//!   all else, as on Apache Kafka: an answer in a version that is not known cannot be written:
//!   `unsupported_requests_of_api_versions_are_answered_with_what_is_supported`,
//!   `unsupported_requests_malformed_ones_and_oversize_frames_close_their_connection_alone`.
//! * The new group protocol (KIP-848) is advertised and refused: librdkafka says nothing where it is not advertised:
//!   `a_client_is_told_that_the_new_group_protocol_is_not_here`.
//! * Fetch sessions are not kept: every answer says session 0, which tells clients to send whole requests:
//!   `a_fetch_session_that_does_not_exist_is_refused`.
//! * Retention drops whole segments, a sixteenth of the bound each, and never the newest:
//!   `retention_keeps_the_newest_within_the_bound`, `a_batch_larger_than_the_bound_is_kept_until_the_next`.
//! * A newcomer is let into a group at once, without the round that gives it an id first (KIP-394), and a group never waits for
//!   more members than it knows: `members_of_a_group_share_its_partitions`.
//! * Groups and transactional ids do not outlive the process. After a restart with a folder the transactions that were left open
//!   are aborted: `open_transactions_are_aborted_by_a_restart`.
//! * Compacted topics are in memory only, and are compacted whenever a segment is closed: `a_compacted_log_keeps_the_newest_of_each_key`.
//! * Groups and what they committed live in memory only, also with a folder: `groups_do_not_survive_a_restart`.

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

/// The only node's id.
const NODE_ID: i32 = 1;

/// The first leader epoch of every partition: a new one begins only when a log is cut.
const LEADER_EPOCH: i32 = 0;

/// How often open transactions are held against their time-outs.
const TRANSACTIONS_LOOKED_AT_EVERY: Duration = Duration::from_millis(100);

/// How to run a [`DevBroker`].
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Where to listen; port 0 takes a free one. Default: a free port on 127.0.0.1.
    pub listen: SocketAddr,
    /// A folder to keep topics and records in, so that they survive the process (also a kill -9, not a power cut). Created if it
    /// does not exist; one broker at a time. Default: none, all is gone with the process.
    pub data: Option<PathBuf>,
    /// Bytes of record batches (as sent, so compressed) that each partition keeps; older ones go. A topic's own `retention.bytes`
    /// goes first. This bounds memory, and the folder. Default: 64 MiB.
    pub retention_bytes_per_partition: u64,
    /// Topics to have from the start; one read back from the folder gets the partitions it lacks. Default: none.
    pub topics: Vec<TopicSpec>,
    /// Whether a client's metadata request may create a topic (with one partition) if the client allows it as well
    /// (`allow.auto.create.topics`). Default: yes.
    pub auto_create_topics: bool,
    /// Largest request in bytes; a larger one closes its connection. Default: 32 MiB.
    pub request_bytes_max: usize,
    /// Connections at once; more wait to be accepted. Default: 1000.
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

/// A topic to have from the start.
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
    /// The address is taken or not one of this machine.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
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
    #[error("the folder {} is in use by another broker: stop it, or choose another folder", path.display())]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A topic of the configuration or the folder cannot be had: the sentence says why.
    #[error("{0}")]
    Topic(String),
    /// There is no such topic or partition to append to.
    #[error(
        "there is no partition {partition} of topic '{topic}': create it first (BrokerConfig::topics)"
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

/// A running broker. Dropping it stops it as well, without waiting for its connections to end.
#[derive(Debug)]
pub struct DevBroker {
    broker: Arc<Broker>,
    address: SocketAddr,
    tasks: TaskTracker,
    running: DropGuard,
}

impl DevBroker {
    /// Reads the folder back (if there is one), creates the topics, and listens. Clients can connect when this returns.
    ///
    /// # Errors
    /// As [`BrokerError`] says; nothing runs then.
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        let (listen, connections_max) = (config.listen, config.connections_max);
        // Reading a folder back blocks for as long as it takes. Nobody aborts the task, so only a panic in it can fail the join.
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
        tracing::info!(%address, cluster_id = broker.topics.cluster_id(), "embedded broker listens");
        Ok(Self {
            broker,
            address,
            tasks,
            running: stop.drop_guard(),
        })
    }

    /// Where it listens: what a client's `bootstrap.servers` says.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Appends records to one partition, without a client; waiting fetches wake. Gives the first record's offset, the others
    /// follow it. No records: the offset that the next one will get.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`], or [`BrokerError::Append`] for a negative timestamp or a folder that cannot be written;
    /// in the latter case the first records may be in the log.
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

    /// Takes a partition's leader away, or elects one again. Without a leader the partition is in the metadata, and every
    /// request for it fails. Each election begins a new leader epoch.
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
        self.broker.tell_changed();
        Ok(())
    }

    /// Cuts a partition's log at `offset`, as when a leader comes back with less than it had: what is at `offset` and after it is
    /// lost (a batch that reaches there as a whole), and a new leader epoch begins. Gives the log's end.
    ///
    /// # Errors
    /// [`BrokerError::UnknownPartition`]; [`BrokerError::Append`] for a broker with a folder, which is not cut.
    pub fn cut(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, BrokerError> {
        let log = self.broker.log(topic, partition)?;
        let mut log = log.lock();
        let cut = log.cut(offset);
        drop(log);
        self.broker.tell_changed();
        cut.map_err(|reason| BrokerError::Append {
            topic: topic.to_owned(),
            partition,
            reason: reason.to_owned(),
        })
    }

    /// Closes all connections and returns when they are closed and the folder is free for another broker.
    pub async fn stop(self) {
        drop(self.running);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Aborts what was left open for too long.
async fn abort_expired_transactions(broker: Arc<Broker>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TRANSACTIONS_LOOKED_AT_EVERY);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if broker.transactions.abort_expired() {
            broker.tell_changed();
        }
    }
}

/// What a broker that has just been opened answers to requests which one client sends, without a socket: for fuzzing and tests. A
/// request is a frame without its length, an answer one with it; one that wants no answer (Produce with acks=0) has none here. The
/// first request that closes its connection on a real broker is the last one that is looked at.
///
/// # Errors
/// As [`BrokerError`] says, when the broker cannot be opened.
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
