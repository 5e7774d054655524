//! One record batch (format 2, KIP-98): looked through once when it comes in, then kept as the producer's own bytes.
//!
//! Layout, big endian: base offset 0..8, length of what follows 8..12, leader epoch 12..16, magic 16, CRC-32C of everything from
//! 21 on 17..21, attributes 21..23, last offset delta 23..27, first timestamp 27..35, largest timestamp 35..43, producer id
//! 43..51, producer epoch 51..53, first sequence 53..57, number of records 57..61, records. Base offset and leader epoch lie
//! outside the CRC, so the broker sets them without unpacking anything.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};

use super::compression::unpack;
use super::{LEADER_EPOCH, NewRecord};

const LENGTH_AT: usize = 8;
const LEADER_EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const LAST_OFFSET_DELTA_AT: usize = 23;
/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// What the length field does not count: base offset and itself.
const BEFORE_LENGTH_ENDS: usize = 12;

/// Why a batch is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// Not a whole batch or its checksum is wrong: `CORRUPT_MESSAGE`.
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    /// A whole batch that no producer may send: `INVALID_RECORD`.
    #[error("invalid batch: {0}")]
    Invalid(String),
}

impl BatchError {
    pub(super) fn response(&self) -> ResponseError {
        match self {
            Self::Corrupt(_) => ResponseError::CorruptMessage,
            Self::Invalid(_) => ResponseError::InvalidRecord,
        }
    }
}

/// A whole, checked batch.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    bytes: Bytes,
    base_offset: i64,
    records: i32,
    /// The largest timestamp (ms) of its records, counted, not believed.
    max_timestamp: i64,
    /// Who wrote it, when it comes from an idempotent producer.
    producer: Option<BatchProducer>,
}

/// The idempotent producer's part of a batch (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchProducer {
    pub(super) id: i64,
    pub(super) epoch: i16,
    pub(super) first_sequence: i32,
}

impl Batch {
    /// The bytes of the batch that `bytes` begins with; `None` when they are not all there.
    ///
    /// Only the length is looked at: [`Self::parse`] checks the rest.
    pub(super) fn split_first(bytes: &mut Bytes) -> Option<Bytes> {
        let length = bytes.get(LENGTH_AT..)?.first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?.checked_add(BEFORE_LENGTH_ENDS)?;
        (length >= HEADER_BYTES && length <= bytes.len()).then(|| bytes.split_to(length))
    }

    /// Checks one whole batch: checksum, header and every record's outline.
    ///
    /// # Errors
    /// As [`BatchError`] says; also for what only a broker or a transaction may write.
    pub(super) fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        let mut rest = bytes.clone();
        let whole = Self::split_first(&mut rest).ok_or_else(|| BatchError::Corrupt("cut short".to_owned()))?;
        if !rest.is_empty() {
            return Err(BatchError::Invalid("more than one batch for a partition".to_owned()));
        }
        if whole[MAGIC_AT] != 2 {
            return Err(BatchError::Invalid(format!("format {}: only format 2 (Kafka 0.11 and later) is read", whole[MAGIC_AT])));
        }
        let infos = RecordBatchDecoder::decode_batch_info(&mut whole.clone()).map_err(|e| BatchError::Corrupt(e.to_string()))?;
        let info = infos.first().ok_or_else(|| BatchError::Corrupt("empty".to_owned()))?;
        if info.transactional || info.control {
            return Err(BatchError::Invalid("this broker has no transactions".to_owned()));
        }
        if info.timestamp_type == TimestampType::LogAppend {
            return Err(BatchError::Invalid("a producer may not set the log append time".to_owned()));
        }
        let last_delta = i32_at(&whole, LAST_OFFSET_DELTA_AT);
        if info.record_count < 1 || last_delta != info.record_count - 1 {
            return Err(BatchError::Invalid(format!("{} records, but the last offset delta is {last_delta}", info.record_count)));
        }
        let producer = (info.producer_id >= 0).then_some(BatchProducer {
            id: info.producer_id,
            epoch: info.producer_epoch,
            first_sequence: info.base_sequence,
        });
        if producer.is_some_and(|p| p.epoch < 0 || p.first_sequence < 0) {
            return Err(BatchError::Invalid("a producer id without epoch or sequence".to_owned()));
        }
        let mut batch =
            Self { base_offset: info.min_offset, records: info.record_count, max_timestamp: i64::MIN, producer, bytes: whole };
        batch.max_timestamp = batch.timestamps()?.into_iter().max().unwrap_or(i64::MIN);
        Ok(batch)
    }

    /// Encodes records as one uncompressed batch with base offset 0. `records` must not be empty.
    pub(super) fn encode(records: &[NewRecord]) -> Result<Self, BatchError> {
        if let Some(record) = records.iter().find(|record| record.timestamp.0 < 0) {
            return Err(BatchError::Invalid(format!("the timestamp {} is before 1970", record.timestamp)));
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
            timestamp: record.timestamp.0,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: IndexMap::new(),
        });
        let records: Vec<Record> = records.collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).map_err(|e| BatchError::Invalid(e.to_string()))?;
        Self::parse(&bytes.freeze())
    }

    /// The same batch at its place in a log, in memory of its own (the request's frame is let go).
    pub(super) fn placed_at(&self, base_offset: i64) -> Self {
        let mut bytes = BytesMut::from(&self.bytes[..]);
        bytes[..LENGTH_AT].copy_from_slice(&base_offset.to_be_bytes());
        bytes[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&LEADER_EPOCH.to_be_bytes());
        Self { bytes: bytes.freeze(), base_offset, ..*self }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Its size on the wire, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(super) fn records(&self) -> i32 {
        self.records
    }

    /// The offset after its last record.
    pub(super) fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.records)
    }

    pub(super) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    pub(super) fn producer(&self) -> Option<BatchProducer> {
        self.producer
    }

    /// Offset and timestamp (ms) of each record, in order.
    pub(super) fn positions(&self) -> impl Iterator<Item = (i64, i64)> {
        // Parsing walked the same bytes; a batch that could not be walked does not exist.
        (self.base_offset..).zip(self.timestamps().unwrap_or_default())
    }

    /// The timestamp of each record; walks (and so checks) the outline of all of them.
    fn timestamps(&self) -> Result<Vec<i64>, BatchError> {
        let codec = match i16::from_be_bytes([self.bytes[21], self.bytes[22]]) & 7 {
            0 => Compression::None,
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            other => return Err(BatchError::Invalid(format!("unknown codec {other}"))),
        };
        let unpacked =
            unpack(&self.bytes[HEADER_BYTES..], codec).map_err(|e| BatchError::Invalid(format!("its {codec:?} records: {e}")))?;
        let first = i64::from_be_bytes(*self.bytes[27..].first_chunk().expect("a batch is longer than its header"));
        walk(&unpacked, self.records, first).map_err(|what| BatchError::Invalid(what.to_owned()))
    }
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(*bytes[at..].first_chunk().expect("a batch is longer than its header"))
}

/// Walks `count` records (KIP-98, "Record"): length, attributes, timestamp delta, offset delta, key, value, headers.
fn walk(mut records: &[u8], count: i32, first_timestamp: i64) -> Result<Vec<i64>, &'static str> {
    let mut timestamps = Vec::new();
    for index in 0..count {
        let length = varint(&mut records)?;
        let length = usize::try_from(length).map_err(|_| "a record of negative length")?;
        let (mut record, rest) = records.split_at_checked(length).ok_or("a record is cut short")?;
        records = rest;
        record.try_get_i8().map_err(|_| "a record without attributes")?;
        timestamps.push(first_timestamp.checked_add(varint(&mut record)?).ok_or("a timestamp out of range")?);
        if varint(&mut record)? != i64::from(index) {
            return Err("the records' offsets do not count up by one");
        }
        skip_bytes(&mut record)?;
        skip_bytes(&mut record)?;
        for _ in 0..varint(&mut record)? {
            skip_bytes(&mut record)?;
            skip_bytes(&mut record)?;
        }
        if !record.is_empty() {
            return Err("a record is longer than its parts");
        }
    }
    if records.is_empty() { Ok(timestamps) } else { Err("bytes after the last record") }
}

/// Skips a key, a value or a header's part: a length (-1 is null) and as many bytes.
fn skip_bytes(record: &mut &[u8]) -> Result<(), &'static str> {
    let length = usize::try_from(varint(record)?.max(0)).map_err(|_| "a length out of range")?;
    *record = record.get(length..).ok_or("a key, value or header is cut short")?;
    Ok(())
}

/// A zigzag varint of up to 64 bits (Protocol Buffers' sint64).
fn varint(bytes: &mut &[u8]) -> Result<i64, &'static str> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().map_err(|_| "a number is cut short")?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    Err("a number has too many bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::TimestampMs;

    fn record(timestamp: i64) -> NewRecord {
        NewRecord { timestamp: TimestampMs(timestamp), key: Some("k".into()), value: None }
    }

    #[test]
    fn positions_follow_the_place_and_the_records() {
        let batch = Batch::encode(&[record(20), record(10), record(30)]).unwrap().placed_at(100);
        assert_eq!(batch.positions().collect::<Vec<_>>(), [(100, 20), (101, 10), (102, 30)]);
        assert_eq!((batch.next_offset(), batch.max_timestamp(), batch.producer()), (103, 30, None));
        // Placing patches bytes outside the checksum: the result is still a whole batch.
        assert_eq!(Batch::parse(batch.bytes()).unwrap().base_offset(), 100);
    }

    #[test]
    fn a_changed_byte_anywhere_under_the_checksum_is_seen() {
        let bytes = Batch::encode(&[record(1), record(2)]).unwrap().bytes().clone();
        for at in MAGIC_AT..bytes.len() {
            let mut changed = BytesMut::from(&bytes[..]);
            changed[at] ^= 1;
            assert!(Batch::parse(&changed.freeze()).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(records: Vec<u8>, count in 0..1000_i32, first: i64) {
            let _ = walk(&records, count, first);
        }

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
