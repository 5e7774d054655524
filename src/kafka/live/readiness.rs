//! When the server may begin to serve: once every partition is read up to where its log ended at
//! start. A partition that cannot be read does not delay the others for ever.

use std::time::{Duration, Instant};

use super::partitions::{KnownPartition, LivePartitions};
use super::topic_states::TopicStates;
use super::unread::UnreadPartitions;

/// How long a partition without a leader may delay readiness.
const LEADER_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for the records before each start, which give timestamps for event ids, until
/// they are looked for further back.
const RUN_UP_WAIT: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Readiness {
    begun: Instant,
    /// When everything was read for the first time.
    caught_up: Option<Instant>,
    is_ready: bool,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            caught_up: None,
            is_ready: false,
        }
    }

    /// Whether the server serves.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    pub(super) fn set_ready(&mut self) {
        self.is_ready = true;
    }

    /// Whether the server does not serve yet and may begin now.
    pub(super) fn is_due(
        &mut self,
        partitions: &LivePartitions,
        unread: &UnreadPartitions,
        states: &TopicStates,
    ) -> bool {
        if self.is_ready || !self.is_caught_up(partitions, unread, states) {
            return false;
        }
        let caught_up = *self.caught_up.get_or_insert_with(Instant::now);
        partitions.without_time().is_empty() || caught_up.elapsed() > RUN_UP_WAIT
    }

    /// Whether every partition that can be read is read up to where it ended at start.
    fn is_caught_up(
        &self,
        partitions: &LivePartitions,
        unread: &UnreadPartitions,
        states: &TopicStates,
    ) -> bool {
        let is_done = |known: &KnownPartition| {
            known.is_caught_up() || !states.is_fine(&known.partition.topic)
        };
        if self.begun.elapsed() > LEADER_WAIT {
            return partitions
                .values()
                .all(|known| !known.has_leader || is_done(known));
        }
        !unread.old_topics().any(|topic| states.is_fine(topic))
            && !states.has_passing_trouble()
            && partitions.values().all(is_done)
    }
}
