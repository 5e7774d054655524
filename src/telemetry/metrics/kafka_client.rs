//! The statistics of librdkafka, as of its last report.

use std::collections::BTreeMap;

use metrics::{Key, Label};
use parking_lot::Mutex;

use super::text::{self, Kind};

/// One number of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The metric's name, `rdkafka_...`.
    pub name: &'static str,
    /// The metric's help.
    pub help: &'static str,
    /// Broker, or topic and partition; bounded by the cluster and the configuration.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: i64,
}

/// The last report of each client, by its handle; see [`super::Metrics::set_kafka_client`].
#[derive(Debug, Default)]
pub(super) struct KafkaClientStatistics {
    reports: Mutex<BTreeMap<String, Vec<Sample>>>,
}

impl KafkaClientStatistics {
    /// Replaces the client's last report as a whole.
    pub(super) fn set(&self, handle: &str, samples: Vec<Sample>) {
        self.reports.lock().insert(handle.to_owned(), samples);
    }

    /// Writes the reports of all clients.
    pub(super) fn render(&self, text: &mut String) {
        let reports = self.reports.lock();
        let mut families: BTreeMap<&str, Vec<(&str, &Sample)>> = BTreeMap::new();
        for (handle, samples) in &*reports {
            for sample in samples {
                families
                    .entry(sample.name)
                    .or_default()
                    .push((handle, sample));
            }
        }
        for (name, samples) in families {
            let help = samples.first().map_or("", |(_, sample)| sample.help);
            text::write_description(text, name, help, Kind::Gauge);
            for (handle, sample) in samples {
                text::write_sample(text, &key(handle, sample), Kind::Gauge, sample.value);
            }
        }
    }
}

fn key(handle: &str, sample: &Sample) -> Key {
    let mut labels = vec![
        Label::new("handle", handle.to_owned()),
        Label::from_static_parts("type", "consumer"),
    ];
    labels.extend(sample.labels.iter().map(Label::from));
    Key::from_parts(sample.name, labels)
}
