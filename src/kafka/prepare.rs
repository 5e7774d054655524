//! From a Kafka message to an event, with counts and a bounded log of what was skipped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use crate::cursor::{Offset, Partition, TimestampMs};
use crate::event::{self, PublicEvent, Record, RedactionKind, RedactionRules};
use crate::metrics::Metrics;
use crate::stream::Topic;

/// How records become events: the same for live and for replay, so that no path leads around redaction.
#[derive(Debug)]
pub struct Preparation {
    rules: RedactionRules,
    /// How each topic's events are redacted, by the streams it belongs to.
    kinds: HashMap<Topic, RedactionKind>,
    event_bytes_max: usize,
    metrics: Arc<Metrics>,
    /// Second of the last line about a skip, so that a flood of bad records is no flood of log lines.
    last_logged: AtomicI64,
}

impl Preparation {
    /// `kinds` names every topic that is read; `event_bytes_max` bounds a record's value.
    #[must_use]
    pub fn new(
        rules: RedactionRules,
        kinds: HashMap<Topic, RedactionKind>,
        event_bytes_max: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { rules, kinds, event_bytes_max, metrics, last_logged: AtomicI64::new(0) }
    }

    /// The event that clients see of this message; `None` when it is skipped.
    pub(super) fn event(&self, topic: &Topic, message: &BorrowedMessage<'_>) -> Option<PublicEvent> {
        let record = Record {
            topic,
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
            timestamp: timestamp(message),
            key: message.key(),
            value: message.payload(),
        };
        // A topic without a kind is none of the catalog's; if one came here, nothing of it may show a user.
        let kind = self.kinds.get(topic).copied().unwrap_or_else(RedactionKind::all_treatments);
        match event::prepare(&record, &self.rules, kind, self.event_bytes_max) {
            Ok(prepared) => {
                if prepared.redacted {
                    self.metrics.events_redacted.inc();
                }
                Some(prepared.event)
            }
            Err(reason) => {
                self.metrics.count_skip(reason);
                self.log_skip(&record, reason);
                None
            }
        }
    }

    fn log_skip(&self, record: &Record<'_>, reason: event::SkipReason) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if self.last_logged.swap(now, Ordering::Relaxed) != now {
            let Record { topic, partition, offset, .. } = record;
            tracing::warn!(%topic, %partition, %offset, %reason, "record skipped (one line a second; the metric counts all)");
        }
    }
}

/// Kafka's timestamp of a message; -1 when it has none.
pub(super) fn timestamp(message: &BorrowedMessage<'_>) -> TimestampMs {
    TimestampMs(message.timestamp().to_millis().unwrap_or(-1))
}
