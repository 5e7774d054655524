//! Finds the filters that an event matches, at the cost of a few of them.
//!
//! A filter with a conjunct that compares a field with values (`event.wiki == "enwiki"`,
//! `event.namespace in [0, 4]`) is found by the value of the field, and only then evaluated. All
//! other filters are evaluated for each event. Of several such conjuncts the index takes the one
//! whose values find the fewest other filters: of a thousand filters for one wiki each without
//! bots, almost none are found by `bot == false`.

use std::collections::{HashMap, HashSet};

use super::Filter;
use super::expression::{Comparison, Expr, Literal};
use super::fields::{FieldSet, FieldValues, Fields, Slot};
use super::number::Number;
use super::selector::Selector;
use super::value::Value;

/// The filters of one feed.
#[derive(Debug, Default)]
pub struct FilterIndex {
    fields: FieldSet,
    entries: HashMap<FilterId, Entry>,
    next_id: u64,
    by_value: HashMap<Slot, Values>,
    /// Filters that are evaluated for each event.
    residual: HashSet<FilterId>,
}

/// A filter in an index. An id is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(u64);

/// Memory that is reused from event to event.
#[derive(Debug, Default)]
pub struct Scratch {
    values: FieldValues,
    matching: Vec<FilterId>,
}

#[derive(Debug)]
struct Entry {
    program: Expr<Slot>,
    /// The slots that are released with the filter.
    slots: Vec<Slot>,
    indexed: Option<Indexed>,
}

/// By which field and values a filter is found.
#[derive(Debug)]
struct Indexed {
    slot: Slot,
    keys: Vec<Literal>,
}

/// The filters by the value of one field.
#[derive(Debug, Default)]
struct Values {
    null: HashSet<FilterId>,
    bools: [HashSet<FilterId>; 2],
    integers: HashMap<i128, HashSet<FilterId>>,
    /// Doubles that are no integers, by their bits.
    doubles: HashMap<u64, HashSet<FilterId>>,
    strings: HashMap<Box<str>, HashSet<FilterId>>,
}

impl FilterIndex {
    /// Adds a filter.
    pub fn add(&mut self, filter: &Filter) -> FilterId {
        let mut slots = Vec::new();
        let fields = &mut self.fields;
        let program = filter.expr.map_fields(&mut |selector| {
            let slot = fields.acquire(selector);
            slots.push(slot);
            slot
        });
        let by_value = &self.by_value;
        let load = |selector: &Selector, keys: &[Literal]| {
            let values = fields.slot(selector).and_then(|slot| by_value.get(&slot));
            values.map_or(0, |values| values.load(keys))
        };
        let conjunct = indexable(&filter.expr)
            .min_by_key(|(selector, keys)| (load(selector, keys), spread(keys), keys.len()));
        let indexed = conjunct.map(|(selector, keys)| {
            let slot = fields.acquire(selector);
            slots.push(slot);
            Indexed {
                slot,
                keys: keys.to_vec(),
            }
        });
        self.next_id += 1;
        let id = FilterId(self.next_id);
        match &indexed {
            Some(Indexed { slot, keys }) => {
                let values = self.by_value.entry(*slot).or_default();
                for key in keys {
                    if let Some(set) = values.set(key) {
                        set.insert(id);
                    }
                }
            }
            None => _ = self.residual.insert(id),
        }
        let entry = Entry {
            program,
            slots,
            indexed,
        };
        self.entries.insert(id, entry);
        id
    }

    /// Removes a filter, and all that was kept for it.
    pub fn remove(&mut self, id: FilterId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        match entry.indexed {
            Some(Indexed { slot, keys }) => {
                if let Some(values) = self.by_value.get_mut(&slot) {
                    for key in &keys {
                        values.remove(key, id);
                    }
                    if values.is_empty() {
                        self.by_value.remove(&slot);
                    }
                }
            }
            None => _ = self.residual.remove(&id),
        }
        entry
            .slots
            .into_iter()
            .for_each(|slot| self.fields.release(slot));
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many filters are evaluated for each event.
    pub fn residual_len(&self) -> usize {
        self.residual.len()
    }

    /// The filters that match `event`, the text of a JSON object, in no order. Allocates nothing
    /// once `scratch` is large enough, but for long lists and long texts in `lowerAscii()`.
    pub fn matching<'s>(&self, event: &str, scratch: &'s mut Scratch) -> &'s [FilterId] {
        scratch.matching.clear();
        if self.entries.is_empty() {
            return &scratch.matching;
        }
        self.fields.extract(event, &mut scratch.values);
        let fields = Fields {
            event,
            values: &scratch.values,
        };
        let matches = |id: &&FilterId| self.entries[*id].program.matches(fields);
        let candidates = self.candidates(fields);
        scratch.matching.extend(candidates.filter(matches));
        &scratch.matching
    }

    /// The filters that must be evaluated for an event.
    fn candidates(&self, fields: Fields<'_>) -> impl Iterator<Item = &FilterId> {
        let found = fields.values.found().iter().filter_map(move |slot| {
            let values = self.by_value.get(slot)?;
            values.find(fields.get(*slot)?)
        });
        found.flatten().chain(&self.residual)
    }

    #[cfg(test)]
    pub(super) fn candidates_len(&self, event: &str, scratch: &mut Scratch) -> usize {
        self.fields.extract(event, &mut scratch.values);
        let values = &scratch.values;
        self.candidates(Fields { event, values }).count()
    }
}

/// The conjuncts by which a filter can be found.
fn indexable(expr: &Expr) -> impl Iterator<Item = (&Selector, &[Literal])> {
    let conjuncts = match expr {
        Expr::And(all) => all.as_slice(),
        other => std::slice::from_ref(other),
    };
    conjuncts.iter().filter_map(field_and_values)
}

/// How common a value is likely to be: of all events many have the same boolean, few the same
/// string.
fn spread(keys: &[Literal]) -> usize {
    let rank = |key: &Literal| match key {
        Literal::String(_) => 0,
        Literal::Number(_) => 1,
        Literal::Bool(_) | Literal::Null | Literal::List(_) => 2,
    };
    keys.iter().map(rank).max().unwrap_or(0)
}

fn field_and_values(expr: &Expr) -> Option<(&Selector, &[Literal])> {
    let (field, values) = match expr {
        Expr::Compare(Comparison::Equal, a, b) => match (&**a, &**b) {
            (Expr::Field(field), Expr::Literal(value)) => (field, std::slice::from_ref(value)),
            _ => return None,
        },
        Expr::In(a, b) => match (&**a, &**b) {
            (Expr::Field(field), Expr::Literal(Literal::List(values))) => {
                (field, values.as_slice())
            }
            _ => return None,
        },
        _ => return None,
    };
    let is_scalar = |value: &Literal| !matches!(value, Literal::List(_));
    values.iter().all(is_scalar).then_some((field, values))
}

impl Values {
    /// The filters of a value; `None` for a list.
    fn set(&mut self, key: &Literal) -> Option<&mut HashSet<FilterId>> {
        Some(match key {
            Literal::Null => &mut self.null,
            Literal::Bool(value) => &mut self.bools[usize::from(*value)],
            Literal::Number(number) => match number.as_integer() {
                Some(integer) => self.integers.entry(integer).or_default(),
                None => self.doubles.entry(bits(*number)).or_default(),
            },
            Literal::String(text) => self.strings.entry(text.clone()).or_default(),
            Literal::List(_) => return None,
        })
    }

    /// How many filters these values find already.
    fn load(&self, keys: &[Literal]) -> usize {
        let found = keys.iter().filter_map(|key| self.find(Value::of(key)));
        found.map(HashSet::len).sum()
    }

    fn remove(&mut self, key: &Literal, id: FilterId) {
        if let Some(set) = self.set(key) {
            set.remove(&id);
            if !set.is_empty() {
                return;
            }
        }
        match key {
            Literal::Number(number) => match number.as_integer() {
                Some(integer) => _ = self.integers.remove(&integer),
                None => _ = self.doubles.remove(&bits(*number)),
            },
            Literal::String(text) => _ = self.strings.remove(text),
            _ => {}
        }
    }

    fn find(&self, value: Value<'_>) -> Option<&HashSet<FilterId>> {
        match value {
            Value::Null => Some(&self.null),
            Value::Bool(value) => Some(&self.bools[usize::from(value)]),
            Value::Number(number) => match number.as_integer() {
                Some(integer) => self.integers.get(&integer),
                None => self.doubles.get(&bits(number)),
            },
            Value::Text(text) => self.strings.get(text),
            Value::List(_) | Value::Array(_) | Value::Object => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.null.is_empty()
            && self.bools.iter().all(HashSet::is_empty)
            && self.integers.is_empty()
            && self.doubles.is_empty()
            && self.strings.is_empty()
    }
}

fn bits(number: Number) -> u64 {
    match number {
        Number::Double(double) => double.to_bits(),
        // An integer is found by its value.
        Number::Integer(_) => 0,
    }
}

/// Whether a filter is found by the value of a field.
pub(super) fn is_indexable(expr: &Expr) -> bool {
    indexable(expr).next().is_some()
}
