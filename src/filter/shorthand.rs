//! Shorthand parameters (`wiki=enwiki,dewiki`), rewritten to the same expressions as filters.

use super::FILTER_BYTES_MAX;
use super::expression::{Comparison, Expr, LIST_ITEMS_MAX, Literal, TextTest};
use super::number::Number;
use super::selector::{Selector, Shorthand};
use crate::event::comparable_title;

/// The values of one parameter, separated by commas: any of them. A `*` at one end of a value makes
/// it a suffix or a prefix. Bytes and values are bounded as those of an expression are: each affix
/// is a test of its own for each event.
///
/// # Errors
/// What is wrong with a value.
pub(super) fn expression(name: Shorthand, values: &str) -> Result<Expr, String> {
    if values.len() > FILTER_BYTES_MAX || values.split(',').count() > LIST_ITEMS_MAX {
        return Err(format!(
            "'{}' may have {LIST_ITEMS_MAX} values and {FILTER_BYTES_MAX} bytes at most",
            name.name()
        ));
    }
    let field = || Expr::Field(Selector::Shorthand(name));
    let mut all = Vec::new();
    for value in values.split(',').map(str::trim) {
        if value.is_empty() {
            return Err(format!("'{}' has an empty value", name.name()));
        }
        if name.is_flag() {
            let flag = value
                .parse()
                .map_err(|_| format!("'{}' must be true or false, found '{value}'", name.name()))?;
            all.push(equal(field(), Literal::Bool(flag)));
            continue;
        }
        let (value, affix) = match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(suffix), None) => (suffix, Some(TextTest::EndsWith)),
            (None, Some(prefix)) => (prefix, Some(TextTest::StartsWith)),
            (None, None) => (value, None),
            (Some(_), Some(_)) => {
                let what = "'*' stands at one end of a value; for more, use filter=";
                return Err(format!("'{}': {what}", name.name()));
            }
        };
        let text = if name.is_title() {
            comparable_affix(value, affix)
        } else {
            value.to_owned()
        };
        let literal = Literal::String(text.as_str().into());
        all.push(match affix {
            Some(position) => Expr::Text(position, field().into(), Expr::Literal(literal).into()),
            None => equal(field(), literal),
        });
        if name == Shorthand::Namespace
            && affix.is_none()
            && let Some(number) = Number::parse(&text)
        {
            // Schemas differ: a number or a string.
            all.push(equal(field(), Literal::Number(number)));
        }
    }
    Ok(if all.len() == 1 {
        all.remove(0)
    } else {
        Expr::Or(all)
    })
}

/// A title, or the beginning or end of one. A space beside the `*` counts: the titles that begin
/// with `Talk_` are not those that begin with `Talk`.
fn comparable_affix(value: &str, affix: Option<TextTest>) -> String {
    let mut text = comparable_title(value);
    let is_space = |c: char| c == '_' || c.is_whitespace();
    match affix {
        _ if text.is_empty() => {}
        Some(TextTest::StartsWith) if value.ends_with(is_space) => text.push('_'),
        Some(TextTest::EndsWith) if value.starts_with(is_space) => text.insert(0, '_'),
        _ => {}
    }
    text
}

fn equal(field: Expr, literal: Literal) -> Expr {
    Expr::Compare(
        Comparison::Equal,
        field.into(),
        Expr::Literal(literal).into(),
    )
}
