//! Any text as Last-Event-ID: it is refused with a sentence, or understood within bounds; what is
//! understood of an id of ours is what was rendered, also after its slots have moved and some have
//! gone.

#![no_main]

use eventstreams::cursor::{
    EventId, ID_BYTES_MAX, ID_ENTRIES_MAX, IdEntry, IdForm, LastEventId, LastEventIdError, LogId,
    Offset, Partition, Position, RequestedPosition, TimestampMs,
};
use eventstreams::stream::Topic;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let id = match LastEventId::parse(text) {
        Ok(id) => id,
        Err(error) => return assert!((1..2000).contains(&error.to_string().len()), "{error}"),
    };
    assert!(id.entries().len() <= ID_ENTRIES_MAX && text.trim_ascii().len() <= ID_BYTES_MAX);
    assert_eq!(id.is_empty(), id.entries().is_empty());
    let mut rendered = EventId::new();
    let mut compact = EventId::of_form(IdForm::Compact);
    // Kafka has no longer names.
    let is_short = |entry: &IdEntry| entry.topic.as_str().len() < 250;
    let is_kafkas = id.entries().iter().all(is_short);
    let mut positions = Vec::new();
    for (index, entry) in id.entries().iter().enumerate() {
        assert!(!entry.topic.as_str().is_empty());
        assert!(
            !id.entries()[..index]
                .iter()
                .any(|other| (&other.topic, other.partition) == (&entry.topic, entry.partition))
        );
        let Some(partition) = entry.partition else {
            assert_eq!(entry.position, RequestedPosition::Unset);
            continue;
        };
        assert!(partition.0 >= 0);
        let (number, log) = match entry.position {
            RequestedPosition::Both {
                next,
                timestamp,
                log,
            } => ((next.0, timestamp.0), log),
            RequestedPosition::Offset(next) => ((next.0, 0), None),
            RequestedPosition::Timestamp(timestamp) => ((0, timestamp.0), None),
            RequestedPosition::Unset | RequestedPosition::Live | RequestedPosition::Earliest => {
                continue;
            }
        };
        assert!(number.0 >= 0 && number.1 >= 0);
        let position = Position {
            next: Offset(number.0),
            timestamp: TimestampMs(number.1),
        };
        rendered.push_slot(entry.topic.clone(), partition, log, position);
        compact.push_slot(entry.topic.clone(), partition, log, position);
        positions.push((entry.topic.clone(), partition, log, position));
    }
    check(&mut rendered, &positions);
    check_compact(&mut compact, &positions, is_kafkas);
    // Numbers of other lengths, and slots that go.
    for (slot, (.., position)) in positions.iter_mut().enumerate() {
        *position = Position {
            next: Offset(position.next.0 / 7),
            timestamp: TimestampMs(position.timestamp.0.saturating_mul(3)),
        };
        rendered.set(slot, *position);
        compact.set(slot, *position);
    }
    check(&mut rendered, &positions);
    check_compact(&mut compact, &positions, is_kafkas);
    let goes = |slot: usize| (slot + text.len()).is_multiple_of(3);
    (0..positions.len())
        .filter(|slot| goes(*slot))
        .for_each(|slot| {
            rendered.retire(slot);
            compact.retire(slot);
        });
    let left: Vec<_> = (0..)
        .zip(positions)
        .filter(|(slot, _)| !goes(*slot))
        .map(|(_, position)| position)
        .collect();
    check(&mut rendered, &left);
    check_compact(&mut compact, &left, is_kafkas);
});

type Entry = (Topic, Partition, Option<LogId>, Position);

/// A token has no form for an id without entries.
fn check_compact(rendered: &mut EventId, positions: &[Entry], is_kafkas: bool) {
    if is_kafkas && !positions.is_empty() {
        check(rendered, positions);
    }
}

fn check(rendered: &mut EventId, positions: &[Entry]) {
    let text = std::str::from_utf8(rendered.as_bytes()).expect("UTF-8");
    assert!(!text.contains(['\n', '\r', '\0']), "{text:?}");
    if positions.is_empty() {
        assert_eq!(LastEventId::parse(text), Err(LastEventIdError::Empty));
        return;
    }
    let again = match LastEventId::parse(text) {
        Ok(again) => again,
        // Names that JSON escapes and positions that were not given make it longer than what was
        // sent.
        Err(_) if text.len() > ID_BYTES_MAX => return,
        Err(error) => panic!("{error}: {text}"),
    };
    assert_eq!(again.entries().len(), positions.len());
    for (entry, (topic, partition, log, Position { next, timestamp })) in
        again.entries().iter().zip(positions)
    {
        assert_eq!((&entry.topic, entry.partition), (topic, Some(*partition)));
        assert_eq!(
            entry.position,
            RequestedPosition::Both {
                next: *next,
                timestamp: *timestamp,
                log: *log
            }
        );
    }
}
