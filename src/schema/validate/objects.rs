//! Objects.

use std::borrow::Cow;

use super::super::filled::Item;
use super::super::json::{Value, name_hash};
use super::super::names::sort_like_javascript;
use super::super::node::{Additional, Dependency, Needs, ObjectRules, Slot};
use super::report::{Detail, Place};
use super::scalars::{is_less, is_more};
use super::{Fill, Validator};

/// The part of `Validator::slots` that belongs to an object.
#[derive(Clone, Copy)]
struct Frame<'d> {
    rules: &'d ObjectRules,
    object: Item<'d>,
    base: usize,
    fill: Fill,
}

impl<'d> Validator<'d> {
    pub(super) fn object(
        &mut self,
        rules: &'d ObjectRules,
        place: Place<'_>,
        object: Item<'d>,
        fill: Fill,
    ) {
        let base = self.slots.len();
        let frame = Frame {
            rules,
            object,
            base,
            fill,
        };
        let mut others = self.find_members(frame);
        if fill == Fill::Yes {
            self.fill_members(frame);
        }
        self.count_properties(rules, place, object);
        for slot in &rules.required {
            self.require(frame, *slot, place);
        }
        let filled = self.filled.len();
        for dependency in &rules.dependencies {
            self.depend(frame, dependency, place);
        }
        if rules.property_names.is_some() {
            self.property_names(frame, place);
        }
        if self.filled.len() != filled {
            self.slots.truncate(base);
            others = self.find_members(frame);
        }
        if others > 0 {
            self.additional(frame, place);
        }
        for (slot, property) in rules.properties.iter().enumerate() {
            if let Some(value) = self.slots[base + slot] {
                self.apply(
                    &property.node,
                    value,
                    &place.path.access(&property.access),
                    fill,
                );
            } else if property.is_required {
                self.require(frame, slot, place);
            }
        }
        if !rules.patterns.is_empty() {
            self.patterns(frame, place);
        }
        self.slots.truncate(base);
    }

    /// Finds the members that rules look for. Returns how many others there are.
    fn find_members(&mut self, frame: Frame<'d>) -> usize {
        let Frame {
            rules,
            object,
            base,
            ..
        } = frame;
        self.slots.resize(base + rules.names.len(), None);
        let mut others = 0;
        let origin = object.origin;
        for member in object.value.members() {
            let slot = rules.names.find(member.hash(), |name| member.is(name));
            if let Some(slot) = slot {
                let value = member.value();
                self.slots[base + slot] = Some(Item { value, origin });
            }
            others += usize::from(slot.is_none_or(|slot| slot >= rules.properties.len()));
        }
        if self.filled.is_empty() {
            return others;
        }
        for filled in self.filled.of(object) {
            let name = filled
                .name
                .and_then(|name| name.as_str())
                .unwrap_or_default();
            let hash = name_hash(&name);
            let slot = rules.names.find(hash, |known| known == name);
            if let Some(slot) = slot {
                self.slots[base + slot] = Some(filled.item);
            }
            others += usize::from(slot.is_none_or(|slot| slot >= rules.properties.len()));
        }
        others
    }

    fn fill_members(&mut self, frame: Frame<'d>) {
        for (slot, default) in &frame.rules.defaults {
            let at = frame.base + slot;
            if self.slots[at].is_none()
                && let Some(member) = default.root().members().next()
            {
                let (name, value) = (Some(member.name_value()), member.value());
                self.slots[at] = Some(self.filled.push(frame.object, name, value));
            }
        }
    }

    fn count_properties(&mut self, rules: &'d ObjectRules, place: Place<'_>, object: Item<'d>) {
        if rules.max_properties.is_none() && rules.min_properties.is_none() {
            return;
        }
        let count = object.value.count() + self.filled.count(object);
        if let Some(limit) = rules
            .max_properties
            .as_ref()
            .filter(|limit| is_more(count, limit))
        {
            self.wrong_count("maxProperties", limit, place);
        }
        if let Some(limit) = rules
            .min_properties
            .as_ref()
            .filter(|limit| is_less(count, limit))
        {
            self.wrong_count("minProperties", limit, place);
        }
    }

    fn has(&self, frame: Frame<'d>, slot: Slot) -> bool {
        self.slots[frame.base + slot].is_some()
    }

    fn require(&mut self, frame: Frame<'d>, slot: Slot, place: Place<'_>) {
        if self.has(frame, slot) {
            return;
        }
        let name = frame.rules.names.name(slot);
        self.report.add(place, "required", || {
            Detail::new(format!("should have required property '{name}'"))
                .with("missingProperty", name)
        });
    }

    fn depend(&mut self, frame: Frame<'d>, dependency: &'d Dependency, place: Place<'_>) {
        if !self.has(frame, dependency.of) {
            return;
        }
        let (names, joined) = match &dependency.needs {
            Needs::Schema(node) => return self.apply(node, frame.object, place.path, frame.fill),
            Needs::Properties { names, joined } => (names, joined),
        };
        let of = frame.rules.names.name(dependency.of);
        for slot in names {
            if self.has(frame, *slot) {
                continue;
            }
            let count = names.len();
            let what = if count == 1 { "property" } else { "properties" };
            self.report.add(place, "dependencies", || {
                Detail::new(format!(
                    "should have {what} {joined} when property {of} is present"
                ))
                .with("property", of)
                .with("missingProperty", frame.rules.names.name(*slot))
                .with("depsCount", count)
                .with("deps", &**joined)
            });
        }
    }

    /// Members in the order of JavaScript, those that were filled in last.
    fn members(&self, object: Item<'d>) -> Vec<(Cow<'d, str>, Item<'d>)> {
        let mut members = self.children(object);
        if object.value.has_numeric_names() {
            sort_like_javascript(&mut members, |(name, _)| name.to_string());
        }
        members
    }

    fn property_names(&mut self, frame: Frame<'d>, place: Place<'_>) {
        let Some(node) = &frame.rules.property_names else {
            return;
        };
        let origin = frame.object.origin;
        let own = frame
            .object
            .value
            .members()
            .map(|member| (member.name_value(), origin));
        let filled = self.filled.of(frame.object);
        let filled = filled.filter_map(|filled| Some((filled.name?, filled.item.origin)));
        let mut names: Vec<_> = own.chain(filled).collect();
        let text = |name: &Value<'d>| name.as_str().unwrap_or_default();
        if frame.object.value.has_numeric_names() {
            sort_like_javascript(&mut names, |(name, _)| text(name).into_owned());
        }
        for (value, origin) in names {
            let before = self.report.count();
            self.apply(node, Item { value, origin }, place.path, Fill::No);
            if self.report.count() == before {
                continue;
            }
            let name = text(&value);
            self.report.name_errors(before, &name);
            self.report.add(place, "propertyNames", || {
                Detail::new(format!("property name '{name}' is invalid"))
                    .with("propertyName", &*name)
            });
        }
    }

    fn additional(&mut self, frame: Frame<'d>, place: Place<'_>) {
        let rules = frame.rules;
        if matches!(rules.additional, Additional::Any) {
            return;
        }
        for (name, value) in self.members(frame.object) {
            let hash = name_hash(&name);
            let slot = rules.names.find(hash, |known| known == name);
            if slot.is_some_and(|slot| slot < rules.properties.len())
                || rules
                    .patterns
                    .iter()
                    .any(|(regex, _)| regex.is_match(name.as_bytes()))
            {
                continue;
            }
            match &rules.additional {
                Additional::Any => {}
                Additional::Never => self.report.add(place, "additionalProperties", || {
                    Detail::new("should NOT have additional properties")
                        .with("additionalProperty", &*name)
                }),
                Additional::Schema(node) => {
                    self.apply(node, value, &place.path.name(&name), frame.fill);
                }
            }
        }
    }

    fn patterns(&mut self, frame: Frame<'d>, place: Place<'_>) {
        let members = self.members(frame.object);
        for (regex, node) in &frame.rules.patterns {
            for (name, value) in &members {
                if regex.is_match(name.as_bytes()) {
                    self.apply(node, *value, &place.path.name(name), frame.fill);
                }
            }
        }
    }
}
