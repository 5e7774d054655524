//! The label sets, all closed, and the histogram of deliveries.

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;

/// A stream of the allowlist.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StreamLabel {
    /// Its name; never an alias, never what a client typed.
    pub stream: String,
}

/// A topic of the configuration.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct TopicLabel {
    /// Its name.
    pub topic: String,
}

/// One of a closed set of reasons.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabel {
    /// The reason's fixed word.
    pub reason: &'static str,
}

/// One of a closed set of kinds.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabel {
    /// The kind's fixed word.
    pub kind: &'static str,
}

/// A stream and who answers for it.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StreamOwnerLabel {
    /// The stream's name.
    pub stream: String,
    /// `owner` of its configuration; empty without.
    pub owner: String,
}

/// A stream and one of its topics.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StreamTopicLabel {
    /// The stream's name.
    pub stream: String,
    /// The topic's.
    pub topic: String,
}

/// A topic of the configuration, and why it cannot be read.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct TopicReasonLabel {
    /// The topic's name.
    pub topic: String,
    /// The reason's fixed word.
    pub reason: &'static str,
}

/// What was built.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct BuildLabel {
    /// The package's version.
    pub version: &'static str,
}

/// A histogram of seconds, from a millisecond to a minute.
#[derive(Clone, Debug)]
pub struct DeliverySeconds(Histogram);

impl Default for DeliverySeconds {
    fn default() -> Self {
        Self(Histogram::new([
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ]))
    }
}

impl DeliverySeconds {
    /// Counts one delivery.
    pub fn observe(&self, seconds: f64) {
        self.0.observe(seconds);
    }
}

impl EncodeMetric for DeliverySeconds {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.0.metric_type()
    }
}
