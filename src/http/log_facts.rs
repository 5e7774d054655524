//! What the list of streams needs of Kafka: asked for rarely, one partition after the other, and
//! kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::cursor::Partition;
use crate::fanout::{Hub, LogFacts, log_facts};
use crate::stream::{Catalog, Topic};

/// The past whose records are counted.
const PAST: Duration = Duration::from_hours(24);

/// How old facts may be before they are asked for again.
const MAX_AGE: Duration = Duration::from_mins(10);

/// How long the first request for facts waits for them.
const PATIENCE: Duration = Duration::from_secs(3);

/// The facts of the partitions that Kafka answered for.
pub(super) type FactsOfTopics = HashMap<(Topic, Partition), LogFacts>;

/// The facts that were last asked for. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LogFactsCache {
    known: watch::Sender<Option<Known>>,
    is_asking: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
struct Known {
    at: Instant,
    facts: Arc<FactsOfTopics>,
}

impl Default for LogFactsCache {
    fn default() -> Self {
        Self {
            known: watch::Sender::new(None),
            is_asking: Arc::default(),
        }
    }
}

impl LogFactsCache {
    /// The known facts. Asks for them where they are old, and waits a moment for the first ones.
    pub(super) async fn get(&self, hub: &Arc<Hub>, catalog: &Arc<Catalog>) -> Arc<FactsOfTopics> {
        let is_fresh = self
            .known
            .borrow()
            .as_ref()
            .is_some_and(|known| known.at.elapsed() < MAX_AGE);
        if !is_fresh && hub.is_ready() && !self.is_asking.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().ask(Arc::clone(hub), Arc::clone(catalog)));
        }
        let mut known = self.known.subscribe();
        if hub.is_ready() {
            let first = known.wait_for(Option::is_some);
            let _ = tokio::time::timeout(PATIENCE, first).await.is_ok();
        }
        let facts = known
            .borrow()
            .as_ref()
            .map(|known| Arc::clone(&known.facts));
        facts.unwrap_or_default()
    }

    async fn ask(self, hub: Arc<Hub>, catalog: Arc<Catalog>) {
        let mut facts = FactsOfTopics::new();
        for topic in catalog.topics() {
            for partition in hub.partitions(&topic) {
                if let Ok(found) = log_facts(&hub, &partition, PAST).await {
                    facts.insert((topic.clone(), partition.partition), found);
                }
            }
        }
        let at = Instant::now();
        self.known.send_replace(Some(Known {
            at,
            facts: Arc::new(facts),
        }));
        self.is_asking.store(false, Ordering::Release);
    }
}
