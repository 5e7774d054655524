//! For whom events are written, stream by stream, and what is counted of them.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;

use super::voice::Said;
use crate::cursor::TimestampMs;
use crate::limits;
use crate::metrics::{Metrics, StreamLabel};
use crate::stream::Stream;

/// The subscribers that the same bytes are written to.
#[derive(Debug)]
pub(super) struct Audience {
    metrics: Arc<Metrics>,
    subscribers: u64,
    streams: Vec<StreamAudience>,
    /// When the time that a delivery takes was last looked at.
    looked: Instant,
}

/// Those of them that have asked for one stream.
#[derive(Debug)]
struct StreamAudience {
    stream: Arc<Stream>,
    subscribers: u64,
    events: Counter,
    bytes: Counter,
}

/// Events and their bytes that a subscriber was handed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl Audience {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            subscribers: 0,
            streams: Vec::new(),
            looked: Instant::now(),
        }
    }

    /// One more subscriber, of these streams.
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
                let events = self.metrics.events_delivered.get_or_create(&label).clone();
                let bytes = self.metrics.bytes_delivered.get_or_create(&label).clone();
                self.streams.push(StreamAudience {
                    stream: Arc::clone(stream),
                    subscribers: 1,
                    events,
                    bytes,
                });
            }
        }
    }

    /// One subscriber of these streams less.
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

    /// Counts what each of them is handed now, and returns it.
    pub(super) fn deliver(&mut self, said: &Said) -> Sum {
        let mut sum = Sum::default();
        for delivered in &said.delivered {
            sum += Sum {
                events: delivered.events,
                bytes: delivered.bytes,
            };
            let topic = &delivered.topic;
            let is_of = |stream: &Stream| {
                stream.topics.contains(topic) || stream.topics_allowed.contains(topic)
            };
            for known in self.streams.iter().filter(|known| is_of(&known.stream)) {
                known.events.inc_by(delivered.events * known.subscribers);
                known.bytes.inc_by(delivered.bytes * known.subscribers);
            }
        }
        match said.live {
            Some(timestamp) => self.look_at(timestamp),
            None => drop(
                self.metrics
                    .events_caught_up
                    .inc_by(sum.events * self.subscribers),
            ),
        }
        sum
    }

    /// Looks now and then at the time that a delivery takes.
    fn look_at(&mut self, timestamp: TimestampMs) {
        if self.looked.elapsed() < limits::DELIVERY_LOOK {
            return;
        }
        self.looked = Instant::now();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of this age fit")]
        self.metrics
            .delivery_seconds
            .observe((now - timestamp.0 as f64 / 1000.0).max(0.0));
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// Wraps: what a stream was handed before it joined others may be more than what they were.
impl std::ops::Sub for Sum {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            events: self.events.wrapping_sub(other.events),
            bytes: self.bytes.wrapping_sub(other.bytes),
        }
    }
}
