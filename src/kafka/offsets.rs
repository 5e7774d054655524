//! The first offsets of given times in many partitions (Kafka's `ListOffsets`).

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::TopicPartition;
use super::client::Consumer;
use crate::cursor::{Offset, Partition, TimestampMs};
use crate::limits;
use crate::stream::Topic;

/// The time that stands for a log's end in `ListOffsets`.
pub(super) const LOG_END: TimestampMs = TimestampMs(-1);

/// The time that stands for a log's start in `ListOffsets`.
pub(super) const LOG_START: TimestampMs = TimestampMs(-2);

/// [`offsets_at_times`] with the same time for each partition.
pub(super) fn offsets_at(
    consumer: &Consumer,
    partitions: &[TopicPartition],
    time: TimestampMs,
) -> HashMap<TopicPartition, Offset> {
    let wanted: Vec<_> = partitions.iter().map(|key| (key.clone(), time)).collect();
    offsets_at_times(consumer, &wanted)
}

/// The first offset of each time. Left out are partitions in which every record is earlier, and
/// those that Kafka does not answer for now. One of the latter makes librdkafka's whole call fail:
/// the others are asked for again without it.
pub(super) fn offsets_at_times(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
) -> HashMap<TopicPartition, Offset> {
    ask_in_halves(consumer, wanted, limits::LOOKUP_TIMEOUT)
}

fn ask_in_halves(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
    timeout: Duration,
) -> HashMap<TopicPartition, Offset> {
    match try_offsets_at_times(consumer, wanted, timeout) {
        Ok(found) => found.into_iter().collect(),
        Err(error) if wanted.len() < 2 => {
            let partition = wanted
                .first()
                .map(|((topic, number), _)| format!("{topic}/{number}"));
            tracing::debug!(partition, %error, "no offset");
            HashMap::new()
        }
        Err(_) => {
            let (left, right) = wanted.split_at(wanted.len() / 2);
            let mut found = ask_in_halves(consumer, left, limits::PROBE_TIMEOUT);
            found.extend(ask_in_halves(consumer, right, limits::PROBE_TIMEOUT));
            found
        }
    }
}

/// One call of `ListOffsets`.
pub(super) fn try_offsets_at_times(
    consumer: &Consumer,
    wanted: &[(TopicPartition, TimestampMs)],
    timeout: Duration,
) -> Result<Vec<(TopicPartition, Offset)>, KafkaError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for ((topic, Partition(number)), time) in wanted {
        list.add_partition_offset(topic.as_str(), *number, KafkaOffset::from_raw(time.0))?;
    }
    let found = consumer.offsets_for_times(list, timeout)?;
    let answered = found.elements().into_iter().filter_map(|element| {
        let KafkaOffset::Offset(offset) = element.offset() else {
            return None;
        };
        element.error().ok()?;
        let key = (Topic::from(element.topic()), Partition(element.partition()));
        Some((key, Offset(offset)))
    });
    Ok(answered.collect())
}
