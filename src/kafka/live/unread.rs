//! Which partitions are not read yet, and where reading of each begins.
//!
//! At start a partition is read from `reach_back` before now, so that clients that come back after
//! a restart are served from memory. A partition that appears later is new: it is read from its
//! first record.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::partitions::LivePartitions;
use super::topic_states::TopicStates;
use crate::cursor::{LogId, Offset, TimestampMs};
use crate::fanout::LogStart;
use crate::kafka::TopicPartition;
use crate::kafka::client::Consumer;
use crate::kafka::history::RangeReader;
use crate::kafka::offsets::{LOG_END, LOG_START, offsets_at, offsets_at_times};
use crate::kafka::topics::Described;
use crate::stream::Topic;
use crate::telemetry::kafka_health::TopicTrouble;

/// How much older the records of a topic that appears may be than the last look that did not find
/// it.
const APPEARANCE_MAX: Duration = Duration::from_mins(1);

/// At start no more records than these are read because of one record with a time in the future.
const UNCHECKED_RECORDS: i64 = 10_000;

/// See the module.
pub(super) struct UnreadPartitions {
    /// Where reading begins at start, in time.
    start_time: TimestampMs,
    /// Partitions that existed when their topic was seen first, and could not be read yet. Their
    /// records are not new, but for those since the time at which the partition had no leader, if
    /// it had none: Kafka took none before the leader was back.
    old: HashMap<TopicPartition, Option<TimestampMs>>,
}

/// Partitions with a leader that are not read yet.
#[derive(Default)]
pub(super) struct Found {
    /// Created while this process was looking.
    pub(super) new: Vec<Unread>,
    /// Created before.
    pub(super) old: Vec<Unread>,
}

/// A partition that Kafka has and that is not read yet.
#[derive(Clone)]
pub(super) struct Unread {
    pub(super) key: TopicPartition,
    pub(super) log_id: Option<LogId>,
    pub(super) topic_id: Option<[u8; 16]>,
    /// When its topic was last absent, if it was.
    absent_at: Option<TimestampMs>,
}

/// Where reading of a partition begins.
pub(super) struct Beginning {
    pub(super) unread: Unread,
    pub(super) start: LogStart,
    /// The first offset of its log.
    pub(super) low: Offset,
    /// The end of its log.
    pub(super) end: Offset,
}

impl UnreadPartitions {
    pub(super) fn new(start_time: TimestampMs) -> Self {
        Self {
            start_time,
            old: HashMap::new(),
        }
    }

    /// The topics of partitions that existed at start and are not read yet.
    pub(super) fn old_topics(&self) -> impl Iterator<Item = &Topic> {
        self.old.keys().map(|(topic, _)| topic)
    }

    /// A partition is read now.
    pub(super) fn remove(&mut self, key: &TopicPartition) {
        self.old.remove(key);
    }

    /// Forgets partitions of topics that are not among `topics`.
    pub(super) fn retain(&mut self, topics: &BTreeSet<Topic>) {
        self.old.retain(|(topic, _), _| topics.contains(topic));
    }

    /// The partitions of these topics that are not read yet.
    pub(super) fn find(
        &mut self,
        described: &[Described],
        partitions: &LivePartitions,
        states: &TopicStates,
    ) -> Found {
        let mut found = Found::default();
        for topic in described {
            if matches!(topic.trouble, None | Some(TopicTrouble::NoLeader)) {
                self.find_in_topic(topic, partitions, states, &mut found);
            }
        }
        found
    }

    fn find_in_topic(
        &mut self,
        topic: &Described,
        partitions: &LivePartitions,
        states: &TopicStates,
        found: &mut Found,
    ) {
        let was_readable = !states.was_seen_unread(&topic.topic);
        let absent_at = states.absent_at(&topic.topic).filter(|_| was_readable);
        let has_grown = !partitions.of_topic(&topic.topic).is_empty()
            || self.old_topics().any(|old| *old == topic.topic);
        for (number, has_leader) in &topic.partitions {
            let key = (topic.topic.clone(), *number);
            if partitions.contains(&key) {
                continue;
            }
            let is_new =
                was_readable && (has_grown || absent_at.is_some()) && !self.old.contains_key(&key);
            if !is_new {
                let leaderless_since = self.old.entry(key.clone()).or_default();
                if !has_leader {
                    leaderless_since.get_or_insert_with(TimestampMs::now);
                }
            }
            if *has_leader {
                let unread = Unread {
                    key,
                    log_id: topic.log_id,
                    topic_id: topic.topic_id,
                    absent_at,
                };
                let list = if is_new {
                    &mut found.new
                } else {
                    &mut found.old
                };
                list.push(unread);
            }
        }
    }

    /// Where reading of new partitions begins. Those that Kafka does not answer for are left out.
    pub(super) fn beginnings_of_new(new: Vec<Unread>, questions: &Consumer) -> Vec<Beginning> {
        let keys = keys(&new);
        let lows = offsets_at(questions, &keys, LOG_START);
        let highs = offsets_at(questions, &keys, LOG_END);
        let appearances: Vec<_> = new
            .iter()
            .filter_map(|unread| {
                let since = unread.absent_at?.saturating_sub(APPEARANCE_MAX);
                Some((unread.key.clone(), since))
            })
            .collect();
        let recent = offsets_at_times(questions, &appearances);
        let first = offsets_at(questions, &keys, TimestampMs(0));
        let beginning = |unread: Unread| {
            let (low, end) = (*lows.get(&unread.key)?, *highs.get(&unread.key)?);
            // A topic with records from before its absence is not new: it was only out of sight.
            // Where Kafka finds no first record, the oldest ones were deleted.
            let first = first.get(&unread.key);
            let has_older = first != recent.get(&unread.key) || (first.is_none() && low < end);
            let was_out_of_sight = unread.absent_at.is_some() && has_older;
            let start = if was_out_of_sight {
                LogStart {
                    offset: end,
                    floor: TimestampMs(i64::MAX),
                    timestamp: None,
                }
            } else {
                start_of_log(low)
            };
            Some(Beginning {
                unread,
                start,
                low,
                end,
            })
        };
        new.into_iter().filter_map(beginning).collect()
    }

    /// Where reading of old partitions begins. Those that Kafka does not answer for are left out.
    pub(super) fn beginnings_of_old(
        &self,
        old: Vec<Unread>,
        is_serving: bool,
        questions: &Consumer,
        prober: &mut RangeReader,
    ) -> Vec<Beginning> {
        if old.is_empty() {
            return Vec::new();
        }
        let keys = keys(&old);
        // The end first: a record that arrives between the two questions lies behind it, and not
        // before the start.
        let highs = offsets_at(questions, &keys, LOG_END);
        let lows = offsets_at(questions, &keys, LOG_START);
        let start_times: Vec<_> = keys
            .into_iter()
            .map(|key| (key.clone(), self.start_time_of_old(&key, is_serving)))
            .collect();
        let mut starts = offsets_at_times(questions, &start_times);
        for (key, start_time) in &start_times {
            let (Some(start), Some(high)) = (starts.get_mut(key), highs.get(key)) else {
                continue;
            };
            if high.0 - start.0 > UNCHECKED_RECORDS {
                let exact = prober.first_at_or_after(&key.0, key.1, *start, *start_time);
                *start = exact.unwrap_or(*high);
            }
        }
        let start_times: HashMap<_, _> = start_times.into_iter().collect();
        let beginning = |unread: Unread| {
            let (low, end) = (*lows.get(&unread.key)?, *highs.get(&unread.key)?);
            let start_time = *start_times.get(&unread.key)?;
            let offset = starts.get(&unread.key).copied().unwrap_or(end).max(low);
            // Deleted records may be of any time until now.
            let floor = if offset == low {
                start_of_log(low).floor.max(start_time)
            } else {
                start_time
            };
            let start = LogStart {
                offset,
                floor,
                timestamp: None,
            };
            Some(Beginning {
                unread,
                start,
                low,
                end,
            })
        };
        old.into_iter().filter_map(beginning).collect()
    }

    /// The time from which an old partition is read. While streams are served, it is read from now
    /// on: a topic that stream configuration has just added has had no subscribers before. One that
    /// had no leader has subscribers, who wait for what it takes once it has one. Producers kept
    /// these records meanwhile, so their times may be as early as the outage.
    fn start_time_of_old(&self, key: &TopicPartition, is_serving: bool) -> TimestampMs {
        if !is_serving {
            return self.start_time;
        }
        let leaderless_since = self.old.get(key).copied().flatten();
        leaderless_since.unwrap_or_else(TimestampMs::now)
    }
}

/// The start of a whole log. Records that were deleted may be of any time until now.
pub(super) fn start_of_log(low: Offset) -> LogStart {
    let mut start = LogStart::of_log(low);
    if low.0 > 0 {
        start.floor = TimestampMs::now();
    }
    start
}

fn keys(partitions: &[Unread]) -> Vec<TopicPartition> {
    partitions.iter().map(|unread| unread.key.clone()).collect()
}
