//! The recorder of one server: all its series, and their text form.
//!
//! The exporter's own recorder cannot remove a series, keeps every value of a histogram until the
//! next scrape, and writes families in a random order. This one shares the registry and the text
//! form with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metrics::atomics::AtomicU64;
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_util::registry::{Registry, Storage};
use metrics_util::storage;
use parking_lot::{Mutex, RwLock};

use super::text::{self, Kind};

/// The bounds of every histogram: seconds, from a millisecond to a minute.
const BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Holds the series of one server.
#[derive(Debug)]
pub struct ServerRecorder {
    registry: Registry<Key, SeriesStorage>,
    help: RwLock<HashMap<KeyName, SharedString>>,
}

impl Default for ServerRecorder {
    fn default() -> Self {
        Self {
            registry: Registry::new(SeriesStorage),
            help: RwLock::default(),
        }
    }
}

impl ServerRecorder {
    /// Writes all series, sorted by name and labels. Families without a series are left out.
    pub(super) fn render(&self, text: &mut String) {
        let mut series = Vec::new();
        self.registry.visit_counters(|key, counter| {
            series.push((key.clone(), Value::Counter(counter.load(Ordering::Relaxed))));
        });
        self.registry.visit_gauges(|key, gauge| {
            series.push((key.clone(), Value::Gauge(gauge_value(gauge))));
        });
        self.registry.visit_histograms(|key, histogram| {
            series.push((key.clone(), Value::Histogram(histogram.0.lock().clone())));
        });
        series.sort_by(|(one, _), (other, _)| one.cmp(other));
        let help = self.help.read();
        for family in series.chunk_by(|(one, _), (other, _)| one.name() == other.name()) {
            let (key, value) = &family[0];
            let help = help.get(key.name()).map_or("", |help| help);
            text::write_description(text, key.name(), help, value.kind());
            for (key, value) in family {
                value.write(text, key);
            }
        }
    }

    /// The storage of a gauge; created at 0 if it does not exist yet.
    pub(super) fn gauge(&self, key: &Key) -> Arc<AtomicU64> {
        self.registry.get_or_create_gauge(key, Arc::clone)
    }

    /// The storage of a gauge, if it exists.
    pub(super) fn existing_gauge(&self, key: &Key) -> Option<Arc<AtomicU64>> {
        self.registry.get_gauge(key)
    }

    /// Removes a gauge. Handles to it write to nowhere from now on.
    pub(super) fn remove_gauge(&self, key: &Key) {
        self.registry.delete_gauge(key);
    }

    /// Removes all gauges of a family.
    pub(super) fn remove_gauges(&self, name: &str) {
        self.registry.retain_gauges(|key, _| key.name() != name);
    }

    fn describe(&self, name: KeyName, help: SharedString) {
        self.help.write().insert(name, help);
    }
}

impl Recorder for ServerRecorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let counter = self.registry.get_or_create_counter(key, Arc::clone);
        Counter::from_arc(counter)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.gauge(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let histogram = self.registry.get_or_create_histogram(key, Arc::clone);
        Histogram::from_arc(histogram)
    }
}

/// The value that a gauge's storage holds.
pub(super) fn gauge_value(gauge: &AtomicU64) -> f64 {
    f64::from_bits(gauge.load(Ordering::Relaxed))
}

/// Creates the storage of each series.
#[derive(Debug)]
struct SeriesStorage;

impl Storage<Key> for SeriesStorage {
    type Counter = Arc<AtomicU64>;
    type Gauge = Arc<AtomicU64>;
    type Histogram = Arc<BucketCounts>;

    fn counter(&self, _: &Key) -> Self::Counter {
        Arc::default()
    }

    fn gauge(&self, _: &Key) -> Self::Gauge {
        Arc::default()
    }

    fn histogram(&self, _: &Key) -> Self::Histogram {
        Arc::default()
    }
}

/// A histogram that counts values into [`BUCKETS`].
#[derive(Debug)]
struct BucketCounts(Mutex<storage::Histogram>);

impl Default for BucketCounts {
    fn default() -> Self {
        let empty = storage::Histogram::new(&BUCKETS).expect("the bounds are not empty");
        Self(Mutex::new(empty))
    }
}

impl HistogramFn for BucketCounts {
    fn record(&self, value: f64) {
        self.0.lock().record(value);
    }
}

/// What a series holds now.
#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(storage::Histogram),
}

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    fn write(&self, text: &mut String, key: &Key) {
        match self {
            Self::Counter(value) => text::write_sample(text, key, Kind::Counter, value),
            Self::Gauge(value) => text::write_sample(text, key, Kind::Gauge, value),
            Self::Histogram(histogram) => text::write_histogram(text, key, histogram),
        }
    }
}
