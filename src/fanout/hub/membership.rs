//! How subscribers join and leave feeds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Hub, Routes};
use crate::fanout::feed::{Feed, FeedKey};
use crate::fanout::followers::FeedEntry;
use crate::telemetry::metrics::gauge_value;

/// A subscriber's membership of its feed. Dropping it leaves the feed.
#[derive(Debug)]
pub struct FeedMembership {
    hub: Arc<Hub>,
    entry: Arc<FeedEntry>,
}

impl FeedMembership {
    /// The feed.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.entry.feed
    }

    /// The hub of the feed.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }
}

impl Clone for FeedMembership {
    fn clone(&self) -> Self {
        *self.entry.subscribers.lock() += 1;
        Self {
            hub: Arc::clone(&self.hub),
            entry: Arc::clone(&self.entry),
        }
    }
}

impl Drop for FeedMembership {
    fn drop(&mut self) {
        self.hub.leave(&self.entry);
    }
}

impl Hub {
    /// Joins the feed of `key`. The first subscriber creates it.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: &FeedKey) -> FeedMembership {
        let mut routes = self.routes.write();
        let entry = if let Some(entry) = routes.feeds.get(key) {
            Arc::clone(entry)
        } else {
            self.add_feed(&mut routes, key)
        };
        *entry.subscribers.lock() += 1;
        self.count_feeds(&routes);
        FeedMembership {
            hub: Arc::clone(self),
            entry,
        }
    }

    fn add_feed(&self, routes: &mut Routes, key: &FeedKey) -> Arc<FeedEntry> {
        let feed = Feed::new(
            key.clone(),
            Arc::clone(&self.feed_bytes_max),
            Arc::clone(&self.memory),
        );
        let entry = FeedEntry::new(feed);
        for topic in key.topics.iter() {
            for partition in routes.partitions_of(topic) {
                let log = partition.log.read();
                partition.followers.join(partition, &log, &entry);
            }
        }
        for topic in key.topics.iter() {
            routes
                .by_topic
                .entry(topic.clone())
                .or_default()
                .push(Arc::clone(&entry));
        }
        routes.feeds.insert(key.clone(), Arc::clone(&entry));
        entry
    }

    fn leave(&self, entry: &Arc<FeedEntry>) {
        let mut routes = self.routes.write();
        let left = {
            let mut subscribers = entry.subscribers.lock();
            *subscribers -= 1;
            *subscribers
        };
        if left > 0 {
            return;
        }
        let key = entry.feed.key();
        routes.feeds.remove(key);
        for topic in key.topics.iter() {
            if let Some(followers) = routes.by_topic.get_mut(topic) {
                followers.retain(|other| !Arc::ptr_eq(other, entry));
                if followers.is_empty() {
                    routes.by_topic.remove(topic);
                }
            }
            for partition in routes.partitions_of(topic) {
                partition.followers.leave(entry);
            }
        }
        entry.close();
        self.count_feeds(&routes);
    }

    fn count_feeds(&self, routes: &Routes) {
        let feeds = routes.feeds.len();
        self.metrics.feeds.set(gauge_value(feeds));
        self.feed_bytes_max.store(
            self.memory.feed_share(feeds, self.limits.feed_bytes_max),
            Ordering::Relaxed,
        );
    }
}
