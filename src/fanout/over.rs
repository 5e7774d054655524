//! Whether a stream with an end is over before it starts.

use std::collections::HashSet;

use super::hub::{FUTURE_MIN, Hub};
use super::subscribe_request::SubscribeRequest;
use crate::cursor::{IdEntry, Partition, RequestedPosition, TimestampMs};
use crate::stream::Topic;

impl SubscribeRequest {
    /// Whether its id is at or beyond `until` in every partition: the stream is over.
    #[must_use]
    pub fn is_over(&self, hub: &Hub) -> bool {
        let Some(until) = self.bound.until else {
            return false;
        };
        let horizon = TimestampMs::now().saturating_add(FUTURE_MIN);
        let is_beyond = |entry: &&IdEntry| {
            let time = time_of(entry.position);
            time.is_some_and(|time| until <= time && time <= horizon)
        };
        let beyond = self.last_event_id.iter().filter(is_beyond);
        let beyond: HashSet<(&Topic, Option<Partition>)> = beyond
            .map(|entry| (&entry.topic, entry.partition))
            .collect();
        let is_over = |topic: &Topic| {
            let mut partitions = hub.partitions(topic).into_iter();
            partitions.all(|known| beyond.contains(&(topic, Some(known.partition))))
        };
        !beyond.is_empty() && self.topics.iter().all(is_over)
    }
}

fn time_of(position: RequestedPosition) -> Option<TimestampMs> {
    match position {
        RequestedPosition::Both { timestamp, .. } | RequestedPosition::Timestamp(timestamp) => {
            Some(timestamp)
        }
        _ => None,
    }
}
