//! Where a subscription starts: the requested positions, resolved by the memory logs, or by Kafka
//! where they do not suffice.

use std::collections::HashMap;
use std::sync::Arc;

use super::fair_queue::Client;
use super::feed::Slot;
use super::hub::Hub;
use super::last_events::{SearchError, Wanted, rewind};
use super::moved::Moved;
use super::partition::HubPartition;
use super::partition_log::{PartitionLog, RecordBefore};
use super::subscribe_request::SubscribeRequest;
use super::subscription::Subscription;
use super::upstream::UpstreamUnavailable;
use crate::cursor::{
    self, Decision, IdEntry, LogAnswer, LogQuestion, MovedReason, Partition, Position, Requested,
    RequestedPosition, Target, TimestampMs,
};
use crate::limits;
use crate::stream::Topic;

/// Why a subscription cannot start. It is known before the first byte.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Not every partition has been read up to its end yet: 503 `unavailable`.
    #[error("The streams are being read from Kafka for the first time")]
    NotReady,
    /// Looking up the start position timed out: 503 `unavailable`.
    #[error(transparent)]
    Upstream(#[from] UpstreamUnavailable),
    /// All permits for replays are in use and their queue is full: 503 `unavailable`.
    #[error("All permits for replays are in use, and their queue is full")]
    ReplayRefused,
    /// The id names a partition that the topic does not have: 400 `invalid_last_event_id`.
    #[error("Topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Topic,
        /// The partition that it lacks.
        partition: Partition,
    },
}

impl From<SearchError> for SubscribeError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Refused => Self::ReplayRefused,
            SearchError::Unavailable => Self::Upstream(UpstreamUnavailable),
        }
    }
}

/// A subscription, and the notices for its client.
#[derive(Debug)]
pub struct Subscribed {
    /// Positioned, ready for [`Subscription::next`].
    pub subscription: Subscription,
    /// Partitions that start at another position than the requested one.
    pub moved: Vec<Moved>,
}

/// Subscribes.
///
/// # Errors
/// See [`SubscribeError`].
pub async fn subscribe(
    hub: &Arc<Hub>,
    request: SubscribeRequest,
) -> Result<Subscribed, SubscribeError> {
    if !hub.is_ready() {
        return Err(SubscribeError::NotReady);
    }
    await_logs(hub, &request.last_event_id).await?;
    let client = request.client;
    let member = hub.join(&request.feed_key());
    // "Live" is the end of the feed before any look-up: what arrives meanwhile comes after it.
    let tail = member.tail();
    let positions = StartPositions::new(&request.last_event_id, request.starts_at());
    let mut cursor = Vec::with_capacity(tail.slots.len());
    let mut moved = Vec::new();
    for (slot, decision) in tail
        .slots
        .iter()
        .zip(resolve(hub, request.lookup_client, &tail.slots, &positions).await?)
    {
        if let Some((requested, reason)) = decision.moved {
            hub.metrics.count_moved(reason);
            moved.push(
                slot.partition
                    .moved(requested, decision.position.next, reason),
            );
        }
        cursor.push(decision.position);
    }
    if let Some(count) = request.last_events {
        let wanted = Wanted {
            count,
            selection: request.selection.as_deref(),
            until: request.bound.until,
        };
        rewind(hub, client, wanted, &tail.slots, &mut cursor).await?;
    }
    if hub.replay_permits.would_refuse(client) && needs_kafka(&tail.slots, &cursor) {
        hub.metrics.replays_refused.increment(1);
        return Err(SubscribeError::ReplayRefused);
    }
    let live = tail
        .slots
        .iter()
        .zip(&cursor)
        .all(|(slot, own)| slot.position.next == own.next);
    let subscription = Subscription::new(member, client, cursor, &tail, live, request.bound);
    Ok(Subscribed {
        subscription,
        moved,
    })
}

/// Whether anything before the feed's end is not in memory.
fn needs_kafka(slots: &[Slot], cursor: &[Position]) -> bool {
    slots.iter().zip(cursor).any(|(slot, own)| {
        !slot.retired
            && own.next < slot.position.next
            && !slot.partition.log.read().covers(own.next)
    })
}

/// Waits until the logs of the id are known: another process may have discovered a partition, or a
/// recreated topic, first. What is still not known after that is an older topic's log.
async fn await_logs(hub: &Arc<Hub>, entries: &[IdEntry]) -> Result<(), SubscribeError> {
    let unknown = |entry: &&IdEntry| {
        let known = hub.partitions(&entry.topic);
        entry.partition.is_some_and(|wanted| {
            !known.is_empty() && known.iter().all(|found| found.partition != wanted)
        })
    };
    if hub
        .await_discovery(|| {
            !entries
                .iter()
                .any(|entry| unknown(&entry) || may_be_newer(hub, entry))
        })
        .await
    {
        return Ok(());
    }
    match entries.iter().find(unknown) {
        Some(IdEntry {
            topic,
            partition: Some(partition),
            ..
        }) => Err(SubscribeError::UnknownPartition {
            topic: topic.clone(),
            partition: *partition,
        }),
        _ => Ok(()),
    }
}

/// Whether the entry's offset may be of a newer topic than the one that is read.
fn may_be_newer(hub: &Hub, entry: &IdEntry) -> bool {
    let RequestedPosition::Both { log: Some(log), .. } = entry.position else {
        return false;
    };
    let mut known = hub.partitions(&entry.topic).into_iter();
    known.any(|known| Some(known.partition) == entry.partition && known.may_be_older_than(log))
}

/// The requested position in each partition.
struct StartPositions<'a> {
    entries: HashMap<(&'a Topic, Partition), RequestedPosition>,
    /// The earliest timestamp that the id names in a topic. A partition of the topic that is not in
    /// the id is newer than the id, or a little older: the process that wrote the id may not have
    /// discovered it yet. So it starts earlier by [`limits::PARTITION_DISCOVERY_LAG_MS`].
    earliest: HashMap<&'a Topic, TimestampMs>,
    otherwise: RequestedPosition,
}

impl<'a> StartPositions<'a> {
    fn new(last_event_id: &'a [IdEntry], since: Option<TimestampMs>) -> Self {
        let mut entries = HashMap::new();
        let mut earliest: HashMap<&Topic, TimestampMs> = HashMap::new();
        for IdEntry {
            topic,
            partition,
            position,
        } in last_event_id
        {
            if let Some(partition) = partition {
                entries.insert((topic, *partition), *position);
            }
            if let RequestedPosition::Timestamp(time)
            | RequestedPosition::Both {
                timestamp: time, ..
            } = *position
            {
                earliest
                    .entry(topic)
                    .and_modify(|known| *known = time.min(*known))
                    .or_insert(time);
            }
        }
        Self {
            entries,
            earliest,
            // Only records of the future are later than now. That does not hold for the time of an
            // id, which is a record's: the producer's clock may be ahead of this machine's.
            otherwise: since
                .filter(|time| *time < TimestampMs::now())
                .map_or(RequestedPosition::Live, RequestedPosition::Timestamp),
        }
    }

    fn of(&self, slot: &Slot) -> RequestedPosition {
        let (topic, partition) = (&slot.partition.topic, slot.partition.partition);
        match self.entries.get(&(topic, partition)) {
            Some(RequestedPosition::Unset) => self.otherwise,
            Some(position) => *position,
            None => self.earliest.get(topic).map_or(self.otherwise, |time| {
                RequestedPosition::Timestamp(TimestampMs(
                    time.0
                        .saturating_sub(limits::PARTITION_DISCOVERY_LAG_MS)
                        .max(0),
                ))
            }),
        }
    }
}

/// Decides the position in every slot. The look-ups run at the same time.
async fn resolve(
    hub: &Arc<Hub>,
    client: Client,
    slots: &[Slot],
    positions: &StartPositions<'_>,
) -> Result<Vec<Decision>, UpstreamUnavailable> {
    let all = slots
        .iter()
        .map(|slot| resolve_slot(hub, client, slot, positions.of(slot)));
    let all = futures_util::future::try_join_all(all);
    let found = tokio::time::timeout(limits::LOOKUP_TIMEOUT, all).await;
    found.map_err(|_| UpstreamUnavailable)?
}

async fn resolve_slot(
    hub: &Arc<Hub>,
    client: Client,
    slot: &Slot,
    requested: RequestedPosition,
) -> Result<Decision, UpstreamUnavailable> {
    let live = slot.position;
    let target = if slot.retired {
        Target::Live
    } else {
        Target::new(requested, slot.partition.log_id)
    };
    let target = match judge_cuts(target, &slot.partition.log.read()) {
        Ok(target) => target,
        Err(decision) => return Ok(decision),
    };
    let Some(question) = target.question() else {
        return Ok(Decision::at(live.next, live.timestamp));
    };
    if let Some(decision) = from_memory(target, &slot.partition.log.read(), live) {
        return Ok(decision);
    }
    let mut answer = look_up(hub, client, &slot.partition, question).await?;
    if let Target::Offset {
        next,
        timestamp: Some(_),
    } = target
        && next > answer.high
    {
        let time = target.time();
        let question = LogQuestion { time, ..question };
        answer = look_up(hub, client, &slot.partition, question).await?;
    }
    Ok(cursor::decide(target, &answer, live))
}

/// Asks Kafka about the log of a partition that has a leader.
pub(super) async fn look_up(
    hub: &Hub,
    client: Client,
    partition: &HubPartition,
    question: LogQuestion,
) -> Result<LogAnswer, UpstreamUnavailable> {
    if !partition.is_available() {
        return Err(UpstreamUnavailable);
    }
    hub.metrics.lookups.increment(1);
    let (topic, number) = (partition.topic.clone(), partition.partition);
    hub.upstream.lookup(client, topic, number, question).await
}

/// Compares an offset of a log with its cuts: the decision for an offset that lies in one, and
/// doubt where records were lost below the offset that had not been read here.
fn judge_cuts(target: Target, log: &PartitionLog) -> Result<Target, Decision> {
    let Target::Offset {
        next,
        timestamp: Some(timestamp),
    } = target
    else {
        return Ok(target);
    };
    if let Some(position) = log.cut_below(next, timestamp) {
        let moved = Some((Requested::Offset(next), MovedReason::LogTruncated));
        return Err(Decision { position, moved });
    }
    // An id names 0 where the timestamp was not known.
    Ok(if timestamp.0 > 0 && log.was_cut_below(next) {
        Target::Doubtful { next, timestamp }
    } else {
        target
    })
}

/// The decision, if the memory log suffices for it.
fn from_memory(target: Target, log: &PartitionLog, live: Position) -> Option<Decision> {
    let by_time = |time: TimestampMs| {
        let next = log.first_at_or_after(time)?;
        // No record is that late: live, with live's own timestamp.
        Some(if next >= live.next {
            Decision::at(live.next, live.timestamp)
        } else {
            Decision::at(next, time)
        })
    };
    match target {
        Target::Live => Some(Decision::at(live.next, live.timestamp)),
        Target::Earliest | Target::Recreated { .. } => None,
        Target::Offset {
            next,
            timestamp: Some(timestamp),
        } => log.covers(next).then_some(Decision::at(next, timestamp)),
        Target::Offset {
            next,
            timestamp: None,
        } => Some(Decision::at(next, log.timestamp_before(next)?)),
        Target::Time(time) => by_time(time),
        Target::Unverified { next, timestamp } => match log.record_before(next) {
            RecordBefore::Unknown => None,
            RecordBefore::Time(time) if time != timestamp => by_time(timestamp),
            RecordBefore::Time(_) | RecordBefore::Hole => Some(Decision::at(next, timestamp)),
        },
        Target::Doubtful { next, timestamp } => match log.record_before(next) {
            RecordBefore::Unknown => None,
            RecordBefore::Time(time) if time != timestamp => {
                let first = log.first_at_or_after(timestamp)?;
                Some(Decision::behind_a_cut(next, timestamp, first))
            }
            RecordBefore::Time(_) | RecordBefore::Hole => Some(Decision::at(next, timestamp)),
        },
    }
}
