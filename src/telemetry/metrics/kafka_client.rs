//! What librdkafka says of itself, as of its last report.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// One number of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The metric's name, `rdkafka_...`.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Broker, or topic and partition; bounded by what the cluster and the configuration have.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: i64,
}

/// The last report of each client, by its handle; see [`super::Metrics::set_kafka_client`].
#[derive(Debug, Default)]
pub struct KafkaClientStatistics {
    reports: Mutex<BTreeMap<String, Vec<Sample>>>,
}

impl KafkaClientStatistics {
    /// A new report replaces the whole of the old one: what the client does not know any more is gone.
    pub(super) fn set(&self, handle: &str, samples: Vec<Sample>) {
        self.reports.lock().insert(handle.to_owned(), samples);
    }
}

impl Collector for KafkaClientStatistics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let reports = self.reports.lock();
        let mut families: BTreeMap<&str, Vec<(&str, &Sample)>> = BTreeMap::new();
        for (handle, sample) in reports
            .iter()
            .flat_map(|(handle, samples)| samples.iter().map(move |sample| (handle, sample)))
        {
            families
                .entry(sample.name)
                .or_default()
                .push((handle, sample));
        }
        for (name, samples) in families {
            let help = samples.first().map_or("", |(_, sample)| sample.help);
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (handle, sample) in samples {
                let mut labels = vec![
                    ("handle", handle.to_owned()),
                    ("type", "consumer".to_owned()),
                ];
                labels.extend(sample.labels.iter().cloned());
                ConstGauge::new(sample.value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
