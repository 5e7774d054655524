//! The allocations on the path of every event. `allocation-counter` counts those of its thread.

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use eventstreams::cursor::{EventId, IdForm, Offset, Partition, Position, TimestampMs};
use eventstreams::event::{
    Format, Projection, PublicEvent, Record, RedactionKind, RedactionRules, frame, prepare,
};
use eventstreams::filter::{Filter, FilterIndex, Scratch};
use eventstreams::stream::Topic;
use sample_events::Samples;

fn prepared(topic: &Topic, value: &[u8], kind: RedactionKind) -> PublicEvent {
    let record = Record {
        topic,
        partition: Partition(0),
        offset: Offset(123_456_789),
        timestamp: TimestampMs(1_700_000_000_000),
        key: None,
        value: Some(value),
    };
    prepare(&record, &RedactionRules::default(), kind, 1 << 20)
        .expect("a sample is an event")
        .event
}

fn samples() -> Vec<(Topic, Vec<u8>)> {
    let events = Samples::new(1, 30.0, 1_700_000_000_000).take(1000);
    events
        .map(|event| (event.topic.as_str().into(), event.value))
        .collect()
}

/// The allocations of `make`, and what remains of them while its result lives.
fn allocated<T>(make: impl FnOnce() -> T) -> (AllocationInfo, T) {
    let mut thing = None;
    let info = measure(|| thing = Some(make()));
    (info, thing.expect("it was made"))
}

/// `serde_json` keeps a byte for each open bracket below the first. This is the smallest allocation
/// of a `Vec`.
const OPEN_BRACKETS: u64 = 8;

#[test]
fn an_event_is_prepared_with_one_buffer_of_its_own_length() {
    let kind = RedactionKind::strictest();
    for (topic, value) in samples() {
        let (info, event) = allocated(|| prepared(&topic, &value, kind));
        let (text, length) = (String::from_utf8_lossy(&value), event.json().len() as u64);
        assert_eq!(u64::try_from(info.bytes_current), Ok(length), "{text}");
        let allowed = [(1, length), (2, length + OPEN_BRACKETS)];
        assert!(
            allowed.contains(&(info.count_total, info.bytes_total)),
            "{info:?}, {text}"
        );
    }
}

#[test]
fn a_frame_is_rendered_into_one_buffer_of_its_own_length() {
    let kind = RedactionKind::strictest();
    let mut id = EventId::new();
    for (number, (topic, value)) in (0..).zip(samples()) {
        let event = prepared(&topic, &value, kind);
        let position = Position {
            next: Offset(number),
            timestamp: TimestampMs(1_700_000_000_000),
        };
        if number == 0 {
            id.push_slot(topic, Partition(0), None, position);
        }
        id.set(0, position);
        let (info, frame) = allocated(|| frame::render(Format::Sse, id.as_bytes(), &event));
        assert_eq!(
            (info.count_total, info.bytes_total),
            (1, frame.len() as u64)
        );
    }
}

#[test]
fn a_compact_id_is_rendered_into_the_memory_of_the_one_before() {
    let mut id = EventId::of_form(IdForm::Compact);
    let position = |number: i64| Position {
        next: Offset((1 << 33) + number),
        timestamp: TimestampMs(1_700_000_000_000 + number),
    };
    for partition in 0..600 {
        let topic = Topic::from("eqiad.mediawiki.recentchange");
        id.push_slot(topic, Partition(partition), None, position(0));
    }
    let mut advance = |number: i64| {
        id.set(
            usize::try_from(number % 600).expect("small"),
            position(number),
        );
        id.as_bytes().len()
    };
    // The first round makes the memory large enough.
    (1..600).for_each(|number| assert!(advance(number) > 4000));
    for number in 600..1200 {
        let (info, _) = allocated(|| advance(number));
        assert_eq!(info.count_total, 0);
    }
}

#[test]
fn fields_are_cut_out_without_a_buffer_of_their_own() {
    let kind = RedactionKind::strictest();
    let fields = Projection::parse("title,length.new,wiki,performer.user_text").expect("fields");
    let mut out = BytesMut::with_capacity(1 << 16);
    for (topic, value) in samples() {
        let event = prepared(&topic, &value, kind);
        let frame = frame::render(Format::Sse, b"[]", &event);
        out.clear();
        let (info, ()) = allocated(|| {
            assert!(frame::append_projected(
                &mut out,
                Format::Sse,
                &frame,
                &fields
            ));
        });
        // Of the event, and of its `meta`, `length` and `performer`.
        assert!(info.bytes_total <= 4 * OPEN_BRACKETS, "{info:?}, {out:?}");
        assert!(out.len() < frame.len());
    }
}

#[test]
fn filters_that_do_not_match_allocate_nothing() {
    let mut index = FilterIndex::default();
    for filter in [
        r#"event.wiki == "nowiki""#,
        r#"event.wiki in ["a", "b"] && event.title.contains("x")"#,
        "event.length.new - event.length.old > 1000000000",
        r#"wiki == "nowiki" && bot == false"#,
        r#"event.comment.lowerAscii().startsWith("no such comment")"#,
        r#""no tag" in event.tags"#,
    ] {
        index.add(&Filter::parse(filter).expect(filter));
    }
    let mut scratch = Scratch::default();
    let events: Vec<String> = samples()
        .into_iter()
        .map(|(_, value)| String::from_utf8(value).expect("JSON"))
        .collect();
    // The first pass makes the scratch large enough. (The shorthands `title` and `user` are not
    // among the filters: to normalise a title allocates, once for each event.)
    for event in &events {
        assert!(index.matching(event, &mut scratch).is_empty(), "{event}");
    }
    for event in &events {
        let (info, ()) = allocated(|| {
            index.matching(event, &mut scratch);
        });
        assert_eq!(info.count_total, 0, "{event}");
    }
}
