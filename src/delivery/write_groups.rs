//! The write groups of all feeds.

use std::sync::Arc;

use dashmap::DashMap;

use super::compression::ContentCoding;
use super::group_task::GroupTask;
use super::sink::Sink;
use super::stream_output::StreamOutput;
use super::write_group::{GroupKey, Membership, WriteGroup};
use crate::fanout::Subscription;
use crate::limits;

/// The write groups of all feeds.
#[derive(Debug, Default)]
pub struct WriteGroups {
    by_key: DashMap<GroupKey, Vec<Arc<WriteGroup>>>,
}

impl WriteGroups {
    /// Adds a live stream to the smallest group of its feed, or to a new one.
    pub(super) fn join(
        &self,
        output: &StreamOutput,
        sink: Sink,
        subscription: Subscription,
    ) -> Membership {
        let coding = output.compressor.coding();
        let key = (subscription.feed_key().clone(), coding);
        // The entry is locked until the stream is in `joining`, so that the group cannot close
        // before.
        let mut groups = self.by_key.entry(key).or_default();
        let smallest = groups
            .iter()
            .min_by_key(|group| group.size())
            .filter(|group| {
                group.size() < limits::GROUP_SPLIT_STREAMS || groups.len() >= groups_max(coding)
            });
        let group = smallest.cloned().unwrap_or_else(|| {
            let group = Arc::new(WriteGroup::default());
            groups.push(Arc::clone(&group));
            tokio::spawn(GroupTask::new(output, &group, subscription.fork(None)).run());
            group
        });
        let streams = Arc::clone(output.guard.streams());
        group.add(sink, subscription, streams, coding)
    }

    /// Closes a group without streams. Returns `false` when a stream is joining.
    pub(super) fn close(&self, key: &GroupKey, group: &Arc<WriteGroup>) -> bool {
        let Some(mut groups) = self.by_key.get_mut(key) else {
            return true;
        };
        if !group.joining.lock().is_empty() {
            return false;
        }
        groups.retain(|other| !Arc::ptr_eq(other, group));
        // A second look-up must not wait for the first one's lock.
        drop(groups);
        self.by_key.remove_if(key, |_, groups| groups.is_empty());
        true
    }
}

/// How many groups one feed has at most. All compressed streams share one compressor.
fn groups_max(coding: ContentCoding) -> usize {
    if coding == ContentCoding::Identity {
        limits::groups_per_feed_max()
    } else {
        1
    }
}
