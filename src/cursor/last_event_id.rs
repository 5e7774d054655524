//! The one parser of `Last-Event-ID`: untrusted text in, requested positions out, or an error that
//! names the first fault.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::compact_id::{self, CompactIdError};
use super::id_entry::{ID_BYTES_MAX, ID_ENTRIES_MAX, IdEntry, RequestedPosition};
use super::{LogId, Offset, Partition, TimestampMs};
use crate::stream::Topic;

/// What a client's id requests: a checked list of entries, at most one for each topic and
/// partition. Whether the topics and partitions exist and may be read is not known here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastEventId {
    entries: Vec<IdEntry>,
}

/// Why an id is refused: the detail of the problem that the client gets (docs/protocol.md,
/// "Errors", `invalid_last_event_id`, status 400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LastEventIdError {
    /// Longer than [`ID_BYTES_MAX`].
    #[error("the id is {bytes} bytes long; at most {ID_BYTES_MAX} are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not JSON.
    #[error(
        "the id is not JSON ({0}); \
         send the `id` of the last event unchanged, or an array like {EXAMPLE}"
    )]
    NotJson(String),
    /// JSON, but not an array.
    #[error(
        "the id is not a JSON array; \
         send the `id` of the last event unchanged, or an array like {EXAMPLE}"
    )]
    NotArray,
    /// A token that is none of ours.
    #[error("the id is not a valid token ({0}); send the `id` of the last event unchanged")]
    Token(CompactIdError),
    /// An array without entries: no client ever gets such an id.
    #[error(
        "the id is an empty array; \
         omit it to begin live, or send the `id` of the last event unchanged"
    )]
    Empty,
    /// More than [`ID_ENTRIES_MAX`].
    #[error("the id has {entries} entries; at most {ID_ENTRIES_MAX} are accepted")]
    TooManyEntries {
        /// How many it has.
        entries: usize,
    },
    /// An entry is wrong.
    #[error("entry {index} of the id (counted from 0): {error}")]
    Entry {
        /// Its index, from 0.
        index: usize,
        /// Its fault.
        error: EntryError,
    },
}

const EXAMPLE: &str = r#"[{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":42}]"#;

/// What is wrong with one entry of an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Neither an object nor a string.
    #[error("it is neither an object nor the name of a topic")]
    NotEntry,
    /// An object with a duplicate key, or one that cannot be parsed.
    #[error("it cannot be parsed: {0}")]
    Malformed(String),
    /// No `topic`, or one that is empty or not a string.
    #[error("`topic` must be the name of a topic")]
    NoTopic,
    /// A value that is not an integer of 64 bits (`partition`: of 32).
    #[error("`{0}` must be an integer")]
    NotInteger(&'static str),
    /// A negative partition.
    #[error("`partition` must not be negative")]
    NegativePartition,
    /// A negative offset without a meaning.
    #[error("`offset` must be the next offset to read, or -1 for live, or -2 for the earliest")]
    NegativeOffset,
    /// A negative timestamp.
    #[error("`timestamp` must not be negative; it counts milliseconds since 1970")]
    NegativeTimestamp,
    /// `offset` or `timestamp`, but no `partition`.
    #[error("a position needs a `partition`")]
    NoPartition,
    /// Another entry requests another position for the same partition.
    #[error("entry {first} has another position for the same topic and partition")]
    Conflict {
        /// The index of the other entry, from 0.
        first: usize,
    },
}

impl LastEventId {
    /// Parses an id as a client sent it (docs/protocol.md, "Where a stream begins"): a JSON array
    /// of `{topic, partition, offset, timestamp}` with both positions, one or none, or of plain
    /// topic names, in any mixture; or a token, as [`super::EventId`] writes it in compact form.
    ///
    /// * Keys may have any order; unknown keys are ignored; `null` counts as absent.
    /// * Integers may be spelled as JSON allows (`42`, `42.0`, `4.2e1`): JSON libraries without
    ///   integers write them so.
    /// * `log` counts beside an offset and a timestamp; a text that is not a [`LogId`] names
    ///   another log.
    /// * `offset` -1 is live and -2 the earliest. A `timestamp` beside -1 counts: beginning there
    ///   delivers what live would miss. Beside -2 it does not: the start of the log misses nothing.
    /// * The same partition twice is an error, unless both entries are equal; then the second is
    ///   dropped.
    /// * An empty text counts as no id: clients that have not received an event yet send one. An
    ///   empty array is an error: its sender has lost the entries that it had.
    ///
    /// # Errors
    ///
    /// [`LastEventIdError`], for the first fault from the left.
    pub fn parse(text: &str) -> Result<Self, LastEventIdError> {
        let text = text.trim_ascii();
        if text.len() > ID_BYTES_MAX {
            return Err(LastEventIdError::TooLong { bytes: text.len() });
        }
        if text.is_empty() {
            return Ok(Self::default());
        }
        let entries = if compact_id::is_token(text) {
            let entries = compact_id::decode(text).map_err(LastEventIdError::Token)?;
            Self::checked(entries.into_iter().map(Ok))?
        } else {
            let raws = parse_array(text)?;
            if raws.is_empty() {
                return Err(LastEventIdError::Empty);
            }
            if raws.len() > ID_ENTRIES_MAX {
                return Err(LastEventIdError::TooManyEntries {
                    entries: raws.len(),
                });
            }
            Self::checked(raws.into_iter().map(|raw| parse_entry(raw.get())))?
        };
        Ok(Self { entries })
    }

    /// The entries, each partition once.
    fn checked(
        all: impl ExactSizeIterator<Item = Result<IdEntry, EntryError>>,
    ) -> Result<Vec<IdEntry>, LastEventIdError> {
        let mut entries: Vec<IdEntry> = Vec::with_capacity(all.len());
        let mut seen: HashMap<(Topic, Option<Partition>), (usize, RequestedPosition)> =
            HashMap::with_capacity(all.len());
        for (index, entry) in all.enumerate() {
            let at = |error| LastEventIdError::Entry { index, error };
            let entry = entry.map_err(at)?;
            match seen.get(&(entry.topic.clone(), entry.partition)) {
                None => {
                    seen.insert(
                        (entry.topic.clone(), entry.partition),
                        (index, entry.position),
                    );
                    entries.push(entry);
                }
                Some(&(_, position)) if position == entry.position => {}
                Some(&(first, _)) => return Err(at(EntryError::Conflict { first })),
            }
        }
        Ok(entries)
    }

    /// The entries in the order of the id.
    pub fn entries(&self) -> &[IdEntry] {
        &self.entries
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn parse_array(text: &str) -> Result<Vec<&RawValue>, LastEventIdError> {
    serde_json::from_str(text).map_err(|_| match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => LastEventIdError::NotArray,
        Err(error) => LastEventIdError::NotJson(error.to_string()),
    })
}

/// An entry's members, not yet parsed; `null` counts as absent, unknown members are skipped.
#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    partition: Option<&'a RawValue>,
    #[serde(borrow)]
    offset: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    log: Option<&'a RawValue>,
}

fn parse_entry(raw: &str) -> Result<IdEntry, EntryError> {
    if raw.starts_with('"') {
        return Ok(IdEntry {
            topic: parse_topic(raw)?,
            partition: None,
            position: RequestedPosition::Unset,
        });
    }
    if !raw.starts_with('{') {
        return Err(EntryError::NotEntry);
    }
    let entry: RawEntry<'_> =
        serde_json::from_str(raw).map_err(|error| EntryError::Malformed(error.to_string()))?;
    let topic = parse_topic(entry.topic.map_or("", RawValue::get))?;
    let partition = match parse_integer("partition", entry.partition)? {
        None => None,
        Some(..0) => return Err(EntryError::NegativePartition),
        Some(number) => Some(Partition(
            number
                .try_into()
                .map_err(|_| EntryError::NotInteger("partition"))?,
        )),
    };
    let offset = parse_integer("offset", entry.offset)?;
    let timestamp = match parse_integer("timestamp", entry.timestamp)? {
        Some(..0) => return Err(EntryError::NegativeTimestamp),
        timestamp => timestamp.map(TimestampMs),
    };
    let position = match (offset, timestamp) {
        (Some(..-2), _) => return Err(EntryError::NegativeOffset),
        (None, None) => RequestedPosition::Unset,
        (Some(-1), None) => RequestedPosition::Live,
        (Some(-2), _) => RequestedPosition::Earliest,
        (None | Some(-1), Some(timestamp)) => RequestedPosition::Timestamp(timestamp),
        (Some(offset), None) => RequestedPosition::Offset(Offset(offset)),
        (Some(offset), Some(timestamp)) => {
            let log = entry.log.map(|raw| parse_log(raw.get()));
            RequestedPosition::Both {
                next: Offset(offset),
                timestamp,
                log,
            }
        }
    };
    if partition.is_none() && position != RequestedPosition::Unset {
        return Err(EntryError::NoPartition);
    }
    Ok(IdEntry {
        topic,
        partition,
        position,
    })
}

fn parse_topic(raw: &str) -> Result<Topic, EntryError> {
    let topic: String = serde_json::from_str(raw).map_err(|_| EntryError::NoTopic)?;
    if topic.is_empty() {
        Err(EntryError::NoTopic)
    } else {
        Ok(topic.into())
    }
}

/// A text that is not a log id names another log.
fn parse_log(raw: &str) -> LogId {
    let text = serde_json::from_str::<String>(raw).unwrap_or_default();
    LogId::parse(&text).unwrap_or(LogId::UNKNOWN)
}

fn parse_integer(name: &'static str, raw: Option<&RawValue>) -> Result<Option<i64>, EntryError> {
    /// Up to here every integer is exactly one f64, and vice versa.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let Some(raw) = raw else { return Ok(None) };
    if let Ok(integer) = serde_json::from_str::<i64>(raw.get()) {
        return Ok(Some(integer));
    }
    match serde_json::from_str::<f64>(raw.get()) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an integer within the range where f64 is exact"
        )]
        Ok(number) if number.fract() == 0.0 && number.abs() <= EXACT_MAX => Ok(Some(number as i64)),
        _ => Err(EntryError::NotInteger(name)),
    }
}

#[cfg(test)]
mod tests;
