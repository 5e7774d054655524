//! What Kafka handed over, and why it may not be delivered.

use crate::cursor::{Offset, Partition, TimestampMs};
use crate::stream::Topic;

/// A Kafka record, borrowed from the consumer that read it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic it lies in.
    pub topic: &'a Topic,
    /// The partition of that topic.
    pub partition: Partition,
    /// Its own offset (not the next one).
    pub offset: Offset,
    /// Kafka's timestamp of the record (CreateTime or LogAppendTime, as the topic has it).
    pub timestamp: TimestampMs,
    /// The record's key, if it has one: any bytes.
    pub key: Option<&'a [u8]>,
    /// The record's value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Why a record is not delivered: it is counted by reason, logged at a bounded rate, and the cursor moves past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// No value (a tombstone), or one of no bytes or only white space.
    Empty,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not one JSON text (RFC 8259).
    NotJson,
    /// The value is JSON, but not an object.
    NotObject,
    /// The event's `meta` is there and neither an object nor null.
    MetaNotObject,
    /// The value is larger than the configured maximum.
    TooLarge,
}
