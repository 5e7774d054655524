//! The vocabulary that the tests are written in. Tests speak through sockets only: to a [`admin::Cluster`] with rdkafka, to the server
//! with bytes.
//!
//! * `brokers`: `on_both_brokers!` makes each behaviour a test against the embedded broker and one against Apache Kafka.
//! * `admin`: a cluster, embedded or real: topics, records, the log read back.
//! * `transactions`: producers that commit, abort, or leave open. `compaction`: topics with holes. `acls`: what is denied.
//! * `sick`: a cluster whose partitions lose their leader or the end of their log.
//! * `kafka`: Apache Kafka started, killed, restarted; it never outlives the test process. `jars`: whether it can run here.
//!   `certificates`: made for one test.
//! * `wire`: a request written by hand, a response read byte by byte. `chunked`: its framing. `coded`: its coding.
//! * `server`: an EventStreams server in the test's process. `process`: the program, to be killed and
//!   started again. `program`: the program with a file, an environment and a log, as an operator starts it.
//! * `crowd`: many clients that come back by themselves. `balancer`: one port before several servers.
//! * `readers`: plain consumers that fail.
//! * `numbered`: events that say which they are.
//! * `sse` and `ndjson`: a subscriber that reads events, and is cut at any byte.
//! * `deadline`: how long anything may take.

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
pub mod jars;
pub mod kafka;
pub mod ndjson;
pub mod numbered;
pub mod process;
pub mod program;
pub mod readers;
pub mod server;
pub mod sse;
pub mod transactions;
pub mod wire;
