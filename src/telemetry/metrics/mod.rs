//! Every metric, in one table: its name, help and label set. Each server has its own [`Metrics`].
//!
//! Label values are names from the configuration and fixed words, never text from a client. The
//! configuration bounds their number.
//!
//! * `family`: the fields of the table: handles of the `metrics` crate, alone or by label set.
//! * `kafka_client`: the statistics of librdkafka, under the names of the Node service.
//! * `labels`: the label sets.
//! * `process`: memory, CPU and files of the process.
//! * `recorder`: the recorder of one server, which holds the series.
//! * `text`: Prometheus' text form.
//! * `tests`: tests of the table.
//!
//! Quirk: librdkafka's counters are gauges under names without `_total`, as in the Node service
//! (`librdkafkas_statistics_keep_the_names_of_the_node_service`).

mod family;
mod kafka_client;
mod labels;
mod process;
mod recorder;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram};
use parking_lot::Mutex;
use serde_json::Value;

pub use family::{Family, Handle, NewestGauge};
pub use kafka_client::Sample;
pub use labels::{
    BuildLabel, KindLabel, Labels, ReasonLabel, StreamLabel, StreamOwnerLabel, StreamTopicLabel,
    TopicLabel, TopicReasonLabel,
};

use crate::cursor::{MovedReason, TimestampMs};
use crate::event::SkipReason;
use crate::stream::{Catalog, Stream};
use family::Field as _;
use kafka_client::KafkaClientStatistics;
use recorder::ServerRecorder;

macro_rules! table {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $name:literal;)+) => {
        /// The metrics of one server.
        #[derive(Debug)]
        pub struct Metrics {
            recorder: Arc<ServerRecorder>,
            /// The topics of the public streams as they are now.
            topics: Mutex<BTreeSet<String>>,
            kafka_client: KafkaClientStatistics,
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let recorder = Arc::new(ServerRecorder::default());
                let metrics = Self {
                    $($field: <$type>::new(&recorder, $name, concat!($($help),+).trim_start()),)+
                    recorder,
                    topics: Mutex::default(),
                    kafka_client: KafkaClientStatistics::default(),
                };
                let build = BuildLabel { version: env!("CARGO_PKG_VERSION") };
                metrics.build_info.get_or_create(&build).set(1);
                metrics
            }
        }
    };
}

table! {
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
    newest_record_seconds: Family<TopicLabel, NewestGauge> =
        "eventstreams_newest_record_timestamp_seconds";
    /// Seconds since the Kafka timestamp of the newest record, by topic.
    newest_record_age_seconds: Family<TopicLabel, Gauge> = "eventstreams_newest_record_age_seconds";
    /// Bytes that the memory logs hold.
    memory_log_bytes: Gauge = "eventstreams_memory_log_bytes";
    /// Seconds between the oldest and the newest record that the memory logs hold, by Kafka's
    /// timestamps.
    memory_log_seconds: Gauge = "eventstreams_memory_log_seconds";
    /// Records in Kafka that were not read yet, by topic, as of the last look.
    lag_records: Family<TopicLabel, Gauge> = "eventstreams_lag_records";
    /// Feeds with at least one subscriber.
    feeds: Gauge = "eventstreams_feeds";
    /// Different filters in use, by kind: found by the value of a field (`indexed`), or evaluated
    /// for each event (`residual`, `pattern`).
    filters: Family<KindLabel, Gauge> = "eventstreams_filters";
    /// Records looked at for filtered feeds and filtered subscribers.
    filter_records_scanned: Counter = "eventstreams_filter_records_scanned";
    /// Events that matched a filter, once for each filter.
    filter_events_matched: Counter = "eventstreams_filter_events_matched";
    /// Partitions read now.
    partitions: Gauge = "eventstreams_partitions";
    /// Events handed to subscribers, live or catching up, by stream.
    events_delivered: Family<StreamLabel, Counter> = "eventstreams_events_delivered";
    /// Bytes of frames handed to subscribers, live or catching up, by stream.
    bytes_delivered: Family<StreamLabel, Counter> = "eventstreams_bytes_delivered";
    /// Events handed to subscribers that are catching up.
    events_caught_up: Counter = "eventstreams_events_caught_up";
    /// From Kafka's timestamp to the socket, of one event in a second of each live stream.
    delivery_seconds: Histogram = "eventstreams_delivery_seconds";
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
    stream_silence_max_seconds: Family<StreamLabel, Gauge> =
        "eventstreams_stream_silence_max_seconds";
    /// Events a second that a stream may have, by its configuration.
    stream_events_per_second_max: Family<StreamLabel, Gauge> =
        "eventstreams_stream_events_per_second_max";
    /// The build that runs.
    build_info: Family<BuildLabel, Gauge> = "eventstreams_build_info";
    /// Reloads of the configuration, by result.
    config_reloads: Family<ReasonLabel, Counter> = "eventstreams_config_reloads";
    /// Errors that the Kafka client reported.
    kafka_errors: Counter = "eventstreams_kafka_errors";
    /// Whether Kafka answers.
    kafka_connected: Gauge = "eventstreams_kafka_connected";
    /// When Kafka answered last, in seconds since 1970; 0 if it never has.
    kafka_last_answer: Gauge = "eventstreams_kafka_last_answer_timestamp_seconds";
    /// Topics of the public streams that cannot be read, by reason.
    topics_unavailable: Family<TopicReasonLabel, Gauge> = "eventstreams_topics_unavailable";
}

impl Metrics {
    /// All metrics in Prometheus' text form, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.update_ages();
        let mut text = String::new();
        self.recorder.render(&mut text);
        self.kafka_client.render(&mut text);
        process::render(&mut text);
        text
    }

    /// Topics without a record have no age.
    fn update_ages(&self) {
        let now = TimestampMs::now().as_secs_f64();
        for topic in self.topics.lock().iter() {
            let label = TopicLabel {
                topic: topic.clone(),
            };
            if let Some(newest) = self.newest_record_seconds.get(&label) {
                // A record from the future counts as one of now. Otherwise its topic would look
                // alive until that time comes.
                let newest = newest.cap_at(now);
                self.newest_record_age_seconds
                    .get_or_create(&label)
                    .set(now - newest);
            }
        }
    }

    /// Replaces the statistics of a Kafka client.
    pub fn set_kafka_client(&self, handle: &str, samples: Vec<Sample>) {
        self.kafka_client.set(handle, samples);
    }

    /// Counts a subscriber that continues at another position than it asked for.
    pub fn count_moved(&self, reason: MovedReason) {
        self.count_moved_all(reason, 1);
    }

    /// The same for all subscribers of a feed.
    pub fn count_moved_all(&self, reason: MovedReason, subscribers: usize) {
        let reason = ReasonLabel {
            reason: reason.as_str(),
        };
        self.moved
            .get_or_create(&reason)
            .increment(subscribers as u64);
    }

    /// Counts a record that is not delivered.
    pub fn count_skip(&self, reason: SkipReason) {
        let reason = ReasonLabel {
            reason: reason.as_str(),
        };
        self.records_skipped.get_or_create(&reason).increment(1);
    }

    /// Describes the streams as they are configured, for alerts: `owner`, `silence_max_seconds`
    /// and `events_per_second_max`. Series of streams that are no longer public are removed.
    pub fn describe_streams(&self, catalog: &Catalog) {
        self.stream_info.clear();
        self.stream_topic_info.clear();
        self.stream_silence_max_seconds.clear();
        self.stream_events_per_second_max.clear();
        self.newest_record_age_seconds.clear();
        *self.topics.lock() = catalog.topics().iter().map(ToString::to_string).collect();
        for stream in catalog.streams() {
            self.describe_stream(stream);
        }
    }

    fn describe_stream(&self, stream: &Stream) {
        let name = stream.name.to_string();
        let setting = |key: &str| stream.settings.get(key);
        let owner = setting("owner").and_then(Value::as_str).unwrap_or_default();
        let info = StreamOwnerLabel {
            stream: name.clone(),
            owner: owner.to_owned(),
        };
        self.stream_info.get_or_create(&info).set(1);
        for topic in &stream.topics {
            let info = StreamTopicLabel {
                stream: name.clone(),
                topic: topic.to_string(),
            };
            self.stream_topic_info.get_or_create(&info).set(1);
        }
        let label = StreamLabel { stream: name };
        // Canary events come at least hourly.
        let has_canaries = setting("canary_events_enabled").and_then(Value::as_bool);
        let silence_max = setting("silence_max_seconds")
            .and_then(Value::as_f64)
            .or(has_canaries.unwrap_or(false).then_some(7200.0));
        if let Some(seconds) = silence_max {
            self.stream_silence_max_seconds
                .get_or_create(&label)
                .set(seconds);
        }
        if let Some(rate) = setting("events_per_second_max").and_then(Value::as_f64) {
            self.stream_events_per_second_max
                .get_or_create(&label)
                .set(rate);
        }
    }
}

/// A whole number as the value of a gauge.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floating-point numbers"
)]
pub fn gauge_value(number: impl TryInto<i64>) -> f64 {
    number.try_into().unwrap_or(i64::MAX) as f64
}
