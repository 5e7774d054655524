//! A filter over the past: a subscriber that catches up and leaves almost everything out.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::broker::now_us;
use crate::history::RETENTION_BYTES;
use crate::run::{Options, median};
use crate::server::{Settings, path};
use crate::table::{Goal, Row};
use crate::usage::{cpu_since, cpu_time};

/// About 1.3 GB.
const EVENTS: u64 = 1_000_000;

/// The share of this wiki is about one in a thousand.
const WIKI: &str = "specieswiki";

const PAST_MS: i64 = 3_600_000;
const PAUSE: Duration = Duration::from_millis(20);
/// The server bounds the records that a client may look at in a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// What one pass came to.
#[derive(Serialize)]
struct Pass {
    per_cpu_s: f64,
    per_s: f64,
    matched: f64,
}

/// Everything out of Kafka to one subscriber, whose filter few events match.
pub fn scan(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2, RETENTION_BYTES, 0)?;
    broker.fill(EVENTS, PAST_MS)?;
    let server = options.server(
        &broker,
        Settings {
            streams: 1,
            any_filters: true,
            memory_log_bytes_max: 1 << 20,
            ..Settings::default()
        },
    )?;
    let since = now_us() / 1000 - 2 * PAST_MS;
    let path = format!("{}?wiki={WIKI}&since={since}", path([0]));
    let scanned = || server.metric("eventstreams_filter_records_scanned_total");
    let matched = || server.metric("eventstreams_filter_events_matched_total");
    let mut passes = Vec::new();
    for _ in 0..options.windows {
        let (scanned_before, matched_before) = (scanned()?, matched()?);
        let (begun, cpu_before) = (Instant::now(), cpu_time(server.id())?);
        let mut load = options.load(Duration::ZERO)?;
        load.connect(server.public, 1, std::slice::from_ref(&path))?;
        while scanned()? - scanned_before < EVENTS as f64 {
            ensure!(
                begun.elapsed() < PATIENCE,
                "not all {EVENTS} events were looked at"
            );
            sleep(PAUSE);
        }
        passes.push(Pass {
            per_cpu_s: EVENTS as f64 / cpu_since(server.id(), cpu_before)?,
            per_s: EVENTS as f64 / begun.elapsed().as_secs_f64(),
            matched: matched()? - matched_before,
        });
    }
    let row = |what, of: fn(&Pass) -> f64| {
        Row::new("filters_scan", what, "", median(passes.iter().map(of)))
    };
    Ok(vec![
        row("records looked at per CPU second", |pass| pass.per_cpu_s)
            .with_goal(Some(Goal::AtLeast(400_000.0)))
            .with_details(serde_json::json!({"events": EVENTS, "passes": passes})),
        row("records looked at per second", |pass| pass.per_s),
        row("events that matched", |pass| pass.matched),
        Row::new(
            "filters_scan",
            "reads out of Kafka",
            "",
            server.metric("eventstreams_replay_reads_total")?,
        ),
    ])
}
