//! The compact form of an event id: a token in place of the JSON (docs/protocol.md, "Compact ids").
//!
//! `c1.` is followed by two parts in base64url, with a dot between them. The head has the
//! partitions: it changes seldom, and its text is kept. The other part has a position for each of
//! them, in the same order, and a checksum of both.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use crc32fast::Hasher;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::id_entry::{ID_ENTRIES_MAX, IdEntry, RequestedPosition};
use super::varint::{put_varint, take, take_varint};
use super::{LogId, Offset, Partition, Position, TimestampMs};
use crate::stream::Topic;

/// The begin of every token: its version.
const PREFIX: &str = "c1.";

/// Between the two parts.
const SEPARATOR: u8 = b'.';

/// The longest name of a topic in Kafka.
const TOPIC_BYTES_MAX: usize = 249;

/// The longest head: for [`ID_ENTRIES_MAX`] topics of the longest names.
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a partition besides its topic, at most, before base64: offsets below 2^42, and
/// timestamps of any distance.
pub const COMPACT_ENTRY_BYTES_MAX: usize = 12;

/// Bytes of a topic besides its name, and of a whole token besides its topics, at most.
pub const COMPACT_TOPIC_BYTES_MAX: usize = 16;

/// A partition in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompactSlot<'a> {
    pub(super) topic: &'a Topic,
    pub(super) partition: Partition,
    pub(super) log: Option<LogId>,
}

/// What is kept from one rendering to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct CompactText {
    /// The token up to the positions.
    head: Vec<u8>,
    /// The checksum of the head.
    checksum: Hasher,
    /// Buffer for the positions.
    numbers: Vec<u8>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactIdError {
    /// Of a version that this server does not know.
    #[error("its version is not known here")]
    Version,
    /// Not two parts in base64url.
    #[error("it has characters that do not belong to it, or is cut off")]
    Text,
    /// The parts do not fit together.
    #[error("it is damaged")]
    Checksum,
}

impl CompactText {
    /// Takes over the partitions.
    pub(super) fn set_slots<'a>(&mut self, slots: impl Iterator<Item = CompactSlot<'a>>) {
        let head = encode_slots(slots);
        self.checksum = Hasher::new();
        self.checksum.update(&head);
        self.head.clear();
        self.head.extend_from_slice(PREFIX.as_bytes());
        append_base64(&mut self.head, &deflated(&head));
        self.head.push(SEPARATOR);
    }

    /// Replaces `text` by the token for the partitions' positions, in their order.
    pub(super) fn render(
        &mut self,
        positions: impl Iterator<Item = Position> + Clone,
        text: &mut Vec<u8>,
    ) {
        self.numbers.clear();
        let times = positions
            .clone()
            .map(|position| unsigned(position.timestamp.0));
        let newest = times.max().unwrap_or(0);
        put_varint(&mut self.numbers, newest);
        for Position { next, timestamp } in positions {
            put_varint(&mut self.numbers, unsigned(next.0));
            // 0 stands for 0: a partition without records.
            let timestamp = unsigned(timestamp.0);
            let age = if timestamp == 0 {
                0
            } else {
                newest - timestamp + 1
            };
            put_varint(&mut self.numbers, age);
        }
        let mut checksum = self.checksum.clone();
        checksum.update(&self.numbers);
        self.numbers
            .extend_from_slice(&checksum.finalize().to_le_bytes());
        text.clear();
        text.extend_from_slice(&self.head);
        append_base64(text, &self.numbers);
    }
}

/// Whether a text is a token, of any version, and not JSON.
pub(super) fn is_token(text: &str) -> bool {
    let version = text.strip_prefix('c').and_then(|rest| rest.split_once('.'));
    version.is_some_and(|(version, _)| version.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The entries of a token. The caller checks its length, and that no entry comes twice.
///
/// # Errors
///
/// [`CompactIdError`].
pub(super) fn decode(token: &str) -> Result<Vec<IdEntry>, CompactIdError> {
    let parts = token.strip_prefix(PREFIX).ok_or(CompactIdError::Version)?;
    let (head, numbers) = parts.split_once('.').ok_or(CompactIdError::Text)?;
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part);
    let head = decoded(head).map_err(|_| CompactIdError::Text)?;
    let numbers = decoded(numbers).map_err(|_| CompactIdError::Text)?;
    let head = inflated(&head).ok_or(CompactIdError::Checksum)?;
    let (numbers, checksum) = numbers.split_last_chunk().ok_or(CompactIdError::Text)?;
    let mut expected = Hasher::new();
    expected.update(&head);
    expected.update(numbers);
    if expected.finalize() != u32::from_le_bytes(*checksum) {
        return Err(CompactIdError::Checksum);
    }
    decode_parts(&head, numbers).ok_or(CompactIdError::Checksum)
}

/// Each run of partitions of one topic: how much of the topic's name is that of the run before, the
/// rest of it, the log, the first partition, and how many there are.
fn encode_slots<'a>(slots: impl Iterator<Item = CompactSlot<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before: Option<(CompactSlot<'a>, u64)> = None;
    let mut name: &str = "";
    let mut cluster = None;
    for slot in slots {
        if let Some((first, count)) = &mut before
            && (slot.topic, slot.log) == (first.topic, first.log)
            && i64::from(slot.partition.0) == i64::from(first.partition.0) + count.cast_signed()
        {
            *count += 1;
            continue;
        }
        if let Some((_, count)) = before.replace((slot, 1)) {
            put_varint(&mut out, count);
        }
        let topic = slot.topic.as_str();
        let shared = shared_bytes(name, topic);
        put_varint(&mut out, shared as u64);
        put_varint(&mut out, (topic.len() - shared) as u64);
        out.extend_from_slice(&topic.as_bytes()[shared..]);
        name = topic;
        encode_log(&mut out, slot.log, &mut cluster);
        put_varint(&mut out, unsigned(slot.partition.0.into()));
    }
    if let Some((_, count)) = before {
        put_varint(&mut out, count);
    }
    out
}

/// The log: 0 for none, 1 and the topic's half in the cluster of the log before, 2 and both halves.
fn encode_log(out: &mut Vec<u8>, log: Option<LogId>, cluster: &mut Option<[u8; 3]>) {
    let Some(log) = log else {
        out.push(0);
        return;
    };
    let [own, topic] = log.halves();
    if *cluster == Some(own) {
        out.push(1);
    } else {
        out.push(2);
        out.extend_from_slice(&own);
        *cluster = Some(own);
    }
    out.extend_from_slice(&topic);
}

fn decode_parts(mut head: &[u8], mut numbers: &[u8]) -> Option<Vec<IdEntry>> {
    let newest = take_varint(&mut numbers)?;
    let mut entries = Vec::new();
    let mut name: Vec<u8> = Vec::new();
    let mut cluster = None;
    while !head.is_empty() {
        let shared = usize::try_from(take_varint(&mut head)?).ok()?;
        let rest = usize::try_from(take_varint(&mut head)?).ok()?;
        if shared > name.len() || rest > TOPIC_BYTES_MAX || shared + rest > TOPIC_BYTES_MAX {
            return None;
        }
        name.truncate(shared);
        name.extend_from_slice(take(&mut head, rest)?);
        let topic: Topic = str::from_utf8(&name)
            .ok()
            .filter(|name| !name.is_empty())?
            .into();
        let log = decode_log(&mut head, &mut cluster)?;
        let first = i32::try_from(take_varint(&mut head)?).ok()?;
        let count = usize::try_from(take_varint(&mut head)?).ok()?;
        if count > ID_ENTRIES_MAX - entries.len() {
            return None;
        }
        for number in 0..i32::try_from(count).ok()? {
            entries.push(IdEntry {
                topic: topic.clone(),
                partition: Some(Partition(first.checked_add(number)?)),
                position: decode_position(&mut numbers, newest, log)?,
            });
        }
    }
    (numbers.is_empty() && !entries.is_empty()).then_some(entries)
}

/// The outer `None` is an error, the inner one no log.
#[expect(clippy::option_option, reason = "a log that is absent is not an error")]
fn decode_log(head: &mut &[u8], cluster: &mut Option<[u8; 3]>) -> Option<Option<LogId>> {
    let half = |head: &mut &[u8]| take(head, 3)?.try_into().ok();
    match take(head, 1)? {
        [0] => return Some(None),
        [1] => {}
        [2] => *cluster = Some(half(head)?),
        _ => return None,
    }
    Some(Some(LogId::of_halves([(*cluster)?, half(head)?])))
}

fn decode_position(
    numbers: &mut &[u8],
    newest: u64,
    log: Option<LogId>,
) -> Option<RequestedPosition> {
    let next = take_varint(numbers)?.try_into().ok()?;
    let timestamp = match take_varint(numbers)? {
        0 => 0,
        age => i64::try_from(newest.checked_sub(age - 1)?).ok()?,
    };
    Some(RequestedPosition::Both {
        next: Offset(next),
        timestamp: TimestampMs(timestamp),
        log,
    })
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes all bytes")
}

/// `None` for what is not compressed, or too long.
fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let decoder = DeflateDecoder::new(bytes);
    decoder
        .take(HEAD_BYTES_MAX + 1)
        .read_to_end(&mut out)
        .ok()?;
    (out.len() as u64 <= HEAD_BYTES_MAX).then_some(out)
}

fn append_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), false).expect("an id is short");
    out.resize(start + length, 0);
    let written = BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(length));
}

/// How many bytes two names share at their begin.
fn shared_bytes(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(one, other)| one == other).count()
}

/// No offset is negative, and a negative time is that of no record.
fn unsigned(number: i64) -> u64 {
    number.max(0).cast_unsigned()
}

#[cfg(test)]
mod tests;
