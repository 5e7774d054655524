//! The lines that the processes of the benchmark exchange: JSON, commands on standard input,
//! answers on standard output.
//!
//! A process whose standard input closes ends: none outlives the one that started it, however that
//! ends.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::Context as _;
use mio::Waker;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// For the broker.
#[derive(Debug, Serialize, Deserialize)]
pub enum BrokerCommand {
    /// The first: start with so many topics (see [`crate::server::topics`]), each bounded to so
    /// many bytes; events are so large, or, for 0, as different as they are.
    Start {
        topics: usize,
        retention_bytes: u64,
        event_bytes: usize,
    },
    /// Append so many events a second from now on, in turn to `topics` topics from `first` on; 0
    /// pauses.
    Rate {
        events_per_s: f64,
        first: usize,
        topics: usize,
    },
    /// Append so many events to the first topic at once, with timestamps spread evenly over the
    /// past that long.
    Fill { events: u64, past_ms: i64 },
}

/// For the broadcaster.
#[derive(Debug, Serialize, Deserialize)]
pub enum BroadcasterCommand {
    /// The first: frames are so large.
    Start { frame_bytes: usize },
    /// Send so many frames a second to everybody from now on; 0 pauses.
    Rate { events_per_s: f64 },
    /// Send so many frames at once to whoever comes from now on.
    Past { frames: u64 },
}

/// For the plain consumer.
#[derive(Debug, Serialize, Deserialize)]
pub enum ConsumerCommand {
    /// The first: read a topic's only partition from its start or its end.
    Start {
        brokers: SocketAddr,
        topic: String,
        from_start: bool,
    },
    /// Say what came since the last report.
    Report,
}

/// For the load generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LoadCommand {
    /// The first: rest so many microseconds between two looks for what has come; 0: be woken by it.
    Start { rest_us: u64 },
    /// Open more connections, request `paths` in turn with `headers` (whole lines), and answer when
    /// each got its response.
    Connect {
        target: SocketAddr,
        count: usize,
        paths: Vec<String>,
        headers: String,
        stalled: bool,
    },
    /// Say what came since the last report.
    Report,
}

/// Where the broker or the broadcaster listens; or what was done.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Listening there.
    Listening(SocketAddr),
    /// Done as asked.
    Done,
}

/// What a load generator received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// Connections open.
    pub open: usize,
    /// Connections refused, answered with another status than 200, or closed by the other side,
    /// since the start.
    pub lost: usize,
    /// Frames since the last report.
    pub events: u64,
    /// Bytes since the last report.
    pub bytes: u64,
    /// Reads since the last report that gave bytes.
    pub reads: u64,
    /// The fewest frames that any open connection got since it was opened.
    pub events_min: u64,
    /// Microseconds from an event's creation to its arrival: the median of the samples since the
    /// last report.
    pub p50_us: u64,
    /// And the 99th percentile.
    pub p99_us: u64,
}

/// Commands as they come; the receiver says "disconnected" when there will be no more.
pub fn commands<C: DeserializeOwned + Send + 'static>(waker: Option<Arc<Waker>>) -> Receiver<C> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Some(command) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else {
                break;
            };
            if sender.send(command).is_err() {
                break;
            }
            wake(waker.as_deref());
        }
        drop(sender);
        wake(waker.as_deref());
    });
    receiver
}

fn wake(waker: Option<&Waker>) {
    if let Some(Err(error)) = waker.map(Waker::wake) {
        eprintln!("a command was not heard: {error}");
    }
}

/// Answers on standard output.
pub fn answer(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(answer)?;
    line.push('\n');
    let mut out = stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .context("nobody listens any more")
}
