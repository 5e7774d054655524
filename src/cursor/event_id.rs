//! The event id: a subscriber's cursor as the JSON array that SSE clients send back as
//! `Last-Event-ID`.

use bytes::Bytes;

use super::compact_id::{CompactSlot, CompactText};
use super::{LogId, Partition, Position};
use crate::stream::Topic;

/// The longest JSON, in bytes, that is sent without being asked for. Many proxies accept 8 KiB of a
/// request's head, and a URL needs half as much again.
pub const JSON_ID_BYTES_MAX: usize = 4096;

/// The form of an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdForm {
    /// JSON; a token from the moment at which the JSON would be longer than [`JSON_ID_BYTES_MAX`].
    #[default]
    Auto,
    /// A token.
    Compact,
}

/// The id of one feed, with a slot for every partition of every topic of its
/// streams (docs/protocol.md, "GET /v2/stream"):
///
/// ```json
/// [{"topic":"eqiad.mediawiki.recentchange","partition":0,
///   "offset":42,"timestamp":1700000100011,"log":"k7Qx2fA_"},...]
/// ```
///
/// The id itself has no line breaks and no NUL, as SSE requires. `log` names the log that the
/// offset was counted in; it is omitted where Kafka does not name it.
///
/// Slots keep the order in which they were pushed. Moving one rewrites its two numbers in place
/// (the rest is shifted when their length changes), so an id per event costs one copy of the text.
/// A token is rendered when its text is asked for.
///
/// [`super::LastEventId::parse`] of the text returns the same positions
/// (`what_is_rendered_is_parsed_to_the_same_positions`).
#[derive(Clone, Debug)]
pub struct EventId {
    /// `[` entry `,` entry ... `]`. Each entry owns the byte before it, `[` or `,`.
    text: Vec<u8>,
    slots: Vec<Slot>,
    /// `Some` once the text is a token.
    compact: Option<Box<Compact>>,
    /// Buffer in which a slot's numbers are rendered before they are put into the text.
    numbers: Vec<u8>,
}

/// What an id in compact form has to do before its text is read.
#[derive(Clone, Debug, Default)]
struct Compact {
    token: CompactText,
    has_other_slots: bool,
    has_moved: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    topic: Topic,
    partition: Partition,
    log: Option<LogId>,
    position: Position,
    /// The slot's part of the text; `None` once it is retired.
    span: Option<TextSpan>,
}

/// Indices into the text, if it is JSON.
#[derive(Clone, Copy, Debug, Default)]
struct TextSpan {
    /// The byte before the entry.
    start: usize,
    /// After `"offset":`.
    numbers: usize,
    /// After the timestamp.
    numbers_end: usize,
    /// After the entry.
    end: usize,
}

impl EventId {
    /// An id without slots: `[]`.
    pub fn new() -> Self {
        Self {
            text: b"[]".to_vec(),
            slots: Vec::new(),
            compact: None,
            numbers: Vec::new(),
        }
    }

    /// An id without slots, of this form.
    pub fn of_form(form: IdForm) -> Self {
        let mut id = Self::new();
        if form == IdForm::Compact {
            id.compact = Some(Box::default());
        }
        id
    }

    /// Adds a partition at the end and returns its slot: 0, 1, 2, ... The caller must not push a
    /// partition twice.
    pub fn push_slot(
        &mut self,
        topic: Topic,
        partition: Partition,
        log: Option<LogId>,
        position: Position,
    ) -> usize {
        let span = match &mut self.compact {
            None => self.push_json(&topic, partition, log, position),
            Some(compact) => {
                compact.has_other_slots = true;
                TextSpan::default()
            }
        };
        self.slots.push(Slot {
            topic,
            partition,
            log,
            position,
            span: Some(span),
        });
        self.shorten();
        self.slots.len() - 1
    }

    /// Appends an entry to the JSON.
    fn push_json(
        &mut self,
        topic: &Topic,
        partition: Partition,
        log: Option<LogId>,
        position: Position,
    ) -> TextSpan {
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
        TextSpan {
            start,
            numbers,
            numbers_end,
            end,
        }
    }

    /// Changes to the compact form when the JSON is too long.
    fn shorten(&mut self) {
        if self.compact.is_none() && self.text.len() > JSON_ID_BYTES_MAX {
            self.text = Vec::new();
            self.compact = Some(Box::new(Compact {
                has_other_slots: true,
                ..Compact::default()
            }));
        }
    }

    /// Moves a slot. A retired one stays out of the text.
    ///
    /// # Panics
    ///
    /// When there is no such slot: slots come from [`Self::push_slot`] of this id only.
    pub fn set(&mut self, slot: usize, position: Position) {
        self.slots[slot].position = position;
        let Some(span) = self.slots[slot].span else {
            return;
        };
        if let Some(compact) = &mut self.compact {
            compact.has_moved = true;
            return;
        }
        self.render_numbers(position);
        if self.numbers.len() == span.numbers_end - span.numbers {
            self.text[span.numbers..span.numbers_end].copy_from_slice(&self.numbers);
        } else {
            self.replace(span.numbers, span.numbers_end);
            self.shorten();
        }
    }

    /// Removes a slot whose partition is gone from the id; the other slots keep their numbers.
    ///
    /// # Panics
    ///
    /// When there is no such slot.
    pub fn retire(&mut self, slot: usize) {
        let Some(span) = self.slots[slot].span.take() else {
            return;
        };
        if let Some(compact) = &mut self.compact {
            compact.has_other_slots = true;
            return;
        }
        self.numbers.clear();
        self.replace(span.start, span.end);
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
            .filter(|(_, slot)| slot.span.is_some());
        live.map(|(number, slot)| (number, &slot.topic, slot.partition, slot.position))
    }

    /// The position of a slot, retired or not; `None` when there is no such slot.
    pub fn position(&self, slot: usize) -> Option<Position> {
        self.slots.get(slot).map(|slot| slot.position)
    }

    /// The id's text.
    pub fn as_bytes(&mut self) -> &[u8] {
        self.render();
        &self.text
    }

    /// A copy of the id's text, as it is now.
    pub fn to_bytes(&mut self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    /// Renders the token, if the text is one and something has changed.
    fn render(&mut self) {
        let Some(compact) = &mut self.compact else {
            return;
        };
        let live = self.slots.iter().filter(|slot| slot.span.is_some());
        if std::mem::take(&mut compact.has_other_slots) {
            compact.has_moved = true;
            compact
                .token
                .set_slots(live.clone().map(|slot| CompactSlot {
                    topic: &slot.topic,
                    partition: slot.partition,
                    log: slot.log,
                }));
        }
        if std::mem::take(&mut compact.has_moved) {
            let positions = live.map(|slot| slot.position);
            compact.token.render(positions, &mut self.text);
        }
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

    /// Replaces the text from `start` to `end` with `self.numbers`, and shifts the slots after it.
    fn replace(&mut self, start: usize, end: usize) {
        let new_end = start + self.numbers.len();
        self.text.splice(start..end, self.numbers.iter().copied());
        for span in self.slots.iter_mut().filter_map(|slot| slot.span.as_mut()) {
            for index in [
                &mut span.start,
                &mut span.numbers,
                &mut span.numbers_end,
                &mut span.end,
            ] {
                if *index >= end {
                    *index = *index + new_end - end;
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
mod tests;
