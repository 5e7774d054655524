//! What the fan-out costs, beside a raw broadcaster in the same run: `cargo bench --bench fanout
//! [-- CASE... --plot FILE]`.
//!
//! Every part is a process of its own, so that the kernel says what each costs (`/proc/PID/stat`,
//! `/proc/PID/status`):
//!
//! * the server: the `eventstreams` binary, `serve -c` a generated file;
//! * `broker`: the embedded broker, which appends sample events in its own process at the rate that
//!   is asked for;
//! * `broadcaster`: what the server is measured against: one thread, one epoll, a canned response
//!   head, prebuilt frames of the same size, all that is due in one write for each client;
//! * `consumer`: a plain Kafka consumer, beside latencies and replays out of Kafka;
//! * `load`: the clients of one of them: one thread, one epoll, counts frames and samples
//!   latencies.
//!
//! Server and broadcaster take turns in windows of a few seconds (A B A B), and medians are told.
//! On loopback the kernel delivers a segment to its receiver within the sender's `write`: that work
//! is the sender's, for both alike; what the receiver's `read` copies is the load generator's, and
//! not counted.
//!
//! * `cases`: every case with its parameters and goals. `run`: what they have in common.
//! * `deliveries`, `history`, `startup`, `compression`, `http2`, `churn`, `neighbours`, `filters`,
//!   `scan`: the kinds of cases.
//! * `processes`, `server`: starting and ending processes. `commands`: the lines they exchange.
//!   `usage`: what they cost.
//! * `table`: what is printed and kept in `target/bench/`. `plot`: the plot of README.md and
//!   docs/performance.md.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and microseconds become figures for people"
)]

mod broadcaster;
mod broker;
mod cases;
mod churn;
mod commands;
mod compression;
mod connection;
mod consumer;
mod deliveries;
mod filters;
mod history;
mod http2;
mod load;
mod neighbours;
mod plot;
mod processes;
mod run;
mod scan;
mod server;
mod startup;
mod table;
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Measures the fan-out beside a raw broadcaster.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases by name; all that take less than a minute when none is named
    cases: Vec<String>,
    /// Windows of each side in a case of deliveries
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    windows: u32,
    /// Seconds of a window
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Let the server and the broadcaster run on every core; else they have the first, and all else
    /// has the others
    #[arg(long)]
    no_pin: bool,
    /// Measure over numbers of subscribers too, and write the plot there (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Measure this binary of the server instead of the one built along
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Brokers of a real Kafka for the case `start`, besides the embedded one
    #[arg(long, value_name = "LIST")]
    brokers: Option<String>,
    /// What cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
    /// Which part of the benchmark this process is
    #[arg(long, hide = true)]
    role: Option<Role>,
}

/// What a process of the benchmark is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Broker,
    Broadcaster,
    Load,
    Http2Load,
    Consumer,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.role {
        Some(Role::Broker) => broker::play(),
        Some(Role::Broadcaster) => broadcaster::play(),
        Some(Role::Load) => load::play(),
        Some(Role::Http2Load) => http2::play(),
        Some(Role::Consumer) => consumer::play(),
        None => cases::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanout: {error:#}");
            ExitCode::FAILURE
        }
    }
}
