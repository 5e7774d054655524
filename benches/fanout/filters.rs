//! Cases of filters: two crowds of subscribers, each on a server of its own, in turns.
//!
//! Events are the samples of recentchange as they are, so wikis have the proportions of the real
//! stream. A window is one round of them: both sides read the same events in each window.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;

use crate::broker::{DIFFERENT_EVENTS, different_events};
use crate::deliveries::{FILL, FILL_EVENTS_PER_S, MEMORY_LOG_BYTES, REST, SETTLE};
use crate::run::{Broker, Load, Options, median};
use crate::server::{Server, Settings, path};
use crate::table::{Goal, Row};
use crate::usage::{cpu_since, cpu_time, resident_bytes};

const PATIENCE: Duration = Duration::from_secs(30);

/// Wikis of the real stream, those of the samples among them.
const WIKIS: usize = 1000;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Filters {
    /// Its name.
    pub name: &'static str,
    /// Clients of each side.
    pub subscribers: usize,
    /// What is measured.
    pub ours: Crowd,
    /// What it is measured against.
    pub other: Crowd,
    /// CPU against the other side, at most.
    pub ratio_max: Option<f64>,
}

/// Subscribers, and how many events a second their server reads.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Its name in the details.
    pub name: &'static str,
    /// Their filters.
    pub filters: Kind,
    /// Events a second.
    pub events_per_s: f64,
    /// Events of a window.
    pub events: usize,
}

/// The filters of a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// None.
    None,
    /// All have the one for the third largest wiki: a tenth of all events.
    OneWiki,
    /// All have the one for so many events of a round.
    Events(usize),
    /// Each has the one for a wiki of its own.
    Wikis,
    /// Each has the one for a wiki and a namespace of its own.
    WikisAndNamespaces,
    /// So many that must be evaluated for each event, and match none.
    Residual(usize),
}

/// Bytes: without subscribers, with all of them, and at the end.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Resident {
    empty: u64,
    idle: u64,
    end: u64,
}

/// What one window showed of one side.
#[derive(Clone, Debug, Serialize)]
struct Window {
    cpu_us_per_read: f64,
    cpu_us_per_delivery: f64,
    deliveries_per_read: f64,
}

/// A server with its subscribers.
struct Side {
    crowd: Crowd,
    subscribers: usize,
    first_topic: usize,
    server: Server,
    load: Load,
    resident: Resident,
    windows: Vec<Window>,
}

impl Filters {
    /// Runs it.
    pub fn run(&self, options: &Options) -> anyhow::Result<Vec<Row>> {
        let mut broker = options.broker(4, 64 << 20, 0)?;
        let mut ours = self.side(options, &mut broker, self.ours, 0)?;
        let mut other = self.side(options, &mut broker, self.other, 1)?;
        for side in [&mut ours, &mut other] {
            side.window(&mut broker)?;
            side.windows.clear();
        }
        for _ in 0..options.windows {
            ours.window(&mut broker)?;
            other.window(&mut broker)?;
        }
        for side in [&mut ours, &mut other] {
            side.resident.end = resident_bytes(side.server.id())?;
        }
        Ok(self.rows(&ours, &other))
    }

    fn side(
        &self,
        options: &Options,
        broker: &mut Broker,
        crowd: Crowd,
        stream: usize,
    ) -> anyhow::Result<Side> {
        let settings = Settings {
            streams: stream + 1,
            first_stream: stream,
            any_filters: true,
            memory_log_bytes_max: MEMORY_LOG_BYTES,
        };
        let server = options.server(broker, settings)?;
        let paths = crowd.filters.paths(&path([stream]), self.subscribers)?;
        let mut load = options.load(REST)?;
        load.connect(server.public, 1, &paths)?;
        let first_topic = stream * 2;
        broker.rate(FILL_EVENTS_PER_S, first_topic, 1)?;
        sleep(FILL);
        broker.rate(0.0, 0, 1)?;
        sleep(SETTLE);
        let empty = resident_bytes(server.id())?;
        // The first path is that of the first client.
        let rest = [&paths[1..], &paths[..1]].concat();
        load.connect(server.public, self.subscribers - 1, &rest)?;
        sleep(SETTLE);
        let resident = Resident {
            empty,
            idle: resident_bytes(server.id())?,
            end: 0,
        };
        Ok(Side {
            crowd,
            subscribers: self.subscribers,
            first_topic,
            server,
            load,
            resident,
            windows: Vec::new(),
        })
    }

    fn rows(&self, ours: &Side, other: &Side) -> Vec<Row> {
        let row = |what, unit, of: fn(&Window) -> f64| {
            Row::new(self.name, what, unit, ours.median(of)).beside(other.median(of))
        };
        let details = serde_json::json!({
            "subscribers": self.subscribers,
            "sides": [ours.details(), other.details()],
        });
        let goal = self.ratio_max.map(Goal::RatioAtMost);
        let is_per_delivery = self.other.filters == Kind::None;
        let per_delivery = row("CPU per delivery", "us", |window| {
            window.cpu_us_per_delivery
        });
        let per_read = row("CPU per event read", "us", |window| window.cpu_us_per_read);
        let (first, second) = if is_per_delivery {
            (per_delivery, per_read)
        } else {
            (per_read, per_delivery)
        };
        let more = |bytes: fn(&Resident) -> u64| {
            (ours.grown(bytes) - other.grown(bytes)) / 1024.0 / self.subscribers as f64
        };
        let mut rows = vec![
            first.with_goal(goal).with_details(details),
            second,
            row("events delivered per event read", "", |window| {
                window.deliveries_per_read
            }),
        ];
        if matches!(self.ours.filters, Kind::Wikis | Kind::WikisAndNamespaces) {
            let row = |what, bytes| Row::new(self.name, what, "KiB", more(bytes));
            rows.push(row("RSS per distinct filter, idle", |resident| {
                resident.idle
            }));
            rows.push(row("RSS per distinct filter, at the end", |resident| {
                resident.end
            }));
        }
        rows
    }
}

impl Side {
    /// Reads the events of a window, and notes what they cost.
    fn window(&mut self, broker: &mut Broker) -> anyhow::Result<()> {
        let read = || self.server.metric("eventstreams_records_read_total");
        self.load.report()?;
        let (read_before, cpu_before) = (read()?, cpu_time(self.server.id())?);
        broker.rate(self.crowd.events_per_s, self.first_topic, 1)?;
        let seconds = self.crowd.events as f64 / self.crowd.events_per_s;
        sleep(Duration::from_secs_f64(seconds));
        broker.rate(0.0, 0, 1)?;
        let begun = Instant::now();
        while read()? - read_before < 0.99 * self.crowd.events as f64 {
            ensure!(
                begun.elapsed() < PATIENCE,
                "{}: too few events are read",
                self.crowd.name
            );
            sleep(SETTLE);
        }
        sleep(SETTLE);
        let (cpu, read) = (
            cpu_since(self.server.id(), cpu_before)?,
            read()? - read_before,
        );
        let report = self.load.report()?;
        ensure!(
            report.lost == 0 && report.open == self.subscribers,
            "connections of {} were lost",
            self.crowd.name
        );
        self.windows.push(Window {
            cpu_us_per_read: cpu * 1e6 / read,
            // Progress frames and heartbeats count along, one in 15 seconds for each client.
            cpu_us_per_delivery: cpu * 1e6 / report.events as f64,
            deliveries_per_read: report.events as f64 / read,
        });
        Ok(())
    }

    fn median(&self, of: fn(&Window) -> f64) -> f64 {
        median(self.windows.iter().map(of))
    }

    /// Bytes that came with the subscribers.
    fn grown(&self, bytes: fn(&Resident) -> u64) -> f64 {
        bytes(&self.resident) as f64 - self.resident.empty as f64
    }

    fn details(&self) -> Value {
        serde_json::json!({
            "side": self.crowd.name,
            "events_per_s": self.crowd.events_per_s,
            "resident": self.resident,
            "windows": self.windows,
        })
    }
}

impl Kind {
    /// The paths that so many subscribers of a stream request.
    fn paths(self, stream: &str, subscribers: usize) -> anyhow::Result<Vec<String>> {
        let of = |filters: Vec<String>| {
            let path = |filter| {
                let encoded: String =
                    form_urlencoded::byte_serialize(String::as_bytes(filter)).collect();
                format!("{stream}?filter={encoded}")
            };
            filters.iter().map(path).collect()
        };
        let is_wiki = |wiki: &String| format!("event.wiki == '{wiki}'");
        Ok(match self {
            Self::None => vec![stream.to_owned()],
            Self::OneWiki => of(vec![is_wiki(&wikis()?[2])]),
            Self::Events(count) => of(vec![ids(count)?]),
            Self::Wikis => {
                let wikis = wikis()?;
                ensure!(wikis.len() >= subscribers, "there are too few wikis");
                of(wikis.iter().take(subscribers).map(is_wiki).collect())
            }
            Self::WikisAndNamespaces => {
                let namespaces = by_frequency(|event| event["namespace"].as_i64())?;
                let namespaces = &namespaces[..subscribers / WIKIS];
                let wikis = wikis()?;
                let pairs = wikis
                    .iter()
                    .flat_map(|wiki| namespaces.iter().map(move |number| (wiki, number)));
                of(pairs
                    .map(|(wiki, number)| {
                        format!("{} && event.namespace == {number}", is_wiki(wiki))
                    })
                    .collect())
            }
            Self::Residual(count) => of((0..count)
                .map(|number| {
                    let grown = 100_000_000 + number;
                    format!("event.length.new - event.length.old > {grown}")
                })
                .collect()),
        })
    }
}

/// The wikis of the samples, the largest first, and others that have no event.
fn wikis() -> anyhow::Result<Vec<String>> {
    let mut wikis = by_frequency(|event| Some(event["wiki"].as_str()?.to_owned()))?;
    wikis.extend((wikis.len()..WIKIS).map(|number| format!("quiet{number}wiki")));
    Ok(wikis)
}

/// The values of a round's events, the most frequent first.
fn by_frequency<V: std::hash::Hash + Ord>(
    of: impl Fn(&Value) -> Option<V>,
) -> anyhow::Result<Vec<V>> {
    let mut counts: HashMap<V, usize> = HashMap::new();
    for event in different_events() {
        if let Some(value) = of(&serde_json::from_slice(&event.value)?) {
            *counts.entry(value).or_default() += 1;
        }
    }
    let mut values: Vec<_> = counts.into_iter().collect();
    values.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
    Ok(values.into_iter().map(|(value, _)| value).collect())
}

/// A filter for so many events of a round, evenly far from each other.
fn ids(count: usize) -> anyhow::Result<String> {
    let pause = DIFFERENT_EVENTS / count;
    let mut ids = Vec::new();
    for event in different_events().skip(pause / 2).step_by(pause) {
        let event: Value = serde_json::from_slice(&event.value)?;
        ids.push(format!("{}", event["meta"]["id"]));
    }
    Ok(format!("event.meta.id in [{}]", ids.join(", ")))
}
