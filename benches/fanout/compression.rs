//! What a coded delivery costs, beside a plain one of the same server.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::run::{Broker, Load, Options, median};
use crate::server::{Server, Settings, path};
use crate::table::{Goal, Row};
use crate::usage::{cpu_since, cpu_time};

/// Clients of each side.
pub const SUBSCRIBERS: usize = 1000;
/// Events that come to a side when it has its turn.
pub const EVENTS_PER_S: f64 = 100.0;

/// A stream for each side: only one at a time has events.
const SIDES: [&str; 3] = ["identity", "gzip", "zstd"];

/// What a window needs to get under way, and to end.
const SETTLE: Duration = Duration::from_millis(400);

/// How long the load generator rests between two looks for what has come.
pub const REST: Duration = Duration::from_micros(500);

/// What one window showed of one side.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Window {
    /// The server's, kernel and all.
    pub cpu_us_per_delivery: f64,
    /// As they came to a client.
    pub bytes_per_event: f64,
    /// To all of the side.
    pub deliveries_per_s: f64,
}

/// Many different events, to as many plain subscribers, and to those of each coding, in turns.
pub fn compression(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2 * SIDES.len(), 64 << 20, 0)?;
    let server = options.server(
        &broker,
        Settings {
            streams: SIDES.len(),
            memory_log_bytes_max: 16 << 20,
            ..Settings::default()
        },
    )?;
    let mut loads = Vec::new();
    for (number, coding) in SIDES.iter().enumerate() {
        let mut load = options.load(REST)?;
        load.connect_with(
            server.public,
            SUBSCRIBERS,
            &[path([number])],
            &format!("accept-encoding: {coding}\r\n"),
            false,
        )?;
        loads.push(load);
    }
    let [plain, gzip, zstd] = take_turns(options, &mut broker, &server, &mut loads, SIDES)?;
    let details = serde_json::json!({
        "subscribers": SUBSCRIBERS,
        "events_per_s": EVENTS_PER_S,
        "identity": plain,
        "gzip": gzip,
        "zstd": zstd,
    });
    let row = |what, unit, coded: &[Window], of: fn(&Window) -> f64| {
        Row::new("compression", what, unit, median(coded.iter().map(of)))
            .beside(median(plain.iter().map(of)))
    };
    let bytes = |window: &Window| window.bytes_per_event;
    let cpu = |window: &Window| window.cpu_us_per_delivery;
    let rate = Goal::AtLeast(0.99 * EVENTS_PER_S * SUBSCRIBERS as f64);
    Ok(vec![
        row("gzip: bytes per event", "B", &gzip, bytes)
            .with_goal(Some(Goal::RatioAtMost(0.30)))
            .with_details(details),
        row("zstd: bytes per event", "B", &zstd, bytes).with_goal(Some(Goal::RatioAtMost(0.30))),
        row("gzip: CPU per delivery", "us", &gzip, cpu).with_goal(Some(Goal::RatioAtMost(1.0))),
        row("zstd: CPU per delivery", "us", &zstd, cpu).with_goal(Some(Goal::RatioAtMost(1.0))),
        row("gzip: deliveries per second", "", &gzip, |window| {
            window.deliveries_per_s
        })
        .with_goal(Some(rate)),
        row("zstd: deliveries per second", "", &zstd, |window| {
            window.deliveries_per_s
        })
        .with_goal(Some(rate)),
    ])
}

/// The windows of each side, whose clients read the stream of its number.
pub fn take_turns<const N: usize>(
    options: &Options,
    broker: &mut Broker,
    server: &Server,
    loads: &mut [Load],
    sides: [&str; N],
) -> anyhow::Result<[Vec<Window>; N]> {
    let mut windows = [const { Vec::new() }; N];
    // The first of each is thrown away.
    for turn in 0..=options.windows {
        for (number, load) in loads.iter_mut().enumerate() {
            let window = window(
                broker,
                server,
                load,
                (number, sides[number]),
                options.window,
            )?;
            windows[number].extend((turn > 0).then_some(window));
        }
    }
    Ok(windows)
}

/// Lets events of one side come for a while. The server says how many it has delivered: the clients
/// do not decode them.
fn window(
    broker: &mut Broker,
    server: &Server,
    load: &mut Load,
    (side, name): (usize, &str),
    length: Duration,
) -> anyhow::Result<Window> {
    let delivered = || server.metric("eventstreams_events_delivered_total");
    load.report()?;
    let all_before = delivered()?;
    broker.rate(EVENTS_PER_S, 2 * side, 1)?;
    sleep(SETTLE);
    let (begun, cpu_before, before) = (Instant::now(), cpu_time(server.id())?, delivered()?);
    sleep(length);
    let (events, cpu) = (delivered()? - before, cpu_since(server.id(), cpu_before)?);
    let seconds = begun.elapsed().as_secs_f64();
    broker.rate(0.0, 0, 1)?;
    sleep(SETTLE);
    // From quiet to quiet: clients that are slower than the server have read all.
    let (report, all) = (load.report()?, delivered()? - all_before);
    ensure!(
        report.lost == 0,
        "{} connections of {name} were lost",
        report.lost
    );
    ensure!(events > 0.0, "no event came to {name}");
    Ok(Window {
        cpu_us_per_delivery: cpu * 1e6 / events,
        bytes_per_event: report.bytes as f64 / all,
        deliveries_per_s: events / seconds,
    })
}
