//! Where a subscription begins: what was asked, held against memory first and Kafka where memory
//! cannot tell.

use std::collections::HashMap;
use std::sync::Arc;

use super::fair_queue::Client;
use super::feed::{FeedKey, Slot};
use super::hub::Hub;
use super::moved::Moved;
use super::partition_log::{PartitionLog, RecordBefore};
use super::subscription::Subscription;
use super::upstream::UpstreamUnavailable;
use crate::cursor::{
    self, Decision, IdEntry, LogAnswer, LogQuestion, MovedReason, Partition, Position, Requested,
    RequestedPosition, Target, TimestampMs,
};
use crate::event::frame::Format;
use crate::limits;
use crate::stream::Topic;

/// What a client asked for, its stream names resolved to topics.
#[derive(Clone, Debug)]
pub struct SubscribeRequest {
    /// The topics, in any order; duplicates collapse.
    pub topics: Vec<Topic>,
    /// SSE or NDJSON.
    pub format: Format,
    /// The entries of its Last-Event-ID, every topic one of `topics`.
    pub last_event_id: Vec<IdEntry>,
    /// Where topics start that the id does not place.
    pub since: Option<TimestampMs>,
    /// Whose it is, as far as that is known: places for replays are shared out among clients.
    pub client: Client,
    /// In whose turn offsets are looked up: `client`, or the peer where that is not known.
    pub lookup_client: Client,
}

/// Why a subscription cannot begin. All of it is known before the first byte.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Not every partition was read up to its end yet: 503 `unavailable`.
    #[error("The streams are being read from Kafka for the first time")]
    NotReady,
    /// Kafka did not say in time where to begin: 503 `unavailable`.
    #[error(transparent)]
    Upstream(#[from] UpstreamUnavailable),
    /// All places for replays and all places in the queue before them are taken: 503 `unavailable`.
    #[error("All replay places are taken, and so is the queue before them")]
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

/// A subscription and what its client must be told before the first event.
#[derive(Debug)]
pub struct Subscribed {
    /// Positioned, ready for [`Subscription::next`].
    pub subscription: Subscription,
    /// Partitions that begin elsewhere than asked.
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
    await_partitions(hub, &request.last_event_id).await?;
    let client = request.client;
    let mut topics = request.topics;
    topics.sort_unstable();
    topics.dedup();
    let member = hub.join(&FeedKey {
        topics: topics.into(),
        format: request.format,
    });
    // Live is where the feed is now, before anything is looked up: what arrives meanwhile comes
    // after it.
    let tail = member.feed().tail();
    let positions = StartPositions::new(&request.last_event_id, request.since);
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
    if hub.replay_permits.would_refuse(client) && needs_kafka(&tail.slots, &cursor) {
        hub.metrics.replays_refused.increment(1);
        return Err(SubscribeError::ReplayRefused);
    }
    let live = tail
        .slots
        .iter()
        .zip(&cursor)
        .all(|(slot, own)| slot.position.next == own.next);
    let subscription = if live {
        Subscription::live(member, client, tail.next, cursor)
    } else {
        Subscription::new(member, client, cursor)
    };
    Ok(Subscribed {
        subscription,
        moved,
    })
}

/// Whether something before the feed's end is not in memory.
fn needs_kafka(slots: &[Slot], cursor: &[Position]) -> bool {
    slots.iter().zip(cursor).any(|(slot, own)| {
        !slot.retired
            && own.next < slot.position.next
            && !slot.partition.log.read().covers(own.next)
    })
}

/// Waits until the partitions of the id are known: another process may have seen a new one first.
async fn await_partitions(hub: &Arc<Hub>, entries: &[IdEntry]) -> Result<(), SubscribeError> {
    let unknown = |entry: &&IdEntry| {
        let known = hub.partitions(&entry.topic);
        entry.partition.is_some_and(|wanted| {
            !known.is_empty() && known.iter().all(|found| found.partition != wanted)
        })
    };
    if hub
        .await_discovery(|| !entries.iter().any(|entry| unknown(&entry)))
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

/// What the client asked of each partition.
struct StartPositions<'a> {
    entries: HashMap<(&'a Topic, Partition), RequestedPosition>,
    /// The earliest timestamp that the id names in a topic. Partitions of the topic that the id
    /// does not know have been added since, or shortly before: the process that wrote the id may
    /// not have found them yet. They begin so much earlier.
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
            // Nothing is as late, apart from records of the future. The time of an id is another
            // matter: it is a record's, whose producer's clock may be ahead of this machine's.
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

/// Decides for every slot, each by itself; the look-ups that are needed go out together.
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
    if let Target::Offset {
        next,
        timestamp: Some(timestamp),
    } = target
        && let Some(position) = slot.partition.log.read().cut_below(next, timestamp)
    {
        let moved = Some((Requested::Offset(next), MovedReason::LogTruncated));
        return Ok(Decision { position, moved });
    }
    let Some(question) = target.question() else {
        return Ok(Decision::at(live.next, live.timestamp));
    };
    if let Some(position) = from_memory(target, &slot.partition.log.read(), live) {
        return Ok(Decision {
            position,
            moved: None,
        });
    }
    let mut answer = look_up(hub, client, slot, question).await?;
    if let Target::Offset {
        next,
        timestamp: Some(_),
    } = target
        && next > answer.high
    {
        let time = target.time();
        answer = look_up(hub, client, slot, LogQuestion { time, ..question }).await?;
    }
    Ok(cursor::decide(target, &answer, live))
}

async fn look_up(
    hub: &Arc<Hub>,
    client: Client,
    slot: &Slot,
    question: LogQuestion,
) -> Result<LogAnswer, UpstreamUnavailable> {
    if !slot.partition.is_available() {
        return Err(UpstreamUnavailable);
    }
    hub.metrics.lookups.increment(1);
    let (topic, partition) = (slot.partition.topic.clone(), slot.partition.partition);
    hub.upstream
        .lookup(client, topic, partition, question)
        .await
}

/// The position that the memory log alone can tell.
fn from_memory(target: Target, log: &PartitionLog, live: Position) -> Option<Position> {
    let by_time = |time: TimestampMs| {
        let next = log.first_at_or_after(time)?;
        // Nothing is that late: live, with live's own timestamp.
        Some(if next >= live.next {
            live
        } else {
            Position {
                next,
                timestamp: time,
            }
        })
    };
    match target {
        Target::Live => Some(live),
        Target::Earliest | Target::Recreated { .. } => None,
        Target::Offset {
            next,
            timestamp: Some(timestamp),
        } => log.covers(next).then_some(Position { next, timestamp }),
        Target::Offset {
            next,
            timestamp: None,
        } => {
            let timestamp = log.timestamp_before(next)?;
            Some(Position { next, timestamp })
        }
        Target::Time(time) => by_time(time),
        Target::Unverified { next, timestamp } => match log.record_before(next) {
            RecordBefore::Unknown => None,
            RecordBefore::Time(time) if time != timestamp => by_time(timestamp),
            RecordBefore::Time(_) | RecordBefore::Hole => Some(Position { next, timestamp }),
        },
    }
}
