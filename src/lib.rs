//! EventStreams: Kafka topics to Server-Sent Events, read once, rendered once, nothing lost.
//!
//! The library behind the `eventstreams` binary. The modules, from what an operator types to what a client reads:
//!
//! * [`config`]: the operator's file, turned into what the program needs.
//! * [`stream`]: which streams exist, their topics, and who may see them.
//! * [`event`]: one event, from Kafka's bytes to the bytes on the wire (pure).
//! * [`cursor`]: where a subscriber is: Last-Event-ID, `since`, the event id (pure).
//! * [`kafka`]: the only module that talks to Kafka: live consumer, replay, offset look-ups.
//! * [`fanout`]: the hub, feeds, memory log and subscriptions; knows no HTTP and no Kafka.
//! * [`http`]: routes, headers, problems, the body that carries a subscription to its socket.
//! * [`cli`] parses the command line for `main.rs`, [`dev`] runs `eventstreams dev`; [`server`] wires one server,
//!   [`reload`] reads its configuration again while it runs, [`shutdown`] announces and begins its end.
//! * [`metrics`], [`health`], [`telemetry`] (logs) and [`traces`]: what operators see of it.
//! * [`memory`]: the budget of the memory that clients cause.
//! * [`limits`]: every bound that is not the operator's to set, with its reason.
//!
//! ARCHITECTURE.md tells how an event and a request walk through them.

pub mod cli;
pub mod config;
pub mod cursor;
pub mod dev;
pub mod event;
pub mod fanout;
pub mod health;
pub mod http;
pub mod kafka;
pub mod limits;
pub mod memory;
pub mod metrics;
pub mod reload;
pub mod server;
pub mod shutdown;
pub mod stream;
pub mod telemetry;
pub mod traces;
