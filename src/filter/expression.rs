//! The expression of a filter, and its text.

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;

use super::number::Number;
use super::selector::{Quoted, Selector};

/// An expression over fields of the kind `F`: names, or the slots of extracted values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr<F = Selector> {
    Literal(Literal),
    Field(F),
    /// `has(event.a)`
    Has(F),
    Not(Box<Self>),
    /// At least two.
    And(Vec<Self>),
    /// At least two.
    Or(Vec<Self>),
    Compare(Comparison, Box<Self>, Box<Self>),
    /// The left one is an item of the right one.
    In(Box<Self>, Box<Self>),
    Arithmetic(Sign, Box<Self>, Box<Self>),
    Negative(Box<Self>),
    /// Does the left string start with (end with, contain) the right one?
    Text(TextTest, Box<Self>, Box<Self>),
    Matches(Box<Self>, Pattern),
    Size(Box<Self>),
    LowerAscii(Box<Self>),
}

/// Items of one list.
pub(super) const LIST_ITEMS_MAX: usize = 100;

/// A value that a filter writes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    String(Box<str>),
    List(Vec<Literal>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// A regular expression, compiled once.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Comparison {
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::Equal, "=="),
        (Self::NotEqual, "!="),
        (Self::Less, "<"),
        (Self::LessOrEqual, "<="),
        (Self::Greater, ">"),
        (Self::GreaterOrEqual, ">="),
    ];

    pub(super) fn symbol(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(one, _)| *one == self)
            .map_or("", |(_, symbol)| symbol)
    }

    /// The comparison that holds with the operands exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }

    /// The comparison that holds exactly when this one does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// Whether it holds for operands in this order.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl TextTest {
    pub(super) const ALL: [(Self, &'static str); 3] = [
        (Self::StartsWith, "startsWith"),
        (Self::EndsWith, "endsWith"),
        (Self::Contains, "contains"),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(one, _)| *one == self)
            .map_or("", |(_, name)| name)
    }
}

impl<F> Expr<F> {
    /// The same expression over other fields.
    pub(super) fn map_fields<G>(&self, map: &mut impl FnMut(&F) -> G) -> Expr<G> {
        let mut boxed = |expr: &Self| Box::new(expr.map_fields(map));
        match self {
            Self::Literal(literal) => Expr::Literal(literal.clone()),
            Self::Field(field) => Expr::Field(map(field)),
            Self::Has(field) => Expr::Has(map(field)),
            Self::Not(a) => Expr::Not(boxed(a)),
            Self::And(all) => Expr::And(all.iter().map(|one| one.map_fields(map)).collect()),
            Self::Or(all) => Expr::Or(all.iter().map(|one| one.map_fields(map)).collect()),
            Self::Compare(comparison, a, b) => Expr::Compare(*comparison, boxed(a), boxed(b)),
            Self::In(a, b) => Expr::In(boxed(a), boxed(b)),
            Self::Arithmetic(sign, a, b) => Expr::Arithmetic(*sign, boxed(a), boxed(b)),
            Self::Negative(a) => Expr::Negative(boxed(a)),
            Self::Text(test, a, b) => Expr::Text(*test, boxed(a), boxed(b)),
            Self::Matches(a, pattern) => Expr::Matches(boxed(a), pattern.clone()),
            Self::Size(a) => Expr::Size(boxed(a)),
            Self::LowerAscii(a) => Expr::LowerAscii(boxed(a)),
        }
    }

    /// Whether its value is true, false or unknown, and never something else.
    pub(super) fn is_boolean(&self) -> bool {
        match self {
            Self::Literal(literal) => matches!(literal, Literal::Bool(_)),
            Self::Has(_)
            | Self::Not(_)
            | Self::And(_)
            | Self::Or(_)
            | Self::Compare(..)
            | Self::In(..)
            | Self::Text(..)
            | Self::Matches(..) => true,
            _ => false,
        }
    }

    /// Calls `visit` with this expression and every one in it.
    pub(super) fn each(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::Literal(_) | Self::Field(_) | Self::Has(_) => {}
            Self::Not(a)
            | Self::Negative(a)
            | Self::Matches(a, _)
            | Self::Size(a)
            | Self::LowerAscii(a) => a.each(visit),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.each(visit)),
            Self::Compare(_, a, b)
            | Self::In(a, b)
            | Self::Arithmetic(_, a, b)
            | Self::Text(_, a, b) => {
                a.each(visit);
                b.each(visit);
            }
        }
    }
}

/// How tightly what stands before `.name()` binds: not a number, whose own point comes first.
const RECEIVER: u8 = 7;

impl Expr {
    /// How tightly its operator binds, by the grammar of CEL.
    fn precedence(&self) -> u8 {
        match self {
            Self::Or(_) => 1,
            Self::And(_) => 2,
            Self::Compare(..) | Self::In(..) => 3,
            Self::Arithmetic(..) => 4,
            Self::Not(_) | Self::Negative(_) => 5,
            Self::Literal(Literal::Number(number)) if *number < Number::Integer(0) => 5,
            Self::Literal(Literal::Number(_)) => 6,
            _ => RECEIVER,
        }
    }

    /// Writes an operand, in brackets where it binds less tightly than `precedence`.
    fn operand(&self, f: &mut fmt::Formatter<'_>, precedence: u8) -> fmt::Result {
        if self.precedence() < precedence {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let infix = |f: &mut fmt::Formatter<'_>, a: &Self, symbol: &str, b: &Self, binds: u8| {
            a.operand(f, binds)?;
            write!(f, " {symbol} ")?;
            // Operators bind to the left.
            b.operand(f, binds + 1)
        };
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Field(selector) => selector.fmt(f),
            Self::Has(selector) => write!(f, "has({selector})"),
            Self::Not(a) => {
                f.write_str("!")?;
                a.operand(f, if matches!(**a, Self::Not(_)) { 5 } else { 6 })
            }
            Self::Negative(a) => {
                f.write_str("-")?;
                a.operand(
                    f,
                    if matches!(**a, Self::Negative(_)) {
                        5
                    } else {
                        6
                    },
                )
            }
            Self::And(all) => joined(f, all, " && ", 3),
            Self::Or(all) => joined(f, all, " || ", 2),
            Self::Compare(comparison, a, b) => {
                a.operand(f, 4)?;
                write!(f, " {} ", comparison.symbol())?;
                b.operand(f, 4)
            }
            Self::In(a, b) => {
                a.operand(f, 4)?;
                f.write_str(" in ")?;
                b.operand(f, 4)
            }
            Self::Arithmetic(Sign::Plus, a, b) => infix(f, a, "+", b, 4),
            Self::Arithmetic(Sign::Minus, a, b) => infix(f, a, "-", b, 4),
            Self::Text(test, a, b) => {
                a.operand(f, RECEIVER)?;
                write!(f, ".{}({b})", test.name())
            }
            Self::Matches(a, pattern) => {
                a.operand(f, RECEIVER)?;
                write!(f, ".matches({})", Quoted(pattern.0.as_str()))
            }
            Self::Size(a) => write!(f, "size({a})"),
            Self::LowerAscii(a) => {
                a.operand(f, RECEIVER)?;
                f.write_str(".lowerAscii()")
            }
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, all: &[Expr], symbol: &str, binds: u8) -> fmt::Result {
    for (number, one) in all.iter().enumerate() {
        if number > 0 {
            f.write_str(symbol)?;
        }
        one.operand(f, binds)?;
    }
    Ok(())
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::String(string) => Quoted(string).fmt(f),
            Self::List(items) => {
                f.write_str("[")?;
                for (number, item) in items.iter().enumerate() {
                    let comma = if number > 0 { ", " } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}
