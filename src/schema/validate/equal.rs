//! Whether two values are equal: deeply, numbers as doubles, members in any order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::super::filled::Item;
use super::super::json::Kind;
use super::super::stack::with_room;
use super::Validator;

/// An object with more members is looked through by a hash map.
const FEW_MEMBERS: usize = 16;

impl<'d> Validator<'d> {
    pub(super) fn equal(&self, one: Item<'d>, other: Item<'d>) -> bool {
        match (one.value.kind(), other.value.kind()) {
            (Kind::Number, Kind::Number) => {
                let number = |item: Item<'_>| item.value.as_f64().unwrap_or(f64::NAN);
                #[expect(clippy::float_cmp, reason = "JavaScript compares doubles")]
                let is_same = number(one) == number(other);
                is_same
            }
            (Kind::String | Kind::Name, Kind::String | Kind::Name) => {
                one.value.as_str() == other.value.as_str()
            }
            (Kind::Array, Kind::Array) => with_room(|| {
                let (one, other) = (self.children(one), self.children(other));
                let mut pairs = one.iter().zip(&other);
                one.len() == other.len() && pairs.all(|(one, other)| self.equal(one.1, other.1))
            }),
            (Kind::Object, Kind::Object) => with_room(|| self.equal_objects(one, other)),
            (one, other) => one == other,
        }
    }

    fn equal_objects(&self, one: Item<'d>, other: Item<'d>) -> bool {
        let (one, other) = (self.children(one), self.children(other));
        if one.len() != other.len() {
            return false;
        }
        if other.len() <= FEW_MEMBERS {
            return one.iter().all(|(name, value)| {
                let found = other.iter().find(|(known, _)| known == name);
                found.is_some_and(|(_, other)| self.equal(*value, *other))
            });
        }
        let other: HashMap<&str, Item<'d>> = other
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
        one.iter().all(|(name, value)| {
            let found = other.get(&**name);
            found.is_some_and(|other| self.equal(*value, *other))
        })
    }

    /// Items and members with what was filled in; items have no names.
    pub(super) fn children(&self, item: Item<'d>) -> Vec<(Cow<'d, str>, Item<'d>)> {
        let origin = item.origin;
        let mut children: Vec<_> = if item.value.kind() == Kind::Array {
            let items = item.value.items();
            let nameless = items.map(|value| ("".into(), Item { value, origin }));
            nameless.collect()
        } else {
            let members = item.value.members().map(|member| {
                let value = member.value();
                (member.name(), Item { value, origin })
            });
            members.collect()
        };
        children.extend(self.filled.of(item).map(|filled| {
            let name = filled.name.and_then(|name| name.as_str());
            (name.unwrap_or_default(), filled.item)
        }));
        children
    }

    /// A hash that equal values have in common, and that nobody can foresee.
    pub(super) fn hash(&self, item: Item<'d>, state: &RandomState) -> u64 {
        match item.value.kind() {
            Kind::Number => {
                // Zero has two signs.
                let number = item.value.as_f64().unwrap_or_default() + 0.0;
                state.hash_one(number.to_bits())
            }
            Kind::String | Kind::Name => state.hash_one(item.value.as_str()),
            Kind::Array => with_room(|| {
                let items = self.children(item).into_iter();
                items.fold(1, |hash, (_, item)| {
                    state.hash_one((hash, self.hash(item, state)))
                })
            }),
            Kind::Object => with_room(|| {
                let members = self.children(item).into_iter();
                members.fold(2, |hash: u64, (name, value)| {
                    hash.wrapping_add(state.hash_one((name, self.hash(value, state))))
                })
            }),
            kind => kind as u64,
        }
    }
}
