use proptest::prelude::*;

use super::*;
use crate::cursor::{IdEntry, LastEventId, Offset, RequestedPosition, TimestampMs, TopicIdentity};

fn at(next: i64, timestamp: i64) -> Position {
    Position {
        next: Offset(next),
        timestamp: TimestampMs(timestamp),
    }
}

fn log(topic: u8) -> LogId {
    LogId::new("cluster", TopicIdentity::Id([topic; 16]))
}

fn text(id: &mut EventId) -> String {
    String::from_utf8(id.as_bytes().to_vec()).unwrap()
}

#[test]
fn an_id_of_two_datacenters_is_the_golden_one() {
    let mut id = EventId::new();
    id.push_slot(
        "eqiad.mediawiki.recentchange".into(),
        Partition(0),
        Some(log(1)),
        at(9, 1_700_000_100_000),
    );
    id.push_slot(
        "eqiad.mediawiki.recentchange".into(),
        Partition(1),
        Some(log(1)),
        at(7, 1_700_000_099_000),
    );
    id.push_slot(
        "codfw.mediawiki.recentchange".into(),
        Partition(0),
        Some(log(2)),
        at(0, 0),
    );
    id.set(0, at(42, 1_700_000_100_011));
    let golden = include_str!("../../../tests/fixtures/event_ids/two_datacenters.json").trim_end();
    assert_eq!(text(&mut id), golden);
    assert_eq!(id.to_bytes(), golden);
}

#[test]
fn an_id_without_slots_is_an_empty_array() {
    assert_eq!(text(&mut EventId::new()), "[]");
}

#[test]
fn retired_slots_leave_the_text_and_the_others_keep_their_numbers() {
    let mut id = EventId::new();
    for partition in 0..3 {
        id.push_slot("a".into(), Partition(partition), None, at(9, 1));
    }
    id.retire(0);
    id.retire(0);
    id.set(0, at(77, 77));
    id.set(2, at(10, 1));
    assert_eq!(
        text(&mut id),
        concat!(
            r#"[{"topic":"a","partition":1,"offset":9,"timestamp":1},"#,
            r#"{"topic":"a","partition":2,"offset":10,"timestamp":1}]"#
        )
    );
    id.retire(2);
    id.retire(1);
    assert_eq!((text(&mut id), id.slots().count()), ("[]".to_owned(), 0));
    assert_eq!(id.push_slot("b".into(), Partition(0), None, at(1, 2)), 3);
    assert_eq!(
        text(&mut id),
        r#"[{"topic":"b","partition":0,"offset":1,"timestamp":2}]"#
    );
    assert_eq!(
        (id.position(0), id.position(3), id.position(4)),
        (Some(at(77, 77)), Some(at(1, 2)), None)
    );
}

#[test]
fn names_of_topics_are_escaped() {
    let mut id = EventId::new();
    id.push_slot("a\"\n".into(), Partition(0), None, at(1, 2));
    assert_eq!(
        text(&mut id),
        r#"[{"topic":"a\"\n","partition":0,"offset":1,"timestamp":2}]"#
    );
}

#[derive(Clone, Debug)]
enum Step {
    Push(String, Option<LogId>, Position),
    Set(prop::sample::Index, Position),
    Retire(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || prop_oneof![0..10_i64, 0..2000_i64, 0..=i64::MAX];
    let position = || (number(), number()).prop_map(|(next, timestamp)| at(next, timestamp));
    let topic = prop_oneof!["[a-z.\"\\\\é\n]{1,8}", "eqiad\\.[a-z]{1,5}"];
    let log = prop_oneof![Just(None), (0..4_u8).prop_map(|topic| Some(log(topic)))];
    prop::collection::vec(
        prop_oneof![
            2 => (topic, log, position())
                .prop_map(|(topic, log, position)| Step::Push(topic, log, position)),
            4 => (any::<prop::sample::Index>(), position())
                .prop_map(|(index, position)| Step::Set(index, position)),
            1 => any::<prop::sample::Index>().prop_map(Step::Retire),
        ],
        0..24,
    )
}

fn entry(topic: Topic, partition: Partition, log: Option<LogId>, position: Position) -> IdEntry {
    let Position { next, timestamp } = position;
    IdEntry {
        topic,
        partition: Some(partition),
        position: RequestedPosition::Both {
            next,
            timestamp,
            log,
        },
    }
}

proptest! {
    #[test]
    fn what_is_rendered_is_parsed_to_the_same_positions(steps in steps()) {
        let mut id = EventId::new();
        let mut model: Vec<Option<IdEntry>> = Vec::new();
        for step in steps {
            match step {
                Step::Push(topic, log, position) => {
                    let partition = Partition(i32::try_from(model.len()).unwrap());
                    let topic = Topic::from(topic.as_str());
                    let slot = id.push_slot(topic.clone(), partition, log, position);
                    prop_assert_eq!(slot, model.len());
                    model.push(Some(entry(topic, partition, log, position)));
                }
                Step::Set(index, position) if !model.is_empty() => {
                    let slot = index.index(model.len());
                    id.set(slot, position);
                    if let Some(entry) = &mut model[slot]
                        && let RequestedPosition::Both { next, timestamp, .. } =
                            &mut entry.position
                    {
                        *next = position.next;
                        *timestamp = position.timestamp;
                    }
                }
                Step::Retire(index) if !model.is_empty() => {
                    let slot = index.index(model.len());
                    id.retire(slot);
                    model[slot] = None;
                }
                Step::Set(..) | Step::Retire(_) => {}
            }
            let expected: Vec<_> = model.iter().flatten().cloned().collect();
            let text = text(&mut id);
            prop_assert!(!text.contains(['\n', '\r', '\0']));
            if expected.is_empty() {
                // No client ever gets this one: ids come with events, and events with
                // partitions.
                prop_assert_eq!(&*text, "[]");
                continue;
            }
            let parsed = LastEventId::parse(&text).unwrap();
            prop_assert_eq!(parsed.entries(), expected);
            prop_assert_eq!(id.slots().count(), model.iter().flatten().count());
        }
    }
}
