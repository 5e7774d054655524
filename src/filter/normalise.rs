//! Brings an expression into one form, so that equal filters share a feed.
//!
//! Every step keeps the value for every event, unknown included: operands of `&&` and `||` are
//! sorted and written once, fields stand on the left of a comparison, equalities of one field
//! become one list.

use super::expression::{Comparison, Expr, LIST_ITEMS_MAX, Literal};

/// The normal form. It is its own normal form.
pub(super) fn normalise(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(_) | Expr::Field(_) | Expr::Has(_) => expr,
        Expr::Not(a) => not(normalise(*a)),
        Expr::And(all) => {
            let all = flattened(all, |one| match one {
                Expr::And(inner) => Ok(inner),
                other => Err(other),
            });
            joined(all, false, Expr::And)
        }
        Expr::Or(all) => {
            let all = flattened(all, |one| match one {
                Expr::Or(inner) => Ok(inner),
                other => Err(other),
            });
            joined(merged(all), true, Expr::Or)
        }
        Expr::Compare(comparison, a, b) => compare(comparison, normalise(*a), normalise(*b)),
        Expr::In(a, b) => is_in(normalise(*a), normalise(*b)),
        Expr::Arithmetic(sign, a, b) => {
            Expr::Arithmetic(sign, normalise(*a).into(), normalise(*b).into())
        }
        Expr::Negative(a) => Expr::Negative(normalise(*a).into()),
        Expr::Text(test, a, b) => Expr::Text(test, normalise(*a).into(), normalise(*b).into()),
        Expr::Matches(a, pattern) => Expr::Matches(normalise(*a).into(), pattern),
        Expr::Size(a) => Expr::Size(normalise(*a).into()),
        Expr::LowerAscii(a) => lower(normalise(*a)),
    }
}

/// Only fields remain to be brought to lower case for each event.
fn lower(a: Expr) -> Expr {
    match a {
        Expr::Literal(Literal::String(text)) => {
            Expr::Literal(Literal::String(text.to_ascii_lowercase().into()))
        }
        Expr::LowerAscii(_) => a,
        a => Expr::LowerAscii(a.into()),
    }
}

fn not(a: Expr) -> Expr {
    match a {
        Expr::Literal(Literal::Bool(value)) => Expr::Literal(Literal::Bool(!value)),
        Expr::Not(inner) if inner.is_boolean() => *inner,
        Expr::Compare(comparison, a, b) => compare(comparison.negated(), *a, *b),
        a => Expr::Not(a.into()),
    }
}

fn compare(comparison: Comparison, a: Expr, b: Expr) -> Expr {
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(_));
    let is_symmetric = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let is_flipped = match (is_literal(&a), is_literal(&b)) {
        (true, false) => true,
        (false, true) => false,
        _ => is_symmetric && a.to_string() > b.to_string(),
    };
    if is_flipped {
        Expr::Compare(comparison.flipped(), b.into(), a.into())
    } else {
        Expr::Compare(comparison, a.into(), b.into())
    }
}

/// The items of a list are sorted and written once. A list of one item is a comparison.
fn is_in(a: Expr, b: Expr) -> Expr {
    let Expr::Literal(Literal::List(mut items)) = b else {
        return Expr::In(a.into(), b.into());
    };
    items.sort_by_cached_key(ToString::to_string);
    items.dedup();
    if items.len() == 1 {
        let item = items.remove(0);
        return compare(Comparison::Equal, a, Expr::Literal(item));
    }
    Expr::In(a.into(), Expr::Literal(Literal::List(items)).into())
}

fn flattened(all: Vec<Expr>, inner: impl Fn(Expr) -> Result<Vec<Expr>, Expr>) -> Vec<Expr> {
    let mut flat = Vec::new();
    for one in all {
        match inner(normalise(one)) {
            Ok(inner) => flat.extend(inner),
            Err(one) => flat.push(one),
        }
    }
    flat
}

/// Operands of `&&` (`||`): without duplicates, sorted, and as short as `false` (`true`) in them
/// allows.
fn joined(mut all: Vec<Expr>, absorbing: bool, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    let is = |expr: &Expr, value| *expr == Expr::Literal(Literal::Bool(value));
    if all.iter().any(|one| is(one, absorbing)) {
        return Expr::Literal(Literal::Bool(absorbing));
    }
    all.retain(|one| !is(one, !absorbing));
    all.sort_by_cached_key(ToString::to_string);
    all.dedup();
    match all.len() {
        0 => Expr::Literal(Literal::Bool(!absorbing)),
        1 => all.remove(0),
        _ => many(all),
    }
}

/// `a == 1 || a in [2, 3]` is `a in [1, 2, 3]`, as long as the list is not too long.
fn merged(all: Vec<Expr>) -> Vec<Expr> {
    let mut lists: Vec<(Expr, Vec<Literal>)> = Vec::new();
    let mut rest = Vec::new();
    for one in all {
        let (left, items) = match one {
            Expr::Compare(Comparison::Equal, a, b) => match (*a, *b) {
                (a @ Expr::Field(_), Expr::Literal(item)) => (a, vec![item]),
                (a, b) => {
                    rest.push(Expr::Compare(Comparison::Equal, a.into(), b.into()));
                    continue;
                }
            },
            Expr::In(a, b) => match (*a, *b) {
                (a @ Expr::Field(_), Expr::Literal(Literal::List(items))) => (a, items),
                (a, b) => {
                    rest.push(Expr::In(a.into(), b.into()));
                    continue;
                }
            },
            other => {
                rest.push(other);
                continue;
            }
        };
        // A longer list would not be a filter.
        let has_room = |known: &[Literal]| known.len() + items.len() <= LIST_ITEMS_MAX;
        match lists
            .iter_mut()
            .find(|(known, list)| *known == left && has_room(list))
        {
            Some((_, known)) => known.extend(items),
            None => lists.push((left, items)),
        }
    }
    let lists = lists.into_iter();
    rest.extend(lists.map(|(left, items)| is_in(left, Expr::Literal(Literal::List(items)))));
    rest
}
