//! A record as Kafka delivered it, and why it may be skipped.

use std::fmt;

use crate::cursor::{Offset, Partition, TimestampMs};
use crate::stream::Topic;

/// A Kafka record, borrowed from the consumer that read it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: &'a Topic,
    /// Its partition of that topic.
    pub partition: Partition,
    /// Its own offset (not the next one).
    pub offset: Offset,
    /// Kafka's timestamp of the record (`CreateTime` or `LogAppendTime`, as the topic has it).
    pub timestamp: TimestampMs,
    /// The record's key, if it has one: any bytes.
    pub key: Option<&'a [u8]>,
    /// The record's value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Why a record is not delivered: it is counted by reason, logged at a bounded rate, and the cursor
/// moves past it.
///
/// A record with several faults gets the first reason that applies, in the order of the variants
/// (docs/protocol.md, "The JSON of an event").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// It has no value (a tombstone), or one of no bytes or only white space.
    Empty,
    /// The value is larger than the configured maximum.
    TooLarge,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not one JSON text (RFC 8259).
    NotJson,
    /// The value is JSON, but not an object.
    NotObject,
    /// The event has a `meta` that is neither an object nor null.
    MetaNotObject,
}

impl SkipReason {
    /// Every reason, in the order in which they are checked: the closed set of the metric's label.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::NotObject,
        Self::MetaNotObject,
    ];

    /// The reason as the value of a metric's label: `snake_case`, stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotObject => "not_object",
            Self::MetaNotObject => "meta_not_object",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the record has no value (a tombstone) or an empty one",
            Self::TooLarge => "the value is larger than the configured maximum",
            Self::NotUtf8 => "the value is not UTF-8",
            Self::NotJson => "the value is not JSON",
            Self::NotObject => "the value is JSON, but not an object",
            Self::MetaNotObject => "the event's `meta` is neither an object nor null",
        })
    }
}
