//! EventStreams: Kafka topics to Server-Sent Events, read once, rendered once, nothing lost.
//!
//! The library behind the `eventstreams` binary. The modules, from what an operator types to what a
//! client reads:
//!
//! * [`config`]: the operator's file, turned into what the program needs.
//! * [`stream`]: which streams exist, their topics, and who may see them.
//! * [`event`]: one event, from Kafka's bytes to the bytes on the wire (pure).
//! * [`cursor`]: where a subscriber is: Last-Event-ID, `since`, the event id (pure).
//! * [`kafka`]: the only module that talks to Kafka: live consumer, replay, offset look-ups.
//! * [`fanout`]: the hub, feeds, memory log and subscriptions; knows no HTTP and no Kafka.
//! * [`filter`]: which events a client wants: parses, normalises, evaluates and indexes filters
//!   (pure).
//! * [`schema`]: judges events by JSON Schemas, as AJV does, and fills in defaults (pure but for
//!   its loader).
//! * [`delivery`]: takes a subscription and writes its stream to a client.
//! * [`http`]: routes, headers, limits, connections.
//! * [`client`]: reads the streams of a server, as `eventstreams tail` does.
//! * [`spelling`]: which known name a misspelt one stands for.
//! * [`problem`]: every error before the first byte of a stream.
//! * [`cli`]: the command line, which `main` runs. [`server`] wires one server, [`reload`] reads
//!   its configuration again while it runs, [`shutdown`] announces and begins its end.
//! * [`telemetry`]: logs, metrics, traces, and the health of Kafka.
//! * [`memory`]: the budget of the memory that clients cause.
//! * [`limits`]: bounds that are not in the configuration, with their reasons.
//!
//! ARCHITECTURE.md tells how an event and a request walk through them.

pub mod cli;
pub mod client;
pub mod config;
pub mod cursor;
pub mod delivery;
pub mod event;
pub mod fanout;
pub mod filter;
pub mod http;
pub mod kafka;
pub mod limits;
pub mod memory;
pub mod problem;
pub mod reload;
pub mod schema;
pub mod server;
pub mod shutdown;
pub mod spelling;
pub mod stream;
pub mod telemetry;
