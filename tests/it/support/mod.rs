//! The vocabulary that the tests are written in. Tests speak through sockets only: to a [`admin::Cluster`] with rdkafka, to the server
//! with bytes.
//!
//! * `brokers`: `on_both_brokers!` makes each behaviour a test against the embedded broker and one against Apache Kafka.
//! * `admin`: a cluster, embedded or real: topics, records, the log read back.
//! * `kafka`: Apache Kafka started, killed, restarted; it never outlives the test process. `jars`: whether it can run here.
//!   `certificates`: made for one test.
//! * `process`: the program itself, as an operator starts it.
//! * `wire`: a request written by hand, a response read byte by byte. `chunked`: its framing.
//! * `server`: an EventStreams server in the test's process.
//! * `numbered`: events that say which they are.
//! * `sse` and `ndjson`: a subscriber that reads events, and is cut at any byte.
//! * `deadline`: how long anything may take.

pub mod admin;
#[macro_use]
pub mod brokers;
pub mod certificates;
pub mod chunked;
pub mod deadline;
pub mod jars;
pub mod kafka;
pub mod ndjson;
pub mod numbered;
pub mod process;
pub mod server;
pub mod sse;
pub mod wire;
