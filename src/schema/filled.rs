//! Defaults that validation filled in, beside the text of the event.

use std::collections::HashMap;

use super::json::{Value, quote_into};
use super::stack::with_room;

/// A value of the event, or of a default that was filled into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'d> {
    pub(super) value: Value<'d>,
    /// 0 for the event, else the number of the default, from 1 on.
    pub(super) origin: u32,
}

/// A default that was filled in.
#[derive(Clone, Copy, Debug)]
struct Fill<'d> {
    /// The object or array that it went into.
    owner: Item<'d>,
    /// Its name, in an object.
    name: Option<Value<'d>>,
    value: Value<'d>,
}

/// The defaults of one event.
#[derive(Debug, Default)]
pub struct Filled<'d> {
    fills: Vec<Fill<'d>>,
    /// The numbers of the defaults in a value, by its origin and its id.
    by_owner: HashMap<(u32, u32), Vec<u32>>,
    /// The numbers of the defaults in values of an origin.
    by_origin: HashMap<u32, Vec<u32>>,
}

/// A text that goes into the text of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion {
    /// The byte before which it goes.
    pub at: usize,
    /// A member or an item, with the comma before it where it needs one.
    pub text: String,
}

/// A default in its object or array.
pub(super) struct FilledIn<'d> {
    pub(super) name: Option<Value<'d>>,
    pub(super) item: Item<'d>,
}

impl<'d> Filled<'d> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fills.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.fills.len()
    }

    /// Puts `value` into `owner`.
    pub(super) fn push(
        &mut self,
        owner: Item<'d>,
        name: Option<Value<'d>>,
        value: Value<'d>,
    ) -> Item<'d> {
        self.fills.push(Fill { owner, name, value });
        let origin = u32::try_from(self.fills.len()).unwrap_or(u32::MAX);
        let id = owner.value.id();
        self.by_owner
            .entry((owner.origin, id))
            .or_default()
            .push(origin);
        self.by_origin.entry(owner.origin).or_default().push(origin);
        Item { value, origin }
    }

    fn fill(&self, number: u32) -> &Fill<'d> {
        &self.fills[number as usize - 1]
    }

    fn numbers_of(&self, owner: Item<'d>) -> &[u32] {
        if self.fills.is_empty() {
            return &[];
        }
        let numbers = self.by_owner.get(&(owner.origin, owner.value.id()));
        numbers.map_or(&[], Vec::as_slice)
    }

    /// How many were filled into `owner`.
    pub(super) fn count(&self, owner: Item<'d>) -> usize {
        self.numbers_of(owner).len()
    }

    /// What was filled into `owner`, in order.
    pub(super) fn of(&self, owner: Item<'d>) -> impl Iterator<Item = FilledIn<'d>> + '_ {
        self.numbers_of(owner).iter().map(|number| {
            let fill = self.fill(*number);
            let item = Item {
                value: fill.value,
                origin: *number,
            };
            FilledIn {
                name: fill.name,
                item,
            }
        })
    }

    /// What goes into the text of the event's document, in the order of positions. The positions
    /// are those of the text that was parsed.
    pub fn insertions(&self) -> Vec<Insertion> {
        self.insertions_into(0)
    }

    fn insertions_into(&self, origin: u32) -> Vec<Insertion> {
        let numbers = self.by_origin.get(&origin).map_or(&[][..], Vec::as_slice);
        let mut insertions: Vec<Insertion> = numbers
            .iter()
            .map(|number| {
                let Fill { owner, name, value } = *self.fill(*number);
                let is_first = self.numbers_of(owner).first() == Some(number);
                let is_alone = owner.value.count() == 0 && is_first;
                let mut text = if is_alone {
                    String::new()
                } else {
                    ",".to_owned()
                };
                if let Some(name) = name.and_then(|name| name.as_str()) {
                    quote_into(&name, &mut text);
                    text.push(':');
                }
                let origin = *number;
                text.push_str(&self.render(Item { value, origin }));
                let at = owner.value.span().end - 1;
                Insertion { at, text }
            })
            .collect();
        insertions.sort_by_key(|insertion| insertion.at);
        insertions
    }

    /// The text of `value`, a value of the event's document, with the defaults in it.
    pub fn text(&self, value: Value<'d>) -> String {
        self.render(Item { value, origin: 0 })
    }

    fn render(&self, item: Item<'d>) -> String {
        let insertions = with_room(|| self.insertions_into(item.origin));
        let span = item.value.span();
        let mut text = String::with_capacity(span.len());
        let (whole, mut done) = (item.value.text(), span.start);
        for insertion in insertions {
            if span.contains(&insertion.at) {
                text.push_str(&whole[done - span.start..insertion.at - span.start]);
                text.push_str(&insertion.text);
                done = insertion.at;
            }
        }
        text.push_str(&whole[done - span.start..]);
        text
    }
}
