//! The vocabulary of the tests. Tests use sockets only: they reach a [`admin::Cluster`] through
//! rdkafka and the server with bytes of HTTP.
//!
//! * `brokers`: `on_both_brokers!` runs each test against the embedded broker and against Apache
//!   Kafka.
//! * `admin`: a Kafka cluster, embedded or real: create topics, produce records, read the log back.
//!   `records`: those records.
//! * `transactions`: producers that commit, abort or leave a transaction open.
//! * `compaction`: compacted topics, whose offsets have gaps.
//! * `acls`: deny an operation on a topic.
//! * `readers`: plain consumers that expect an error.
//! * `faulty`: a cluster whose partitions lose their leader or the end of their log.
//! * `kafka`: an Apache Kafka process that never outlives the test process. `jars` fetches it,
//!   `certificates` makes its keys.
//! * `wire`: a request written by hand and a response read byte by byte. `chunked` removes its
//!   framing, `content_coding` its compression.
//! * `sse` and `ndjson`: a subscriber that reads events and can disconnect at any byte.
//! * `filtered`: clients of filtered streams, and filters written in Rust.
//! * `server`: an EventStreams server inside the test's process.
//! * `process`: the program as a process that a test kills and restarts.
//! * `program`: the program as an operator starts it, with a file, an environment and a log.
//! * `crowd`: many clients that reconnect. `balancer`: one port in front of several servers.
//! * `numbered`: events that carry a number.
//! * `deadline`: the limit of every wait.

pub mod acls;
pub mod admin;
#[macro_use]
pub mod brokers;
pub mod balancer;
pub mod certificates;
pub mod chunked;
pub mod compaction;
pub mod content_coding;
pub mod crowd;
pub mod deadline;
pub mod faulty;
pub mod filtered;
pub mod jars;
pub mod kafka;
pub mod ndjson;
pub mod numbered;
pub mod process;
pub mod program;
pub mod readers;
pub mod records;
pub mod server;
pub mod sse;
pub mod transactions;
pub mod wire;
