//! One record batch (format 2, KIP-98): looked through once when it comes in, then kept as the producer's own bytes. Compaction
//! alone rewrites one; the broker itself writes the marks that end transactions.
//!
//! Layout, big endian: base offset 0..8, length of what follows 8..12, leader epoch 12..16, magic 16, CRC-32C of everything from
//! 21 on 17..21, attributes 21..23, last offset delta 23..27, first timestamp 27..35, largest timestamp 35..43, producer id
//! 43..51, producer epoch 51..53, first sequence 53..57, number of records 57..61, records. Base offset and leader epoch lie
//! outside the CRC, so the broker sets them without unpacking anything.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

use crate::compression::unpack;
use crate::outline::{Outline, control_record, walk};
use crate::{LEADER_EPOCH, NewRecord};

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const FIRST_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const RECORDS_AT: usize = 57;
/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// What the length field does not count: base offset and itself.
const BEFORE_LENGTH_ENDS: usize = 12;
/// The bits of the attributes that name the codec.
const CODEC_BITS: i16 = 7;
/// The attributes of a control batch: of a transaction, and not for clients to see.
const CONTROL_ATTRIBUTES: i16 = 1 << 4 | 1 << 5;
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
    /// The largest timestamp (ms) of its records, counted, not believed.
    max_timestamp: i64,
    /// Who wrote it, when it comes from an idempotent producer.
    producer: Option<BatchProducer>,
    kind: BatchKind,
}

/// What a batch is to transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchKind {
    /// Records that count at once.
    Plain,
    /// Records of a transaction.
    Transactional,
    /// The mark that ends a producer's transaction.
    Commit,
    /// The mark that ends a producer's transaction and takes its records back.
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

    /// Checks one whole batch of a client: checksum, header and every record's outline.
    ///
    /// # Errors
    /// As [`BatchError`] says; also for what only a broker may write.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        Self::parse_of(bytes, Writer::Client)
    }

    /// The same for one out of a log: it may be a mark, or compacted.
    pub(crate) fn parse_stored(bytes: &Bytes) -> Result<Self, BatchError> {
        Self::parse_of(bytes, Writer::Broker)
    }

    fn parse_of(bytes: &Bytes, writer: Writer) -> Result<Self, BatchError> {
        let mut rest = bytes.clone();
        let whole = Self::split_first(&mut rest)
            .ok_or_else(|| BatchError::Corrupt("cut short".to_owned()))?;
        if !rest.is_empty() {
            return Err(BatchError::Invalid(
                "more than one batch for a partition".to_owned(),
            ));
        }
        if whole[MAGIC_AT] != 2 {
            return Err(BatchError::Invalid(format!(
                "format {}: only format 2 (Kafka 0.11 and later) is read",
                whole[MAGIC_AT]
            )));
        }
        let infos = RecordBatchDecoder::decode_batch_info(&mut whole.clone())
            .map_err(|e| BatchError::Corrupt(e.to_string()))?;
        let info = infos
            .first()
            .ok_or_else(|| BatchError::Corrupt("empty".to_owned()))?;
        if info.control && writer == Writer::Client {
            return Err(BatchError::Invalid(
                "a producer may not write control records".to_owned(),
            ));
        }
        if info.timestamp_type == TimestampType::LogAppend {
            return Err(BatchError::Invalid(
                "a producer may not set the log append time".to_owned(),
            ));
        }
        let last_delta = i32_at(&whole, LAST_OFFSET_DELTA_AT);
        let is_compacted = writer == Writer::Broker && last_delta > info.record_count - 1;
        if info.record_count < 1 || (last_delta != info.record_count - 1 && !is_compacted) {
            return Err(BatchError::Invalid(format!(
                "{} records, but the last offset delta is {last_delta}",
                info.record_count
            )));
        }
        let producer = (info.producer_id >= 0).then_some(BatchProducer {
            id: info.producer_id,
            epoch: info.producer_epoch,
            first_sequence: info.base_sequence,
        });
        if producer.is_some_and(|p| p.epoch < 0 || (p.first_sequence < 0 && !info.control)) {
            return Err(BatchError::Invalid(
                "a producer id without epoch or sequence".to_owned(),
            ));
        }
        if info.transactional && producer.is_none() {
            return Err(BatchError::Invalid(
                "a transaction without a producer id".to_owned(),
            ));
        }
        let kind = if info.transactional {
            BatchKind::Transactional
        } else {
            BatchKind::Plain
        };
        let (base_offset, records) = (info.min_offset, info.record_count);
        let mut batch = Self {
            base_offset,
            last_delta,
            records,
            max_timestamp: i64::MIN,
            producer,
            kind,
            bytes: whole,
        };
        let (mut max_timestamp, mut mark) = (i64::MIN, None);
        batch.walk(|unpacked, outline| {
            max_timestamp = max_timestamp.max(outline.timestamp);
            mark = outline.key.map(|key| mark_kind(&unpacked[key]));
        })?;
        batch.max_timestamp = max_timestamp;
        if info.control {
            batch.kind = mark.flatten().ok_or_else(|| {
                BatchError::Invalid("a control record of no known kind".to_owned())
            })?;
        }
        Ok(batch)
    }

    /// The mark that ends a transaction of this producer at `timestamp` (ms).
    pub(crate) fn mark(producer_id: i64, epoch: i16, commit: bool, timestamp: i64) -> Self {
        let record = control_record(if commit { COMMIT } else { ABORT });
        let mut bytes = BytesMut::zeroed(MAGIC_AT);
        bytes.put_u8(2);
        bytes.put_u32(0);
        bytes.put_i16(CONTROL_ATTRIBUTES);
        bytes.put_i32(0);
        bytes.put_i64(timestamp);
        bytes.put_i64(timestamp);
        bytes.put_i64(producer_id);
        bytes.put_i16(epoch);
        bytes.put_i32(-1);
        bytes.put_i32(1);
        bytes.put_slice(&record);
        Self {
            bytes: sealed(bytes),
            base_offset: 0,
            last_delta: 0,
            records: 1,
            max_timestamp: timestamp,
            producer: Some(BatchProducer {
                id: producer_id,
                epoch,
                first_sequence: -1,
            }),
            kind: if commit {
                BatchKind::Commit
            } else {
                BatchKind::Abort
            },
        }
    }

    /// The batch with those records alone that `keep` picks by offset and key, at the offsets that they had; `None` when none is
    /// left. Uncompressed.
    pub(crate) fn compacted(&self, keep: impl Fn(i64, Option<&[u8]>) -> bool) -> Option<Self> {
        let mut bytes = BytesMut::from(&self.bytes[..HEADER_BYTES]);
        let (mut records, mut max_timestamp) = (0, i64::MIN);
        // Parsing walked the same bytes; a batch that could not be walked does not exist.
        let _ = self.walk(|unpacked, outline| {
            let key = outline.key.map(|key| &unpacked[key]);
            if keep(self.base_offset + i64::from(outline.delta), key) {
                bytes.extend_from_slice(&unpacked[outline.bytes]);
                records += 1;
                max_timestamp = max_timestamp.max(outline.timestamp);
            }
        });
        if records == 0 || records == self.records {
            return (records > 0).then(|| self.clone());
        }
        let attributes =
            i16::from_be_bytes([bytes[ATTRIBUTES_AT], bytes[ATTRIBUTES_AT + 1]]) & !CODEC_BITS;
        bytes[ATTRIBUTES_AT..LAST_OFFSET_DELTA_AT].copy_from_slice(&attributes.to_be_bytes());
        bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&max_timestamp.to_be_bytes());
        bytes[RECORDS_AT..HEADER_BYTES].copy_from_slice(&records.to_be_bytes());
        Some(Self {
            bytes: sealed(bytes),
            records,
            max_timestamp,
            ..*self
        })
    }

    /// Encodes records as one uncompressed batch with base offset 0. `records` must not be empty.
    pub(crate) fn encode(records: &[NewRecord]) -> Result<Self, BatchError> {
        if let Some(record) = records.iter().find(|record| record.timestamp_ms < 0) {
            return Err(BatchError::Invalid(format!(
                "the timestamp {} is before 1970",
                record.timestamp_ms
            )));
        }
        let records = records.iter().zip(0_i32..).map(|(record, i)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: LEADER_EPOCH,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(i),
            // The encoder writes the first record's sequence (-1, none) and wants the others in step with the offsets.
            sequence: i - 1,
            timestamp: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: IndexMap::new(),
        });
        let records: Vec<Record> = records.collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        RecordBatchEncoder::encode(&mut bytes, &records, &options)
            .map_err(|e| BatchError::Invalid(e.to_string()))?;
        Self::parse(&bytes.freeze())
    }

    /// The same batch at its place in a log of the first leader epoch.
    pub(crate) fn placed_at(&self, base_offset: i64) -> Self {
        self.placed_in(LEADER_EPOCH, base_offset)
    }

    /// The same batch at its place in a log, in memory of its own (the request's frame is let go).
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

    /// How many sequence numbers, and offsets, it takes: as many as it had records when it was written.
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

    /// Gives `see` the unpacked records and the outline of each; so checks all of them.
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

/// What the key of a control record says (KIP-98): a version, and a kind.
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

/// A batch with the length and the checksum of what it holds.
fn sealed(mut bytes: BytesMut) -> Bytes {
    let length = u32::try_from(bytes.len() - BEFORE_LENGTH_ENDS).unwrap_or(u32::MAX);
    bytes[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
    bytes.freeze()
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(
        *bytes[at..]
            .first_chunk()
            .expect("a batch is longer than its header"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(timestamp: i64) -> NewRecord {
        NewRecord {
            timestamp_ms: timestamp,
            key: Some("k".into()),
            value: None,
        }
    }

    #[test]
    fn positions_follow_the_place_and_the_records() {
        let batch = Batch::encode(&[record(20), record(10), record(30)])
            .unwrap()
            .placed_at(100);
        assert_eq!(
            batch.positions().collect::<Vec<_>>(),
            [(100, 20), (101, 10), (102, 30)]
        );
        assert_eq!(
            (batch.next_offset(), batch.max_timestamp(), batch.producer()),
            (103, 30, None)
        );
        // Placing patches bytes outside the checksum: the result is still a whole batch.
        assert_eq!(Batch::parse(batch.bytes()).unwrap().base_offset(), 100);
    }

    #[test]
    fn a_changed_byte_anywhere_under_the_checksum_is_seen() {
        let bytes = Batch::encode(&[record(1), record(2)])
            .unwrap()
            .bytes()
            .clone();
        for at in MAGIC_AT..bytes.len() {
            let mut changed = BytesMut::from(&bytes[..]);
            changed[at] ^= 1;
            assert!(Batch::parse(&changed.freeze()).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            prop_assert!(Batch::parse(&bytes.into()).is_err());
        }

        #[test]
        fn every_timestamp_comes_back(timestamps in prop::collection::vec(0..i64::MAX / 2, 1..50)) {
            let records: Vec<_> = timestamps.iter().copied().map(record).collect();
            let batch = Batch::encode(&records).unwrap();
            prop_assert_eq!(batch.positions().map(|(_, t)| t).collect::<Vec<_>>(), timestamps);
        }
    }
}
