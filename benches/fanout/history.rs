//! Cases of the past: reading it in, handing it out, and to everybody at once.

use std::mem::replace;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::broker::now_us;
use crate::commands::LoadReport;
use crate::deliveries::EVENT_BYTES;
use crate::run::{Options, median};
use crate::server::{Settings, path};
use crate::table::{Goal, Row};
use crate::usage::{cpu_since, cpu_time};

/// What a replay and an ingest consist of: about 200 and 400 MB.
const REPLAY_EVENTS: u64 = 150_000;
const INGEST_EVENTS: u64 = 300_000;

/// Within the five minutes that a server reads into memory at start.
const PAST_MS: i64 = 240_000;

/// More than any case of the past appends.
pub const RETENTION_BYTES: u64 = 4 << 30;
const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_mins(1);

/// What a replay is seen beside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// The broadcaster, which writes as many bytes as fast as they are taken.
    Broadcaster,
    /// A plain Kafka consumer.
    Consumer,
}

/// What reading everything once came to.
#[derive(Serialize)]
struct Read {
    events_per_s: f64,
    cpu_us: f64,
    bytes: u64,
}

/// Everything to one subscriber, out of the memory log.
pub fn replay_memory(options: &Options) -> anyhow::Result<Vec<Row>> {
    replay(
        "replay_memory",
        1 << 30,
        500_000.0,
        Beside::Broadcaster,
        options,
    )
}

/// The same out of Kafka: the memory log is too small.
pub fn replay_kafka(options: &Options) -> anyhow::Result<Vec<Row>> {
    replay(
        "replay_kafka",
        1 << 20,
        150_000.0,
        Beside::Consumer,
        options,
    )
}

fn replay(
    case: &'static str,
    memory_log_bytes_max: u64,
    goal: f64,
    beside: Beside,
    options: &Options,
) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2, RETENTION_BYTES, EVENT_BYTES)?;
    broker.fill(REPLAY_EVENTS, PAST_MS)?;
    let settings = Settings {
        streams: 1,
        memory_log_bytes_max,
        ..Settings::default()
    };
    let server = options.server(&broker, settings)?;
    let since = now_us() / 1000 - 2 * PAST_MS;
    let path = format!("{}?since={since}", path([0]));
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for _ in 0..options.windows {
        let read = to_client(options, server.id(), server.public, &path)?;
        others.push(match beside {
            Beside::Broadcaster => {
                let mut broadcaster = options.broadcaster((read.bytes / REPLAY_EVENTS) as usize)?;
                broadcaster.past(REPLAY_EVENTS)?;
                to_client(options, broadcaster.id(), broadcaster.address, "/")?
            }
            Beside::Consumer => {
                let mut consumer = options.consumer(&broker, true)?;
                read_all(consumer.id(), || consumer.report())?
            }
        });
        ours.push(read);
    }
    let reads = server.metric("eventstreams_replay_reads_total")?;
    let details = serde_json::json!({
        "events": REPLAY_EVENTS,
        "event_bytes": EVENT_BYTES,
        "server": ours,
        "beside": others,
    });
    let row = |what, unit, of: fn(&Read) -> f64| {
        Row::new(case, what, unit, median(ours.iter().map(of)))
            .beside(median(others.iter().map(of)))
    };
    Ok(vec![
        row("events per second", "", |read| read.events_per_s)
            .with_goal(Some(Goal::AtLeast(goal)))
            .with_details(details),
        row("CPU per event", "us", |read| read.cpu_us),
        Row::new(case, "reads out of Kafka", "", reads),
    ])
}

/// Lets one client read everything from a process.
fn to_client(options: &Options, id: u32, address: SocketAddr, path: &str) -> anyhow::Result<Read> {
    let mut load = options.load(Duration::ZERO)?;
    let mut is_connected = false;
    read_all(id, || {
        if replace(&mut is_connected, true) {
            load.report()
        } else {
            load.connect(address, 1, &[path.to_owned()])
        }
    })
}

/// Asks how much more has come until it is everything, and what that cost a process.
fn read_all(id: u32, mut more: impl FnMut() -> anyhow::Result<LoadReport>) -> anyhow::Result<Read> {
    let (begun, cpu_before) = (Instant::now(), cpu_time(id)?);
    let (mut events, mut bytes) = (0, 0);
    loop {
        let report = more()?;
        events += report.events;
        bytes += report.bytes;
        if events >= REPLAY_EVENTS {
            break;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "only {events} of {REPLAY_EVENTS} events came"
        );
        sleep(PAUSE);
    }
    let events_per_s = REPLAY_EVENTS as f64 / begun.elapsed().as_secs_f64();
    Ok(Read {
        events_per_s,
        cpu_us: cpu_since(id, cpu_before)? * 1e6 / REPLAY_EVENTS as f64,
        bytes,
    })
}

/// From Kafka to a rendered feed: its only subscriber does not read.
pub fn ingest(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2, RETENTION_BYTES, EVENT_BYTES)?;
    let settings = Settings {
        streams: 1,
        memory_log_bytes_max: 64 << 20,
        ..Settings::default()
    };
    let server = options.server(&broker, settings)?;
    let mut load = options.load(Duration::ZERO)?;
    load.connect_with(server.public, 1, &[path([0])], "", true)?;
    let records_read = || server.metric("eventstreams_records_read_total");
    let (mut rates, mut per_cpu_second) = (Vec::new(), Vec::new());
    for _ in 0..options.windows {
        let (begun, cpu_before, before) = (Instant::now(), cpu_time(server.id())?, records_read()?);
        broker.fill(INGEST_EVENTS, 1000)?;
        while records_read()? - before < INGEST_EVENTS as f64 {
            ensure!(
                begun.elapsed() < PATIENCE,
                "not all {INGEST_EVENTS} events were read"
            );
            sleep(10 * PAUSE);
        }
        rates.push(INGEST_EVENTS as f64 / begun.elapsed().as_secs_f64());
        per_cpu_second.push(INGEST_EVENTS as f64 / cpu_since(server.id(), cpu_before)?);
    }
    let details = serde_json::json!({
        "events": INGEST_EVENTS,
        "event_bytes": EVENT_BYTES,
        "events_per_cpu_s": per_cpu_second,
    });
    Ok(vec![
        Row::new(
            "ingest",
            "events per CPU second",
            "",
            median(per_cpu_second),
        )
        .with_goal(Some(Goal::AtLeast(300_000.0)))
        .with_details(details),
        Row::new(
            "ingest",
            "events per second, with the broker's appends",
            "",
            median(rates),
        ),
    ])
}

/// Subscribers that come back at once after a restart, with ids two minutes old.
pub fn herd(options: &Options) -> anyhow::Result<Vec<Row>> {
    const SUBSCRIBERS: usize = 5000;
    const EVENTS_PER_S: i64 = 2;
    const MISSED: u64 = 120 * EVENTS_PER_S as u64;
    let mut seconds = Vec::new();
    let (mut reads, mut cpus) = (0.0, Vec::new());
    for _ in 0..options.windows {
        let mut broker = options.broker(2, RETENTION_BYTES, EVENT_BYTES)?;
        let events = PAST_MS / 1000 * EVENTS_PER_S;
        broker.fill(events as u64, PAST_MS)?;
        let settings = Settings {
            streams: 1,
            memory_log_bytes_max: 256 << 20,
            ..Settings::default()
        };
        let server = options.server(&broker, settings)?;
        let mut load = options.load(Duration::ZERO)?;
        let id = format!(
            r#"[{{"topic":"eqiad.bench.s0","partition":0,"offset":{}}}]"#,
            events as u64 - MISSED
        );
        let (begun, cpu_before) = (Instant::now(), cpu_time(server.id())?);
        load.connect_with(
            server.public,
            SUBSCRIBERS,
            &[path([0])],
            &format!("last-event-id: {id}\r\n"),
            false,
        )?;
        while load.report()?.events_min < MISSED {
            ensure!(
                begun.elapsed() < PATIENCE,
                "not all subscribers are live again"
            );
            sleep(PAUSE);
        }
        seconds.push(begun.elapsed().as_secs_f64());
        cpus.push(cpu_since(server.id(), cpu_before)? * 1e6 / SUBSCRIBERS as f64);
        reads += server.metric("eventstreams_replay_reads_total")?;
    }
    let details = serde_json::json!({
        "subscribers": SUBSCRIBERS,
        "events_missed": MISSED,
        "seconds": seconds,
    });
    Ok(vec![
        Row::new("herd", "all 5000 live again", "s", median(seconds))
            .with_goal(Some(Goal::AtMost(3.0)))
            .with_details(details),
        Row::new("herd", "reads out of Kafka", "", reads).with_goal(Some(Goal::AtMost(0.0))),
        Row::new(
            "herd",
            "CPU per subscriber with its 240 events",
            "us",
            median(cpus),
        ),
    ])
}
