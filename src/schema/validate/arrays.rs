//! Arrays.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::OnceLock;

use super::super::filled::Item;
use super::super::json::Json;
use super::super::node::{Additional, ArrayRules, Items, Node, TypeRule, Unique};
use super::report::{Detail, Place};
use super::scalars::{is_less, is_more};
use super::{Fill, Validator, has_type};

impl<'d> Validator<'d> {
    pub(super) fn array(
        &mut self,
        rules: &'d ArrayRules,
        place: Place<'_>,
        item: Item<'d>,
        fill: Fill,
    ) {
        if fill == Fill::Yes {
            self.fill_items(&rules.defaults, item);
        }
        let count = item.value.count() + self.filled.count(item);
        if let Some(limit) = rules
            .max_items
            .as_ref()
            .filter(|limit| is_more(count, limit))
        {
            self.wrong_count("maxItems", limit, place);
        }
        if let Some(limit) = rules
            .min_items
            .as_ref()
            .filter(|limit| is_less(count, limit))
        {
            self.wrong_count("minItems", limit, place);
        }
        match &rules.items {
            Items::Any => {}
            Items::Each(node) => self.each_item(node, 0, place, item, fill),
            Items::List { items, additional } => {
                if matches!(additional, Additional::Never) && count > items.len() {
                    let most = items.len();
                    self.report.add(place, "additionalItems", || {
                        Detail::new(format!("should NOT have more than {most} items"))
                            .with("limit", most)
                    });
                }
                let values = self.items(item);
                for (index, (node, value)) in items.iter().zip(values).enumerate() {
                    self.apply(node, value, &place.path.index(index), fill);
                }
                if let Additional::Schema(node) = additional {
                    self.each_item(node, items.len(), place, item, fill);
                }
            }
        }
        if let Some(node) = &rules.contains {
            self.contains(node, place, item);
        }
        if let Some(unique) = rules.unique {
            self.unique(unique, place, item);
        }
    }

    /// Fills items in at the end. A default further on leaves holes, which are `null` in JSON.
    fn fill_items(&mut self, defaults: &'d [(usize, Json<'static>)], array: Item<'d>) {
        static NULL: OnceLock<Option<Json<'static>>> = OnceLock::new();
        for (index, default) in defaults {
            let mut count = array.value.count() + self.filled.count(array);
            while count < *index {
                let null = NULL.get_or_init(|| Json::parse("null").ok());
                let Some(null) = null else {
                    return;
                };
                self.filled.push(array, None, null.root());
                count += 1;
            }
            if count == *index {
                self.filled.push(array, None, default.root());
            }
        }
    }

    fn items(&self, array: Item<'d>) -> Vec<Item<'d>> {
        let origin = array.origin;
        let own = array.value.items().map(|value| Item { value, origin });
        own.chain(self.filled.of(array).map(|filled| filled.item))
            .collect()
    }

    fn each_item(
        &mut self,
        node: &'d Node,
        from: usize,
        place: Place<'_>,
        array: Item<'d>,
        fill: Fill,
    ) {
        if self.filled.is_empty() {
            let origin = array.origin;
            for (index, value) in array.value.items().enumerate().skip(from) {
                let item = Item { value, origin };
                self.apply(node, item, &place.path.index(index), fill);
            }
            return;
        }
        for (index, item) in self.items(array).into_iter().enumerate().skip(from) {
            self.apply(node, item, &place.path.index(index), fill);
        }
    }

    fn contains(&mut self, node: &'d Node, place: Place<'_>, array: Item<'d>) {
        let before = self.report.count();
        for (index, item) in self.items(array).into_iter().enumerate() {
            let errors = self.report.count();
            self.apply(node, item, &place.path.index(index), Fill::No);
            if self.report.count() == errors {
                return self.report.reset(before);
            }
        }
        let detail = || Detail::new("should contain a valid item");
        self.report.add(place, "contains", detail);
    }

    /// Items are found by hashes: an array of a whole request's size takes linear time.
    fn unique(&mut self, unique: Unique, place: Place<'_>, array: Item<'d>) {
        let items = self.items(array);
        if items.len() < 2 {
            return;
        }
        let mut groups: HashMap<u64, Vec<usize>> = HashMap::new();
        let state = RandomState::new();
        let types = match unique {
            Unique::Deep => None,
            Unique::Scalar(set) => Some(TypeRule {
                set,
                text: Box::default(),
                among: None,
            }),
        };
        for (index, item) in items.iter().enumerate() {
            if types
                .as_ref()
                .is_none_or(|types| has_type(types, item.value))
            {
                groups
                    .entry(self.hash(*item, &state))
                    .or_default()
                    .push(index);
            }
        }
        // AJV goes through the items from the end and stops at the first pair. For scalar items it
        // remembers each, and finds a pair at the earlier item; else at the later.
        let equal = |one: usize, other: usize| self.equal(items[one], items[other]);
        let pairs = groups.values().filter_map(|group| {
            let later_with_earlier = |at: usize| {
                let earlier = group[..at]
                    .iter()
                    .rev()
                    .find(|earlier| equal(group[at], **earlier));
                earlier.map(|earlier| (group[at], *earlier))
            };
            let earlier_with_later = |at: usize| {
                let later = group[at + 1..]
                    .iter()
                    .find(|later| equal(group[at], **later));
                later.map(|later| (group[at], *later))
            };
            let mut places = (0..group.len()).rev();
            match unique {
                Unique::Deep => places.find_map(later_with_earlier),
                Unique::Scalar(_) => places.find_map(earlier_with_later),
            }
        });
        if let Some((i, j)) = pairs.max() {
            self.report.add(place, "uniqueItems", || {
                let message =
                    format!("should NOT have duplicate items (items ## {j} and {i} are identical)");
                Detail::new(message).with("i", i).with("j", j)
            });
        }
    }
}
