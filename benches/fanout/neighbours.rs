//! What one crowd of clients costs everybody else: health and the first byte of a new stream under
//! two loads.
//!
//! * `sets`: 2,000 clients, each with a set of streams of its own, at 400 events a second.
//! * `comebacks`: 2,000 clients that all leave and come back every five seconds.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::deliveries::EVENT_BYTES;
use crate::run::{Load, Options};
use crate::server::{Server, Settings, get, path};
use crate::table::{Goal, Row};

const CLIENTS: usize = 2000;
const EVENTS_PER_S: f64 = 400.0;
/// Streams whose sets are all different: 2,048 with the first.
const STREAMS: usize = 12;
/// How long each load lasts.
const LENGTH: Duration = Duration::from_secs(30);
const COME_BACK: Duration = Duration::from_secs(5);
/// Between two questions of each kind.
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);
const GOAL_MS: f64 = 100.0;

/// Milliseconds that each question took.
#[derive(Default)]
struct Asked {
    health: Vec<f64>,
    first_byte: Vec<f64>,
}

/// Both loads.
pub fn neighbours(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(STREAMS * 2, 64 << 20, EVENT_BYTES)?;
    let server = options.server(
        &broker,
        Settings {
            streams: STREAMS,
            memory_log_bytes_max: 64 << 20,
            ..Settings::default()
        },
    )?;
    broker.rate(EVENTS_PER_S, 0, STREAMS * 2)?;
    let sets: Vec<String> = (0..CLIENTS).map(set).collect();

    let mut load = options.load(PAUSE)?;
    load.connect(server.public, CLIENTS, &sets)?;
    let under_sets = ask_during(&server, || {
        sleep(LENGTH);
        Ok(())
    })?;
    drop(load);

    let under_comebacks = ask_during(&server, || {
        let begun = Instant::now();
        let mut before: Option<Load> = None;
        while begun.elapsed() < LENGTH {
            let round = Instant::now();
            let mut load = options.load(PAUSE)?;
            // All of them leave in the instant in which their process ends.
            drop(before.take());
            load.connect(server.public, CLIENTS, &sets)?;
            before = Some(load);
            sleep(COME_BACK.saturating_sub(round.elapsed()));
        }
        Ok(())
    })?;
    let mut rows = under_sets.rows("neighbours: 2,000 sets");
    rows.extend(under_comebacks.rows("neighbours: 2,000 come back"));
    Ok(rows)
}

/// The first stream, and others by the bits of the number.
fn set(number: usize) -> String {
    path(std::iter::once(0).chain((1..STREAMS).filter(move |bit| number >> (bit - 1) & 1 == 1)))
}

/// Asks for health and for a stream as long as `load` runs.
fn ask_during(server: &Server, load: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Asked> {
    let (ended, public, admin) = (AtomicBool::new(false), server.public, server.admin());
    std::thread::scope(|scope| {
        let health = scope.spawn(|| repeat(&ended, || get(admin, "/healthz").map(drop)));
        let first_byte = scope.spawn(|| repeat(&ended, || first_byte(public)));
        let loaded = load();
        ended.store(true, Ordering::Relaxed);
        let took =
            |thread: std::thread::ScopedJoinHandle<'_, Vec<f64>>| thread.join().unwrap_or_default();
        loaded.map(|()| Asked {
            health: took(health),
            first_byte: took(first_byte),
        })
    })
}

/// Milliseconds of each question; one that fails counts as long as is waited for it.
fn repeat(ended: &AtomicBool, ask: impl Fn() -> anyhow::Result<()>) -> Vec<f64> {
    let mut all = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let took = if ask().is_ok() {
            begun.elapsed()
        } else {
            PATIENCE
        };
        all.push(took.as_secs_f64() * 1000.0);
        sleep(PAUSE);
    }
    all
}

/// Opens a stream of its own set and waits for the first byte of its body.
fn first_byte(address: SocketAddr) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        path([1])
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|window| window == b":ok\n") {
        let read = socket.read(&mut buffer)?;
        anyhow::ensure!(read > 0, "the stream did not begin");
        answer.extend_from_slice(&buffer[..read]);
    }
    Ok(())
}

impl Asked {
    fn rows(self, case: &'static str) -> Vec<Row> {
        let row = |what, times: Vec<f64>| {
            let details = serde_json::json!({
                "questions": times.len(),
                "p50": percentile(&times, 50),
                "max": percentile(&times, 100),
            });
            Row::new(case, what, "ms", percentile(&times, 99))
                .with_goal(Some(Goal::AtMost(GOAL_MS)))
                .with_details(details)
        };
        vec![
            row("/healthz, p99", self.health),
            row("first byte of a new stream, p99", self.first_byte),
        ]
    }
}

fn percentile(times: &[f64], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    times
        .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::MAX)
}
