//! Batches that the broker writes itself: transaction marks, compacted batches, and the records of
//! [`crate::DevBroker::append`].

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};

use super::{
    ABORT, ATTRIBUTES_AT, BEFORE_LENGTH_ENDS, Batch, BatchError, BatchKind, BatchProducer,
    CODEC_BITS, COMMIT, HEADER_BYTES, LAST_OFFSET_DELTA_AT, LEADER_EPOCH_AT, LENGTH_AT, MAGIC_AT,
};
use crate::outline::control_record;
use crate::{LEADER_EPOCH, NewRecord};

/// The attributes of a control batch: transactional, and hidden from clients.
const CONTROL_ATTRIBUTES: i16 = 1 << 4 | 1 << 5;
const CRC_AT: usize = 17;
const MAX_TIMESTAMP_AT: usize = 35;
const RECORDS_AT: usize = 57;

impl Batch {
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

    /// The batch with only those records that `keep` picks by offset and key, at their old offsets
    /// and uncompressed. `None` when none is left.
    pub(crate) fn compacted(&self, keep: impl Fn(i64, Option<&[u8]>) -> bool) -> Option<Self> {
        let mut bytes = BytesMut::from(&self.bytes[..HEADER_BYTES]);
        let (mut records, mut max_timestamp) = (0, i64::MIN);
        // Parsing walked the same bytes: a batch that cannot be walked does not exist.
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
            // The encoder writes the first record's sequence (-1, none) and expects the others to
            // follow the offsets.
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
}

/// Fills in the length and the checksum of a batch.
fn sealed(mut bytes: BytesMut) -> Bytes {
    let length = u32::try_from(bytes.len() - BEFORE_LENGTH_ENDS).unwrap_or(u32::MAX);
    bytes[LENGTH_AT..LEADER_EPOCH_AT].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&bytes[ATTRIBUTES_AT..]);
    bytes[CRC_AT..ATTRIBUTES_AT].copy_from_slice(&checksum.to_be_bytes());
    bytes.freeze()
}
