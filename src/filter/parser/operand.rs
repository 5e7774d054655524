//! Parses operands: fields, values, lists and calls.

use super::{Parsed, Parser, pattern};
use crate::filter::error::FilterError;
use crate::filter::expression::{Expr, LIST_ITEMS_MAX, Literal, Pattern, TextTest};
use crate::filter::lexer::TokenKind;
use crate::filter::selector::{Path, Selector, Shorthand};

/// Members of one path.
const PATH_MEMBERS_MAX: usize = 16;

/// Patterns of one filter.
const PATTERNS_MAX: usize = 2;

impl Parser<'_> {
    pub(super) fn member(&mut self) -> Parsed {
        let start = self.token.column;
        let mut value = self.primary()?;
        loop {
            if self.is_symbol(".") {
                self.advance()?;
                let column = self.token.column;
                let name = self.name("the name of a member or a function")?;
                value = if self.is_symbol("(") {
                    self.method(value, &name, column)?
                } else {
                    select(value, name, column)?
                };
            } else if self.is_symbol("[") {
                self.open()?;
                let column = self.token.column;
                let TokenKind::String(name) = self.token.kind.clone() else {
                    return Err(self.unexpected("the name of a member in quotes"));
                };
                self.advance()?;
                self.close("]")?;
                value = select(value, name, column)?;
            } else {
                break;
            }
        }
        if let Expr::Field(Selector::Path(Path(members))) = &value
            && members.is_empty()
        {
            let what = "'event' is the whole event; name a member of it, as in event.wiki";
            return Err(FilterError::new(start, what));
        }
        Ok(value)
    }

    fn primary(&mut self) -> Parsed {
        let column = self.token.column;
        match self.token.kind.clone() {
            TokenKind::Number(number) => {
                self.advance()?;
                Ok(Expr::Literal(Literal::Number(number)))
            }
            TokenKind::String(string) => {
                self.advance()?;
                Ok(Expr::Literal(Literal::String(string.into())))
            }
            TokenKind::Symbol("(") => {
                self.open()?;
                let inner = self.or()?;
                self.close(")")?;
                Ok(inner)
            }
            TokenKind::Symbol("[") => self.list(),
            TokenKind::Symbol("{") => Err(self.unsupported("a map")),
            TokenKind::Name(name) => {
                self.advance()?;
                if self.is_symbol("(") {
                    return self.function(&name, column);
                }
                Ok(match name.as_str() {
                    "true" => Expr::Literal(Literal::Bool(true)),
                    "false" => Expr::Literal(Literal::Bool(false)),
                    "null" => Expr::Literal(Literal::Null),
                    "event" => Expr::Field(Selector::Path(Path(Vec::new()))),
                    _ => match Shorthand::named(&name) {
                        Some(shorthand) => Expr::Field(Selector::Shorthand(shorthand)),
                        None => return Err(unknown_name(&name, column)),
                    },
                })
            }
            _ => Err(self.unexpected("a field, a value or a bracket")),
        }
    }

    fn list(&mut self) -> Parsed {
        self.open()?;
        let mut items = Vec::new();
        while !self.is_symbol("]") {
            let column = self.token.column;
            let Expr::Literal(item) = self.unary()? else {
                let what = "a list holds only values: strings, numbers, true, false, null, lists";
                return Err(FilterError::new(column, what));
            };
            if items.len() == LIST_ITEMS_MAX {
                let what = format!("a list has at most {LIST_ITEMS_MAX} items");
                return Err(FilterError::new(column, what));
            }
            items.push(item);
            if !self.is_symbol(",") {
                break;
            }
            self.advance()?;
        }
        self.close("]")?;
        Ok(Expr::Literal(Literal::List(items)))
    }

    /// `has(...)` and `size(...)`.
    fn function(&mut self, name: &str, column: usize) -> Parsed {
        if name != "has" && name != "size" {
            return Err(unknown_function(name, column));
        }
        self.count_operator()?;
        self.open()?;
        let argument_column = self.token.column;
        let argument = self.or()?;
        self.close(")")?;
        match (name, argument) {
            ("size", argument) => Ok(Expr::Size(argument.into())),
            (_, Expr::Field(selector)) => Ok(Expr::Has(selector)),
            _ => {
                let what = "has() takes a field, as in has(event.performer)";
                Err(FilterError::new(argument_column, what))
            }
        }
    }

    /// `value.name(...)`.
    fn method(&mut self, value: Expr, name: &str, column: usize) -> Parsed {
        self.count_operator()?;
        let text_test = TextTest::ALL.iter().find(|(_, known)| *known == name);
        self.open()?;
        let parsed = match (name, text_test) {
            ("size", _) => Expr::Size(value.into()),
            ("lowerAscii", _) => Expr::LowerAscii(value.into()),
            ("matches", _) => Expr::Matches(value.into(), self.pattern()?),
            (_, Some((test, _))) => Expr::Text(*test, value.into(), self.or()?.into()),
            _ => return Err(unknown_function(name, column)),
        };
        self.close(")")?;
        Ok(parsed)
    }

    fn pattern(&mut self) -> Result<Pattern, FilterError> {
        let column = self.token.column;
        let TokenKind::String(pattern) = self.token.kind.clone() else {
            return Err(self.unexpected("a pattern in quotes"));
        };
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let what = format!("a filter has at most {PATTERNS_MAX} patterns");
            return Err(FilterError::new(column, what));
        }
        let regex = pattern::compile(&pattern).map_err(|what| FilterError::new(column, what))?;
        self.advance()?;
        Ok(Pattern(regex))
    }
}

/// The field below a field.
fn select(value: Expr, name: String, column: usize) -> Parsed {
    let Expr::Field(Selector::Path(Path(mut members))) = value else {
        let what = "only 'event' and what is below it has members";
        return Err(FilterError::new(column, what));
    };
    if members.len() >= PATH_MEMBERS_MAX {
        let what = format!("a path has at most {PATH_MEMBERS_MAX} members");
        return Err(FilterError::new(column, what));
    }
    members.push(name.into());
    Ok(Expr::Field(Selector::Path(Path(members))))
}

fn unknown_name(name: &str, column: usize) -> FilterError {
    let what = format!("found '{name}', expected a field, as in event.{name}, or a value");
    FilterError::new(column, what)
}

fn unknown_function(name: &str, column: usize) -> FilterError {
    let what = match name {
        "all" | "exists" | "exists_one" | "filter" | "map" => {
            format!("the macro {name}() is CEL, but not supported here")
        }
        _ => format!(
            "found the function {name}(); there are has, size, startsWith, endsWith, contains, \
             matches, lowerAscii"
        ),
    };
    FilterError::new(column, what)
}
