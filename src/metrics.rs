//! EVERY metric: its name, help and closed label sets. One [`Metrics`] per server, so that tests run several side by side.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::cursor::MovedReason;
use crate::event::SkipReason;

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

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $type:ty = $name:literal;)+) => {
        /// See the module.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $type,)+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                $(
                    let $field = <$type>::default();
                    registry.register($name, concat!($($help),+).trim().trim_end_matches('.'), $field.clone());
                )+
                Self { registry, $($field,)+ }
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
    /// Records read by the live consumer, by topic.
    records_read: Family<TopicLabel, Counter> = "eventstreams_records_read";
    /// Records that were not delivered, by reason.
    records_skipped: Family<ReasonLabel, Counter> = "eventstreams_records_skipped";
    /// Events that were redacted when they were read.
    events_redacted: Counter = "eventstreams_events_redacted";
    /// Kafka timestamp in seconds of the newest record, by topic.
    newest_record_seconds: Family<TopicLabel, Gauge<f64, AtomicU64>> = "eventstreams_newest_record_timestamp_seconds";
    /// Bytes that the memory logs hold.
    memory_log_bytes: Gauge = "eventstreams_memory_log_bytes";
    /// Feeds with at least one subscriber.
    feeds: Gauge = "eventstreams_feeds";
    /// Partitions read now.
    partitions: Gauge = "eventstreams_partitions";
    /// Events handed to subscribers.
    events_delivered: Counter = "eventstreams_events_delivered";
    /// Bytes of frames handed to subscribers.
    bytes_delivered: Counter = "eventstreams_bytes_delivered";
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
    /// Replays refused because all places and the queue before them were taken.
    replays_refused: Counter = "eventstreams_replays_refused";
    /// Offsets looked up in Kafka for subscribers.
    lookups: Counter = "eventstreams_lookups";
    /// Requests answered with a problem, by its type.
    problems: Family<ReasonLabel, Counter> = "eventstreams_problems";
    /// Streams ended, by reason.
    streams_closed: Family<ReasonLabel, Counter> = "eventstreams_streams_closed";
    /// Reloads of the configuration, by result.
    config_reloads: Family<ReasonLabel, Counter> = "eventstreams_config_reloads";
    /// Errors that the Kafka client reported.
    kafka_errors: Counter = "eventstreams_kafka_errors";
}

impl Metrics {
    /// All metrics in the Prometheus text form (`OpenMetrics` 1.0).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("writing to a String does not fail");
        text
    }

    /// A subscriber was told that it goes on elsewhere.
    pub fn count_moved(&self, reason: MovedReason) {
        self.moved.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// A record was not delivered.
    pub fn count_skip(&self, reason: SkipReason) {
        self.records_skipped.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_node_service_are_kept() {
        let metrics = Metrics::default();
        metrics.connected_clients.get_or_create(&StreamLabel { stream: "a".into() }).set(1);
        metrics.client_connections.get_or_create(&StreamLabel { stream: "a".into() }).inc();
        let text = metrics.render();
        assert!(text.contains("eventstreams_connected_clients{stream=\"a\"} 1\n"), "{text}");
        assert!(text.contains("eventstreams_client_connections_total{stream=\"a\"} 1\n"), "{text}");
    }
}
