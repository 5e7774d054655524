use proptest::prelude::*;

use super::*;
use crate::cursor::TopicIdentity;

fn entry(partition: Option<i32>, position: RequestedPosition) -> IdEntry {
    IdEntry {
        topic: "a".into(),
        partition: partition.map(Partition),
        position,
    }
}

fn entries(text: &str) -> Vec<IdEntry> {
    LastEventId::parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .entries()
        .to_vec()
}

fn both(next: i64, timestamp: i64) -> RequestedPosition {
    RequestedPosition::Both {
        next: Offset(next),
        timestamp: TimestampMs(timestamp),
        log: None,
    }
}

#[test]
fn every_form_of_an_entry_is_read() {
    use RequestedPosition as At;
    for (members, position) in [
        ("", At::Unset),
        (r#","offset":42"#, At::Offset(Offset(42))),
        (r#","timestamp":7"#, At::Timestamp(TimestampMs(7))),
        (r#","offset":42,"timestamp":7"#, both(42, 7)),
        (r#","timestamp":7,"x":[{}],"offset":0"#, both(0, 7)),
        (r#","offset":-1"#, At::Live),
        (r#","offset":-2"#, At::Earliest),
        (r#","offset":null,"timestamp":null"#, At::Unset),
        (
            r#","offset":42.0,"timestamp":1.7e12"#,
            both(42, 1_700_000_000_000),
        ),
    ] {
        for start in [
            r#""topic":"a","partition":2"#,
            r#""partition":2.0,"topic":"\u0061""#,
        ] {
            let id = format!("[{{{start}{members}}}]");
            assert_eq!(entries(&id), [entry(Some(2), position)], "{id}");
        }
    }
    for text in [
        r#""a""#,
        r#"{"topic":"a"}"#,
        r#"{"topic":"a","partition":null}"#,
    ] {
        assert_eq!(
            entries(&format!("[{text}]")),
            [entry(None, At::Unset)],
            "{text}"
        );
    }
}

#[test]
fn the_log_of_an_offset_is_read_and_any_other_text_names_another_log() {
    let here = LogId::new("cluster", TopicIdentity::Name("a"));
    for (text, log) in [
        (format!(r#""{here}""#), Some(here)),
        ("null".to_owned(), None),
        (r#""k7Qx2f""#.to_owned(), Some(LogId::UNKNOWN)),
        ("7".to_owned(), Some(LogId::UNKNOWN)),
    ] {
        let id =
            format!(r#"[{{"topic":"a","partition":0,"offset":42,"timestamp":7,"log":{text}}}]"#);
        let position = RequestedPosition::Both {
            next: Offset(42),
            timestamp: TimestampMs(7),
            log,
        };
        assert_eq!(entries(&id), [entry(Some(0), position)], "{id}");
    }
}

#[test]
fn a_timestamp_beside_live_counts_and_beside_the_earliest_does_not() {
    let beside = |offset| {
        entries(&format!(
            r#"[{{"topic":"a","partition":0,"offset":{offset},"timestamp":7}}]"#
        ))
    };
    assert_eq!(
        beside(-1),
        [entry(Some(0), RequestedPosition::Timestamp(TimestampMs(7)))]
    );
    assert_eq!(beside(-2), [entry(Some(0), RequestedPosition::Earliest)]);
}

#[test]
fn an_id_of_the_node_service_is_read() {
    let text = include_str!("../../../tests/fixtures/event_ids/node_service.json");
    let topic = |prefix: &str| Topic::from(format!("{prefix}.mediawiki.recentchange"));
    let time = RequestedPosition::Timestamp(TimestampMs(1_700_000_100_012));
    assert_eq!(
        entries(text),
        [
            IdEntry {
                topic: topic("codfw"),
                partition: Some(Partition(0)),
                position: RequestedPosition::Live
            },
            IdEntry {
                topic: topic("eqiad"),
                partition: Some(Partition(0)),
                position: time
            },
        ]
    );
}

#[test]
fn no_text_is_no_id_and_an_empty_array_is_refused() {
    for text in ["", "  "] {
        assert!(LastEventId::parse(text).unwrap().is_empty());
    }
    for text in ["[]", " [ ]\n"] {
        assert_eq!(LastEventId::parse(text), Err(LastEventIdError::Empty));
    }
}

#[test]
fn the_same_partition_twice_is_an_error_unless_the_entries_are_equal() {
    let same = concat!(
        r#"["a",{"topic":"a","partition":0,"offset":1},"#,
        r#"{"offset":1,"topic":"a","partition":0},"a"]"#
    );
    assert_eq!(
        entries(same),
        [
            entry(None, RequestedPosition::Unset),
            entry(Some(0), RequestedPosition::Offset(Offset(1)))
        ]
    );
    let other =
        r#"["b",{"topic":"a","partition":0,"offset":1},{"topic":"a","partition":0,"offset":2}]"#;
    let error = EntryError::Conflict { first: 1 };
    assert_eq!(
        LastEventId::parse(other),
        Err(LastEventIdError::Entry { index: 2, error })
    );
}

#[test]
fn anything_but_an_array_is_refused() {
    for text in ["{}", "null", "42", "\"a\""] {
        assert_eq!(
            LastEventId::parse(text),
            Err(LastEventIdError::NotArray),
            "{text}"
        );
    }
    for text in ["a", "[", "[}", "[\"a\",]", "[] []", "['a']", "\u{feff}[]"] {
        assert!(
            matches!(LastEventId::parse(text), Err(LastEventIdError::NotJson(_))),
            "{text}"
        );
    }
}

/// The fault of the second entry of an id.
fn fault(entry: &str) -> EntryError {
    match LastEventId::parse(&format!(r#"["b",{entry}]"#)) {
        Err(LastEventIdError::Entry { index: 1, error }) => error,
        other => panic!("{entry}: {other:?}"),
    }
}

#[test]
fn an_entry_without_a_topic_is_refused() {
    for text in ["1", "null", "[]"] {
        assert_eq!(fault(text), EntryError::NotEntry, "{text}");
    }
    for text in [
        "{}",
        r#""""#,
        r#""\ud800""#,
        r#"{"topic":"","partition":0}"#,
        r#"{"topic":1,"partition":0}"#,
        r#"{"topic":null,"partition":0}"#,
    ] {
        assert_eq!(fault(text), EntryError::NoTopic, "{text}");
    }
}

#[test]
fn a_faulty_partition_is_refused() {
    for (partition, expected) in [
        (r#""0""#, EntryError::NotInteger("partition")),
        ("0.5", EntryError::NotInteger("partition")),
        ("2147483648", EntryError::NotInteger("partition")),
        ("-1", EntryError::NegativePartition),
    ] {
        let text = format!(r#"{{"topic":"a","partition":{partition}}}"#);
        assert_eq!(fault(&text), expected, "{text}");
    }
    for text in [
        r#"{"topic":"a","offset":1}"#,
        r#"{"topic":"a","timestamp":1}"#,
    ] {
        assert_eq!(fault(text), EntryError::NoPartition, "{text}");
    }
}

#[test]
fn a_faulty_position_is_refused() {
    for (position, expected) in [
        (r#""offset":"1""#, EntryError::NotInteger("offset")),
        (r#""offset":1.5"#, EntryError::NotInteger("offset")),
        (
            r#""offset":9223372036854775808"#,
            EntryError::NotInteger("offset"),
        ),
        (r#""offset":true"#, EntryError::NotInteger("offset")),
        (r#""offset":-3"#, EntryError::NegativeOffset),
        (
            r#""offset":-9223372036854775808,"timestamp":1"#,
            EntryError::NegativeOffset,
        ),
        (
            r#""timestamp":"2026-11-23""#,
            EntryError::NotInteger("timestamp"),
        ),
        (r#""timestamp":-1"#, EntryError::NegativeTimestamp),
    ] {
        let text = format!(r#"{{"topic":"a","partition":0,{position}}}"#);
        assert_eq!(fault(&text), expected, "{text}");
    }
}

#[test]
fn an_entry_with_a_duplicate_key_is_refused() {
    let error = fault(r#"{"topic":"a","topic":"b"}"#);
    assert!(matches!(error, EntryError::Malformed(_)), "{error}");
}

#[test]
fn the_detail_names_the_fault_and_the_entry() {
    let detail = |text| LastEventId::parse(text).unwrap_err().to_string();
    assert_eq!(
        detail(r#"["b",{"topic":"a","partition":0,"offset":-3}]"#),
        "entry 1 of the id (counted from 0): \
         `offset` must be the next offset to read, or -1 for live, or -2 for the earliest"
    );
    assert!(detail("{}").contains(EXAMPLE));
}

#[test]
fn ids_are_bounded_in_bytes_and_entries() {
    let names = |count: usize| {
        format!(
            "[{}]",
            (0..count)
                .map(|n| format!("\"{n:x}\""))
                .collect::<Vec<_>>()
                .join(",")
        )
    };
    assert_eq!(entries(&names(ID_ENTRIES_MAX)).len(), ID_ENTRIES_MAX);
    let entries = ID_ENTRIES_MAX + 1;
    assert_eq!(
        LastEventId::parse(&names(entries)),
        Err(LastEventIdError::TooManyEntries { entries })
    );
    let long = |bytes: usize| format!("[\"{}\"]", "a".repeat(bytes - 4));
    assert!(LastEventId::parse(&long(ID_BYTES_MAX)).is_ok());
    let bytes = ID_BYTES_MAX + 1;
    assert_eq!(
        LastEventId::parse(&long(bytes)),
        Err(LastEventIdError::TooLong { bytes })
    );
    assert!(matches!(
        LastEventId::parse(&"[".repeat(ID_BYTES_MAX)),
        Err(LastEventIdError::NotJson(_))
    ));
}

proptest! {
    #[test]
    fn no_string_makes_parse_panic(text in any::<String>()) {
        let _ = LastEventId::parse(&text);
    }

    #[test]
    fn a_text_like_an_id_gives_checked_entries_or_is_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", r#""topic""#, r#""partition""#, r#""offset""#,
            r#""timestamp""#, r#""a""#, "0", "-1", "-2", "42", "1e3", "0.5", "null",
            r#"{"topic":"a","partition":0,"offset":"#, r#"["a","#,
        ]), 0..12),
    ) {
        if let Ok(id) = LastEventId::parse(&pieces.concat()) {
            for entry in id.entries() {
                let position = entry.position;
                prop_assert!(entry.partition.is_some() || position == RequestedPosition::Unset);
                prop_assert!(entry.partition.is_none_or(|partition| partition.0 >= 0));
                if let RequestedPosition::Offset(next) | RequestedPosition::Both { next, .. } =
                    position
                {
                    prop_assert!(next.0 >= 0);
                }
            }
        }
    }
}
