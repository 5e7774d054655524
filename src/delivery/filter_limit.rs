//! How many different filters there may be at the same time.
//!
//! A filter counts once for each set of streams, however many clients use it there. Each costs
//! memory, and those that are not found by the value of a field cost time for each event.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::fanout::FeedKey;
use crate::filter::{FilterKind, Selection};
use crate::problem::Problem;
use crate::telemetry::metrics::{KindLabel, Metrics, gauge_value};

/// How many different filters there may be.
#[derive(Clone, Copy, Debug)]
pub struct FilterLimits {
    /// Of all clients.
    pub filters: usize,
    /// Of one client; `None` for no limit.
    pub per_client: Option<usize>,
    /// Filters that are evaluated for each event.
    pub unindexed: usize,
}

/// See the module.
#[derive(Debug)]
pub struct FilterLimit {
    limits: FilterLimits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug)]
struct Counts {
    /// How many clients' streams use a filtered feed.
    filters: HashMap<FeedKey, usize>,
    /// The same for each client.
    clients: HashMap<IpAddr, HashMap<FeedKey, usize>>,
    /// How many filters of each kind there are, by the kind's number.
    by_kind: [usize; FilterKind::ALL.len()],
    metrics: Arc<Metrics>,
}

/// A stream's use of a filtered feed. Dropped, it is counted no longer.
#[derive(Debug)]
pub struct FilterPermit {
    counts: Arc<Mutex<Counts>>,
    client: IpAddr,
    feed: FeedKey,
}

/// The limit that a client has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterLimitError {
    /// Different filters of this client.
    Client(usize),
    /// Different filters of all clients.
    Total(usize),
    /// Filters that are evaluated for each event.
    Unindexed(usize),
}

impl From<FilterLimitError> for Problem {
    fn from(error: FilterLimitError) -> Self {
        match error {
            FilterLimitError::Client(max) => Self::ClientFilterLimit(max),
            FilterLimitError::Total(max) => Self::TotalFilterLimit(max),
            FilterLimitError::Unindexed(max) => Self::UnindexedFilterLimit(max),
        }
    }
}

impl FilterLimit {
    /// No filter is in use yet. `metrics` shows them by kind.
    #[must_use]
    pub fn new(limits: FilterLimits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            counts: Arc::new(Mutex::new(Counts {
                filters: HashMap::new(),
                clients: HashMap::new(),
                by_kind: Default::default(),
                metrics,
            })),
        }
    }

    /// Counts one more stream of `client` that reads `feed`; nothing if it has no filter.
    ///
    /// # Errors
    /// The limit that is reached. Nothing is counted then.
    pub fn take(
        &self,
        client: IpAddr,
        feed: &FeedKey,
    ) -> Result<Option<FilterPermit>, FilterLimitError> {
        if feed.selection.is_none() {
            return Ok(None);
        }
        let mut counts = self.counts.lock();
        self.check(&counts, client, feed)?;
        counts.add(client, feed);
        Ok(Some(FilterPermit {
            counts: Arc::clone(&self.counts),
            client,
            feed: feed.clone(),
        }))
    }

    fn check(
        &self,
        counts: &Counts,
        client: IpAddr,
        feed: &FeedKey,
    ) -> Result<(), FilterLimitError> {
        let FilterLimits {
            filters,
            per_client,
            unindexed,
        } = self.limits;
        if let (Some(max), Some(own)) = (per_client, counts.clients.get(&client))
            && own.len() >= max
            && !own.contains_key(feed)
        {
            return Err(FilterLimitError::Client(max));
        }
        if counts.filters.contains_key(feed) {
            return Ok(());
        }
        if counts.filters.len() >= filters {
            return Err(FilterLimitError::Total(filters));
        }
        if kind(feed) != FilterKind::Indexed && counts.unindexed() >= unindexed {
            return Err(FilterLimitError::Unindexed(unindexed));
        }
        Ok(())
    }
}

impl Counts {
    fn unindexed(&self) -> usize {
        self.by_kind.iter().sum::<usize>() - self.by_kind[FilterKind::Indexed as usize]
    }

    fn add(&mut self, client: IpAddr, feed: &FeedKey) {
        let users = self.filters.entry(feed.clone()).or_default();
        *users += 1;
        if *users == 1 {
            self.by_kind[kind(feed) as usize] += 1;
            self.show(kind(feed));
        }
        let own = self.clients.entry(client).or_default();
        *own.entry(feed.clone()).or_default() += 1;
    }

    fn remove(&mut self, client: IpAddr, feed: &FeedKey) {
        if remove_one(&mut self.filters, feed) {
            self.by_kind[kind(feed) as usize] -= 1;
            self.show(kind(feed));
        }
        if let Some(own) = self.clients.get_mut(&client)
            && remove_one(own, feed)
            && own.is_empty()
        {
            self.clients.remove(&client);
        }
    }

    fn show(&self, kind: FilterKind) {
        let gauge = self
            .metrics
            .filters
            .get_or_create(&KindLabel { kind: kind.name() });
        gauge.set(gauge_value(self.by_kind[kind as usize]));
    }
}

fn kind(feed: &FeedKey) -> FilterKind {
    let selection = feed.selection.as_ref();
    selection.map_or(FilterKind::Indexed, |selection| selection.kind())
}

/// Whether it was the last one.
fn remove_one(users: &mut HashMap<FeedKey, usize>, feed: &FeedKey) -> bool {
    let Some(count) = users.get_mut(feed) else {
        return false;
    };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        users.remove(feed);
    }
    is_last
}

impl FilterPermit {
    /// The filter.
    #[must_use]
    pub fn selection(&self) -> Option<&Selection> {
        self.feed.selection.as_deref()
    }
}

impl Drop for FilterPermit {
    fn drop(&mut self) {
        self.counts.lock().remove(self.client, &self.feed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::IdForm;
    use crate::event::Format;
    use crate::filter::Filter;
    use crate::stream::Topic;

    fn limit(filters: usize, per_client: Option<usize>, unindexed: usize) -> FilterLimit {
        let limits = FilterLimits {
            filters,
            per_client,
            unindexed,
        };
        FilterLimit::new(limits, Arc::new(Metrics::default()))
    }

    fn feed(filter: &str) -> FeedKey {
        let filter = Filter::parse(filter).expect("a filter");
        FeedKey {
            topics: [Topic::from("a")].into(),
            format: Format::Sse,
            selection: Selection::new(filter, None).map(Arc::new),
            fields: None,
            ids: IdForm::Auto,
        }
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn equal_filters_count_once() {
        let limit = limit(1, Some(1), 0);
        let take = |filter: &str| limit.take(client(1), &feed(filter));
        let first = take("event.a == 1 && event.b == 2").expect("the first");
        let second = take("2 == event.b && event.a == 1").expect("the same");
        assert_eq!(
            take("event.a == 2").err(),
            Some(FilterLimitError::Client(1))
        );
        drop(first);
        assert!(take("event.a == 2").is_err(), "one stream still uses it");
        drop(second);
        assert!(take("event.a == 2").is_ok());
        assert!(limit.counts.lock().clients.is_empty());
    }

    #[test]
    fn clients_together_and_costly_filters_have_limits() {
        let limit = limit(3, Some(3), 1);
        let take = |last, filter: &str| limit.take(client(last), &feed(filter));
        let _costly = take(1, "event.a > 1").expect("one that is evaluated for each event");
        assert_eq!(
            take(2, "event.a > 2").err(),
            Some(FilterLimitError::Unindexed(1))
        );
        let _same = take(2, "event.a > 1").expect("the same one");
        let _second = take(2, "event.a == 1").expect("the second");
        let _third = take(3, "event.a == 2").expect("the third");
        assert_eq!(
            take(4, "event.a == 3").err(),
            Some(FilterLimitError::Total(3))
        );
        let counts = limit.counts.lock();
        assert_eq!((counts.filters.len(), counts.by_kind), (3, [2, 1, 0]));
    }

    #[test]
    fn a_filter_counts_once_for_each_set_of_streams() {
        let limit = limit(1, None, 1);
        let mut other = feed("event.a > 1");
        other.topics = [Topic::from("b")].into();
        let _first = limit
            .take(client(1), &feed("event.a > 1"))
            .expect("the first");
        assert_eq!(
            limit.take(client(1), &other).err(),
            Some(FilterLimitError::Total(1))
        );
        other.selection = None;
        assert!(limit.take(client(1), &other).expect("no filter").is_none());
    }
}
