//! Numbers: 64-bit integers exactly, everything else as a double.

use std::cmp::Ordering;
use std::fmt;

/// A number of an event or of a filter. There is one numeric type: `1 == 1.0`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// From `i64::MIN` to `u64::MAX`.
    Integer(i128),
    /// Finite.
    Double(f64),
}

const INTEGERS: std::ops::RangeInclusive<i128> = i64::MIN as i128..=u64::MAX as i128;

impl Number {
    /// Parses a number as JSON writes it. An integer beyond 64 bits is a double.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() < 21 {
            return Self::integer(text.parse().ok()?).or_else(|| Self::double(text.parse().ok()?));
        }
        let is_part = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
        if !digits.bytes().all(is_part) {
            return None;
        }
        Self::double(text.parse().ok()?)
    }

    fn integer(value: i128) -> Option<Self> {
        INTEGERS.contains(&value).then_some(Self::Integer(value))
    }

    fn double(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Double(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the other operand is a double already"
    )]
    fn to_double(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// The sum; `None` when it overflows.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Self::integer(a + b),
            _ => Self::double(self.to_double() + other.to_double()),
        }
    }

    /// The difference; `None` when it overflows.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        other.negated().and_then(|other| self.plus(other))
    }

    /// The negative number; `None` when it overflows.
    pub(super) fn negated(self) -> Option<Self> {
        match self {
            // Out of range on its own, and in range in a difference.
            Self::Integer(value) => Some(Self::Integer(-value)),
            Self::Double(value) => Self::double(-value),
        }
    }

    /// The double with this value, if there is one and there is no integer of 64 bits.
    pub(super) fn as_double_only(self) -> Option<f64> {
        let double = self.to_double();
        let is_integer = self
            .as_integer()
            .is_some_and(|value| INTEGERS.contains(&value));
        (!is_integer && self == Self::Double(double)).then_some(double)
    }

    /// The integer with this value, if there is one of 64 bits.
    pub(super) fn as_integer(self) -> Option<i128> {
        match self {
            Self::Integer(value) => Some(value),
            #[expect(clippy::cast_possible_truncation, reason = "checked by the comparison")]
            Self::Double(value) => {
                let integer = value as i128;
                let is_exact = self.cmp(&Self::Integer(integer)) == Ordering::Equal;
                (is_exact && INTEGERS.contains(&integer)).then_some(integer)
            }
        }
    }
}

impl Ord for Number {
    /// By value, without rounding.
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(&b),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Self::Integer(a), Self::Double(b)) => compare(a, b),
            (Self::Double(a), Self::Integer(b)) => compare(b, a).reverse(),
        }
    }
}

/// Compares an integer with a finite double exactly.
fn compare(integer: i128, double: f64) -> Ordering {
    // A cast saturates, far beyond every integer here.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction is compared next"
    )]
    let whole = double.trunc() as i128;
    let fraction = double.fract();
    integer.cmp(&whole).then_with(|| {
        if fraction > 0.0 {
            Ordering::Less
        } else if fraction < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    /// In the form that [`Number::parse`] reads. Equal numbers have the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_integer(), *self) {
            (Some(integer), _) | (None, Self::Integer(integer)) => write!(f, "{integer}"),
            (None, Self::Double(double)) => write!(f, "{double:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn integers_are_exact_and_compare_with_doubles_without_rounding() {
        assert!(number("9007199254740993") > number("9007199254740992.0"));
        assert!(number("9007199254740993") != number("9007199254740992"));
        assert!(number("18446744073709551615") > number("18446744073709551614"));
        assert!(number("18446744073709551615") < number("18446744073709551616"));
        assert!(number("-9223372036854775808") == number("-9223372036854775808.0"));
        assert!(number("1") == number("1.0") && number("1") < number("1.5"));
        assert!(number("-1") > number("-1.5") && number("0") == number("-0"));
        assert!(number("-0.0") == number("0") && number("1e3") == number("1000"));
    }

    #[test]
    fn text_that_is_not_a_number_is_refused() {
        for text in [
            "", "-", "1u", "0x10", "1e999", "1_000", "1.2.3", "inf", "NaN", "e1",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn overflow_has_no_result() {
        let max = number("18446744073709551615");
        assert_eq!(max.plus(number("1")), None);
        assert_eq!(number("-9223372036854775808").minus(number("1")), None);
        assert_eq!(number("0").minus(max), None);
        assert_eq!(number("1").minus(number("2")), Some(number("-1")));
        assert_eq!(number("1e308").plus(number("1e308")), None);
    }

    #[test]
    fn equal_numbers_have_the_same_text() {
        for (a, b) in [
            ("1", "1.0"),
            ("1e3", "1000"),
            ("-0", "0.0"),
            ("1.50", "1.5"),
        ] {
            assert_eq!(number(a).to_string(), number(b).to_string());
        }
        assert_eq!(number(&number("1e21").to_string()), number("1e21"));
        assert_eq!(number(&number("5e-324").to_string()), number("5e-324"));
    }
}
