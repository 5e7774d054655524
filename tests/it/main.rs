//! The integration tests, in one binary: a file per behaviour, and their vocabulary in `support`.
//! They use sockets only.
//!
//! `cargo test --test it` runs all. The names `embedded::` and `kafka::` select the broker: `cargo
//! test --test it embedded::` needs no Java.

#![expect(
    unreachable_pub,
    reason = "a test binary exports nothing; `pub` marks the vocabulary"
)]

#[macro_use]
mod support;

mod check_config;
mod clusters;
mod compact_ids;
mod compression;
mod connections;
mod cut_logs;
mod deleted_segments;
mod delivery;
mod dev;
mod durable;
mod ends;
mod faults;
mod filters;
mod hostile;
mod http2;
mod ids;
mod last_events;
mod limits;
mod log;
mod memory;
mod metrics;
mod oracle;
mod outage;
mod page;
mod problems;
mod production;
mod reload;
mod replay;
mod replay_limits;
mod requests;
mod resume;
mod routes;
mod selftest;
mod shutdown;
mod since;
mod single_events;
mod slow_clients;
mod stream;
mod stream_list;
mod tail;
mod thundering_herd;
mod tls;
mod topology_changes;
mod traces;
mod transactions;
mod unavailable_topics;
