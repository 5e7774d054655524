//! What the memory log contains after each operation, and what it answers.

use super::*;

const HORIZON: TimestampMs = TimestampMs(1_000_000);

fn log(start: i64, floor: i64, timestamp: i64) -> PartitionLog {
    let (floor, timestamp) = (TimestampMs(floor), Some(TimestampMs(timestamp)));
    PartitionLog::new(LogStart {
        offset: Offset(start),
        floor,
        timestamp,
    })
}

fn append(log: &mut PartitionLog, offset: i64, timestamp: i64) -> Option<LogEntry> {
    log.append(Offset(offset), TimestampMs(timestamp), None, HORIZON)
        .cloned()
}

/// Records from offset 10 on.
fn filled(timestamps: &[i64]) -> PartitionLog {
    let mut log = log(10, 100, 99);
    for (offset, timestamp) in (10..).zip(timestamps) {
        append(&mut log, offset, *timestamp);
    }
    log
}

#[test]
fn a_record_is_appended_only_once() {
    let mut log = filled(&[100, 101]);
    assert!(append(&mut log, 11, 101).is_none());
    assert!(append(&mut log, 12, 101).is_some());
}

#[test]
fn records_before_the_start_only_set_the_timestamp_of_ids() {
    let start = LogStart {
        offset: Offset(10),
        floor: TimestampMs(100),
        timestamp: None,
    };
    let mut log = PartitionLog::new(start);
    assert!(!log.knows_time());
    assert!(append(&mut log, 7, 50).is_none() && append(&mut log, 8, 60).is_none());
    assert!(log.knows_time());
    assert_eq!(
        log.end(),
        Position {
            next: Offset(10),
            timestamp: TimestampMs(60)
        }
    );
    append(&mut log, 10, 70);
    append(&mut log, 9, 99);
    assert_eq!(
        log.timestamp_before(Offset(10)),
        Some(TimestampMs(60)),
        "it is a repeat"
    );
}

#[test]
fn ids_name_the_timestamp_of_the_last_record() {
    let mut log = filled(&[100, 100, 101]);
    let before = |log: &PartitionLog, next| log.timestamp_before(Offset(next)).map(|time| time.0);
    assert_eq!(
        [9, 10, 11, 12, 13, 14].map(|next| before(&log, next)),
        [None, Some(99), Some(100), Some(100), Some(101), None]
    );
    append(&mut log, 13, -1);
    assert_eq!(
        log.end(),
        Position {
            next: Offset(14),
            timestamp: TimestampMs(0)
        }
    );
}

#[test]
fn the_record_right_before_an_offset_is_known_or_a_hole_or_unknown() {
    let mut log = filled(&[100, 101]);
    append(&mut log, 14, 102);
    log.pass_hole(Offset(17));
    let known = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
    let (unknown, hole) = (RecordBefore::Unknown, RecordBefore::Hole);
    let time = |time| RecordBefore::Time(TimestampMs(time));
    assert_eq!(
        known.map(|next| log.record_before(Offset(next))),
        [
            unknown,
            unknown,
            time(100),
            time(101),
            hole,
            hole,
            time(102),
            hole,
            hole,
            unknown
        ]
    );
    log.forget_oldest();
    assert_eq!(
        log.record_before(Offset(11)),
        time(100),
        "the last forgotten one"
    );
    assert_eq!(log.record_before(Offset(10)), unknown);
}

#[test]
fn a_hole_at_the_end_is_passed_only_forwards() {
    let mut log = filled(&[100]);
    log.pass_hole(Offset(15));
    log.pass_hole(Offset(12));
    assert_eq!(
        log.end(),
        Position {
            next: Offset(15),
            timestamp: TimestampMs(100)
        }
    );
    assert!(log.covers(Offset(13)));
}

#[test]
fn a_time_is_found_although_records_are_out_of_order() {
    let log = filled(&[100, 130, 110, 140]);
    assert_eq!(log.first_at_or_after(TimestampMs(120)), Some(Offset(11)));
    assert_eq!(log.first_at_or_after(TimestampMs(131)), Some(Offset(13)));
    assert_eq!(log.first_at_or_after(TimestampMs(141)), Some(Offset(14)));
}

#[test]
fn a_record_of_the_future_hides_no_later_record() {
    let log = filled(&[100, HORIZON.0 + 1, 120]);
    assert_eq!(log.first_at_or_after(TimestampMs(110)), Some(Offset(12)));
    assert_eq!(log.first_at_or_after(TimestampMs(121)), Some(Offset(13)));
}

#[test]
fn a_time_that_may_lie_in_kafka_only_is_not_answered() {
    let mut log = filled(&[100, 130, 110, 140]);
    assert_eq!(log.first_at_or_after(TimestampMs(99)), None);
    let floor = log.first_at_or_after(TimestampMs(100));
    assert_eq!(floor, Some(Offset(10)), "the floor itself is exclusive");
    log.forget_oldest();
    log.forget_oldest();
    let forgotten = log.first_at_or_after(TimestampMs(130));
    assert_eq!(forgotten, None, "130 is forgotten and must be looked up");
    assert_eq!(log.first_at_or_after(TimestampMs(131)), Some(Offset(13)));
}

#[test]
fn the_timestamp_of_the_last_forgotten_record_is_kept() {
    let mut log = filled(&[100, 101]);
    log.forget_oldest();
    assert_eq!(log.start(), Offset(11));
    assert_eq!(log.timestamp_before(Offset(11)), Some(TimestampMs(100)));
    assert_eq!(log.timestamp_before(Offset(10)), None);
    log.forget_oldest();
    log.forget_oldest();
    assert_eq!(
        log.end(),
        Position {
            next: Offset(12),
            timestamp: TimestampMs(101)
        }
    );
}

#[test]
fn a_read_returns_the_range_or_that_it_is_gone() {
    let mut log = filled(&[100, 101, 102]);
    let mut entries = VecDeque::new();
    assert!(log.read(Offset(11), Offset(13), 10, &mut entries));
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.offset.0)
            .collect::<Vec<_>>(),
        [11, 12]
    );
    log.forget_oldest();
    assert!(!log.read(Offset(10), Offset(13), 10, &mut entries));
    assert!(
        log.read(Offset(13), Offset(13), 10, &mut entries),
        "the end is here"
    );
}

#[test]
fn records_lost_before_they_were_read_are_known_to_be_gone() {
    let mut log = filled(&[100, 101]);
    log.skip_to(Offset(20), TimestampMs(500));
    assert_eq!(
        log.end(),
        Position {
            next: Offset(20),
            timestamp: TimestampMs(101)
        }
    );
    let before = log.record_before(Offset(20));
    assert_eq!(
        (before, log.covers(Offset(12))),
        (RecordBefore::Unknown, false)
    );
    let gone = |next| log.gone_from(Offset(next));
    assert_eq!((gone(12), gone(20)), (Some(Offset(20)), None));
    let time = log.first_at_or_after(TimestampMs(101));
    assert_eq!(time, None, "it may be among the lost records");
    assert_eq!(log.first_at_or_after(TimestampMs(500)), None, "this too");
}

#[test]
fn memory_does_not_answer_for_the_times_of_records_before_its_start() {
    let start = LogStart {
        offset: Offset(10),
        floor: TimestampMs(100),
        timestamp: None,
    };
    let mut read = PartitionLog::new(start);
    append(&mut read, 8, 150);
    append(&mut read, 9, 2_000_000);
    let mut found = PartitionLog::new(start);
    found.set_time(TimestampMs(150), HORIZON);
    let mut of_the_future = PartitionLog::new(start);
    of_the_future.set_time(TimestampMs(2_000_000), HORIZON);
    for (log, floor) in [(read, 150), (found, 150), (of_the_future, 99)] {
        let first = |time| log.first_at_or_after(TimestampMs(time));
        assert_eq!((first(floor), first(floor + 1)), (None, Some(Offset(10))));
    }
}

#[test]
fn a_truncated_log_continues_at_the_cut() {
    let mut log = filled(&[100, 101, 102]);
    log.truncate(Offset(11));
    assert_eq!(
        log.end(),
        Position {
            next: Offset(11),
            timestamp: TimestampMs(100)
        }
    );
    assert!(append(&mut log, 11, 103).is_some());
    let cut = |log: &PartitionLog, next, time| {
        log.cut_below(Offset(next), TimestampMs(time))
            .map(|position| position.next.0)
    };
    assert_eq!((cut(&log, 12, 101), cut(&log, 12, 103)), (Some(11), None));
    assert_eq!((cut(&log, 13, 102), cut(&log, 14, 102)), (Some(11), None));
    assert_eq!(cut(&log, 11, 100), None, "nothing below is lost");
    assert_eq!(
        [11, 12, 14].map(|next| log.was_cut_below(Offset(next))),
        [false, true, true]
    );
    log.truncate(Offset(5));
    let position = Position {
        next: Offset(5),
        timestamp: TimestampMs(0),
    };
    assert_eq!(
        (log.start(), log.end()),
        (Offset(5), position),
        "its last record is unknown"
    );
    assert_eq!(cut(&log, 13, 102), Some(5), "the later cut is below");
}
