//! The fields of the table: handles of the `metrics` crate, alone or by label set.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use metrics::atomics::AtomicU64;
use metrics::{Counter, Gauge, Histogram, Key, Level, Metadata, Recorder};

use super::labels::Labels;
use super::recorder::{ServerRecorder, gauge_value};

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// A handle to one series.
pub trait Handle: Sized {
    /// Sets the help of the series with this name.
    fn describe(recorder: &ServerRecorder, name: &'static str, help: &'static str);

    /// The handle to a series, which starts at 0.
    fn register(recorder: &ServerRecorder, key: &Key) -> Self;
}

impl Handle for Counter {
    fn describe(recorder: &ServerRecorder, name: &'static str, help: &'static str) {
        recorder.describe_counter(name.into(), None, help.into());
    }

    fn register(recorder: &ServerRecorder, key: &Key) -> Self {
        recorder.register_counter(key, &METADATA)
    }
}

impl Handle for Gauge {
    fn describe(recorder: &ServerRecorder, name: &'static str, help: &'static str) {
        recorder.describe_gauge(name.into(), None, help.into());
    }

    fn register(recorder: &ServerRecorder, key: &Key) -> Self {
        recorder.register_gauge(key, &METADATA)
    }
}

impl Handle for Histogram {
    fn describe(recorder: &ServerRecorder, name: &'static str, help: &'static str) {
        recorder.describe_histogram(name.into(), None, help.into());
    }

    fn register(recorder: &ServerRecorder, key: &Key) -> Self {
        recorder.register_histogram(key, &METADATA)
    }
}

/// A gauge of the newest timestamp, in seconds since 1970.
#[derive(Clone, Debug)]
pub struct NewestGauge(Arc<AtomicU64>);

impl NewestGauge {
    /// Sets the gauge to `seconds` if that is newer.
    pub fn raise_to(&self, seconds: f64) {
        self.replace_if(seconds, |value| value < seconds);
    }

    /// Sets the gauge to `seconds` if that is older. Returns the value.
    pub(super) fn cap_at(&self, seconds: f64) -> f64 {
        self.replace_if(seconds, |value| value > seconds);
        gauge_value(&self.0)
    }

    fn replace_if(&self, seconds: f64, condition: impl Fn(f64) -> bool) {
        let replacement = |bits| condition(f64::from_bits(bits)).then_some(seconds.to_bits());
        // An error means that the condition does not hold.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, replacement);
    }
}

impl Handle for NewestGauge {
    fn describe(recorder: &ServerRecorder, name: &'static str, help: &'static str) {
        Gauge::describe(recorder, name, help);
    }

    fn register(recorder: &ServerRecorder, key: &Key) -> Self {
        Self(recorder.gauge(key))
    }
}

/// The series of one name, by their label set `L`.
#[derive(Debug)]
pub struct Family<L, H> {
    name: &'static str,
    recorder: Arc<ServerRecorder>,
    series: PhantomData<fn(&L) -> H>,
}

impl<L: Labels, H: Handle> Family<L, H> {
    /// The handle to the series with these labels.
    pub fn get_or_create(&self, labels: &L) -> H {
        H::register(&self.recorder, &self.key(labels))
    }
}

impl<L: Labels, H> Family<L, H> {
    fn key(&self, labels: &L) -> Key {
        Key::from_parts(self.name, labels.labels())
    }
}

impl<L: Labels> Family<L, Gauge> {
    /// Removes the series with these labels.
    pub fn remove(&self, labels: &L) {
        self.recorder.remove_gauge(&self.key(labels));
    }

    /// Removes all series.
    pub fn clear(&self) {
        self.recorder.remove_gauges(self.name);
    }
}

impl<L: Labels> Family<L, NewestGauge> {
    /// The handle to the series with these labels, if it exists.
    pub(super) fn get(&self, labels: &L) -> Option<NewestGauge> {
        self.recorder
            .existing_gauge(&self.key(labels))
            .map(NewestGauge)
    }
}

/// A field of the table.
pub(super) trait Field {
    fn new(recorder: &Arc<ServerRecorder>, name: &'static str, help: &'static str) -> Self;
}

impl<H: Handle> Field for H {
    fn new(recorder: &Arc<ServerRecorder>, name: &'static str, help: &'static str) -> Self {
        H::describe(recorder, name, help);
        H::register(recorder, &Key::from_static_name(name))
    }
}

impl<L, H: Handle> Field for Family<L, H> {
    fn new(recorder: &Arc<ServerRecorder>, name: &'static str, help: &'static str) -> Self {
        H::describe(recorder, name, help);
        Self {
            name,
            recorder: Arc::clone(recorder),
            series: PhantomData,
        }
    }
}
