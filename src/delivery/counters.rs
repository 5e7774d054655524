//! Counts delivered events and bytes, stream by stream.

use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;

use super::payload::Payload;
use crate::cursor::TimestampMs;
use crate::fanout::Delivered;
use crate::limits;
use crate::stream::{Stream, Topic};
use crate::telemetry::metrics::{Metrics, StreamLabel};

/// Counts for all subscribers that receive the same bytes.
#[derive(Debug)]
pub(super) struct DeliveryCounters {
    metrics: Arc<Metrics>,
    subscribers: u64,
    streams: Vec<StreamCounters>,
    /// When the delivery delay was last observed.
    last_observed: Instant,
}

/// Counts for the subscribers of one stream.
#[derive(Debug)]
struct StreamCounters {
    stream: Arc<Stream>,
    subscribers: u64,
    events: Counter,
    bytes: Counter,
}

/// Events and bytes that were delivered.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeliveryTotals {
    /// Events.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

impl DeliveryCounters {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            subscribers: 0,
            streams: Vec::new(),
            last_observed: Instant::now(),
        }
    }

    /// Adds a subscriber of these streams.
    pub(super) fn add(&mut self, streams: &[Arc<Stream>]) {
        self.subscribers += 1;
        for stream in streams {
            if let Some(known) = self
                .streams
                .iter_mut()
                .find(|known| Arc::ptr_eq(&known.stream, stream))
            {
                known.subscribers += 1;
            } else {
                let label = StreamLabel {
                    stream: stream.name.to_string(),
                };
                let events = self.metrics.events_delivered.get_or_create(&label);
                let bytes = self.metrics.bytes_delivered.get_or_create(&label);
                self.streams.push(StreamCounters {
                    stream: Arc::clone(stream),
                    subscribers: 1,
                    events,
                    bytes,
                });
            }
        }
    }

    /// Removes a subscriber of these streams.
    pub(super) fn remove(&mut self, streams: &[Arc<Stream>]) {
        self.subscribers -= 1;
        for stream in streams {
            if let Some(known) = self
                .streams
                .iter_mut()
                .find(|known| Arc::ptr_eq(&known.stream, stream))
            {
                known.subscribers -= 1;
            }
        }
        self.streams.retain(|known| known.subscribers > 0);
    }

    /// Counts a payload for each subscriber, and returns what one subscriber gets.
    pub(super) fn deliver(&mut self, payload: &Payload) -> DeliveryTotals {
        let mut totals = DeliveryTotals::default();
        for delivered in &payload.delivered {
            totals += DeliveryTotals {
                events: delivered.events,
                bytes: delivered.bytes,
            };
            let topic = &delivered.topic;
            let of_topic = |known: &&StreamCounters| has_topic(&known.stream, topic);
            for known in self.streams.iter().filter(of_topic) {
                known.events.increment(delivered.events * known.subscribers);
                known.bytes.increment(delivered.bytes * known.subscribers);
            }
        }
        if let Some(timestamp) = payload.live {
            self.observe_delay(timestamp);
        } else {
            let events = totals.events * self.subscribers;
            self.metrics.events_caught_up.increment(events);
        }
        totals
    }

    /// Observes how old a live event is when it is delivered, a few times a second.
    fn observe_delay(&mut self, timestamp: TimestampMs) {
        if self.last_observed.elapsed() < limits::DELIVERY_SAMPLE_INTERVAL {
            return;
        }
        self.last_observed = Instant::now();
        let delay = TimestampMs::now().as_secs_f64() - timestamp.as_secs_f64();
        self.metrics.delivery_seconds.record(delay.max(0.0));
    }
}

/// Counts what one subscriber of these streams received. Returns the totals.
pub fn count_delivered(
    metrics: &Metrics,
    streams: &[Arc<Stream>],
    delivered: &[Delivered],
) -> DeliveryTotals {
    let mut totals = DeliveryTotals::default();
    for of_topic in delivered {
        let (events, bytes) = (of_topic.events, of_topic.bytes);
        totals += DeliveryTotals { events, bytes };
        for stream in streams
            .iter()
            .filter(|known| has_topic(known, &of_topic.topic))
        {
            let label = StreamLabel {
                stream: stream.name.to_string(),
            };
            metrics
                .events_delivered
                .get_or_create(&label)
                .increment(events);
            metrics
                .bytes_delivered
                .get_or_create(&label)
                .increment(bytes);
        }
    }
    totals
}

fn has_topic(stream: &Stream, topic: &Topic) -> bool {
    stream.topics.contains(topic) || stream.topics_allowed.contains(topic)
}

impl std::ops::AddAssign for DeliveryTotals {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// Wraps: a stream may have received more before it joined a group than the group had delivered.
impl std::ops::Sub for DeliveryTotals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            events: self.events.wrapping_sub(other.events),
            bytes: self.bytes.wrapping_sub(other.bytes),
        }
    }
}
