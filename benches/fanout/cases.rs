//! Every case by its name, with its parameters and goals.

use std::time::Duration;

use anyhow::bail;

use crate::broker::DIFFERENT_EVENTS;
use crate::deliveries::{Against, Deliveries, Sets};
use crate::filters::{Crowd, Filters, Kind};
use crate::processes::raise_open_files;
use crate::run::Options;
use crate::server::BINARY;
use crate::table::{Row, print};
use crate::{Arguments, churn, compression, history, http2, neighbours, plot, scan, startup};

/// Files for the largest case: every process inherits the limit.
const OPEN_FILES: u64 = 65_536;

/// Those of a process that are no subscribers.
const OTHER_FILES: usize = 200;

/// One event in each write.
const ONE_PER_WRITE: Deliveries = Deliveries {
    name: "one_per_write",
    subscribers: 1000,
    events_per_s: 100.0,
    streams: 1,
    topics: 1,
    sets: Sets::First,
    against: Against::Broadcaster,
    ratio_max: Some(1.15),
    kib_max: None,
    latency_ms_max: None,
};

/// Cases of live deliveries.
const DELIVERIES: &[Deliveries] = &[
    ONE_PER_WRITE,
    Deliveries {
        name: "batches",
        events_per_s: 500.0,
        ratio_max: Some(1.20),
        ..ONE_PER_WRITE
    },
    Deliveries {
        name: "latency",
        events_per_s: 30.0,
        ratio_max: None,
        latency_ms_max: Some((3.0, 25.0)),
        ..ONE_PER_WRITE
    },
    Deliveries {
        name: "idle_5000",
        subscribers: 5000,
        events_per_s: 10.0,
        kib_max: Some(3.0),
        ..ONE_PER_WRITE
    },
    Deliveries {
        name: "idle_20000",
        subscribers: 20_000,
        events_per_s: 10.0,
        ratio_max: None,
        kib_max: Some(3.0),
        ..ONE_PER_WRITE
    },
    Deliveries {
        name: "sets_200",
        streams: 10,
        sets: Sets::Different(200),
        against: Against::OneSet,
        ratio_max: Some(1.5),
        ..ONE_PER_WRITE
    },
    Deliveries {
        name: "composite",
        subscribers: 20,
        events_per_s: 1000.0,
        streams: 21,
        topics: 42,
        sets: Sets::All,
        ratio_max: None,
        ..ONE_PER_WRITE
    },
];

/// A round of all samples, five seconds long.
const ROUND: Crowd = Crowd {
    name: "no filter",
    filters: Kind::None,
    events_per_s: 2000.0,
    events: DIFFERENT_EVENTS,
};

/// Different filters beside one: an event goes to one subscriber in the mean, on both sides.
const FILTERS_1000: Filters = Filters {
    name: "filters_1000",
    subscribers: 1000,
    ours: Crowd {
        name: "different",
        filters: Kind::Wikis,
        ..ROUND
    },
    other: Crowd {
        name: "one",
        filters: Kind::Events(10),
        ..ROUND
    },
    ratio_max: Some(2.0),
};

/// Cases of filters.
const FILTERS: &[Filters] = &[
    // As many events a second are delivered on both sides.
    Filters {
        name: "filter",
        ours: Crowd {
            name: "one wiki",
            filters: Kind::OneWiki,
            events_per_s: 1000.0,
            events: 5000,
        },
        other: Crowd {
            events_per_s: 100.0,
            events: 500,
            ..ROUND
        },
        ratio_max: Some(1.1),
        ..FILTERS_1000
    },
    FILTERS_1000,
    Filters {
        name: "filters_10000",
        subscribers: 10_000,
        ours: Crowd {
            name: "different",
            filters: Kind::WikisAndNamespaces,
            ..ROUND
        },
        other: Crowd {
            name: "one",
            filters: Kind::Events(1),
            ..ROUND
        },
        ratio_max: Some(3.0),
    },
    Filters {
        name: "filters_residual",
        ours: Crowd {
            name: "200 residual filters",
            filters: Kind::Residual(200),
            ..ROUND
        },
        other: Crowd {
            name: "one residual filter",
            filters: Kind::Residual(1),
            ..ROUND
        },
        ratio_max: None,
        ..FILTERS_1000
    },
];

/// A case that is neither.
type Run = fn(&Options) -> anyhow::Result<Vec<Row>>;

/// All others.
const OTHERS: &[(&str, Run)] = &[
    ("start", startup::start),
    ("ingest", history::ingest),
    ("replay_memory", history::replay_memory),
    ("replay_kafka", history::replay_kafka),
    ("herd", history::herd),
    ("compression", compression::compression),
    ("http2", http2::http2),
    ("churn", churn::churn),
    ("neighbours", neighbours::neighbours),
    ("filters_scan", scan::scan),
];

/// Takes a minute or more, or thousands of files: only when named.
const WHEN_NAMED: &[&str] = &[
    "idle_20000",
    "churn",
    "neighbours",
    "filters_1000",
    "filters_10000",
    "filters_residual",
    "filters_scan",
];

/// Runs what the command line names.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let files = raise_open_files(OPEN_FILES);
    let options = Options {
        windows: arguments.windows,
        window: Duration::from_secs_f64(arguments.seconds.clamp(0.1, 60.0)),
        is_pinned: !arguments.no_pin,
        server: arguments.server.clone().unwrap_or_else(|| BINARY.into()),
        brokers: arguments.brokers.clone(),
    };
    let names = || {
        DELIVERIES
            .iter()
            .map(|case| case.name)
            .chain(FILTERS.iter().map(|case| case.name))
            .chain(OTHERS.iter().map(|(name, _)| *name))
    };
    if let Some(unknown) = arguments
        .cases
        .iter()
        .find(|wanted| !names().any(|name| name == *wanted))
    {
        bail!(
            "no case is named {unknown}; there are: {}",
            names().collect::<Vec<_>>().join(", ")
        );
    }
    let none_named = arguments.cases.is_empty() && arguments.plot.is_none();
    let is_wanted = |name: &str| {
        arguments.cases.iter().any(|wanted| wanted == name)
            || (none_named && !WHEN_NAMED.contains(&name))
    };
    for case in DELIVERIES.iter().filter(|case| is_wanted(case.name)) {
        let possible = usize::try_from(files)?.saturating_sub(OTHER_FILES);
        if case.subscribers > possible {
            println!(
                "\n{} with only {possible} subscribers: the limit on open files is {files} \
                 (ulimit -n)",
                case.name
            );
        }
        print(
            &Deliveries {
                subscribers: case.subscribers.min(possible),
                ..*case
            }
            .run(&options)?,
        )?;
    }
    for case in FILTERS.iter().filter(|case| is_wanted(case.name)) {
        print(&case.run(&options)?)?;
    }
    for (_, run) in OTHERS.iter().filter(|(name, _)| is_wanted(name)) {
        print(&run(&options)?)?;
    }
    match &arguments.plot {
        Some(file) => plot::write(file, ONE_PER_WRITE, &options),
        None => Ok(()),
    }
}
