//! The outline of the records inside a batch: the position, offset, timestamp and key of each.
//!
//! A record (KIP-98, "Record"): length, attributes, timestamp delta, offset delta, key, value,
//! headers.

use std::ops::Range;

use bytes::{Buf, BufMut, BytesMut};

/// The parts of a record that the broker reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Its offset, counted from the batch's base offset.
    pub(crate) delta: i32,
    /// Its timestamp (ms).
    pub(crate) timestamp: i64,
    /// Its key in the unpacked records; `None` for a record without one.
    pub(crate) key: Option<Range<usize>>,
    /// The whole record in the unpacked records, with its length.
    pub(crate) bytes: Range<usize>,
}

/// Walks `count` records, whose offset deltas rise up to `last_delta` at most, and calls `see` with
/// each.
///
/// # Errors
/// A description of what is wrong with the bytes.
pub(crate) fn walk(
    records: &[u8],
    count: i32,
    last_delta: i32,
    first_timestamp: i64,
    mut see: impl FnMut(Outline),
) -> Result<(), &'static str> {
    let mut rest = records;
    let mut before = -1;
    for _ in 0..count {
        let begin = records.len() - rest.len();
        let length = varint(&mut rest)?;
        let length = usize::try_from(length).map_err(|_| "a record of negative length")?;
        let (mut record, after) = rest
            .split_at_checked(length)
            .ok_or("a record is cut short")?;
        rest = after;
        let end = records.len() - rest.len();
        record
            .try_get_i8()
            .map_err(|_| "a record without attributes")?;
        let timestamp = first_timestamp
            .checked_add(varint(&mut record)?)
            .ok_or("a timestamp out of range")?;
        let delta = i32::try_from(varint(&mut record)?).map_err(|_| "an offset out of range")?;
        if delta <= before || delta > last_delta {
            return Err("the records' offsets do not rise within the batch");
        }
        before = delta;
        let key = skip_bytes(&mut record)?.map(|length| {
            let key_end = end - record.len();
            key_end - length..key_end
        });
        skip_bytes(&mut record)?;
        for _ in 0..varint(&mut record)? {
            skip_bytes(&mut record)?;
            skip_bytes(&mut record)?;
        }
        if !record.is_empty() {
            return Err("a record is longer than its parts");
        }
        see(Outline {
            delta,
            timestamp,
            key,
            bytes: begin..end,
        });
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("bytes after the last record")
    }
}

/// Skips a key, a value or a part of a header: a length (-1 is null) and as many bytes. Returns the
/// length.
fn skip_bytes(record: &mut &[u8]) -> Result<Option<usize>, &'static str> {
    let length = varint(record)?;
    if length < 0 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| "a length out of range")?;
    *record = record
        .get(length..)
        .ok_or("a key, value or header is cut short")?;
    Ok(Some(length))
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

/// The only record of a control batch: a key with its kind (KIP-98, "Control Messages"), and a
/// value with the coordinator's epoch, which is always 0 here.
pub(crate) fn control_record(kind: i16) -> BytesMut {
    let mut record = BytesMut::new();
    // Length 16; no attributes; both deltas 0; a key of 4 bytes; a value of 6; no headers. Zigzag.
    record.put_slice(&[32, 0, 0, 0, 8]);
    record.put_i16(0);
    record.put_i16(kind);
    record.put_u8(12);
    record.put_i16(0);
    record.put_i32(0);
    record.put_u8(0);
    record
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outlines(records: &[u8], count: i32, last: i32) -> Result<Vec<Outline>, &'static str> {
        let mut seen = Vec::new();
        walk(records, count, last, 7, |outline| seen.push(outline)).map(|()| seen)
    }

    #[test]
    fn a_control_record_is_a_record() {
        let record = control_record(1);
        let outline = Outline {
            delta: 0,
            timestamp: 7,
            key: Some(5..9),
            bytes: 0..record.len(),
        };
        assert_eq!(outlines(&record, 1, 0), Ok(vec![outline]));
        assert_eq!(&record[5..9], [0, 0, 0, 1]);
    }

    #[test]
    fn offsets_rise_within_the_batch() {
        let mut two = [control_record(0), control_record(0)].concat();
        assert!(outlines(&two, 2, 1).is_err(), "the same offset twice");
        two[17 + 3] = 6;
        assert_eq!(
            outlines(&two, 2, 3).map(|outlines| outlines[1].delta),
            Ok(3)
        );
        assert!(outlines(&two, 2, 2).is_err(), "beyond the last");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(
            records: Vec<u8>,
            count in 0..1000_i32,
            last: i32,
            first: i64,
        ) {
            let _ = walk(&records, count, last, first, |_| ());
        }
    }
}
