//! Cases of live deliveries: what the server and the broadcaster pay for one, in turns.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::commands::LoadReport;
use crate::run::{Broadcaster, Broker, Load, Options, median};
use crate::server::{Server, Settings, path};
use crate::table::{Goal, Row};
use crate::usage::{cpu_since, cpu_time, resident_bytes, threads};

/// Bytes of an event as its producer wrote it: the mean of recentchange.
pub const EVENT_BYTES: usize = 1300;

/// Before subscribers are counted the memory log and the feed are full, so that what grows is
/// theirs.
pub const MEMORY_LOG_BYTES: u64 = 16 << 20;
/// How many events a second fill them.
pub const FILL_EVENTS_PER_S: f64 = 6000.0;
/// For how long.
pub const FILL: Duration = Duration::from_secs(3);

/// What a window needs to get under way, and to end.
pub const SETTLE: Duration = Duration::from_millis(400);

/// How long the load generator rests between two looks for what has come.
pub const REST: Duration = Duration::from_micros(500);

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Deliveries {
    /// Its name.
    pub name: &'static str,
    /// Clients of each side.
    pub subscribers: usize,
    /// Events a second that each of them gets.
    pub events_per_s: f64,
    /// Streams of the server.
    pub streams: usize,
    /// Topics that events go to in turn; 1: only the first stream's.
    pub topics: usize,
    /// What subscribers ask for.
    pub sets: Sets,
    /// What the server is measured against.
    pub against: Against,
    /// CPU for each delivery against the other side, at most.
    pub ratio_max: Option<f64>,
    /// Resident KiB for each subscriber, at most.
    pub kib_max: Option<f64>,
    /// Milliseconds from event to socket, at most: the median and the 99th percentile.
    pub latency_ms_max: Option<(f64, f64)>,
}

/// The sets of streams of the subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// All ask for the first stream.
    First,
    /// So many sets, each of the first stream and some that are quiet.
    Different(usize),
    /// All ask for all streams.
    All,
}

/// The other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The raw broadcaster.
    Broadcaster,
    /// As many subscribers of one set on the same server.
    OneSet,
}

/// What one window showed of one side.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    cpu_us_per_delivery: f64,
    deliveries_per_s: f64,
    deliveries_per_cpu_s: f64,
    cpu_share: f64,
    events_per_read: f64,
    bytes_per_event: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// One side: a process that sends, what makes it send, and its clients.
struct Side {
    name: &'static str,
    id: u32,
    load: Load,
    source: Source,
    resident: Resident,
    windows: Vec<Window>,
}

/// Bytes: without subscribers, with all of them before the first event, and at the end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Resident {
    empty: u64,
    idle: u64,
    end: u64,
}

enum Source {
    /// The broker's topics from here on.
    Topics(usize),
    Broadcaster(Broadcaster),
}

impl Deliveries {
    /// Runs it.
    pub fn run(&self, options: &Options) -> anyhow::Result<Vec<Row>> {
        let topics = self.streams * 2;
        let mut broker = options.broker(topics, 64 << 20, EVENT_BYTES)?;
        let settings = Settings {
            streams: self.streams,
            memory_log_bytes_max: MEMORY_LOG_BYTES,
            ..Settings::default()
        };
        let server = options.server(&broker, settings)?;
        let mut ours =
            self.server_side(options, &mut broker, &server, "server", &self.paths(), 0)?;
        let warm = ours.window(self, &mut broker, Duration::from_secs(1))?;
        let mut other = match self.against {
            Against::Broadcaster => self.broadcaster_side(options, warm.bytes_per_event)?,
            Against::OneSet => self.server_side(
                options,
                &mut broker,
                &server,
                "one set",
                &[path([self.streams - 1])],
                topics - 2,
            )?,
        };
        other.window(self, &mut broker, Duration::from_secs(1))?;
        ours.windows.clear();
        other.windows.clear();
        let mut plain = self
            .latency_ms_max
            .map(|_| options.consumer(&broker, false))
            .transpose()?;
        let mut plain_reports = Vec::new();
        for _ in 0..options.windows {
            ours.window(self, &mut broker, options.window)?;
            if let Some(consumer) = &mut plain {
                plain_reports.push(consumer.report()?);
            }
            other.window(self, &mut broker, options.window)?;
        }
        for side in [&mut ours, &mut other] {
            side.resident.end = resident_bytes(side.id)?;
        }
        let threads = threads(server.id())?;
        Ok([
            self.rows(&ours, &other, threads),
            self.plain_rows(&plain_reports),
        ]
        .concat())
    }

    /// What a plain consumer of the same events shows.
    fn plain_rows(&self, reports: &[LoadReport]) -> Vec<Row> {
        let row = |what, of: fn(&LoadReport) -> u64| {
            Row::new(
                self.name,
                what,
                "ms",
                median(reports.iter().map(|report| of(report) as f64 / 1000.0)),
            )
        };
        let rows = || {
            vec![
                row("plain Kafka consumer: latency, median", |report| {
                    report.p50_us
                }),
                row("plain Kafka consumer: latency, 99 %", |report| {
                    report.p99_us
                }),
            ]
        };
        if reports.is_empty() {
            Vec::new()
        } else {
            rows()
        }
    }

    /// A load generator that is woken by every event changes what a write costs, and one that is
    /// not, latencies.
    fn rest(&self) -> Duration {
        if self.latency_ms_max.is_some() {
            Duration::ZERO
        } else {
            REST
        }
    }

    fn paths(&self) -> Vec<String> {
        match self.sets {
            Sets::First => vec![path([0])],
            Sets::All => vec![path(0..self.streams)],
            // The bits of a number say which quiet streams it holds; the last stream is that of the
            // other side.
            Sets::Different(count) => {
                let quiet = |number: usize| {
                    (1..self.streams - 1).filter(move |bit| number >> (bit - 1) & 1 == 1)
                };
                (0..count)
                    .map(|number| path(std::iter::once(0).chain(quiet(number))))
                    .collect()
            }
        }
    }

    fn server_side(
        &self,
        options: &Options,
        broker: &mut Broker,
        server: &Server,
        name: &'static str,
        paths: &[String],
        first_topic: usize,
    ) -> anyhow::Result<Side> {
        let mut load = options.load(self.rest())?;
        load.connect(server.public, 1, paths)?;
        broker.rate(FILL_EVENTS_PER_S, first_topic, self.topics)?;
        sleep(FILL);
        broker.rate(0.0, 0, 1)?;
        let side = Side {
            name,
            id: server.id(),
            load,
            source: Source::Topics(first_topic),
            resident: Resident::default(),
            windows: Vec::new(),
        };
        side.fill_up(server.public, self.subscribers - 1, paths)
    }

    fn broadcaster_side(&self, options: &Options, bytes_per_event: f64) -> anyhow::Result<Side> {
        let broadcaster = options.broadcaster(bytes_per_event as usize)?;
        let (id, address) = (broadcaster.id(), broadcaster.address);
        let side = Side {
            name: "raw",
            id,
            load: options.load(self.rest())?,
            source: Source::Broadcaster(broadcaster),
            resident: Resident::default(),
            windows: Vec::new(),
        };
        side.fill_up(address, self.subscribers, &["/".to_owned()])
    }

    fn rows(&self, ours: &Side, other: &Side, threads: usize) -> Vec<Row> {
        let row = |what, unit, of: fn(&Window) -> f64| {
            Row::new(self.name, what, unit, ours.median(of)).beside(other.median(of))
        };
        let kib = |side: &Side, bytes: u64| {
            bytes.saturating_sub(side.resident.empty) as f64 / 1024.0 / self.subscribers as f64
        };
        let details = |side: &Side| {
            serde_json::json!({
                "side": side.name,
                "resident": side.resident,
                "windows": side.windows,
            })
        };
        let (p50, p99) = self.latency_ms_max.unzip();
        vec![
            row("CPU per delivery", "us", |window| {
                window.cpu_us_per_delivery
            })
            .with_goal(self.ratio_max.map(Goal::RatioAtMost))
            .with_details(serde_json::json!({
                "subscribers": self.subscribers,
                "events_per_s": self.events_per_s,
                "event_bytes": EVENT_BYTES,
                "server_threads": threads, "sides": [details(ours), details(other)],
            })),
            row("deliveries per CPU second", "", |window| {
                window.deliveries_per_cpu_s
            }),
            row("deliveries per second", "", |window| {
                window.deliveries_per_s
            })
            .with_goal(Some(Goal::AtLeast(
                0.99 * self.events_per_s * self.subscribers as f64,
            ))),
            row("cores in use", "", |window| window.cpu_share),
            row("events per read", "", |window| window.events_per_read),
            row("bytes per event", "B", |window| window.bytes_per_event),
            row("latency, median", "ms", |window| window.p50_ms).with_goal(p50.map(Goal::AtMost)),
            row("latency, 99 %", "ms", |window| window.p99_ms).with_goal(p99.map(Goal::AtMost)),
            Row::new(
                self.name,
                "RSS per subscriber, idle",
                "KiB",
                kib(ours, ours.resident.idle),
            )
            .beside(kib(other, other.resident.idle))
            .with_goal(self.kib_max.map(Goal::AtMost)),
            Row::new(
                self.name,
                "RSS per subscriber, at the end",
                "KiB",
                kib(ours, ours.resident.end),
            )
            .beside(kib(other, other.resident.end)),
            Row::new(
                self.name,
                "RSS in all",
                "MiB",
                ours.resident.end as f64 / f64::from(1 << 20),
            )
            .beside(other.resident.end as f64 / f64::from(1 << 20)),
        ]
    }
}

impl Side {
    /// Connects the rest of its clients, before the first event.
    fn fill_up(
        mut self,
        target: SocketAddr,
        count: usize,
        paths: &[String],
    ) -> anyhow::Result<Self> {
        sleep(SETTLE);
        self.resident.empty = resident_bytes(self.id)?;
        self.load.connect(target, count, paths)?;
        sleep(SETTLE);
        self.resident.idle = resident_bytes(self.id)?;
        Ok(self)
    }

    /// Lets events come for a while, and notes what they cost.
    fn window(
        &mut self,
        case: &Deliveries,
        broker: &mut Broker,
        length: Duration,
    ) -> anyhow::Result<Window> {
        self.rate(case, broker, case.events_per_s)?;
        sleep(SETTLE);
        self.load.report()?;
        let (begun, cpu_before) = (Instant::now(), cpu_time(self.id)?);
        sleep(length);
        let report = self.load.report()?;
        let (seconds, cpu) = (
            begun.elapsed().as_secs_f64(),
            cpu_since(self.id, cpu_before)?,
        );
        self.rate(case, broker, 0.0)?;
        sleep(SETTLE);
        anyhow::ensure!(
            report.lost == 0,
            "{} connections of {} were lost",
            report.lost,
            self.name
        );
        anyhow::ensure!(report.events > 0, "no event came from {}", self.name);
        let events = report.events as f64;
        let window = Window {
            cpu_us_per_delivery: cpu * 1e6 / events,
            deliveries_per_s: events / seconds,
            deliveries_per_cpu_s: events / cpu,
            cpu_share: cpu / seconds,
            events_per_read: events / report.reads as f64,
            bytes_per_event: report.bytes as f64 / events,
            p50_ms: report.p50_us as f64 / 1000.0,
            p99_ms: report.p99_us as f64 / 1000.0,
        };
        self.windows.push(window.clone());
        Ok(window)
    }

    fn rate(
        &mut self,
        case: &Deliveries,
        broker: &mut Broker,
        events_per_s: f64,
    ) -> anyhow::Result<()> {
        match &mut self.source {
            Source::Topics(first) => broker.rate(events_per_s, *first, case.topics),
            Source::Broadcaster(broadcaster) => broadcaster.rate(events_per_s),
        }
    }

    fn median(&self, of: fn(&Window) -> f64) -> f64 {
        median(self.windows.iter().map(of))
    }
}
