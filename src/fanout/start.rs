//! Where a subscription begins: what was asked, held against memory first and Kafka where memory cannot tell.

use std::collections::HashMap;
use std::sync::Arc;

use super::feed::{FeedKey, Slot};
use super::hub::Hub;
use super::partition_log::PartitionLog;
use super::subscription::{Moved, Subscription};
use super::turns::Client;
use super::upstream::UpstreamUnavailable;
use crate::cursor::{self, AskedEntry, AskedPosition, Decision, Partition, Position, TimestampMs};
use crate::event::frame::Format;
use crate::limits;
use crate::stream::Topic;

/// What a client asked for, its stream names resolved to topics.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The topics, in any order; duplicates collapse.
    pub topics: Vec<Topic>,
    /// SSE or NDJSON.
    pub format: Format,
    /// The entries of its Last-Event-ID, every topic one of `topics`.
    pub last_event_id: Vec<AskedEntry>,
    /// Where topics start that the id does not place.
    pub since: Option<TimestampMs>,
    /// Whose it is, as far as that is known: places for replays are shared out among clients.
    pub client: Client,
    /// In whose turn offsets are looked up: `client`, or the peer where that is not known.
    pub asker: Client,
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
pub struct Started {
    /// Positioned, ready for [`Subscription::next`].
    pub subscription: Subscription,
    /// Partitions that begin elsewhere than asked.
    pub moved: Vec<Moved>,
}

/// Subscribes.
///
/// # Errors
/// See [`SubscribeError`].
pub async fn subscribe(hub: &Arc<Hub>, asked: Asked) -> Result<Started, SubscribeError> {
    if !hub.is_ready() {
        return Err(SubscribeError::NotReady);
    }
    await_partitions(hub, &asked.last_event_id).await?;
    let client = asked.client;
    let mut topics = asked.topics;
    topics.sort_unstable();
    topics.dedup();
    let member = hub.join(&FeedKey { topics: topics.into(), format: asked.format });
    // Live is where the feed is now, before anything is looked up: what arrives meanwhile comes after it.
    let tail = member.feed().tail();
    let wishes = Wishes::new(&asked.last_event_id, asked.since);
    let mut cursor = Vec::with_capacity(tail.slots.len());
    let mut moved = Vec::new();
    for (slot, decision) in tail.slots.iter().zip(resolve(hub, asked.asker, &tail.slots, &wishes).await?) {
        if let Some((asked, reason)) = decision.moved {
            hub.metrics.count_moved(reason);
            let (topic, partition) = (slot.partition.topic.clone(), slot.partition.partition);
            moved.push(Moved { topic, partition, asked, actual: decision.position.next, reason });
        }
        cursor.push(decision.position);
    }
    if hub.places.are_exhausted(client) && needs_kafka(&tail.slots, &cursor) {
        hub.metrics.replays_refused.inc();
        return Err(SubscribeError::ReplayRefused);
    }
    let live = tail.slots.iter().zip(&cursor).all(|(slot, own)| slot.position.next == own.next);
    let subscription =
        if live { Subscription::live(member, client, tail.next, cursor) } else { Subscription::new(member, client, cursor) };
    Ok(Started { subscription, moved })
}

/// Whether something before the feed's end is not in memory.
fn needs_kafka(slots: &[Slot], cursor: &[Position]) -> bool {
    slots
        .iter()
        .zip(cursor)
        .any(|(slot, own)| !slot.retired && own.next < slot.position.next && !slot.partition.log.read().covers(own.next))
}

/// Waits until the partitions of the id are known: another process may have seen a new one first.
async fn await_partitions(hub: &Arc<Hub>, entries: &[AskedEntry]) -> Result<(), SubscribeError> {
    let unknown = |entry: &&AskedEntry| {
        let known = hub.partitions(&entry.topic);
        entry.partition.is_some_and(|wanted| !known.is_empty() && known.iter().all(|found| found.partition != wanted))
    };
    if hub.await_discovery(|| !entries.iter().any(|entry| unknown(&entry))).await {
        return Ok(());
    }
    match entries.iter().find(unknown) {
        Some(AskedEntry { topic, partition: Some(partition), .. }) => {
            Err(SubscribeError::UnknownPartition { topic: topic.clone(), partition: *partition })
        }
        _ => Ok(()),
    }
}

/// What the client asked of each partition.
struct Wishes<'a> {
    entries: HashMap<(&'a Topic, Partition), AskedPosition>,
    /// The earliest timestamp that the id names in a topic. Partitions of the topic that the id does not know have been added
    /// since, or shortly before: the process that wrote the id may not have found them yet. They begin so much earlier.
    earliest: HashMap<&'a Topic, TimestampMs>,
    otherwise: AskedPosition,
}

impl<'a> Wishes<'a> {
    fn new(last_event_id: &'a [AskedEntry], since: Option<TimestampMs>) -> Self {
        let mut entries = HashMap::new();
        let mut earliest: HashMap<&Topic, TimestampMs> = HashMap::new();
        for AskedEntry { topic, partition, position } in last_event_id {
            if let Some(partition) = partition {
                entries.insert((topic, *partition), *position);
            }
            if let AskedPosition::Timestamp(time) | AskedPosition::Both { timestamp: time, .. } = *position {
                earliest.entry(topic).and_modify(|known| *known = time.min(*known)).or_insert(time);
            }
        }
        Self { entries, earliest, otherwise: since.map_or(AskedPosition::Live, AskedPosition::Timestamp) }
    }

    fn of(&self, slot: &Slot) -> AskedPosition {
        let (topic, partition) = (&slot.partition.topic, slot.partition.partition);
        match self.entries.get(&(topic, partition)) {
            Some(AskedPosition::Unset) => self.otherwise,
            Some(position) => *position,
            None => self.earliest.get(topic).map_or(self.otherwise, |time| {
                AskedPosition::Timestamp(TimestampMs(time.0.saturating_sub(limits::PARTITION_DISCOVERY_LAG_MS).max(0)))
            }),
        }
    }
}

/// Where a slot begins, and what its log says of the pair of offset and timestamp that was asked for.
struct Found {
    asked: AskedPosition,
    decision: Decision,
    /// The pair was written for another log.
    is_foreign: bool,
}

/// Decides for every slot. The entries of an id are judged together: one that was surely written on another cluster shows that
/// all were, also those that this cluster's logs happen to agree with (protocol §2: else timestamp).
async fn resolve(
    hub: &Arc<Hub>,
    client: Client,
    slots: &[Slot],
    wishes: &Wishes<'_>,
) -> Result<Vec<Decision>, UpstreamUnavailable> {
    let mut found = find(hub, client, slots.iter().map(|slot| (slot, wishes.of(slot)))).await?;
    if found.iter().any(|found| found.is_foreign) {
        let by_time = |found: &Found| match found.asked {
            AskedPosition::Both { next, timestamp } if found.decision.position.next == next => {
                AskedPosition::Timestamp(timestamp)
            }
            _ => AskedPosition::Unset,
        };
        let believed: Vec<usize> = (0..found.len()).filter(|index| by_time(&found[*index]) != AskedPosition::Unset).collect();
        let again = find(hub, client, believed.iter().map(|index| (&slots[*index], by_time(&found[*index])))).await?;
        for (index, again) in believed.into_iter().zip(again) {
            // Never later than the offset: what lies between is had already or, if that offset is right after all, is not.
            if again.decision.position.next < found[index].decision.position.next {
                found[index] = again;
            }
        }
    }
    Ok(found.into_iter().map(|found| found.decision).collect())
}

/// Finds each slot's beginning alone; the look-ups that are needed go out together.
async fn find<'a>(
    hub: &Arc<Hub>,
    client: Client,
    wanted: impl Iterator<Item = (&'a Slot, AskedPosition)>,
) -> Result<Vec<Found>, UpstreamUnavailable> {
    let found = wanted.map(|(slot, asked)| async move {
        let at = |position| Decision { position, moved: None };
        if slot.retired {
            return Ok(Found { asked, decision: at(slot.position), is_foreign: false });
        }
        let known = {
            let log = slot.partition.log.read();
            from_memory(asked, &log, slot.position).map(|position| (at(position), is_foreign(asked, &log)))
        };
        if let Some((decision, is_foreign)) = known {
            return Ok(Found { asked, decision, is_foreign });
        }
        let Some(question) = cursor::question(asked) else {
            return Ok(Found { asked, decision: at(slot.position), is_foreign: false });
        };
        hub.metrics.lookups.inc();
        let answer = hub.upstream.lookup(client, slot.partition.topic.clone(), slot.partition.partition, question).await?;
        let decision = cursor::decide(asked, &answer, slot.position);
        Ok(Found { asked, decision, is_foreign: cursor::is_foreign(asked, &answer) })
    });
    let looked_up = tokio::time::timeout(limits::LOOKUP_TIMEOUT, futures_util::future::try_join_all(found));
    looked_up.await.map_err(|_| UpstreamUnavailable)?
}

/// Whether the record before the offset asked for is another than the one that the id was written after. Where there is none,
/// nothing is known.
fn is_foreign(asked: AskedPosition, log: &PartitionLog) -> bool {
    let AskedPosition::Both { next, timestamp } = asked else { return false };
    log.witness_before(next).is_some_and(|witness| witness != timestamp && witness != TimestampMs(0))
}

/// The position that the memory log alone can tell.
fn from_memory(asked: AskedPosition, log: &PartitionLog, live: Position) -> Option<Position> {
    let by_time = |time: TimestampMs| {
        let next = log.first_at_or_after(time)?;
        // Nothing is that late: live, with live's own timestamp (a time in the future would miss what comes before it).
        Some(if next >= live.next { live } else { Position { next, timestamp: log.witness_before(next).unwrap_or(time) } })
    };
    match asked {
        AskedPosition::Unset | AskedPosition::Live => Some(live),
        AskedPosition::Earliest => None,
        AskedPosition::Offset(next) => {
            let timestamp = log.witness_before(next)?;
            Some(Position { next, timestamp })
        }
        AskedPosition::Timestamp(time) => by_time(time),
        AskedPosition::Both { next, timestamp } => {
            let witness = log.witness_before(next)?;
            if witness == timestamp { Some(Position { next, timestamp }) } else { by_time(timestamp) }
        }
    }
}
