//! Counts of the events that a subscriber receives.

use crate::stream::Topic;

/// Events of one topic in a batch, for the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The topic.
    pub topic: Topic,
    /// The number of events.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

impl Delivered {
    /// Adds one event of `topic` with a frame of `bytes`.
    pub(super) fn count(all: &mut Vec<Self>, topic: &Topic, bytes: u64) {
        // From the back: most batches have one topic, or runs of one.
        if let Some(of_topic) = all
            .iter_mut()
            .rev()
            .find(|of_topic| of_topic.topic == *topic)
        {
            of_topic.events += 1;
            of_topic.bytes += bytes;
        } else {
            all.push(Self::one(topic, bytes));
        }
    }

    /// One event of `topic` with a frame of `bytes`.
    pub(super) fn one(topic: &Topic, bytes: u64) -> Self {
        Self {
            topic: topic.clone(),
            events: 1,
            bytes,
        }
    }
}
