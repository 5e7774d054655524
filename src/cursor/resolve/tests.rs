use super::*;
use crate::cursor::TopicIdentity;

const LIVE: Position = Position {
    next: Offset(100),
    timestamp: TimestampMs(5_000),
};

fn answer() -> LogAnswer {
    LogAnswer {
        low: Offset(10),
        high: Offset(100),
        before: None,
        after: None,
        by_time: None,
        last: None,
    }
}

fn found(offset: i64) -> FoundByTime {
    FoundByTime {
        offset: Offset(offset),
        may_lack_older: false,
    }
}

fn log(cluster: &str, topic: u8) -> LogId {
    LogId::new(cluster, TopicIdentity::Id([topic; 16]))
}

fn both(next: i64, timestamp: i64, log: Option<LogId>) -> RequestedPosition {
    RequestedPosition::Both {
        next: Offset(next),
        timestamp: TimestampMs(timestamp),
        log,
    }
}

fn target(requested: RequestedPosition) -> Target {
    Target::new(requested, Some(log("here", 1)))
}

fn same(next: i64, timestamp: i64) -> Target {
    target(both(next, timestamp, Some(log("here", 1))))
}

fn unverified(next: i64, timestamp: i64) -> Target {
    target(both(next, timestamp, None))
}

fn moved(offset: i64, reason: MovedReason) -> (Requested, MovedReason) {
    (Requested::Offset(Offset(offset)), reason)
}

#[test]
fn in_the_same_log_the_offset_counts_whatever_surrounds_it() {
    let at = Decision::at(Offset(50), TimestampMs(777));
    for before in [None, Some(TimestampMs(3)), Some(TimestampMs(9_999))] {
        let answer = LogAnswer {
            before,
            by_time: Some(found(30)),
            ..answer()
        };
        assert_eq!(decide(same(50, 777), &answer, LIVE), at);
    }
    assert_eq!(
        same(50, 777).question(),
        Some(LogQuestion::default()),
        "no record is read"
    );
}

#[test]
fn in_a_log_that_was_cut_the_record_before_decides() {
    let doubtful = |next| Target::Doubtful {
        next: Offset(next),
        timestamp: TimestampMs(777),
    };
    let at = |next| Decision::at(Offset(next), TimestampMs(777));
    let back = Decision {
        moved: Some(moved(50, MovedReason::LogTruncated)),
        ..at(30)
    };
    for (before, first, expected) in [
        (Some(777), 30, at(50)),
        (None, 30, at(50)),
        (Some(778), 30, back),
        (Some(776), 30, back),
        // The id of a stream that began at this time.
        (Some(776), 50, at(50)),
        // It never skips a record.
        (Some(776), 60, at(50)),
    ] {
        let answer = LogAnswer {
            before: before.map(TimestampMs),
            by_time: Some(found(first)),
            ..answer()
        };
        assert_eq!(decide(doubtful(50), &answer, LIVE), expected);
    }
    for next in [9, 101] {
        let answer = LogAnswer {
            by_time: Some(found(30)),
            ..answer()
        };
        assert_eq!(
            decide(doubtful(next), &answer, LIVE),
            decide(same(next, 777), &answer, LIVE),
            "outside the log"
        );
    }
}

#[test]
fn in_another_clusters_log_the_timestamp_counts_alone() {
    let target = target(both(50, 777, Some(log("there", 1))));
    assert_eq!(target, Target::Time(TimestampMs(777)));
    let answer = LogAnswer {
        by_time: Some(found(30)),
        before: Some(TimestampMs(777)),
        ..answer()
    };
    assert_eq!(
        decide(target, &answer, LIVE),
        Decision::at(Offset(30), TimestampMs(777))
    );
}

#[test]
fn a_recreated_topic_is_read_from_its_start_with_a_notice() {
    let target = target(both(50, 777, Some(log("here", 2))));
    let decision = decide(
        target,
        &LogAnswer {
            by_time: Some(found(30)),
            ..answer()
        },
        LIVE,
    );
    assert_eq!(decision.position.next, Offset(10));
    assert_eq!(decision.moved, Some(moved(50, MovedReason::TopicRecreated)));
}

#[test]
fn without_a_log_an_offset_counts_unless_the_record_before_differs() {
    let at_offset = Decision::at(Offset(50), TimestampMs(777));
    let at_time = Decision::at(Offset(30), TimestampMs(777));
    for (before, expected) in [
        (Some(777), at_offset),
        (None, at_offset),
        (Some(776), at_time),
        (Some(778), at_time),
    ] {
        let before = before.map(TimestampMs);
        let answer = LogAnswer {
            before,
            by_time: Some(found(30)),
            ..answer()
        };
        assert_eq!(
            decide(unverified(50, 777), &answer, LIVE),
            expected,
            "{before:?}"
        );
    }
}

#[test]
fn a_broker_without_ids_is_judged_as_an_id_without_log() {
    let requested = both(50, 777, Some(log("here", 1)));
    let unverified = Target::Unverified {
        next: Offset(50),
        timestamp: TimestampMs(777),
    };
    assert_eq!(Target::new(requested, None), unverified);
}

#[test]
fn below_the_log_start_begins_there_with_a_notice() {
    let notice = Some(moved(3, MovedReason::BelowLogStart));
    for target in [target(RequestedPosition::Offset(Offset(3))), same(3, 777)] {
        let decision = decide(target, &answer(), LIVE);
        assert_eq!(
            (decision.position.next, decision.moved),
            (Offset(10), notice),
            "{target:?}"
        );
    }
    let first = Some(FoundByTime {
        offset: Offset(12),
        may_lack_older: true,
    });
    let decision = decide(
        unverified(3, 777),
        &LogAnswer {
            by_time: first,
            ..answer()
        },
        LIVE,
    );
    assert_eq!(
        (decision.position.next, decision.moved),
        (Offset(10), notice)
    );
}

#[test]
fn below_a_log_start_that_is_ahead_of_live_begins_at_that_start() {
    let log = LogAnswer {
        low: Offset(120),
        high: Offset(120),
        ..answer()
    };
    for target in [same(110, 777), unverified(110, 777)] {
        let decision = decide(target, &log, LIVE);
        assert_eq!(decision.position.next, Offset(120));
        assert_eq!(decision.moved, Some(moved(110, MovedReason::BelowLogStart)));
    }
}

#[test]
fn below_the_log_start_with_nothing_later_is_live_with_a_notice() {
    let decision = decide(unverified(3, 777), &answer(), LIVE);
    let notice = Some(moved(3, MovedReason::BelowLogStart));
    assert_eq!(
        decision,
        Decision {
            position: LIVE,
            moved: notice
        }
    );
}

#[test]
fn below_the_log_start_but_known_by_time_is_another_cluster_and_no_gap() {
    let log = LogAnswer {
        by_time: Some(found(40)),
        ..answer()
    };
    assert_eq!(
        decide(unverified(3, 777), &log, LIVE),
        Decision::at(Offset(40), TimestampMs(777))
    );
}

#[test]
fn above_the_log_end_begins_by_time_else_live_with_a_notice() {
    let notice = Some(moved(101, MovedReason::AboveLogEnd));
    let live = Decision {
        position: LIVE,
        moved: notice,
    };
    assert_eq!(
        decide(
            target(RequestedPosition::Offset(Offset(101))),
            &answer(),
            LIVE
        ),
        live
    );
    for target in [same(101, 777), unverified(101, 777)] {
        assert_eq!(decide(target, &answer(), LIVE), live);
        let log = LogAnswer {
            by_time: Some(found(60)),
            ..answer()
        };
        let decision = decide(target, &log, LIVE);
        assert_eq!(
            (decision.position.next, decision.moved),
            (Offset(60), notice)
        );
    }
    let end = decide(
        target(RequestedPosition::Offset(Offset(100))),
        &answer(),
        LIVE,
    );
    assert_eq!(end.moved, None, "the end itself is a place to be");
}

#[test]
fn a_time_before_deleted_records_gives_a_notice() {
    let first = Some(FoundByTime {
        offset: Offset(12),
        may_lack_older: true,
    });
    let log = LogAnswer {
        by_time: first,
        ..answer()
    };
    let decision = decide(Target::Time(TimestampMs(5)), &log, LIVE);
    assert_eq!(decision.position.next, Offset(12));
    let requested = Requested::Time(TimestampMs(5));
    assert_eq!(
        decision.moved,
        Some((requested, MovedReason::BelowLogStart))
    );
}

#[test]
fn a_time_whose_records_were_all_deleted_is_live_with_a_notice() {
    let asked = Requested::Time(TimestampMs(5_000));
    let notice = Some((asked, MovedReason::BelowLogStart));
    let unknown = Position {
        timestamp: TimestampMs(0),
        ..LIVE
    };
    for live in [LIVE, unknown] {
        let decision = decide(Target::Time(TimestampMs(5_000)), &answer(), live);
        assert_eq!((decision.position, decision.moved), (live, notice));
    }
    let later = decide(Target::Time(TimestampMs(5_001)), &answer(), LIVE);
    assert_eq!(later.moved, None, "all that was read was earlier");
}

#[test]
fn a_time_after_every_record_is_live() {
    assert_eq!(
        decide(Target::Time(TimestampMs(9_999)), &answer(), LIVE).position,
        LIVE
    );
}

#[test]
fn a_time_after_every_record_begins_after_records_not_read_yet() {
    let log = LogAnswer {
        high: Offset(103),
        last: Some(TimestampMs(5_007)),
        ..answer()
    };
    let decision = decide(Target::Time(TimestampMs(9_999)), &log, LIVE);
    assert_eq!(decision, Decision::at(Offset(103), TimestampMs(5_007)));
    let decision = decide(
        Target::Time(TimestampMs(9_999)),
        &LogAnswer { last: None, ..log },
        LIVE,
    );
    assert_eq!(
        decision.position, LIVE,
        "without the time of the last record no id could be written"
    );
}

#[test]
fn the_timestamp_of_an_offset_is_that_of_a_record_beside_it() {
    let target = target(RequestedPosition::Offset(Offset(50)));
    let timestamp = |before: Option<i64>, after: Option<i64>| {
        let (before, after) = (before.map(TimestampMs), after.map(TimestampMs));
        decide(
            target,
            &LogAnswer {
                before,
                after,
                ..answer()
            },
            LIVE,
        )
        .position
        .timestamp
    };
    assert_eq!(timestamp(Some(7), None), TimestampMs(7));
    assert_eq!(timestamp(None, Some(8)), TimestampMs(8));
    assert_eq!(
        timestamp(None, None),
        LIVE.timestamp,
        "only holes lie behind it"
    );
}
