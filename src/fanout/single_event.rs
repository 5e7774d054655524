//! One event by its position, from the memory log or from Kafka.

use std::collections::VecDeque;
use std::sync::Arc;

use super::fair_queue::Client;
use super::hub::Hub;
use super::log_entry::LogEntry;
use super::partition::HubPartition;
use super::upstream::UpstreamUnavailable;
use crate::cursor::{Offset, Partition};
use crate::event::PublicEvent;
use crate::limits;
use crate::stream::Topic;

/// What lies at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventAt {
    /// An event.
    Event(PublicEvent),
    /// No event: a record that is not one, a transaction marker, or a hole that compaction left.
    NoEvent,
    /// A record that was deleted: the log begins at this offset.
    Deleted(Offset),
    /// Nothing yet: the log ends at this offset.
    NotYet(Offset),
}

/// Why [`event_at`] has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventAtError {
    /// Not every partition has been read up to its end yet, or Kafka did not respond in time.
    #[error("Kafka did not respond in time")]
    Unavailable,
    /// The topic has no such partition.
    #[error("Topic {0} has no partition {1}")]
    UnknownPartition(Topic, Partition),
}

/// What lies at an offset of a partition. Clients are served round-robin where Kafka is asked.
///
/// # Errors
/// See [`EventAtError`].
pub async fn event_at(
    hub: &Arc<Hub>,
    client: Client,
    topic: &Topic,
    partition: Partition,
    offset: Offset,
) -> Result<EventAt, EventAtError> {
    if !hub.is_ready() {
        return Err(EventAtError::Unavailable);
    }
    let mut known = hub.partitions(topic).into_iter();
    let Some(found) = known.find(|known| known.partition == partition) else {
        return Err(EventAtError::UnknownPartition(topic.clone(), partition));
    };
    if let Some(found) = in_memory(&found, offset) {
        return Ok(found);
    }
    let read = from_kafka(hub, client, &found, offset);
    let read = tokio::time::timeout(limits::LOOKUP_TIMEOUT, read).await;
    match read {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(UpstreamUnavailable)) | Err(_) => Err(EventAtError::Unavailable),
    }
}

/// `None` when the memory log does not hold the offset.
fn in_memory(partition: &HubPartition, offset: Offset) -> Option<EventAt> {
    let log = partition.log.read();
    let end = log.end().next;
    if offset >= end {
        return Some(EventAt::NotYet(end));
    }
    let mut found = VecDeque::new();
    log.read(offset, Offset(offset.0 + 1), 1, &mut found)
        .then(|| of_entry(found.pop_front()))
}

fn of_entry(entry: Option<LogEntry>) -> EventAt {
    let event = entry.and_then(|entry| entry.event);
    event.map_or(EventAt::NoEvent, EventAt::Event)
}

async fn from_kafka(
    hub: &Hub,
    client: Client,
    partition: &HubPartition,
    offset: Offset,
) -> Result<EventAt, UpstreamUnavailable> {
    if !partition.is_available() {
        return Err(UpstreamUnavailable);
    }
    hub.metrics.lookups.increment(1);
    let (topic, number) = (partition.topic.clone(), partition.partition);
    let read = hub
        .upstream
        .read_record(client, topic, number, offset)
        .await?;
    if let Some(start) = read.log_start.filter(|start| *start > offset) {
        return Ok(EventAt::Deleted(start));
    }
    let mut entries = read.entries.into_iter();
    Ok(of_entry(entries.find(|entry| entry.offset == offset)))
}
