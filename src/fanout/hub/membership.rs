//! How subscribers join and leave feeds and their views.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::{Hub, Routes};
use crate::cursor::Position;
use crate::fanout::feed::{Feed, FeedKey, FeedRead, FilterCounters, Handout, Tail};
use crate::fanout::followers::{FeedEntry, ViewUse};
use crate::fanout::progress::ReadProgress;
use crate::filter::FilterId;
use crate::telemetry::metrics::gauge_value;

/// A subscriber's membership of its feed, and of a view if it has a selection. Dropping it leaves
/// both.
#[derive(Debug)]
pub struct FeedMembership {
    hub: Arc<Hub>,
    entry: Arc<FeedEntry>,
    key: FeedKey,
    view: Option<FilterId>,
}

impl FeedMembership {
    /// What the subscriber shares with others.
    #[must_use]
    pub fn key(&self) -> &FeedKey {
        &self.key
    }

    /// The hub of the feed.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Changes when the feed moves, whether the subscriber gets something or not.
    pub(in crate::fanout) fn watch_feed(&self) -> watch::Receiver<u64> {
        self.entry.feed.watch()
    }

    /// Changes when there is something for the subscriber.
    pub(in crate::fanout) fn watch(&self) -> watch::Receiver<u64> {
        match self.view {
            Some(view) => self.entry.feed.watch_view(view),
            None => self.entry.feed.watch(),
        }
    }

    /// The end of the feed now. The sequence numbers of a view are its own.
    pub(in crate::fanout) fn tail(&self) -> Tail {
        match self.view {
            Some(view) => self.entry.feed.tail_of_view(view),
            None => self.entry.feed.tail(),
        }
    }

    /// Hands out what the subscriber gets from sequence number `from` on, and moves `cursor` past
    /// it.
    pub(in crate::fanout) fn read(
        &self,
        from: u64,
        cursor: &mut Vec<Position>,
        progress: &mut ReadProgress,
        handout: &mut Handout,
    ) -> FeedRead {
        let feed = &self.entry.feed;
        match self.view {
            Some(view) => feed.read_view(view, from, cursor, progress, handout),
            None => feed.read(from, self.hub.step_limits().live_bytes_max, cursor, handout),
        }
    }

    /// Asks for a progress frame soon.
    pub(in crate::fanout) fn request_progress(&self) {
        if let Some(view) = self.view {
            self.entry.feed.request_progress(view);
        }
    }
}

impl Clone for FeedMembership {
    fn clone(&self) -> Self {
        let view = self.entry.add_subscriber(&self.key);
        *self.entry.subscribers.lock() += 1;
        Self {
            hub: Arc::clone(&self.hub),
            entry: Arc::clone(&self.entry),
            key: self.key.clone(),
            view,
        }
    }
}

impl Drop for FeedMembership {
    fn drop(&mut self) {
        self.entry.remove_subscriber(&self.key);
        self.hub.leave(&self.entry);
    }
}

impl FeedEntry {
    /// Adds a subscriber of all events, or of a view. The view's first subscriber creates it.
    fn add_subscriber(&self, key: &FeedKey) -> Option<FilterId> {
        let Some(selection) = &key.selection else {
            self.feed.add_unfiltered();
            return None;
        };
        let mut views = self.views.lock();
        let view = views
            .entry(Arc::clone(selection))
            .or_insert_with(|| ViewUse {
                id: self.feed.add_view(Arc::clone(selection)),
                subscribers: 0,
            });
        view.subscribers += 1;
        Some(view.id)
    }

    /// Removes one. The view's last subscriber removes it.
    fn remove_subscriber(&self, key: &FeedKey) {
        let Some(selection) = &key.selection else {
            return self.feed.remove_unfiltered();
        };
        let mut views = self.views.lock();
        if let Some(view) = views.get_mut(selection) {
            view.subscribers -= 1;
            if view.subscribers == 0 {
                self.feed.remove_view(view.id);
                views.remove(selection);
            }
        }
    }
}

impl Hub {
    /// Joins the feed of `key`. The first subscriber creates it.
    #[must_use]
    pub fn join(self: &Arc<Self>, key: &FeedKey) -> FeedMembership {
        let base = key.base();
        let mut routes = self.routes.write();
        let entry = if let Some(entry) = routes.feeds.get(&base) {
            Arc::clone(entry)
        } else {
            self.add_feed(&mut routes, &base)
        };
        *entry.subscribers.lock() += 1;
        self.count_feeds(&routes);
        drop(routes);
        let view = entry.add_subscriber(key);
        FeedMembership {
            hub: Arc::clone(self),
            entry,
            key: key.clone(),
            view,
        }
    }

    /// Sends progress to the subscribers of views in which it is due: every `interval`, and where a
    /// subscriber has joined. Call it every [`crate::limits::PROGRESS_POLL_INTERVAL`].
    pub fn report_progress(&self, interval: Duration) {
        let entries: Vec<_> = self.routes.read().feeds.values().cloned().collect();
        for entry in entries {
            entry.feed.report_progress(interval);
        }
    }

    fn add_feed(&self, routes: &mut Routes, key: &FeedKey) -> Arc<FeedEntry> {
        let feed = Feed::new(
            key.clone(),
            Arc::clone(&self.feed_bytes_max),
            Arc::clone(&self.memory),
            FilterCounters {
                scanned: self.metrics.filter_records_scanned.clone(),
                matched: self.metrics.filter_events_matched.clone(),
            },
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
