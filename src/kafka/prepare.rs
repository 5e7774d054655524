//! From a Kafka message to an event, with counts and a bounded log of what was skipped.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{RwLock, RwLockReadGuard};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use crate::cursor::{Offset, Partition, TimestampMs};
use crate::event::{self, PublicEvent, Record, RedactionKind, RedactionRules};
use crate::telemetry::metrics::Metrics;
use crate::stream::{Catalog, Topic};

/// How records become events: the same for live and for replay, so that no path leads around redaction.
#[derive(Debug)]
pub struct Preparation {
    redaction: RwLock<Arc<Redaction>>,
    event_bytes_max: usize,
    metrics: Arc<Metrics>,
    /// Second of the last line about a skip, so that a flood of bad records is no flood of log lines.
    last_logged: AtomicI64,
}

/// The operator's rules, and how each topic's events are redacted, by the streams it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Redaction {
    rules: RedactionRules,
    kinds: HashMap<Topic, RedactionKind>,
}

/// The preparation with its rules of one moment.
pub(super) struct Prepare<'a> {
    preparation: &'a Preparation,
    redaction: Arc<Redaction>,
    /// Held by the live consumer, which alone counts what it skips and redacts: a replay reads the same records again.
    held: Option<RwLockReadGuard<'a, Arc<Redaction>>>,
}

impl Redaction {
    /// For the topics of a catalog.
    #[must_use]
    pub fn new(rules: RedactionRules, catalog: &Catalog) -> Self {
        let kind = |topic: &Topic| RedactionKind::of_streams(catalog.streams_of_topic(topic));
        Self {
            rules,
            kinds: catalog
                .topics()
                .into_iter()
                .map(|topic| (topic.clone(), kind(&topic)))
                .collect(),
        }
    }

    /// An event that was made under other rules, if these take something out of it.
    #[must_use]
    pub fn redact_again(&self, topic: &Topic, event: &PublicEvent) -> Option<PublicEvent> {
        event::redact_again(event, &self.rules, self.kind(topic))
    }

    /// A topic without a kind is none of the catalog's; if one came here, nothing of it may show a user.
    fn kind(&self, topic: &Topic) -> RedactionKind {
        self.kinds
            .get(topic)
            .copied()
            .unwrap_or_else(RedactionKind::all_treatments)
    }
}

impl Preparation {
    /// `event_bytes_max` bounds a record's value.
    #[must_use]
    pub fn new(redaction: Redaction, event_bytes_max: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            redaction: RwLock::new(Arc::new(redaction)),
            event_bytes_max,
            metrics,
            last_logged: AtomicI64::new(0),
        }
    }

    /// Other rules from now on. `before_next` runs when everything made under the old ones was published, and before
    /// anything is made under the new ones. Returns whether they differ.
    pub fn replace(&self, redaction: Redaction, before_next: impl FnOnce(&Redaction)) -> bool {
        let mut current = self.redaction.write();
        if **current == redaction {
            return false;
        }
        *current = Arc::new(redaction);
        before_next(&current);
        true
    }

    /// Holds the rules still: what is made under them is published before they change. For the live consumer, which never
    /// waits long.
    pub(super) fn hold(&self) -> Prepare<'_> {
        let held = self.redaction.read();
        Prepare {
            preparation: self,
            redaction: Arc::clone(&held),
            held: Some(held),
        }
    }

    /// The rules as they are now. What is made under them is thrown away by its reader if they have changed meanwhile.
    pub(super) fn snapshot(&self) -> Prepare<'_> {
        Prepare {
            preparation: self,
            redaction: Arc::clone(&self.redaction.read()),
            held: None,
        }
    }

    fn log_skip(&self, record: &Record<'_>, reason: event::SkipReason) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if self.last_logged.swap(now, Ordering::Relaxed) != now {
            let Record {
                topic,
                partition,
                offset,
                ..
            } = record;
            tracing::warn!(%topic, %partition, %offset, %reason, "record skipped (one line a second; the metric counts all)");
        }
    }
}

impl Prepare<'_> {
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
        let Preparation {
            event_bytes_max,
            metrics,
            ..
        } = self.preparation;
        match event::prepare(
            &record,
            &self.redaction.rules,
            self.redaction.kind(topic),
            *event_bytes_max,
        ) {
            Ok(prepared) => {
                if prepared.redacted && self.held.is_some() {
                    metrics.events_redacted.inc();
                }
                Some(prepared.event)
            }
            Err(reason) => {
                if self.held.is_some() {
                    metrics.count_skip(reason);
                    self.preparation.log_skip(&record, reason);
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
