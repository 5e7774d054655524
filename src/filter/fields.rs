//! Extracts the fields that filters name from an event, all in one pass over its text.
//!
//! * `view`: their values for the evaluation.

mod view;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;

pub(super) use self::view::Fields;
use super::json::{skip_space, skip_string, skip_value, unescape};
use super::number::Number;
use super::selector::{Path, Selector, Shorthand};
use super::value::Array;
use crate::event::comparable_title;

/// The fields that some filters name, each once.
#[derive(Debug, Default)]
pub(super) struct FieldSet {
    root: Node,
    entries: Vec<Entry>,
    free: Vec<Slot>,
    slots: HashMap<Selector, Slot>,
    shorthands: Vec<Slot>,
    nodes: NodeNumbers,
}

/// Where the value of a field is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot(usize);

#[derive(Debug)]
struct Entry {
    selector: Selector,
    uses: usize,
    /// Of a shorthand: the slots of its members.
    members: Vec<Slot>,
}

/// A member on the way to fields.
#[derive(Debug, Default)]
struct Node {
    number: usize,
    slot: Option<Slot>,
    children: HashMap<Box<str>, Node>,
}

/// The numbers of nodes: small, because [`FieldValues`] has an entry for each.
#[derive(Debug, Default)]
struct NodeNumbers {
    /// The root has number 0.
    last: usize,
    free: Vec<usize>,
}

/// The fields of one event. It is reused for the next event, at a cost of what this one has,
/// however many fields the filters name.
#[derive(Debug, Default)]
pub(super) struct FieldValues {
    values: Vec<Extracted>,
    /// The slots of `values` that are not absent.
    found: Vec<Slot>,
    /// The number of the event.
    event: u64,
    /// By the numbers of nodes: the last event that has the node's member.
    seen: Vec<u64>,
    /// Strings whose text differs from the event's.
    decoded: String,
    /// By slots: what operations made of the values, so that it is made once.
    made: Vec<Made>,
    /// Arrays of earlier events.
    spare: RefCell<Vec<Array>>,
    /// Texts of earlier events.
    spare_texts: RefCell<Vec<String>>,
}

/// Bytes of a text whose memory is worth keeping for the next event.
const SPARE_TEXT_BYTES_MAX: usize = 4096;

/// What operations make of a value.
#[derive(Debug, Default)]
struct Made {
    array: OnceCell<Array>,
    /// A text in lower case.
    lower: OnceCell<String>,
}

/// A value of the event. Ranges are of its text.
#[derive(Clone, Debug, Default)]
enum Extracted {
    #[default]
    Absent,
    /// Absent, because a later member of the same name replaces it or what it was in.
    Replaced,
    Null,
    Bool(bool),
    Number(Number),
    Text(Range<usize>),
    /// A range of [`FieldValues::decoded`].
    Decoded(Range<usize>),
    Array(Range<usize>),
    Object,
}

impl FieldSet {
    /// The slot of a field. Each call is undone by a call of [`FieldSet::release`].
    pub(super) fn acquire(&mut self, selector: &Selector) -> Slot {
        if let Some(slot) = self.slots.get(selector) {
            self.entries[slot.0].uses += 1;
            return *slot;
        }
        let members = match selector {
            Selector::Path(_) => Vec::new(),
            Selector::Shorthand(shorthand) => self.acquire_members(*shorthand),
        };
        let entry = Entry {
            selector: selector.clone(),
            uses: 1,
            members,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot.0] = entry;
            slot
        } else {
            self.entries.push(entry);
            Slot(self.entries.len() - 1)
        };
        self.slots.insert(selector.clone(), slot);
        match selector {
            Selector::Path(path) => self.root.add(&path.0, slot, &mut self.nodes),
            Selector::Shorthand(_) => self.shorthands.push(slot),
        }
        slot
    }

    /// The slot of a field that some filter names.
    pub(super) fn slot(&self, selector: &Selector) -> Option<Slot> {
        self.slots.get(selector).copied()
    }

    fn acquire_members(&mut self, shorthand: Shorthand) -> Vec<Slot> {
        let path = |names: &&[&str]| Path(names.iter().map(|name| (*name).into()).collect());
        let paths: Vec<Path> = shorthand.members().iter().map(path).collect();
        paths
            .into_iter()
            .map(|path| self.acquire(&Selector::Path(path)))
            .collect()
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, slot: Slot) {
        let entry = &mut self.entries[slot.0];
        entry.uses -= 1;
        if entry.uses > 0 {
            return;
        }
        let (selector, members) = (entry.selector.clone(), std::mem::take(&mut entry.members));
        self.slots.remove(&selector);
        match &selector {
            Selector::Path(path) => self.root.remove(&path.0, &mut self.nodes),
            Selector::Shorthand(_) => self.shorthands.retain(|other| *other != slot),
        }
        self.free.push(slot);
        for member in members {
            self.release(member);
        }
    }

    /// Extracts the fields of `event`, the text of a JSON object. Of duplicate members the last one
    /// counts.
    pub(super) fn extract(&self, event: &str, values: &mut FieldValues) {
        values.begin(self.entries.len(), self.nodes.last + 1);
        let start = skip_space(event.as_bytes(), 0);
        if event.as_bytes().get(start) == Some(&b'{') {
            self.root.scan(event, start, values);
        }
        for slot in &self.shorthands {
            let value = self.first_member(event, *slot, values);
            values.set(*slot, value);
        }
    }

    /// The first member of a shorthand that is present and not null.
    fn first_member(&self, event: &str, slot: Slot, values: &mut FieldValues) -> Extracted {
        let entry = &self.entries[slot.0];
        let found = entry
            .members
            .iter()
            .map(|member| values.values[member.0].clone());
        let mut found = found.filter(|value| {
            use Extracted::{Absent, Null, Replaced};
            !matches!(value, Absent | Replaced | Null)
        });
        let Some(found) = found.next() else {
            return Extracted::Absent;
        };
        let is_title = matches!(entry.selector, Selector::Shorthand(name) if name.is_title());
        let text = match &found {
            // Text that is not JSON may have no such range.
            Extracted::Text(range) => event.get(range.clone()).unwrap_or_default(),
            Extracted::Decoded(range) => &values.decoded[range.clone()],
            _ => return found,
        };
        if is_title {
            let title = comparable_title(text);
            values.push_decoded(&title)
        } else {
            found
        }
    }
}

impl Node {
    fn add(&mut self, path: &[Box<str>], slot: Slot, numbers: &mut NodeNumbers) {
        let [name, rest @ ..] = path else {
            self.slot = Some(slot);
            return;
        };
        let child = self.children.entry(name.clone()).or_insert_with(|| Self {
            number: numbers.take(),
            ..Self::default()
        });
        child.add(rest, slot, numbers);
    }

    fn remove(&mut self, path: &[Box<str>], numbers: &mut NodeNumbers) {
        let [name, rest @ ..] = path else {
            self.slot = None;
            return;
        };
        if let Some(child) = self.children.get_mut(name) {
            child.remove(rest, numbers);
            if child.slot.is_none() && child.children.is_empty() {
                numbers.free.push(child.number);
                self.children.remove(name);
            }
        }
    }

    /// Reads the object whose brace is at `at`, and returns its end. It recurses along the paths
    /// only, which are bounded.
    fn scan(&self, event: &str, at: usize, values: &mut FieldValues) -> usize {
        let text = event.as_bytes();
        let mut at = skip_space(text, at + 1);
        while text.get(at) == Some(&b'"') {
            let key_end = skip_string(text, at);
            let key = event.get(at + 1..key_end - 1).unwrap_or_default();
            let colon = skip_space(text, key_end);
            let start = skip_space(text, colon + 1);
            at = match self.child(key) {
                Some(child) => child.read(event, start, values),
                None => skip_value(text, start),
            };
            at = skip_space(text, at);
            if text.get(at) == Some(&b',') {
                at = skip_space(text, at + 1);
            }
        }
        at + 1
    }

    fn child(&self, key: &str) -> Option<&Self> {
        if memchr::memchr(b'\\', key.as_bytes()).is_none() {
            return self.children.get(key);
        }
        let mut name = String::new();
        let known = unescape(key, &mut name);
        self.children.get(if known { name.as_str() } else { key })
    }

    /// Reads the value at `start`, and returns its end.
    fn read(&self, event: &str, start: usize, values: &mut FieldValues) -> usize {
        let text = event.as_bytes();
        let is_object = text.get(start) == Some(&b'{');
        let event_number = values.event;
        if std::mem::replace(&mut values.seen[self.number], event_number) == event_number {
            // The earlier member of the same name does not count.
            self.clear(values);
        }
        let end = if is_object && !self.children.is_empty() {
            self.scan(event, start, values)
        } else {
            skip_value(text, start)
        };
        if let Some(slot) = self.slot {
            let value = values.extracted(event, start..end);
            values.set(slot, value);
        }
        end
    }

    fn clear(&self, values: &mut FieldValues) {
        if let Some(slot) = self.slot {
            values.replace(slot);
        }
        self.children.values().for_each(|child| child.clear(values));
    }
}

impl NodeNumbers {
    fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        })
    }
}

impl FieldValues {
    /// Forgets the event before. There are so many slots and nodes.
    fn begin(&mut self, slots: usize, nodes: usize) {
        for slot in self.found.drain(..) {
            self.values[slot.0] = Extracted::Absent;
            let made = &mut self.made[slot.0];
            let array = made.array.take().filter(Array::is_small);
            self.spare.get_mut().extend(array);
            let lower = made.lower.take();
            let lower = lower.filter(|text| text.capacity() <= SPARE_TEXT_BYTES_MAX);
            self.spare_texts.get_mut().extend(lower);
        }
        if self.values.len() < slots {
            self.values.resize(slots, Extracted::Absent);
            self.made.resize_with(slots, Made::default);
        }
        if self.seen.len() < nodes {
            self.seen.resize(nodes, 0);
        }
        self.event += 1;
        self.decoded.clear();
    }

    fn set(&mut self, slot: Slot, value: Extracted) {
        if matches!(value, Extracted::Absent) {
            return;
        }
        let before = std::mem::replace(&mut self.values[slot.0], value);
        if matches!(before, Extracted::Absent) {
            self.found.push(slot);
        }
    }

    /// Takes back the value of an earlier member.
    fn replace(&mut self, slot: Slot) {
        let value = &mut self.values[slot.0];
        if !matches!(value, Extracted::Absent) {
            *value = Extracted::Replaced;
        }
    }

    /// The slots that have a value, each once, and some that have none.
    pub(super) fn found(&self) -> &[Slot] {
        &self.found
    }

    fn extracted(&mut self, event: &str, range: Range<usize>) -> Extracted {
        let value = event.get(range.clone()).unwrap_or_default();
        match value.as_bytes().first() {
            Some(b'"') => {
                let inner = range.start + 1..range.end.saturating_sub(1);
                let text = event.get(inner.clone()).unwrap_or_default();
                if memchr::memchr(b'\\', text.as_bytes()).is_none() {
                    return Extracted::Text(inner);
                }
                let start = self.decoded.len();
                if unescape(text, &mut self.decoded) {
                    Extracted::Decoded(start..self.decoded.len())
                } else {
                    Extracted::Text(inner)
                }
            }
            Some(b'{') => Extracted::Object,
            Some(b'[') => Extracted::Array(range),
            Some(b't') => Extracted::Bool(true),
            Some(b'f') => Extracted::Bool(false),
            Some(b'n') => Extracted::Null,
            _ => Number::parse(value).map_or(Extracted::Absent, Extracted::Number),
        }
    }

    fn push_decoded(&mut self, text: &str) -> Extracted {
        let start = self.decoded.len();
        self.decoded.push_str(text);
        Extracted::Decoded(start..self.decoded.len())
    }
}
