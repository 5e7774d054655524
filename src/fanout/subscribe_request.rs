//! What a client requests of the fan-out.

use std::sync::Arc;

use super::bound::Bound;
use super::fair_queue::Client;
use super::feed::FeedKey;
use crate::cursor::{IdEntry, IdForm, TimestampMs};
use crate::event::{Format, Projection};
use crate::filter::Selection;
use crate::limits;
use crate::stream::Topic;

/// The request of a client, with its streams resolved to topics.
#[derive(Clone, Debug)]
pub struct SubscribeRequest {
    /// The topics, in any order and with any duplicates.
    pub topics: Vec<Topic>,
    /// SSE or NDJSON.
    pub format: Format,
    /// Which of the events; `None` for all.
    pub selection: Option<Arc<Selection>>,
    /// Which members of the events; `None` for all.
    pub fields: Option<Arc<Projection>>,
    /// The form of the ids.
    pub ids: IdForm,
    /// The entries of its Last-Event-ID, for topics in `topics` only.
    pub last_event_id: Vec<IdEntry>,
    /// Where topics start that are not in the id.
    pub since: Option<TimestampMs>,
    /// How many of the last events come first; then `since` is `None`.
    pub last_events: Option<usize>,
    /// Where the stream ends.
    pub bound: Bound,
    /// The client for the permits of replays.
    pub client: Client,
    /// The client for the permits of look-ups: `client`, or the peer if that is unknown.
    pub lookup_client: Client,
}

impl SubscribeRequest {
    /// The time from which it reads: `since`, or, where the last events before `until` are wanted,
    /// that from which `until` lets nothing through.
    pub(super) fn starts_at(&self) -> Option<TimestampMs> {
        let until = self.bound.until.filter(|_| self.last_events.is_some());
        self.since
            .or(until.map(|until| until.saturating_add(limits::UNTIL_GRACE)))
    }

    /// The feed of the subscription.
    #[must_use]
    pub fn feed_key(&self) -> FeedKey {
        let mut topics = self.topics.clone();
        topics.sort_unstable();
        topics.dedup();
        FeedKey {
            topics: topics.into(),
            format: self.format,
            selection: self.selection.clone(),
            fields: self.fields.clone(),
            ids: match self.format {
                Format::Sse => self.ids,
                Format::Ndjson => IdForm::Auto,
            },
        }
    }
}
