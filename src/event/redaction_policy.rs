//! How the events of each topic are redacted.

use std::collections::HashMap;

use super::{PublicEvent, RedactionKind, RedactionRules, redact_again};
use crate::stream::{Catalog, Topic};

/// The operator's rules, and how each topic's events are redacted by the streams it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct RedactionPolicy {
    rules: RedactionRules,
    kinds: HashMap<Topic, RedactionKind>,
}

impl RedactionPolicy {
    /// For the topics of a catalog.
    pub fn new(rules: RedactionRules, catalog: &Catalog) -> Self {
        let kind = |topic: &Topic| RedactionKind::of_streams(catalog.streams_of_topic(topic));
        let kinds = catalog
            .topics()
            .into_iter()
            .map(|topic| (topic.clone(), kind(&topic)))
            .collect();
        Self { rules, kinds }
    }

    /// The operator's rules.
    pub fn rules(&self) -> &RedactionRules {
        &self.rules
    }

    /// How the events of a topic are redacted: most strictly for a topic outside the catalog.
    pub fn kind(&self, topic: &Topic) -> RedactionKind {
        self.kinds
            .get(topic)
            .copied()
            .unwrap_or_else(RedactionKind::strictest)
    }

    /// The redacted form of an event that was prepared under another policy; `None` when this one
    /// changes nothing.
    pub fn redact_again(&self, topic: &Topic, event: &PublicEvent) -> Option<PublicEvent> {
        redact_again(event, &self.rules, self.kind(topic))
    }
}
