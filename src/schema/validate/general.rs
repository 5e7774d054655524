//! Keywords of values of any type.

use super::super::filled::Item;
use super::super::node::{Condition, GeneralRules, Node};
use super::report::{Detail, Place};
use super::{Fill, Validator};

impl<'d> Validator<'d> {
    pub(super) fn general(
        &mut self,
        rules: &'d GeneralRules,
        place: Place<'_>,
        item: Item<'d>,
        fill: Fill,
    ) {
        if let Some(constant) = &rules.constant {
            let (value, origin) = (constant.json.root(), u32::MAX);
            if !self.equal(item, Item { value, origin }) {
                self.report.add(place, "const", || {
                    Detail::new("should be equal to constant")
                        .with("allowedValue", constant.document.clone())
                });
            }
        }
        if let Some((values, document)) = &rules.enumeration {
            let origin = u32::MAX;
            let is = |value| self.equal(item, Item { value, origin });
            if !values.iter().any(|value| is(value.root())) {
                self.report.add(place, "enum", || {
                    Detail::new("should be equal to one of the allowed values")
                        .with("allowedValues", document.clone())
                });
            }
        }
        if let Some(node) = &rules.not
            && self.fits(node, place, item)
        {
            let detail = || Detail::new("should NOT be valid");
            self.report.add(place, "not", detail);
        }
        if !rules.any_of.is_empty() {
            self.any_of(&rules.any_of, place, item);
        }
        if !rules.one_of.is_empty() {
            self.one_of(&rules.one_of, place, item);
        }
        for node in &rules.all_of {
            self.apply(node, item, place.path, fill);
        }
        if let Some(condition) = &rules.condition {
            self.condition(condition, place, item, fill);
        }
    }

    /// Whether the value fits; leaves no error.
    fn fits(&mut self, node: &'d Node, place: Place<'_>, item: Item<'d>) -> bool {
        let before = self.report.count();
        let was_quiet = self.report.set_quiet(true);
        self.apply(node, item, place.path, Fill::No);
        self.report.set_quiet(was_quiet);
        let fits = self.report.count() == before;
        self.report.reset(before);
        fits
    }

    fn any_of(&mut self, nodes: &'d [Node], place: Place<'_>, item: Item<'d>) {
        let before = self.report.count();
        for node in nodes {
            let errors = self.report.count();
            self.apply(node, item, place.path, Fill::No);
            if self.report.count() == errors {
                return self.report.reset(before);
            }
        }
        let detail = || Detail::new("should match some schema in anyOf");
        self.report.add(place, "anyOf", detail);
    }

    fn one_of(&mut self, nodes: &'d [Node], place: Place<'_>, item: Item<'d>) {
        let before = self.report.count();
        let mut fitting = None;
        for (index, node) in nodes.iter().enumerate() {
            let errors = self.report.count();
            self.apply(node, item, place.path, Fill::No);
            if self.report.count() != errors {
                continue;
            }
            if let Some(first) = fitting {
                return self.report.add(place, "oneOf", || {
                    Detail::new("should match exactly one schema in oneOf")
                        .with("passingSchemas", vec![first, index])
                });
            }
            fitting = Some(index);
        }
        match fitting {
            Some(_) => self.report.reset(before),
            None => self.report.add(place, "oneOf", || {
                Detail::new("should match exactly one schema in oneOf")
                    .with("passingSchemas", serde_json::Value::Null)
            }),
        }
    }

    fn condition(
        &mut self,
        condition: &'d Condition,
        place: Place<'_>,
        item: Item<'d>,
        fill: Fill,
    ) {
        let (branch, keyword) = if self.fits(&condition.test, place, item) {
            (&condition.then, "then")
        } else {
            (&condition.otherwise, "else")
        };
        let Some(node) = branch else {
            return;
        };
        let before = self.report.count();
        self.apply(node, item, place.path, fill);
        if self.report.count() != before {
            self.report.add(place, "if", || {
                Detail::new(format!("should match \"{keyword}\" schema"))
                    .with("failingKeyword", keyword)
            });
        }
    }
}
