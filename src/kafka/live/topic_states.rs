//! What the last look found of each topic.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cursor::TimestampMs;
use crate::kafka::client::Consumer;
use crate::kafka::topics::{Described, nearest_topic};
use crate::stream::Topic;
use crate::telemetry::kafka_health::{KafkaHealth, TopicTrouble};

/// See the module.
pub(super) struct TopicStates {
    health: Arc<KafkaHealth>,
    states: HashMap<Topic, TopicState>,
}

#[derive(Debug, Default)]
struct TopicState {
    trouble: Option<TopicTrouble>,
    /// When Kafka last had no topic of this name, by this machine's clock.
    absent_at: Option<TimestampMs>,
    /// It was seen but could not be read. The records that it has then are not new.
    seen_unread: bool,
}

impl TopicStates {
    pub(super) fn new(health: Arc<KafkaHealth>) -> Self {
        Self {
            health,
            states: HashMap::new(),
        }
    }

    /// Whether nothing is wrong with the topic, as far as is known.
    pub(super) fn is_fine(&self, topic: &Topic) -> bool {
        self.states
            .get(topic)
            .is_none_or(|state| state.trouble.is_none())
    }

    /// Whether the topic exists and may be read, as far as is known.
    pub(super) fn may_be_readable(&self, topic: &Topic) -> bool {
        let trouble = self.states.get(topic).and_then(|state| state.trouble);
        matches!(trouble, None | Some(TopicTrouble::NoLeader))
    }

    /// Whether some topic has a trouble that may pass soon.
    pub(super) fn has_passing_trouble(&self) -> bool {
        let passing = [TopicTrouble::NoLeader, TopicTrouble::Failing];
        let mut troubles = self.states.values().filter_map(|state| state.trouble);
        troubles.any(|trouble| passing.contains(&trouble))
    }

    /// Whether the topic was seen, and could not be read.
    pub(super) fn was_seen_unread(&self, topic: &Topic) -> bool {
        self.states
            .get(topic)
            .is_some_and(|state| state.seen_unread)
    }

    /// When Kafka last had no topic of this name, if it ever lacked it.
    pub(super) fn absent_at(&self, topic: &Topic) -> Option<TimestampMs> {
        self.states.get(topic)?.absent_at
    }

    /// Stores what was found of a topic. Returns whether the topic can be read again after a
    /// trouble. [`KafkaHealth`] logs troubles, at a bounded rate.
    pub(super) fn store(&mut self, topic: &Described, is_read: bool, questions: &Consumer) -> bool {
        let state = self.states.entry(topic.topic.clone()).or_default();
        let before = std::mem::replace(&mut state.trouble, topic.trouble);
        let is_absent = topic.trouble == Some(TopicTrouble::DoesNotExist);
        if is_absent && !is_read {
            state.absent_at = Some(TimestampMs::now());
        } else if topic.trouble.is_some() && !is_read {
            state.seen_unread = true;
        }
        if before == topic.trouble {
            return false;
        }
        self.health.set_topic(&topic.topic, topic.trouble);
        if is_absent && !is_read {
            let nearest = nearest_topic(questions, &topic.topic);
            tracing::warn!(
                topic = %topic.topic, nearest,
                "a configured topic does not exist in Kafka"
            );
        }
        topic.trouble.is_none()
    }

    /// Forgets topics that are not among `topics`.
    pub(super) fn retain(&mut self, topics: &BTreeSet<Topic>) {
        let unwanted = self.states.extract_if(|topic, _| !topics.contains(topic));
        for (topic, _) in unwanted {
            self.health.set_topic(&topic, None);
        }
    }
}
