//! From a Kafka message to an event. Counts what is skipped, and logs it at a bounded rate.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use crate::cursor::{Offset, Partition, TimestampMs};
use crate::event::{self, PublicEvent, Record, RedactionPolicy, SkipReason};
use crate::limits;
use crate::stream::Topic;
use crate::telemetry::LogPace;
use crate::telemetry::metrics::Metrics;

/// How records become events: one way for live and for replay, so that no path avoids redaction.
#[derive(Debug)]
pub struct EventPipeline {
    redaction: RwLock<Arc<RedactionPolicy>>,
    event_bytes_max: usize,
    metrics: Arc<Metrics>,
    /// For log lines about skipped records.
    log_pace: LogPace,
}

/// The pipeline with the redaction policy of one moment.
pub(super) struct PipelineSnapshot<'a> {
    pipeline: &'a EventPipeline,
    redaction: Arc<RedactionPolicy>,
    /// Held by the live consumer. It alone counts what it skips and redacts, because a replay reads
    /// the same records again.
    held: Option<RwLockReadGuard<'a, Arc<RedactionPolicy>>>,
}

impl EventPipeline {
    /// `event_bytes_max` bounds a record's value.
    #[must_use]
    pub fn new(redaction: RedactionPolicy, event_bytes_max: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            redaction: RwLock::new(Arc::new(redaction)),
            event_bytes_max,
            metrics,
            log_pace: LogPace::new(limits::SKIP_LOG_INTERVAL),
        }
    }

    /// Replaces the redaction policy. `before_next` runs after every event made under the old one
    /// is published, and before the first is made under the new one. Returns whether they differ.
    pub fn replace(
        &self,
        redaction: RedactionPolicy,
        before_next: impl FnOnce(&RedactionPolicy),
    ) -> bool {
        let mut current = self.redaction.write();
        if **current == redaction {
            return false;
        }
        *current = Arc::new(redaction);
        before_next(&current);
        true
    }

    /// Keeps the policy from changing until the events made under it are published. For the live
    /// consumer, which never holds it for long.
    pub(super) fn hold(&self) -> PipelineSnapshot<'_> {
        let held = self.redaction.read();
        PipelineSnapshot {
            pipeline: self,
            redaction: Arc::clone(&held),
            held: Some(held),
        }
    }

    /// The policy as it is now. Its reader discards what is made under it if the policy has changed
    /// meanwhile.
    pub(super) fn snapshot(&self) -> PipelineSnapshot<'_> {
        PipelineSnapshot {
            pipeline: self,
            redaction: Arc::clone(&self.redaction.read()),
            held: None,
        }
    }

    fn log_skip(&self, record: &Record<'_>, reason: SkipReason) {
        if self.log_pace.next().is_some() {
            let Record {
                topic,
                partition,
                offset,
                ..
            } = record;
            tracing::warn!(
                %topic, %partition, %offset, %reason,
                "record skipped (logged at most once a second; the metric counts all)"
            );
        }
    }
}

impl PipelineSnapshot<'_> {
    /// The event that clients see of this message; `None` when it is skipped.
    pub(super) fn event(
        &self,
        topic: &Topic,
        message: &BorrowedMessage<'_>,
    ) -> Option<PublicEvent> {
        let record = Record {
            topic,
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
            timestamp: timestamp(message),
            key: message.key(),
            value: message.payload(),
        };
        let EventPipeline {
            event_bytes_max,
            metrics,
            ..
        } = self.pipeline;
        match event::prepare(
            &record,
            self.redaction.rules(),
            self.redaction.kind(topic),
            *event_bytes_max,
        ) {
            Ok(prepared) => {
                if prepared.redacted && self.held.is_some() {
                    metrics.events_redacted.increment(1);
                }
                Some(prepared.event)
            }
            Err(reason) => {
                if self.held.is_some() {
                    metrics.count_skip(reason);
                    self.pipeline.log_skip(&record, reason);
                }
                None
            }
        }
    }
}

/// Kafka's timestamp of a message; -1 when it has none.
pub(super) fn timestamp(message: &BorrowedMessage<'_>) -> TimestampMs {
    TimestampMs(message.timestamp().to_millis().unwrap_or(-1))
}
