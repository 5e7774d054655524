//! Cases of the past: reading it in, handing it out, and to everybody at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::broker::now_us;
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

const RETENTION_BYTES: u64 = 4 << 30;
const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_mins(1);

/// What reading everything once came to.
#[derive(Serialize)]
struct Read {
    events_per_s: f64,
    cpu_us: f64,
}

/// Everything to one subscriber, out of the memory log.
pub fn replay_memory(options: &Options) -> anyhow::Result<Vec<Row>> {
    replay("replay_memory", 1 << 30, 500_000.0, false, options)
}

/// The same out of Kafka, for the memory log is too small; beside a plain consumer.
pub fn replay_kafka(options: &Options) -> anyhow::Result<Vec<Row>> {
    replay("replay_kafka", 1 << 20, 150_000.0, true, options)
}

fn replay(
    case: &'static str,
    memory_log_bytes_max: u64,
    goal: f64,
    beside_consumer: bool,
    options: &Options,
) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2, RETENTION_BYTES, EVENT_BYTES)?;
    broker.fill(REPLAY_EVENTS, PAST_MS)?;
    let settings = Settings { streams: 1, memory_log_bytes_max };
    let server = options.server(&broker, settings)?;
    let since = now_us() / 1000 - 2 * PAST_MS;
    let paths = [format!("{}?since={since}", path([0]))];
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..options.windows {
        let mut load = options.load(Duration::ZERO)?;
        ours.push(read_all(server.id(), || {
            let first = load.connect(server.public, 1, &paths)?.events;
            Ok((first, move || Ok(load.report()?.events)))
        })?);
        if beside_consumer {
            let mut consumer = options.consumer(&broker, true)?;
            plain.push(read_all(consumer.id(), || Ok((0, move || Ok(consumer.report()?.events))))?);
        }
    }
    let reads = server.metric("eventstreams_replay_reads_total")?;
    let details = serde_json::json!({"events": REPLAY_EVENTS, "event_bytes": EVENT_BYTES, "server": ours, "consumer": plain});
    let row = |what, unit, of: fn(&Read) -> f64| {
        let row = Row::new(case, what, unit, median(ours.iter().map(of)));
        if beside_consumer { row.beside(median(plain.iter().map(of))) } else { row }
    };
    Ok(vec![
        row("events per second", "", |read| read.events_per_s).with_goal(Some(Goal::AtLeast(goal))).with_details(details),
        row("CPU per event", "us", |read| read.cpu_us),
        Row::new(case, "reads out of Kafka", "", reads),
    ])
}

/// Begins to read, and asks how much more has come until it is everything. Gives what that cost a process.
fn read_all<M: FnMut() -> anyhow::Result<u64>>(
    id: u32,
    start: impl FnOnce() -> anyhow::Result<(u64, M)>,
) -> anyhow::Result<Read> {
    let (begun, cpu_before) = (Instant::now(), cpu_time(id)?);
    let (mut events, mut more) = start()?;
    while events < REPLAY_EVENTS {
        ensure!(begun.elapsed() < PATIENCE, "only {events} of {REPLAY_EVENTS} events came");
        sleep(PAUSE);
        events += more()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Read { events_per_s: REPLAY_EVENTS as f64 / seconds, cpu_us: cpu_since(id, cpu_before)? * 1e6 / REPLAY_EVENTS as f64 })
}

/// From Kafka to a rendered feed: its only subscriber does not read.
pub fn ingest(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2, RETENTION_BYTES, EVENT_BYTES)?;
    let settings = Settings { streams: 1, memory_log_bytes_max: 64 << 20 };
    let server = options.server(&broker, settings)?;
    let mut load = options.load(Duration::ZERO)?;
    load.connect_with(server.public, 1, &[path([0])], "", true)?;
    let records_read = || server.metric("eventstreams_records_read_total");
    let (mut rates, mut per_cpu_second) = (Vec::new(), Vec::new());
    for _ in 0..options.windows {
        let (begun, cpu_before, before) = (Instant::now(), cpu_time(server.id())?, records_read()?);
        broker.fill(INGEST_EVENTS, 1000)?;
        while records_read()? - before < INGEST_EVENTS as f64 {
            ensure!(begun.elapsed() < PATIENCE, "not all {INGEST_EVENTS} events were read");
            sleep(10 * PAUSE);
        }
        rates.push(INGEST_EVENTS as f64 / begun.elapsed().as_secs_f64());
        per_cpu_second.push(INGEST_EVENTS as f64 / cpu_since(server.id(), cpu_before)?);
    }
    let details = serde_json::json!({"events": INGEST_EVENTS, "event_bytes": EVENT_BYTES, "events_per_cpu_s": per_cpu_second});
    Ok(vec![
        Row::new("ingest", "events per CPU second", "", median(per_cpu_second))
            .with_goal(Some(Goal::AtLeast(300_000.0)))
            .with_details(details),
        Row::new("ingest", "events per second, with the broker's appends", "", median(rates)),
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
        let settings = Settings { streams: 1, memory_log_bytes_max: 256 << 20 };
        let server = options.server(&broker, settings)?;
        let mut load = options.load(Duration::ZERO)?;
        let id = format!(r#"[{{"topic":"eqiad.bench.s0","partition":0,"offset":{}}}]"#, events as u64 - MISSED);
        let (begun, cpu_before) = (Instant::now(), cpu_time(server.id())?);
        load.connect_with(server.public, SUBSCRIBERS, &[path([0])], &format!("last-event-id: {id}\r\n"), false)?;
        while load.report()?.events_min < MISSED {
            ensure!(begun.elapsed() < PATIENCE, "not all subscribers are live again");
            sleep(PAUSE);
        }
        seconds.push(begun.elapsed().as_secs_f64());
        cpus.push(cpu_since(server.id(), cpu_before)? * 1e6 / SUBSCRIBERS as f64);
        reads += server.metric("eventstreams_replay_reads_total")?;
    }
    let details = serde_json::json!({"subscribers": SUBSCRIBERS, "events_missed": MISSED, "seconds": seconds});
    Ok(vec![
        Row::new("herd", "all 5000 live again", "s", median(seconds)).with_goal(Some(Goal::AtMost(3.0))).with_details(details),
        Row::new("herd", "reads out of Kafka", "", reads).with_goal(Some(Goal::AtMost(0.0))),
        Row::new("herd", "CPU per subscriber with its 240 events", "us", median(cpus)),
    ])
}
