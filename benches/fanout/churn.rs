//! Memory while clients come and go, of all kinds, for ten minutes: what is kept of somebody who
//! has left would add up.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::broker::now_us;
use crate::deliveries::EVENT_BYTES;
use crate::run::{Load, Options, median};
use crate::server::{Server, Settings, path};
use crate::table::{Goal, Row};
use crate::usage::resident_bytes;

const LENGTH: Duration = Duration::from_mins(10);
const MINUTE: Duration = Duration::from_mins(1);

/// Clients that stay.
const STAYING: usize = 100;

/// Clients of each kind that come and go in a round.
const GOING: usize = 200;

const EVENTS_PER_S: f64 = 300.0;

/// How long those that go are there.
const STAY: Duration = Duration::from_millis(500);

/// How long the server may take to notice that they have gone.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// What a minute came to, in bytes.
#[derive(serde::Serialize)]
struct Minute {
    joins: usize,
    /// In the middle of its rounds, when everybody had gone who does not stay.
    resident: f64,
}

/// Rounds of clients, and the resident memory between them.
pub fn churn(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(4, 64 << 20, EVENT_BYTES)?;
    let server = options.server(
        &broker,
        Settings {
            streams: 2,
            memory_log_bytes_max: 16 << 20,
            ..Settings::default()
        },
    )?;
    let mut staying = options.load(PAUSE)?;
    staying.connect(server.public, STAYING, &[path([0])])?;
    broker.rate(EVENTS_PER_S, 0, 4)?;
    let mut minutes = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < LENGTH {
        let (minute, mut resident, mut joins) = (Instant::now(), Vec::new(), 0);
        while minute.elapsed() < MINUTE {
            joins += round(options, &server)?;
            resident.push(resident_bytes(server.id())? as f64);
        }
        minutes.push(Minute {
            joins,
            resident: median(resident),
        });
        ensure!(
            staying.report()?.lost == 0,
            "clients that were to stay were lost"
        );
    }
    let joined: usize = minutes.iter().map(|minute| minute.joins).sum();
    // The allocator takes its time to come to rest.
    let half = &minutes[minutes.len() / 2..];
    let [first, last] =
        [half.first(), half.last()].map(|minute| minute.map_or(0.0, |minute| minute.resident));
    let details =
        serde_json::json!({"minutes": minutes, "staying": STAYING, "events_per_s": EVENTS_PER_S});
    Ok(vec![
        Row::new("churn", "clients that came and went", "", joined as f64),
        Row::new(
            "churn",
            "RSS in the last minute, beside that in the middle",
            "MiB",
            last / f64::from(1 << 20),
        )
        .beside(first / f64::from(1 << 20))
        .with_goal(Some(Goal::RatioAtMost(1.02)))
        .with_details(details),
    ])
}

/// Clients of all kinds come, and go; how many.
fn round(options: &Options, server: &Server) -> anyhow::Result<usize> {
    let since = format!("?since={}", now_us() / 1000 - 5_000);
    let mut loads = vec![options.load(PAUSE)?, options.http2_load()?];
    let kinds: [(&[usize], &str, &str); 4] = [
        (&[0], "", "identity"),
        (&[1], "", "gzip"),
        (&[0, 1], "", "zstd"),
        (&[0], &since, "identity"),
    ];
    let mut joins = 0;
    for load in &mut loads {
        for (streams, query, coding) in kinds {
            let path = format!("{}{query}", path(streams.iter().copied()));
            load.connect_with(
                server.public,
                GOING,
                &[path],
                &format!("accept-encoding: {coding}\r\n"),
                false,
            )?;
            joins += GOING;
        }
    }
    sleep(STAY);
    // Their processes end, and their sockets with them.
    drop::<Vec<Load>>(loads);
    let begun = Instant::now();
    while server.metric("eventstreams_connected_clients")? as usize != STAYING {
        ensure!(
            begun.elapsed() < PATIENCE,
            "clients that have gone are still counted"
        );
        sleep(PAUSE);
    }
    Ok(joins)
}
