//! EVERY metric: its name, help and closed label sets. One [`Metrics`] per server, so that tests run several side by side.
//!
//! Labels are names out of the configuration and fixed words, never what a client sent, so their number is bounded by the operator's file.
//!
//! * `labels`: the label sets, and the histogram of deliveries.
//! * `kafka_client`: what librdkafka says of itself, under the names of the Node service.
//! * `process`: memory, CPU and files of the process.
//! * `text`: Prometheus' text form.
//!
//! Quirk: what librdkafka counts up is a gauge under a name without `_total`, as with the Node service
//! (`librdkafkas_statistics_keep_the_names_of_the_node_service`).

mod kafka_client;
mod labels;
mod process;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

pub use kafka_client::{KafkaClientStatistics, Sample};
pub use labels::{
    BuildLabel, DeliverySeconds, KindLabel, ReasonLabel, StreamLabel, StreamOwnerLabel,
    StreamTopicLabel, TopicLabel, TopicReasonLabel,
};

use crate::cursor::{MovedReason, TimestampMs};
use crate::event::SkipReason;
use crate::stream::Catalog;

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $name:literal;)+) => {
        /// See the module.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            /// The topics of the public streams as they are now.
            topics: Mutex<BTreeSet<String>>,
            kafka_client: Arc<KafkaClientStatistics>,
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                $(
                    let $field = <$type>::default();
                    registry.register($name, concat!($($help),+).trim().trim_end_matches('.'), $field.clone());
                )+
                let kafka_client = Arc::new(KafkaClientStatistics::default());
                registry.register_collector(Box::new(Arc::clone(&kafka_client)));
                registry.register_collector(Box::new(process::ProcessMetrics));
                let metrics = Self { registry, topics: Mutex::default(), kafka_client, $($field,)+ };
                metrics.build_info.get_or_create(&BuildLabel { version: env!("CARGO_PKG_VERSION") }).set(1);
                metrics
            }
        }
    };
}

metrics! {
    /// Clients connected now, by stream.
    connected_clients: Family<StreamLabel, Gauge> = "eventstreams_connected_clients";
    /// Streams begun, by stream.
    client_connections: Family<StreamLabel, Counter> = "eventstreams_client_connections";
    /// Connections open now on the public port.
    connections: Gauge = "eventstreams_connections";
    /// Connections refused because their peer address had as many as it may have.
    connections_refused: Counter = "eventstreams_connections_refused";
    /// Bytes of memory that everything may hold that clients cause.
    memory_budget_bytes: Gauge = "eventstreams_memory_budget_bytes";
    /// Bytes of that budget that are used, by kind.
    memory_used_bytes: Family<KindLabel, Gauge> = "eventstreams_memory_used_bytes";
    /// Streams refused because the budget of memory was used up.
    memory_refusals: Counter = "eventstreams_memory_refusals";
    /// Clients that took nothing, disconnected because memory was short.
    memory_disconnects: Counter = "eventstreams_memory_disconnects";
    /// Records read by the live consumer, by topic.
    records_read: Family<TopicLabel, Counter> = "eventstreams_records_read";
    /// Records that were not delivered, by reason.
    records_skipped: Family<ReasonLabel, Counter> = "eventstreams_records_skipped";
    /// Events that were redacted when they were read.
    events_redacted: Counter = "eventstreams_events_redacted";
    /// Kafka timestamp in seconds of the newest record, by topic.
    newest_record_seconds: Family<TopicLabel, Gauge<f64, AtomicU64>> = "eventstreams_newest_record_timestamp_seconds";
    /// Seconds since the Kafka timestamp of the newest record, by topic.
    newest_record_age_seconds: Family<TopicLabel, Gauge<f64, AtomicU64>> = "eventstreams_newest_record_age_seconds";
    /// Bytes that the memory logs hold.
    memory_log_bytes: Gauge = "eventstreams_memory_log_bytes";
    /// Seconds between the oldest and the newest record that the memory logs hold, by Kafka's timestamps.
    memory_log_seconds: Gauge = "eventstreams_memory_log_seconds";
    /// Records in Kafka that were not read yet, by topic, as of the last look.
    lag_records: Family<TopicLabel, Gauge> = "eventstreams_lag_records";
    /// Feeds with at least one subscriber.
    feeds: Gauge = "eventstreams_feeds";
    /// Partitions read now.
    partitions: Gauge = "eventstreams_partitions";
    /// Events handed to subscribers, live or catching up, by stream.
    events_delivered: Family<StreamLabel, Counter> = "eventstreams_events_delivered";
    /// Bytes of frames handed to subscribers, live or catching up, by stream.
    bytes_delivered: Family<StreamLabel, Counter> = "eventstreams_bytes_delivered";
    /// Events handed to subscribers that are catching up.
    events_caught_up: Counter = "eventstreams_events_caught_up";
    /// From Kafka's timestamp to the socket, of one event in a second of each live stream.
    delivery_seconds: DeliverySeconds = "eventstreams_delivery_seconds";
    /// Heartbeats sent.
    heartbeats: Counter = "eventstreams_heartbeats";
    /// Times that a subscriber went over from catching up to live.
    handoffs: Counter = "eventstreams_handoffs";
    /// Times that a live subscriber fell behind its feed.
    fallen_behind: Counter = "eventstreams_subscribers_fallen_behind";
    /// Subscribers told that they go on elsewhere than asked, by reason.
    moved: Family<ReasonLabel, Counter> = "eventstreams_positions_moved";
    /// Reads out of Kafka for subscribers that are replayed.
    replay_reads: Counter = "eventstreams_replay_reads";
    /// Subscribers that are being replayed out of Kafka.
    replays_running: Gauge = "eventstreams_replays_running";
    /// Subscribers that wait for a place to be replayed out of Kafka.
    replays_waiting: Gauge = "eventstreams_replays_waiting";
    /// Replays refused because all places and the queue before them were taken.
    replays_refused: Counter = "eventstreams_replays_refused";
    /// Offsets looked up in Kafka for subscribers.
    lookups: Counter = "eventstreams_lookups";
    /// Requests answered with a problem, by its type.
    problems: Family<ReasonLabel, Counter> = "eventstreams_problems";
    /// Streams ended, by reason.
    streams_closed: Family<ReasonLabel, Counter> = "eventstreams_streams_closed";
    /// The public streams, with the owner that their configuration names.
    stream_info: Family<StreamOwnerLabel, Gauge> = "eventstreams_stream_info";
    /// The topics of the public streams.
    stream_topic_info: Family<StreamTopicLabel, Gauge> = "eventstreams_stream_topic_info";
    /// Seconds that a stream may be silent, by its configuration.
    stream_silence_max_seconds: Family<StreamLabel, Gauge<f64, AtomicU64>> = "eventstreams_stream_silence_max_seconds";
    /// Events a second that a stream may have, by its configuration.
    stream_events_per_second_max: Family<StreamLabel, Gauge<f64, AtomicU64>> = "eventstreams_stream_events_per_second_max";
    /// The build that runs.
    build_info: Family<BuildLabel, Gauge> = "eventstreams_build_info";
    /// Reloads of the configuration, by result.
    config_reloads: Family<ReasonLabel, Counter> = "eventstreams_config_reloads";
    /// Errors that the Kafka client reported.
    kafka_errors: Counter = "eventstreams_kafka_errors";
    /// Whether Kafka answers.
    kafka_connected: Gauge = "eventstreams_kafka_connected";
    /// When Kafka answered last, in seconds since 1970; 0 if it never has.
    kafka_last_answer: Gauge<f64, AtomicU64> = "eventstreams_kafka_last_answer_timestamp_seconds";
    /// Topics of the public streams that cannot be read, by reason.
    topics_unavailable: Family<TopicReasonLabel, Gauge> = "eventstreams_topics_unavailable";
}

impl Metrics {
    /// All metrics in Prometheus' text form, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.update_ages();
        let mut openmetrics = String::new();
        prometheus_client::encoding::text::encode(&mut openmetrics, &self.registry)
            .expect("writing to a String does not fail");
        text::prometheus(&openmetrics)
    }

    /// Topics that no record was read of have no age.
    fn update_ages(&self) {
        let now = TimestampMs::now().as_secs_f64();
        for topic in self.topics.lock().iter() {
            let label = TopicLabel {
                topic: topic.clone(),
            };
            let newest = self
                .newest_record_seconds
                .get(&label)
                .map(|newest| newest.clone());
            if let Some(newest) = newest {
                // One from the future counts as one of now: else its topic would look alive until that time comes.
                newest.set(newest.get().min(now));
                self.newest_record_age_seconds
                    .get_or_create(&label)
                    .set(now - newest.get());
            }
        }
    }

    /// Puts what a Kafka client said of itself in the place of what it said before.
    pub fn set_kafka_client(&self, handle: &str, samples: Vec<Sample>) {
        self.kafka_client.set(handle, samples);
    }

    /// A subscriber was told that it goes on elsewhere.
    pub fn count_moved(&self, reason: MovedReason) {
        self.moved
            .get_or_create(&ReasonLabel {
                reason: reason.as_str(),
            })
            .inc();
    }

    /// The same for all subscribers of a feed.
    pub fn count_moved_all(&self, reason: MovedReason, subscribers: usize) {
        self.moved
            .get_or_create(&ReasonLabel {
                reason: reason.as_str(),
            })
            .inc_by(subscribers as u64);
    }

    /// Says which streams there are and what their configuration promises, for alerts to lean on: `owner`,
    /// `silence_max_seconds` (two hours where canary events come, which is at least hourly) and `events_per_second_max`.
    pub fn describe_streams(&self, catalog: &Catalog) {
        self.stream_info.clear();
        self.stream_topic_info.clear();
        self.stream_silence_max_seconds.clear();
        self.stream_events_per_second_max.clear();
        self.newest_record_age_seconds.clear();
        *self.topics.lock() = catalog.topics().iter().map(ToString::to_string).collect();
        for stream in catalog.streams() {
            let name = stream.name.to_string();
            let setting = |key: &str| stream.settings.get(key);
            let owner = setting("owner")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            self.stream_info
                .get_or_create(&StreamOwnerLabel {
                    stream: name.clone(),
                    owner,
                })
                .set(1);
            for topic in &stream.topics {
                self.stream_topic_info
                    .get_or_create(&StreamTopicLabel {
                        stream: name.clone(),
                        topic: topic.to_string(),
                    })
                    .set(1);
            }
            let has_canaries = setting("canary_events_enabled")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            let silence_max = setting("silence_max_seconds")
                .and_then(Value::as_f64)
                .or(has_canaries.then_some(7200.0));
            if let Some(seconds) = silence_max {
                self.stream_silence_max_seconds
                    .get_or_create(&StreamLabel {
                        stream: name.clone(),
                    })
                    .set(seconds);
            }
            if let Some(rate) = setting("events_per_second_max").and_then(Value::as_f64) {
                self.stream_events_per_second_max
                    .get_or_create(&StreamLabel { stream: name })
                    .set(rate);
            }
        }
    }

    /// A record was not delivered.
    pub fn count_skip(&self, reason: SkipReason) {
        self.records_skipped
            .get_or_create(&ReasonLabel {
                reason: reason.as_str(),
            })
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_the_future_counts_as_one_of_now() {
        let metrics = Metrics::default();
        let config =
            crate::config::Config::parse("stream_config_defaults: {a: {}}", std::iter::empty())
                .expect("a file");
        metrics
            .describe_streams(&Catalog::build(&Value::Null, &config.streams).expect("a catalog"));
        let newest = metrics
            .newest_record_seconds
            .get_or_create(&TopicLabel {
                topic: "a".to_owned(),
            })
            .clone();
        let before = TimestampMs::now().as_secs_f64();
        // A year ahead, and microseconds taken for milliseconds.
        for from_the_future in [before + 31_536_000.0, before * 1000.0] {
            newest.set(newest.get().max(from_the_future));
            let _ = metrics.render();
            let counted = newest.get();
            assert!(
                (before..=TimestampMs::now().as_secs_f64()).contains(&counted),
                "{counted}"
            );
            let _ = metrics.render();
            assert!(
                (newest.get() - counted).abs() < 1e-9,
                "it grows older from then on"
            );
        }
    }

    #[test]
    fn the_names_of_the_node_service_are_kept() {
        let metrics = Metrics::default();
        metrics
            .connected_clients
            .get_or_create(&StreamLabel { stream: "a".into() })
            .set(1);
        metrics
            .client_connections
            .get_or_create(&StreamLabel { stream: "a".into() })
            .inc();
        let text = metrics.render();
        assert!(
            text.contains("eventstreams_connected_clients{stream=\"a\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("eventstreams_client_connections_total{stream=\"a\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn streams_are_described_as_they_are_configured_now() {
        let catalog = |yaml: &str| {
            let config =
                crate::config::Config::parse(yaml, std::iter::empty()).expect("a configuration");
            Catalog::build(&Value::Null, &config.streams).expect("a catalog")
        };
        let metrics = Metrics::default();
        metrics.describe_streams(&catalog(
            "stream_config_defaults: {a: {owner: team, canary_events_enabled: true}, b: {topics: [x.b]}}",
        ));
        let text = metrics.render();
        assert!(
            text.contains("eventstreams_stream_info{stream=\"a\",owner=\"team\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("eventstreams_stream_topic_info{stream=\"b\",topic=\"x.b\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("eventstreams_stream_silence_max_seconds{stream=\"a\"} 7200.0\n"),
            "{text}"
        );
        metrics.describe_streams(&catalog(
            "stream_config_defaults: {b: {events_per_second_max: 50}}",
        ));
        let text = metrics.render();
        assert!(!text.contains("stream=\"a\""), "{text}");
        assert!(
            text.contains("eventstreams_stream_events_per_second_max{stream=\"b\"} 50.0\n"),
            "{text}"
        );
    }
}
