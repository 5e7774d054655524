use kafka_protocol::ResponseError;
use proptest::prelude::*;

use super::{idempotent_batch, keyed_transactional_batch, record, transactional_batch};
use crate::NewRecord;
use crate::batch::Batch;
use crate::log::{LogConfig, PartitionLog};

fn log(retention_bytes: u64) -> PartitionLog {
    PartitionLog::open(retention_bytes, None).unwrap()
}

fn append(log: &mut PartitionLog, timestamps: &[i64]) -> i64 {
    let records: Vec<_> = timestamps
        .iter()
        .map(|timestamp| record(*timestamp, "some value of some size"))
        .collect();
    log.append(&Batch::encode(&records).unwrap()).unwrap()
}

fn base_offsets(log: &PartitionLog, offset: i64, bytes_max: usize, at_least_one: bool) -> Vec<i64> {
    let read = log.read(offset, bytes_max, at_least_one).unwrap();
    assert_eq!(
        read.bytes,
        read.batches.iter().map(bytes::Bytes::len).sum::<usize>()
    );
    read.batches
        .iter()
        .map(|batch| Batch::parse(batch).unwrap().base_offset())
        .collect()
}

#[test]
fn a_read_begins_with_the_batch_that_holds_the_offset() {
    let mut log = log(1 << 20);
    assert_eq!(
        (
            append(&mut log, &[1, 2, 3]),
            append(&mut log, &[4]),
            append(&mut log, &[5, 6])
        ),
        (0, 3, 4)
    );
    assert_eq!(log.end(), 6);
    for (offset, expected) in [
        (0, vec![0, 3, 4]),
        (2, vec![0, 3, 4]),
        (3, vec![3, 4]),
        (5, vec![4]),
        (6, vec![]),
    ] {
        assert_eq!(
            base_offsets(&log, offset, usize::MAX, false),
            expected,
            "from {offset}"
        );
    }
    assert_eq!(
        log.read(7, 1, true).unwrap_err(),
        ResponseError::OffsetOutOfRange
    );
    assert_eq!(
        log.read(-1, 1, true).unwrap_err(),
        ResponseError::OffsetOutOfRange
    );
}

#[test]
fn a_read_gives_whole_batches_and_at_least_one_when_asked() {
    let mut log = log(1 << 20);
    (0..3).for_each(|_| {
        append(&mut log, &[1]);
    });
    let size = log.read(0, usize::MAX, false).unwrap().bytes / 3;
    assert_eq!(base_offsets(&log, 0, 2 * size, false), [0, 1]);
    assert_eq!(base_offsets(&log, 0, 2 * size - 1, false), [0]);
    assert_eq!(base_offsets(&log, 0, 0, false), [0; 0]);
    assert_eq!(base_offsets(&log, 0, 0, true), [0]);
}

#[test]
fn retention_keeps_the_newest_within_the_bound() {
    let mut log = log(16_000);
    for offset in 0..1000 {
        assert_eq!(append(&mut log, &[offset]), offset);
        let held = log.read(log.start(), usize::MAX, false).unwrap().bytes;
        assert!(held <= 16_000, "{held} bytes after offset {offset}");
        assert!(
            log.start() == 0 || held >= 14_000,
            "only {held} bytes are left at offset {offset}"
        );
    }
    assert_eq!(
        (log.end(), log.first_since(0)),
        (1000, Some((log.start(), log.start())))
    );
    assert_eq!(
        log.read(log.start() - 1, 1, true).unwrap_err(),
        ResponseError::OffsetOutOfRange
    );
}

#[test]
fn a_batch_larger_than_the_bound_is_kept_until_the_next() {
    let mut log = log(10);
    append(&mut log, &[1]);
    assert_eq!((log.start(), log.end()), (0, 1));
    append(&mut log, &[2]);
    assert_eq!((log.start(), log.end()), (1, 2));
}

#[test]
fn deleting_records_moves_the_start_into_a_batch() {
    let mut log = log(1 << 20);
    append(&mut log, &[10, 90, 20]);
    append(&mut log, &[30]);
    assert_eq!(log.delete_before(2), Ok(2));
    assert_eq!(log.delete_before(1), Ok(2), "the start does not go back");
    assert_eq!(log.delete_before(5), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(
        log.read(1, 1, true).unwrap_err(),
        ResponseError::OffsetOutOfRange
    );
    assert_eq!(base_offsets(&log, 2, usize::MAX, true), [0, 3]);
    // The deleted record had the largest timestamp of its batch.
    assert_eq!((log.first_since(40), log.newest()), (None, Some((3, 30))));
    assert_eq!(log.delete_before(-1), Ok(4));
    assert_eq!((log.start(), log.end(), log.newest()), (4, 4, None));
    assert_eq!(append(&mut log, &[50]), 4);
}

#[test]
fn a_batch_sent_twice_is_kept_once() {
    let mut log = log(1 << 20);
    assert_eq!(log.append(&idempotent_batch(9, 0, 0, 2)), Ok(0));
    assert_eq!(log.append(&idempotent_batch(9, 0, 2, 1)), Ok(2));
    assert_eq!(log.append(&idempotent_batch(9, 0, 0, 2)), Ok(0));
    assert_eq!(
        log.append(&idempotent_batch(9, 0, 4, 1)),
        Err(ResponseError::OutOfOrderSequenceNumber)
    );
    assert_eq!(log.end(), 3);
}

#[test]
fn an_open_transaction_holds_back_what_comes_after_it() {
    let mut log = log(1 << 20);
    append(&mut log, &[10]);
    log.append(&transactional_batch(7, 0, 0, 2)).unwrap();
    append(&mut log, &[20]);
    assert_eq!((log.last_stable(), log.end()), (1, 4));
    let until = log.last_stable();
    assert_eq!(
        log.read_before(until, 0, usize::MAX, true)
            .unwrap()
            .next_offset,
        Some(1)
    );
    assert_eq!(
        log.read_before(until, 2, usize::MAX, true)
            .unwrap()
            .next_offset,
        None
    );
    log.delete_before(2).unwrap();
    assert_eq!(log.last_stable(), 2, "no less than the log's start");
    log.end_transaction(7, 0, true, 99).unwrap();
    assert_eq!((log.last_stable(), log.end()), (5, 5));
    assert_eq!(
        log.first_since(50),
        Some((4, 99)),
        "a mark has a time of its own"
    );
}

#[test]
fn a_mark_of_a_later_epoch_fences_the_earlier_ones_off() {
    let mut log = log(1 << 20);
    log.append(&transactional_batch(7, 0, 0, 2)).unwrap();
    log.end_transaction(7, 1, false, 5).unwrap();
    assert_eq!(
        log.append(&transactional_batch(7, 0, 2, 1)),
        Err(ResponseError::InvalidProducerEpoch)
    );
    assert_eq!(log.append(&transactional_batch(7, 1, 0, 1)), Ok(3));
    assert_eq!(log.transactions().aborted_in(0, 1).len(), 1);
}

#[test]
fn a_compacted_log_keeps_the_newest_of_each_key() {
    let config = LogConfig {
        retention_bytes: 1 << 20,
        compacted_every_ms: Some(100),
    };
    let mut log = PartitionLog::open(config, None).unwrap();
    let keyed = |key: &str, time: i64| NewRecord {
        key: Some(key.to_owned().into()),
        ..record(time, "v")
    };
    let append = |log: &mut PartitionLog, records: &[NewRecord]| {
        log.append(&Batch::encode(records).unwrap())
    };
    assert_eq!(
        append(&mut log, &[record(1, "no key")]),
        Err(ResponseError::InvalidRecord)
    );
    append(&mut log, &[keyed("a", 10), keyed("b", 20), keyed("a", 15)]).unwrap();
    append(&mut log, &[keyed("b", 30)]).unwrap();
    append(&mut log, &[keyed("a", 110)]).unwrap();
    assert_eq!(
        base_offsets(&log, 0, usize::MAX, true),
        [0, 3, 4],
        "20 to 110 is within a segment"
    );
    append(&mut log, &[keyed("c", 121)]).unwrap();
    assert_eq!(log.end(), 6);
    assert_eq!(
        base_offsets(&log, 0, usize::MAX, true),
        [3, 4, 5],
        "a batch of which nothing is left is gone"
    );
    assert_eq!(
        base_offsets(&log, 1, usize::MAX, true),
        [3, 4, 5],
        "a position in a hole is served from its end"
    );
    assert_eq!((log.start(), log.first_since(0)), (0, Some((3, 30))));
}

#[test]
fn compaction_rewrites_a_batch_and_drops_what_was_aborted() {
    let config = LogConfig {
        retention_bytes: 1 << 20,
        compacted_every_ms: Some(0),
    };
    let mut log = PartitionLog::open(config, None).unwrap();
    let keyed = |key: &str, time: i64| NewRecord {
        key: Some(key.to_owned().into()),
        ..record(time, "v")
    };
    let append = |log: &mut PartitionLog, records: &[NewRecord]| {
        log.append(&Batch::encode(records).unwrap()).unwrap()
    };
    append(&mut log, &[keyed("a", 5), keyed("b", 4), keyed("c", 3)]);
    log.append(&keyed_transactional_batch(7, "b")).unwrap();
    log.end_transaction(7, 0, false, 5).unwrap();
    append(&mut log, &[keyed("a", 5)]);
    append(&mut log, &[keyed("z", 9)]);
    let read = log.read(0, usize::MAX, true).unwrap();
    let batches: Vec<Batch> = read
        .batches
        .iter()
        .map(|bytes| Batch::parse_stored(bytes).unwrap())
        .collect();
    let positions: Vec<Vec<(i64, i64)>> = batches
        .iter()
        .map(|batch| batch.positions().collect())
        .collect();
    assert_eq!(
        positions[0],
        [(1, 4), (2, 3)],
        "at the offsets that they had"
    );
    assert_eq!(
        (
            batches[0].base_offset(),
            batches[0].next_offset(),
            batches[0].max_timestamp()
        ),
        (0, 3, 4)
    );
    assert_eq!(
        batches[1].base_offset(),
        4,
        "the aborted record is gone, its mark is not"
    );
    assert_eq!(positions[2..], [vec![(5, 5)], vec![(6, 9)]]);
}

#[test]
fn a_log_that_is_cut_goes_on_in_another_leader_epoch() {
    let mut log = log(1 << 20);
    append(&mut log, &[1, 2]);
    append(&mut log, &[3, 4, 5]);
    log.append(&transactional_batch(7, 0, 0, 1)).unwrap();
    assert_eq!(
        (log.leader_epoch(), log.epoch_end(0), log.last_stable()),
        (0, Some((0, 6)), 5)
    );
    assert_eq!(log.cut(4), Ok(2), "a batch goes as a whole");
    assert_eq!(
        (log.end(), log.last_stable(), log.leader_epoch()),
        (2, 2, 1)
    );
    assert_eq!(append(&mut log, &[9]), 2);
    assert_eq!(
        (log.epoch_end(0), log.epoch_end(1)),
        (Some((0, 2)), Some((1, 3)))
    );
    assert_eq!(log.first_since(3), Some((2, 9)));
    assert_eq!(log.cut(0), Ok(0));
    assert_eq!((log.start(), log.leader_epoch()), (0, 2));
}

proptest! {
    /// The model is a list of timestamps, for any batches, deletions and order of times.
    #[test]
    fn a_time_finds_the_first_record_at_or_after_it(
        batches in prop::collection::vec(prop::collection::vec(0..50_i64, 1..6), 0..20),
        deleted in 0..60_usize,
        times in prop::collection::vec(0..55_i64, 1..20),
    ) {
        let mut log = log(1 << 20);
        for batch in &batches {
            append(&mut log, batch);
        }
        let all: Vec<(i64, i64)> = (0..).zip(batches.concat()).collect();
        let deleted = deleted.min(all.len());
        log.delete_before(i64::try_from(deleted).unwrap()).unwrap();
        let left = &all[deleted..];
        for time in times {
            prop_assert_eq!(log.first_since(time), left.iter().copied().find(|(_, t)| *t >= time));
        }
        let newest = left.iter().copied().max_by_key(|(offset, time)| (*time, -offset));
        prop_assert_eq!(log.newest(), newest);
    }
}
