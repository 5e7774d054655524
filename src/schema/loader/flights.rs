//! Loads by URI: those that wait for one share it, and results are kept in a bounded cache.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::LoadError;

/// How long a result is kept.
#[derive(Clone, Copy)]
pub(super) enum Keep {
    /// Only for those that wait for it.
    No,
    For(Duration),
    Forever,
}

#[derive(Debug)]
struct Landed<T> {
    result: Result<Arc<T>, LoadError>,
    at: Instant,
    until: Option<Instant>,
}

impl<T> Landed<T> {
    /// Whether it serves a request of that time: the result of a load that ended after the request
    /// does, however short it is kept.
    fn serves(&self, requested: Instant) -> bool {
        self.at > requested || self.until.is_none_or(|until| until > requested)
    }
}

#[derive(Debug)]
pub(super) struct Flights<T> {
    cache: Cache<String, Arc<Landed<T>>>,
}

impl<T> Flights<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let cache = Cache::new(capacity);
        Self { cache }
    }

    /// How many results are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// The result for `uri`: what is kept, or that of a load under way, or of `load`. When the one
    /// that loads is cancelled, the next one that waits loads.
    pub(super) async fn get(
        &self,
        uri: &str,
        load: impl Future<Output = Result<Arc<T>, LoadError>>,
        keep: impl FnOnce(&Result<Arc<T>, LoadError>) -> Keep,
    ) -> Result<Arc<T>, LoadError> {
        let requested = Instant::now();
        let guard = loop {
            match self.cache.get_value_or_guard_async(uri).await {
                Ok(landed) if landed.serves(requested) => return landed.result.clone(),
                // Only this one: another request may have loaded again already.
                Ok(stale) => {
                    let is_stale = |now: &Arc<Landed<T>>| Arc::ptr_eq(now, &stale);
                    self.cache.remove_if(uri, is_stale);
                }
                Err(guard) => break guard,
            }
        };
        let result = load.await;
        let at = Instant::now();
        let until = match keep(&result) {
            Keep::No => Some(at),
            Keep::For(time) => Some(at + time),
            Keep::Forever => None,
        };
        let landed = Landed {
            result: result.clone(),
            at,
            until,
        };
        // An error says that the place in the cache was taken from it meanwhile.
        _ = guard.insert(Arc::new(landed));
        result
    }
}
