use proptest::prelude::*;

use super::*;
use crate::cursor::{
    EntryError, EventId, ID_BYTES_MAX, IdForm, LastEventId, LastEventIdError, TopicIdentity,
};

fn log(cluster: &str, topic: u8) -> LogId {
    LogId::new(cluster, TopicIdentity::Id([topic; 16]))
}

fn at(next: i64, timestamp: i64) -> Position {
    Position {
        next: Offset(next),
        timestamp: TimestampMs(timestamp),
    }
}

type Entry = (Topic, Partition, Option<LogId>, Position);

fn token(entries: &[Entry]) -> String {
    let mut id = EventId::of_form(IdForm::Compact);
    for (topic, partition, log, position) in entries {
        id.push_slot(topic.clone(), *partition, *log, *position);
    }
    String::from_utf8(id.as_bytes().to_vec()).expect("ASCII")
}

fn requested(entries: &[Entry]) -> Vec<IdEntry> {
    let entry = |(topic, partition, log, position): &Entry| IdEntry {
        topic: topic.clone(),
        partition: Some(*partition),
        position: RequestedPosition::Both {
            next: position.next,
            timestamp: position.timestamp,
            log: *log,
        },
    };
    entries.iter().map(entry).collect()
}

fn two_topics() -> Vec<Entry> {
    let topic = |name: &str| Topic::from(name);
    let (one, two) = (log("cluster", 1), log("cluster", 2));
    vec![
        (
            topic("eqiad.a"),
            Partition(0),
            Some(one),
            at(42, 1_700_000_100_011),
        ),
        (
            topic("eqiad.a"),
            Partition(1),
            Some(one),
            at(7, 1_700_000_099_000),
        ),
        (topic("codfw.a"), Partition(0), Some(two), at(0, 0)),
    ]
}

/// A token of these parts before base64, and before the checksum.
fn forged(head: &[u8], numbers: &[u8]) -> String {
    let mut checksum = Hasher::new();
    checksum.update(head);
    checksum.update(numbers);
    let mut text = PREFIX.as_bytes().to_vec();
    append_base64(&mut text, &deflated(head));
    text.push(SEPARATOR);
    append_base64(
        &mut text,
        &[numbers, &checksum.finalize().to_le_bytes()].concat(),
    );
    String::from_utf8(text).expect("ASCII")
}

#[test]
fn a_token_that_was_handed_out_is_accepted_for_ever() {
    let golden = include_str!("../../../tests/fixtures/event_ids/two_topics.token").trim_end();
    assert_ne!(golden, "");
    let parsed = LastEventId::parse(golden).expect(golden);
    assert_eq!(parsed.entries(), requested(&two_topics()));
}

#[test]
fn json_becomes_a_token_where_it_would_be_long() {
    let mut id = EventId::new();
    let mut expected = Vec::new();
    for partition in 0..600 {
        let entry = (Topic::from("eqiad.a"), Partition(partition), None, at(9, 1));
        id.push_slot(entry.0.clone(), entry.1, entry.2, entry.3);
        expected.push(entry);
        let text = String::from_utf8(id.as_bytes().to_vec()).expect("UTF-8");
        // An entry takes 59 bytes, and 60 from partition 10 on.
        assert_eq!(text.starts_with('['), partition < 68, "{partition}: {text}");
        let parsed = LastEventId::parse(&text).expect(&text);
        assert_eq!(parsed.entries(), requested(&expected));
    }
    // It stays one.
    (1..600).for_each(|slot| id.retire(slot));
    let text = String::from_utf8(id.as_bytes().to_vec()).expect("UTF-8");
    assert_eq!(
        LastEventId::parse(&text).expect(&text).entries(),
        requested(&expected[..1])
    );
    // Longer numbers count too.
    let mut id = EventId::new();
    for partition in 0..64 {
        id.push_slot(Topic::from("eqiad.a"), Partition(partition), None, at(9, 1));
    }
    assert!(id.as_bytes().starts_with(b"["));
    (0..64).for_each(|slot| id.set(slot, at(1 << 33, 1_700_000_000_000)));
    assert!(id.as_bytes().starts_with(b"c1."));
}

/// Names as Wikimedia has them, offsets of 33 bits, most timestamps of the last minutes.
fn realistic(topics: usize, partitions: i32) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut mixed = 1_u64;
    let mut below = |bound: u64| {
        mixed = mixed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        i64::try_from((mixed >> 20) % bound).expect("small")
    };
    for number in 0..topics {
        let kinds = [
            "recentchange",
            "revision-create",
            "page-links-change",
            "page-move",
        ];
        let datacenter = ["codfw", "eqiad"][number * 2 / topics];
        let kind = kinds[number % kinds.len()];
        let topic = format!("{datacenter}.mediawiki.{kind}.v{number}");
        let log = log("cluster", number.to_le_bytes()[0]);
        for partition in 0..partitions {
            let quiet = below(10) == 0;
            let age = if quiet {
                below(86_400_000 * 3)
            } else {
                below(600_000)
            };
            let position = at((1 << 33) - below(1 << 32), 1_700_000_000_000 - age);
            entries.push((
                topic.as_str().into(),
                Partition(partition),
                Some(log),
                position,
            ));
        }
    }
    entries
}

#[test]
fn six_hundred_partitions_of_a_hundred_topics_fit_into_8_kib() {
    for (topics, partitions, bytes) in [
        (2, 300, 7000),
        (12, 50, 7200),
        (100, 6, 8192),
        (600, 1, 11_000),
    ] {
        let entries = realistic(topics, partitions);
        let token = token(&entries);
        assert!(token.len() < bytes, "{topics} topics: {}", token.len());
        let parsed = LastEventId::parse(&token).expect(&token);
        assert_eq!(parsed.entries(), requested(&entries));
    }
}

#[test]
fn tokens_that_are_damaged_are_refused() {
    let good = token(&two_topics());
    let error = |text: &str| match LastEventId::parse(text) {
        Err(LastEventIdError::Token(error)) => error,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(error("c2.AAAA.AAAA"), CompactIdError::Version);
    assert_eq!(error("c.AAAA.AAAA"), CompactIdError::Version);
    for text in ["c1.", "c1.A", "c1.=.A", "c1.AAAA.!", "c1..", "c1.AAAA"] {
        let error = error(text);
        assert!(
            matches!(error, CompactIdError::Text | CompactIdError::Checksum),
            "{text}"
        );
    }
    for cut in 4..good.len() {
        error(&good[..cut]);
    }
    for (at, byte) in good.bytes().enumerate().skip(3) {
        let other = if byte == b'A' { 'B' } else { 'A' };
        let changed = format!("{}{other}{}", &good[..at], &good[at + 1..]);
        assert!(LastEventId::parse(&changed).is_err(), "{changed}");
    }
    assert!(LastEventId::parse(&format!("{good}AA")).is_err());
    let message = LastEventId::parse("c1.A.A").expect_err("cut").to_string();
    assert!(
        message.contains("send the `id` of the last event unchanged"),
        "{message}"
    );
}

/// A sender who knows how the checksum is computed.
#[test]
fn forged_tokens_are_bounded() {
    let run = |shared: u64, name: &[u8], count: u64| {
        let mut run = Vec::new();
        put_varint(&mut run, shared);
        put_varint(&mut run, name.len() as u64);
        run.extend_from_slice(name);
        run.extend_from_slice(&[0, 0]);
        put_varint(&mut run, count);
        run
    };
    let two = [0, 1, 0, 1, 0];
    let parse = |head: &[u8], numbers: &[u8]| LastEventId::parse(&forged(head, numbers));
    let parsed = parse(&run(0, b"a", 2), &two).expect("two partitions");
    assert_eq!(parsed.entries().len(), 2);
    let twice = [run(0, b"a", 1), run(1, b"", 1)].concat();
    assert_eq!(
        parse(&twice, &two).expect("the same twice").entries().len(),
        1
    );
    let conflict = parse(&twice, &[0, 1, 0, 2, 0]).expect_err("two offsets");
    let first = EntryError::Conflict { first: 0 };
    assert_eq!(
        conflict,
        LastEventIdError::Entry {
            index: 1,
            error: first
        }
    );
    let numbers = vec![0; 2 * ID_ENTRIES_MAX + 3];
    for (head, numbers) in [
        (run(0, b"a", 3), &two[..]),
        (run(0, b"a", 1), &two[..]),
        (run(0, b"", 2), &two[..]),
        (run(1, b"a", 2), &two[..]),
        (run(0, b"\xff", 2), &two[..]),
        (run(0, &[b'a'; 250], 2), &two[..]),
        (run(0, b"a", u64::MAX), &two[..]),
        (run(0, b"a", ID_ENTRIES_MAX as u64 + 1), &numbers[..]),
        (vec![0; (1 << 20) + 1], &two[..]),
        (Vec::new(), &[0][..]),
        (run(0, b"a", 1), &[0, 1, 2][..]),
        (vec![0, 1, b'a', 1, 1, 2, 3, 0, 2], &two[..]),
        (vec![0, 1, b'a', 3, 0, 2], &two[..]),
        (
            [&run(0, b"a", 2)[..4], &[0xff; 9], &[1, 2]].concat(),
            &two[..],
        ),
    ] {
        let result = parse(&head, numbers);
        let error = LastEventIdError::Token(CompactIdError::Checksum);
        assert_eq!(result, Err(error), "{head:?}");
    }
    let long = format!("c1.{}", "A".repeat(ID_BYTES_MAX));
    assert!(matches!(
        LastEventId::parse(&long),
        Err(LastEventIdError::TooLong { .. })
    ));
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let number = || prop_oneof![0..10_i64, 0..2000_i64, 0..1_i64 << 42, 0..=i64::MAX];
    let position = (number(), number()).prop_map(|(next, timestamp)| at(next, timestamp));
    let topic = prop_oneof!["[a-cé\n\"]{1,8}", "eqiad\\.[a-c]{1,3}", "[a-z]{249}"];
    let log = prop_oneof![
        Just(None),
        ("[ab]", 0..3_u8).prop_map(|(cluster, topic)| Some(log(&cluster, topic))),
        Just(Some(LogId::UNKNOWN)),
    ];
    let partition = prop_oneof![0..5, Just(i32::MAX - 1), Just(i32::MAX)];
    let entry = (topic, partition, log, position).prop_map(|(topic, partition, log, position)| {
        (
            Topic::from(topic.as_str()),
            Partition(partition),
            log,
            position,
        )
    });
    prop::collection::vec(entry, 1..30).prop_map(|mut entries: Vec<Entry>| {
        let mut seen = std::collections::HashSet::new();
        entries.retain(|(topic, partition, ..)| seen.insert((topic.clone(), *partition)));
        entries
    })
}

proptest! {
    #[test]
    fn what_is_rendered_as_a_token_is_parsed_to_the_same_positions(
        entries in entries(),
        moves in prop::collection::vec((any::<prop::sample::Index>(), 0..i64::MAX), 0..6),
        gone in any::<prop::sample::Index>(),
    ) {
        let mut entries = entries;
        let mut id = EventId::of_form(IdForm::Compact);
        for (topic, partition, log, position) in &entries {
            id.push_slot(topic.clone(), *partition, *log, *position);
        }
        for (index, next) in moves {
            let slot = index.index(entries.len());
            entries[slot].3.next = Offset(next);
            id.set(slot, entries[slot].3);
            let text = String::from_utf8(id.as_bytes().to_vec()).expect("ASCII");
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            prop_assert!(text.bytes().all(is_plain));
            let parsed = LastEventId::parse(&text).expect(&text);
            prop_assert_eq!(parsed.entries(), requested(&entries));
        }
        if entries.len() > 1 {
            let slot = gone.index(entries.len());
            id.retire(slot);
            entries.remove(slot);
        }
        let text = String::from_utf8(id.as_bytes().to_vec()).expect("ASCII");
        let parsed = LastEventId::parse(&text).expect(&text);
        prop_assert_eq!(parsed.entries(), requested(&entries));
    }

    #[test]
    fn no_parts_make_the_parser_panic(
        head in prop::collection::vec(any::<u8>(), 0..60),
        numbers in prop::collection::vec(any::<u8>(), 0..60),
        text in "c1\\.[A-Za-z0-9_.-]{0,60}",
    ) {
        let _ = LastEventId::parse(&forged(&head, &numbers));
        let _ = LastEventId::parse(&text);
    }
}
