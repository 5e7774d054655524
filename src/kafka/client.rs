//! The properties of every consumer: the operator's, and those that this program needs.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Statistics};
use std::sync::Arc;

use super::statistics::samples;
use crate::config::OWN_PROPERTIES;
use crate::telemetry::kafka_health::KafkaHealth;
use crate::telemetry::metrics::Metrics;

/// Defaults for what the operator does not set.
const DEFAULTS: &[(&str, &str)] = &[
    ("group.id", "eventstreams"),
    ("fetch.message.max.bytes", "10485760"),
    // The broker answers as soon as it has one event: none waits for another.
    ("fetch.wait.max.ms", "500"),
    ("fetch.min.bytes", "1"),
    ("fetch.error.backoff.ms", "100"),
    // A reader whose queue was full resumes fetching soon after it has room, not a second later.
    ("fetch.queue.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "2000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("socket.keepalive.enable", "true"),
    ("statistics.interval.ms", "60000"),
];

/// The purpose of the consumer that reads everything once.
pub(super) const LIVE: &str = "live";

/// The purpose of the consumer on which discovery asks its questions.
const QUESTIONS: &str = "questions";

/// How to connect to Kafka.
#[derive(Clone, Debug)]
pub struct KafkaClient {
    properties: BTreeMap<String, String>,
    metrics: Arc<Metrics>,
    health: Arc<KafkaHealth>,
}

/// librdkafka refused the properties: an unknown key, a value out of range, an unreadable
/// certificate.
#[derive(Debug, thiserror::Error)]
#[error("Kafka client: {0}")]
pub struct KafkaClientError(#[from] pub(super) rdkafka::error::KafkaError);

/// Receives what librdkafka reports besides records.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The consumer's `client.id`.
    handle: String,
    /// Whether its reports arrive at once. Those of other consumers wait until the past is read.
    is_always_polled: bool,
    metrics: Arc<Metrics>,
    health: Arc<KafkaHealth>,
}

impl ClientContext for Context {
    /// [`KafkaHealth`] logs the errors, at a bounded rate.
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // Both are answers that the readers wait for, not faults.
        if let Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AutoOffsetReset) =
            error.rdkafka_error_code()
        {
            return;
        }
        self.metrics.kafka_errors.increment(1);
        tracing::debug!(handle = self.handle, %error, reason, "Kafka client");
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.health.report(reason.to_owned());
        } else if self.is_always_polled {
            // Nothing else is reported when a listener closes the connection because it expects
            // TLS.
            self.health.report_lost(format!(
                "{reason}; if they run, check that security.protocol matches their listeners"
            ));
        }
    }

    /// librdkafka's own log lines. Faults of brokers (`FAIL`) also arrive as errors.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka begins each line with the name of its thread.
        let text = message.split_once("]: ").map_or(message, |(_, text)| text);
        match facility {
            _ if level as u8 > RDKafkaLogLevel::Warning as u8 => {
                tracing::debug!(facility, text, "librdkafka");
            }
            "FAIL" | "ERROR" => tracing::debug!(facility, text, "librdkafka"),
            // Identical for each consumer.
            "CONFWARN" if self.handle.ends_with(LIVE) => {
                tracing::warn!(text, "Kafka property without effect");
            }
            "CONFWARN" => {}
            _ => self.health.report(text.to_owned()),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.metrics
            .set_kafka_client(&self.handle, samples(&statistics));
    }
}

impl ConsumerContext for Context {}

pub(super) type Consumer = BaseConsumer<Context>;

impl KafkaClient {
    /// `properties` go to librdkafka verbatim, except for [`OWN_PROPERTIES`].
    #[must_use]
    pub fn new(
        properties: &BTreeMap<String, String>,
        metrics: Arc<Metrics>,
        health: Arc<KafkaHealth>,
    ) -> Self {
        Self {
            properties: properties.clone(),
            metrics,
            health,
        }
    }

    /// A consumer for one purpose, the end of its `client.id`; `more` overrides everything else.
    /// Only the one for [`LIVE`] reports statistics: the others come and go, and each report waits
    /// in memory until its consumer is polled.
    pub(super) fn consumer(
        &self,
        purpose: &str,
        more: &[(&str, String)],
    ) -> Result<Consumer, KafkaClientError> {
        let mut config = ClientConfig::new();
        for (key, value) in DEFAULTS {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        let client_id = self
            .properties
            .get("client.id")
            .map_or("eventstreams", String::as_str);
        let handle = format!("{client_id}-{purpose}");
        config.set("client.id", &handle);
        if purpose != LIVE {
            config.set("statistics.interval.ms", "0");
        }
        for own in OWN_PROPERTIES {
            if let Some(value) = own.value {
                config.set(own.name, value);
            }
        }
        for (key, value) in more {
            config.set(*key, value);
        }
        Ok(BaseConsumer::from_config_and_context(
            &config,
            Context {
                handle,
                is_always_polled: [LIVE, QUESTIONS].contains(&purpose),
                metrics: Arc::clone(&self.metrics),
                health: Arc::clone(&self.health),
            },
        )?)
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(super) fn health(&self) -> &Arc<KafkaHealth> {
        &self.health
    }
}
