use proptest::prelude::*;

use super::*;
use crate::NewRecord;

fn record(timestamp: i64) -> NewRecord {
    NewRecord {
        timestamp_ms: timestamp,
        key: Some("k".into()),
        value: None,
    }
}

#[test]
fn positions_follow_the_base_offset_and_the_records() {
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
