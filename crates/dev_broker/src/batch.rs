//! One record batch (format 2, KIP-98): checked once when it comes in, then kept as the producer's
//! own bytes. Only compaction rewrites a batch.
//!
//! * `write`: the batches that the broker writes itself.
//!
//! Layout, big endian: base offset 0..8, length of what follows 8..12, leader epoch 12..16, magic
//! 16, CRC-32C of everything from 21 on 17..21, attributes 21..23, last offset delta 23..27, first
//! timestamp 27..35, largest timestamp 35..43, producer id 43..51, producer epoch 51..53, first
//! sequence 53..57, number of records 57..61, records. Base offset and leader epoch are outside the
//! checksum, so the broker can set them without unpacking anything.

mod write;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::records::{BatchDecodeInfo, Compression, RecordBatchDecoder, TimestampType};

use crate::LEADER_EPOCH;
use crate::compression::unpack;
use crate::outline::{Outline, walk};

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const FIRST_TIMESTAMP_AT: usize = 27;
/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// The bytes that the length field does not count: the base offset and the length itself.
const BEFORE_LENGTH_ENDS: usize = 12;
/// The bits of the attributes that name the codec.
const CODEC_BITS: i16 = 7;
/// The kinds of control records.
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// Why a batch is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Not a whole batch or its checksum is wrong: `CORRUPT_MESSAGE`.
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    /// A whole batch that no producer may send: `INVALID_RECORD`.
    #[error("invalid batch: {0}")]
    Invalid(String),
}

impl BatchError {
    fn invalid(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }

    pub(crate) fn response(&self) -> ResponseError {
        match self {
            Self::Corrupt(_) => ResponseError::CorruptMessage,
            Self::Invalid(_) => ResponseError::InvalidRecord,
        }
    }
}

/// A whole, checked batch.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    bytes: Bytes,
    base_offset: i64,
    /// The last record's offset when the batch was written, counted from the base offset.
    last_delta: i32,
    records: i32,
    /// The largest timestamp (ms) of its records, computed and not taken from the header.
    max_timestamp: i64,
    /// Who wrote it, when it comes from an idempotent producer.
    producer: Option<BatchProducer>,
    kind: BatchKind,
}

/// The role of a batch in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    /// Records that are committed at once.
    Plain,
    /// Records of a transaction.
    Transactional,
    /// The mark that commits a producer's transaction.
    Commit,
    /// The mark that aborts a producer's transaction.
    Abort,
}

/// Who may have written a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Client,
    Broker,
}

/// The idempotent producer's part of a batch (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchProducer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) first_sequence: i32,
}

impl Batch {
    /// The bytes of the batch that `bytes` begins with; `None` when they are not all there.
    ///
    /// Only the length is looked at: [`Self::parse`] checks the rest.
    pub(crate) fn split_first(bytes: &mut Bytes) -> Option<Bytes> {
        let length = bytes.get(LENGTH_AT..)?.first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .ok()?
            .checked_add(BEFORE_LENGTH_ENDS)?;
        (length >= HEADER_BYTES && length <= bytes.len()).then(|| bytes.split_to(length))
    }

    /// Checks one whole batch of a client: checksum, header and the outline of every record.
    ///
    /// # Errors
    /// Any [`BatchError`], also for batches that only a broker may write.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        Self::parse_of(bytes, Writer::Client)
    }

    /// Checks a batch from a log, which may be a mark or compacted.
    pub(crate) fn parse_stored(bytes: &Bytes) -> Result<Self, BatchError> {
        Self::parse_of(bytes, Writer::Broker)
    }

    fn parse_of(bytes: &Bytes, writer: Writer) -> Result<Self, BatchError> {
        let bytes = Self::whole(bytes)?;
        let infos = RecordBatchDecoder::decode_batch_info(&mut bytes.clone())
            .map_err(|error| BatchError::Corrupt(error.to_string()))?;
        let info = infos
            .first()
            .ok_or_else(|| BatchError::Corrupt("empty".to_owned()))?;
        if info.control && writer == Writer::Client {
            return Err(BatchError::invalid(
                "a producer may not write control records",
            ));
        }
        if info.timestamp_type == TimestampType::LogAppend {
            return Err(BatchError::invalid(
                "a producer may not set the log append time",
            ));
        }
        let mut batch = Self {
            base_offset: info.min_offset,
            last_delta: last_delta(&bytes, info.record_count, writer)?,
            records: info.record_count,
            max_timestamp: i64::MIN,
            producer: producer_of(info)?,
            kind: if info.transactional {
                BatchKind::Transactional
            } else {
                BatchKind::Plain
            },
            bytes,
        };
        let mut max_timestamp = i64::MIN;
        let mut mark = None;
        batch.walk(|unpacked, outline| {
            max_timestamp = max_timestamp.max(outline.timestamp);
            mark = outline.key.map(|key| mark_kind(&unpacked[key]));
        })?;
        batch.max_timestamp = max_timestamp;
        if info.control {
            batch.kind = mark
                .flatten()
                .ok_or_else(|| BatchError::invalid("a control record of no known kind"))?;
        }
        Ok(batch)
    }

    /// The bytes, if they are exactly one batch of format 2.
    fn whole(bytes: &Bytes) -> Result<Bytes, BatchError> {
        let mut rest = bytes.clone();
        let whole = Self::split_first(&mut rest)
            .ok_or_else(|| BatchError::Corrupt("cut short".to_owned()))?;
        if !rest.is_empty() {
            return Err(BatchError::invalid("more than one batch for a partition"));
        }
        if whole[MAGIC_AT] != 2 {
            return Err(BatchError::Invalid(format!(
                "format {}: only format 2 (Kafka 0.11 and later) is supported",
                whole[MAGIC_AT]
            )));
        }
        Ok(whole)
    }

    /// The same batch at an offset in a log of the first leader epoch.
    pub(crate) fn placed_at(&self, base_offset: i64) -> Self {
        self.placed_in(LEADER_EPOCH, base_offset)
    }

    /// The same batch at an offset in a log, in memory of its own, so that the request's frame is
    /// freed.
    pub(crate) fn placed_in(&self, leader_epoch: i32, base_offset: i64) -> Self {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
        bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
        Self {
            bytes: bytes.freeze(),
            base_offset,
            ..*self
        }
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its size on the wire, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// How many sequence numbers and offsets it spans: as many as it had records when it was
    /// written.
    pub(crate) fn span(&self) -> i32 {
        self.last_delta + 1
    }

    pub(crate) fn kind(&self) -> BatchKind {
        self.kind
    }

    /// Whether each of its records has a key.
    pub(crate) fn has_keys(&self) -> bool {
        let mut all = true;
        self.walk(|_, outline| all &= outline.key.is_some()).is_ok() && all
    }

    /// Offset and key of each record that has one, in order.
    pub(crate) fn keys(&self, mut see: impl FnMut(i64, &[u8])) {
        let _ = self.walk(|unpacked, outline| {
            if let Some(key) = outline.key {
                see(self.base_offset + i64::from(outline.delta), &unpacked[key]);
            }
        });
    }

    /// The offset after its last record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.span())
    }

    pub(crate) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    pub(crate) fn producer(&self) -> Option<BatchProducer> {
        self.producer
    }

    /// Offset and timestamp (ms) of each record, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let mut positions = Vec::new();
        let _ = self.walk(|_, outline| {
            positions.push((
                self.base_offset + i64::from(outline.delta),
                outline.timestamp,
            ));
        });
        positions.into_iter()
    }

    /// Calls `see` with the unpacked records and the outline of each, and so checks all of them.
    fn walk(&self, mut see: impl FnMut(&[u8], Outline)) -> Result<(), BatchError> {
        let codec =
            match i16::from_be_bytes([self.bytes[ATTRIBUTES_AT], self.bytes[ATTRIBUTES_AT + 1]])
                & CODEC_BITS
            {
                0 => Compression::None,
                1 => Compression::Gzip,
                2 => Compression::Snappy,
                3 => Compression::Lz4,
                4 => Compression::Zstd,
                other => return Err(BatchError::Invalid(format!("unknown codec {other}"))),
            };
        let unpacked = unpack(&self.bytes[HEADER_BYTES..], codec)
            .map_err(|e| BatchError::Invalid(format!("its {codec:?} records: {e}")))?;
        let first = self.bytes[FIRST_TIMESTAMP_AT..]
            .first_chunk()
            .expect("a batch is longer than its header");
        let walked = walk(
            &unpacked,
            self.records,
            self.last_delta,
            i64::from_be_bytes(*first),
            |outline| see(&unpacked, outline),
        );
        walked.map_err(|what| BatchError::Invalid(what.to_owned()))
    }
}

/// The last offset delta. A compacted batch, which only a broker writes, has holes.
fn last_delta(bytes: &[u8], records: i32, writer: Writer) -> Result<i32, BatchError> {
    let last_delta = i32_at(bytes, LAST_OFFSET_DELTA_AT);
    let is_compacted = writer == Writer::Broker && last_delta > records - 1;
    if records < 1 || (last_delta != records - 1 && !is_compacted) {
        return Err(BatchError::Invalid(format!(
            "{records} records, but the last offset delta is {last_delta}"
        )));
    }
    Ok(last_delta)
}

fn producer_of(info: &BatchDecodeInfo) -> Result<Option<BatchProducer>, BatchError> {
    let producer = (info.producer_id >= 0).then_some(BatchProducer {
        id: info.producer_id,
        epoch: info.producer_epoch,
        first_sequence: info.base_sequence,
    });
    if producer.is_some_and(|p| p.epoch < 0 || (p.first_sequence < 0 && !info.control)) {
        return Err(BatchError::invalid(
            "a producer id without epoch or sequence",
        ));
    }
    if info.transactional && producer.is_none() {
        return Err(BatchError::invalid("a transaction without a producer id"));
    }
    Ok(producer)
}

/// The kind in the key of a control record (KIP-98), which is a version and a kind.
fn mark_kind(key: &[u8]) -> Option<BatchKind> {
    match key
        .get(2..4)
        .map(|kind| i16::from_be_bytes([kind[0], kind[1]]))
    {
        Some(COMMIT) => Some(BatchKind::Commit),
        Some(ABORT) => Some(BatchKind::Abort),
        _ => None,
    }
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(
        *bytes[at..]
            .first_chunk()
            .expect("a batch is longer than its header"),
    )
}

#[cfg(test)]
mod tests;
