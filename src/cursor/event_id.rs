//! The event id: a subscriber's cursor as the JSON array that SSE clients send back as `Last-Event-ID`.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{LogId, Partition, Position};
use crate::stream::Topic;

/// The id of one feed, always rendered, with a slot for every partition of every topic of its streams (protocol §1):
///
/// ```json
/// [{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":42,"timestamp":1700000100011,"log":"k7Qx2fA_"},...]
/// ```
///
/// `log` says which log the offset was counted in; it is left out where Kafka does not tell.
///
/// Slots stand in the order in which they were pushed. To move one rewrites its two numbers in place (the rest is shifted
/// when their length changes), so an id per event costs one copy of the text. One line, without NUL, as SSE demands.
///
/// Round trip: [`super::LastEventId::parse`] of the text gives the same positions back
/// (`what_is_rendered_is_parsed_to_the_same_positions`).
#[derive(Clone, Debug)]
pub struct EventId {
    /// `[` entry `,` entry ... `]`. Each entry owns the byte before it, `[` or `,`.
    text: Vec<u8>,
    slots: Vec<Slot>,
    /// Where a slot's numbers are rendered before they are put into the text.
    numbers: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Slot {
    topic: Topic,
    partition: Partition,
    position: Position,
    /// Where in the text the slot stands; `None` once it is retired.
    place: Option<Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The byte before the entry.
    start: usize,
    /// Behind `"offset":`.
    numbers: usize,
    /// Behind the timestamp.
    numbers_end: usize,
    /// Behind the entry.
    end: usize,
}

impl EventId {
    /// An id without slots: `[]`.
    pub fn new() -> Self {
        Self {
            text: b"[]".to_vec(),
            slots: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Adds a partition at the end and gives its slot: 0, 1, 2, ... It is the caller's to push no partition twice.
    pub fn push_slot(
        &mut self,
        topic: Topic,
        partition: Partition,
        log: Option<LogId>,
        position: Position,
    ) -> usize {
        self.text.pop(); // ]
        let start = if self.text.len() == 1 {
            0
        } else {
            self.text.len()
        };
        self.text.truncate(start);
        self.text.push(if start == 0 { b'[' } else { b',' });
        self.text.extend_from_slice(br#"{"topic":"#);
        serde_json::to_writer(&mut self.text, topic.as_str())
            .expect("a string is written to memory");
        self.text.extend_from_slice(br#","partition":"#);
        self.text
            .extend_from_slice(itoa::Buffer::new().format(partition.0).as_bytes());
        self.text.extend_from_slice(br#","offset":"#);
        let numbers = self.text.len();
        self.render_numbers(position);
        self.text.extend_from_slice(&self.numbers);
        let numbers_end = self.text.len();
        if let Some(log) = log {
            self.text.extend_from_slice(br#","log":""#);
            self.text.extend_from_slice(log.as_str().as_bytes());
            self.text.push(b'"');
        }
        self.text.push(b'}');
        let end = self.text.len();
        self.text.push(b']');
        let place = Some(Place {
            start,
            numbers,
            numbers_end,
            end,
        });
        self.slots.push(Slot {
            topic,
            partition,
            position,
            place,
        });
        self.slots.len() - 1
    }

    /// Moves a slot. A retired one stays away.
    ///
    /// # Panics
    ///
    /// When there is no such slot: slots come from [`Self::push_slot`] of this id only.
    pub fn set(&mut self, slot: usize, position: Position) {
        self.slots[slot].position = position;
        let Some(place) = self.slots[slot].place else {
            return;
        };
        self.render_numbers(position);
        if self.numbers.len() == place.numbers_end - place.numbers {
            self.text[place.numbers..place.numbers_end].copy_from_slice(&self.numbers);
        } else {
            self.replace(place.numbers, place.numbers_end);
        }
    }

    /// Takes a slot out of the id, when its partition is gone; the other slots keep their numbers.
    ///
    /// # Panics
    ///
    /// When there is no such slot.
    pub fn retire(&mut self, slot: usize) {
        let Some(place) = self.slots[slot].place.take() else {
            return;
        };
        self.numbers.clear();
        self.replace(place.start, place.end);
        if self.text.len() == 1 {
            self.text.insert(0, b'[');
        }
        self.text[0] = b'[';
    }

    /// The slots that are not retired: number, topic, partition, position.
    pub fn slots(&self) -> impl Iterator<Item = (usize, &Topic, Partition, Position)> {
        let live = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.place.is_some());
        live.map(|(number, slot)| (number, &slot.topic, slot.partition, slot.position))
    }

    /// Where a slot is, retired or not; `None` when there is no such slot.
    pub fn position(&self, slot: usize) -> Option<Position> {
        self.slots.get(slot).map(|slot| slot.position)
    }

    /// The id's text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Writes the id's text behind what `out` holds.
    pub fn render_into(&self, out: &mut BytesMut) {
        out.put_slice(&self.text);
    }

    /// A copy of the id's text, as it is now.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.text)
    }

    /// `{offset},"timestamp":{timestamp}`
    fn render_numbers(&mut self, position: Position) {
        let mut digits = itoa::Buffer::new();
        self.numbers.clear();
        self.numbers
            .extend_from_slice(digits.format(position.next.0).as_bytes());
        self.numbers.extend_from_slice(br#","timestamp":"#);
        self.numbers
            .extend_from_slice(digits.format(position.timestamp.0).as_bytes());
    }

    /// Puts `self.numbers` in the place of the text from `start` to `end`, and shifts the slots behind.
    fn replace(&mut self, start: usize, end: usize) {
        let new_end = start + self.numbers.len();
        self.text.splice(start..end, self.numbers.iter().copied());
        for place in self.slots.iter_mut().filter_map(|slot| slot.place.as_mut()) {
            for mark in [
                &mut place.start,
                &mut place.numbers,
                &mut place.numbers_end,
                &mut place.end,
            ] {
                if *mark >= end {
                    *mark = *mark + new_end - end;
                }
            }
        }
    }
}

impl Default for EventId {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::{
        IdEntry, LastEventId, Offset, RequestedPosition, TimestampMs, TopicIdentity,
    };

    fn at(next: i64, timestamp: i64) -> Position {
        Position {
            next: Offset(next),
            timestamp: TimestampMs(timestamp),
        }
    }

    fn log(topic: u8) -> LogId {
        LogId::new("cluster", TopicIdentity::Id([topic; 16]))
    }

    fn text(id: &EventId) -> String {
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
        let golden = include_str!("../../tests/fixtures/event_ids/two_datacenters.json").trim_end();
        assert_eq!(text(&id), golden);
        let mut out = BytesMut::from("id: ");
        id.render_into(&mut out);
        assert_eq!(out, format!("id: {golden}"));
        assert_eq!(id.to_bytes(), golden);
    }

    #[test]
    fn an_id_without_slots_is_an_empty_array() {
        assert_eq!(text(&EventId::new()), "[]");
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
            text(&id),
            r#"[{"topic":"a","partition":1,"offset":9,"timestamp":1},{"topic":"a","partition":2,"offset":10,"timestamp":1}]"#
        );
        id.retire(2);
        id.retire(1);
        assert_eq!((text(&id), id.slots().count()), ("[]".to_owned(), 0));
        assert_eq!(id.push_slot("b".into(), Partition(0), None, at(1, 2)), 3);
        assert_eq!(
            text(&id),
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
            text(&id),
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
                2 => (topic, log, position()).prop_map(|(topic, log, position)| Step::Push(topic, log, position)),
                4 => (any::<prop::sample::Index>(), position()).prop_map(|(index, position)| Step::Set(index, position)),
                1 => any::<prop::sample::Index>().prop_map(Step::Retire),
            ],
            0..24,
        )
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_parsed_to_the_same_positions(steps in steps()) {
            let mut id = EventId::new();
            let mut model: Vec<Option<IdEntry>> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(topic, log, Position { next, timestamp }) => {
                        let partition = Partition(i32::try_from(model.len()).unwrap());
                        let slot = id.push_slot(topic.as_str().into(), partition, log, Position { next, timestamp });
                        prop_assert_eq!(slot, model.len());
                        let position = RequestedPosition::Both { next, timestamp, log };
                        model.push(Some(IdEntry { topic: topic.as_str().into(), partition: Some(partition), position }));
                    }
                    Step::Set(index, position) if !model.is_empty() => {
                        let slot = index.index(model.len());
                        id.set(slot, position);
                        if let Some(IdEntry { position: RequestedPosition::Both { next, timestamp, .. }, .. }) = &mut model[slot] {
                            (*next, *timestamp) = (position.next, position.timestamp);
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
                let text = text(&id);
                prop_assert!(!text.contains(['\n', '\r', '\0']));
                if expected.is_empty() {
                    // Never handed out: ids come with events, and these with partitions.
                    prop_assert_eq!(&*text, "[]");
                    continue;
                }
                let parsed = LastEventId::parse(&text).unwrap();
                prop_assert_eq!(parsed.entries(), expected);
                prop_assert_eq!(id.slots().count(), model.iter().flatten().count());
            }
        }
    }
}
