//! Numbers and strings.

use super::super::filled::Item;
use super::super::node::{Bound, Limit, NumberRules, StringRules};
use super::Validator;
use super::report::{Detail, Place};

impl<'d> Validator<'d> {
    pub(super) fn number(&mut self, rules: &'d NumberRules, place: Place<'_>, item: Item<'d>) {
        if rules.maximum.is_none() && rules.minimum.is_none() && rules.multiple_of.is_none() {
            return;
        }
        let number = item.value.as_f64().unwrap_or(f64::NAN);
        if let Some(bound) = &rules.maximum {
            let (limit, is_exclusive) = (bound.limit.value, bound.is_exclusive);
            let fits = if is_exclusive {
                number < limit
            } else {
                number <= limit
            };
            if !fits {
                let names = ["maximum", "exclusiveMaximum", "<=", "<"];
                self.out_of_bound(bound, names, place);
            }
        }
        if let Some(bound) = &rules.minimum {
            let (limit, is_exclusive) = (bound.limit.value, bound.is_exclusive);
            let fits = if is_exclusive {
                number > limit
            } else {
                number >= limit
            };
            if !fits {
                let names = ["minimum", "exclusiveMinimum", ">=", ">"];
                self.out_of_bound(bound, names, place);
            }
        }
        if let Some(divisor) = &rules.multiple_of
            && !is_multiple(number, divisor.value)
        {
            self.report.add(place, "multipleOf", || {
                Detail::new(format!("should be multiple of {}", divisor.text))
                    .with_number("multipleOf", divisor.value)
            });
        }
    }

    fn out_of_bound(&mut self, bound: &Bound, names: [&'static str; 4], place: Place<'_>) {
        let [inclusive, exclusive, or_equal, strict] = names;
        let (keyword, comparison) = if bound.is_exclusive {
            (exclusive, strict)
        } else {
            (inclusive, or_equal)
        };
        self.report.add(place, keyword, || {
            Detail::new(format!("should be {comparison} {}", bound.limit.text))
                .with("comparison", comparison)
                .with_number("limit", bound.limit.value)
                .with("exclusive", bound.is_exclusive)
        });
    }

    pub(super) fn string(&mut self, rules: &'d StringRules, place: Place<'_>, item: Item<'d>) {
        let has_rules = rules.max_length.is_some()
            || rules.min_length.is_some()
            || rules.pattern.is_some()
            || rules.format.is_some();
        let Some(text) = item.value.as_str().filter(|_| has_rules) else {
            return;
        };
        let mut length = None;
        if let Some(limit) = &rules.max_length
            // A text has at most as many letters as bytes.
            && is_more(text.len(), limit)
            && is_more(*length.get_or_insert_with(|| text.chars().count()), limit)
        {
            self.wrong_length("maxLength", "longer", limit, place);
        }
        if let Some(limit) = &rules.min_length
            && is_less(*length.get_or_insert_with(|| text.chars().count()), limit)
        {
            self.wrong_length("minLength", "shorter", limit, place);
        }
        if let Some(pattern) = &rules.pattern
            && !pattern.regex.is_match(text.as_bytes())
        {
            self.report.add(place, "pattern", || {
                Detail::new(format!("should match pattern \"{}\"", pattern.source))
                    .with("pattern", &*pattern.source)
            });
        }
        if let Some(format) = rules.format
            && !format.matches(&text)
        {
            self.report.add(place, "format", || {
                Detail::new(format!("should match format \"{}\"", format.name()))
                    .with("format", format.name())
            });
        }
    }

    fn wrong_length(&mut self, keyword: &'static str, than: &str, limit: &Limit, place: Place<'_>) {
        self.report.add(place, keyword, || {
            Detail::new(format!(
                "should NOT be {than} than {} characters",
                limit.text
            ))
            .with_number("limit", limit.value)
        });
    }

    /// Reports too many or too few items or properties.
    pub(super) fn wrong_count(&mut self, keyword: &'static str, limit: &Limit, place: Place<'_>) {
        let than = if keyword.starts_with("max") {
            "more"
        } else {
            "fewer"
        };
        let what = if keyword.ends_with("Items") {
            "items"
        } else {
            "properties"
        };
        self.report.add(place, keyword, || {
            Detail::new(format!("should NOT have {than} than {} {what}", limit.text))
                .with_number("limit", limit.value)
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn is_more(count: usize, limit: &Limit) -> bool {
    count as f64 > limit.value
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn is_less(count: usize, limit: &Limit) -> bool {
    (count as f64) < limit.value
}

/// As AJV finds it: the quotient of doubles is what JavaScript's `parseInt` makes of its text,
/// which has an exponent from 10^21 on.
fn is_multiple(number: f64, divisor: f64) -> bool {
    let quotient = number / divisor;
    quotient.fract() == 0.0 && quotient.abs() < 1e21
}
