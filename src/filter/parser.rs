//! Parses the text of a filter: a subset of the Common Expression Language (CEL).
//!
//! In: `== != < <= > >= in && || !`, brackets, `+` and `-` on numbers, strings, numbers, `true`,
//! `false`, `null`, lists of these, `event.a.b`, `event["a"]`, `has()`, `size()`, `startsWith()`,
//! `endsWith()`, `contains()`, `matches()`, `lowerAscii()`. Valid CEL outside the subset is an
//! error that says so.
//!
//! A text is bounded in bytes, nested brackets, operators, list items and patterns before anything
//! grows with it. So the depth of recursion is bounded too.

mod operand;
mod pattern;

use super::error::FilterError;
use super::expression::{Comparison, Expr, Literal, Sign};
use super::lexer::{Lexer, Token, TokenKind};
use super::selector::is_reserved;

/// Bytes of a filter's text, percent-decoded.
pub const FILTER_BYTES_MAX: usize = 1024;

/// Brackets inside brackets.
const BRACKETS_MAX: usize = 16;

/// Operators, calls included.
const OPERATORS_MAX: usize = 64;

/// Parses a filter.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    if text.len() > FILTER_BYTES_MAX {
        let what = format!(
            "the filter has {} bytes; at most {FILTER_BYTES_MAX} are allowed",
            text.len()
        );
        return Err(FilterError::new(1, what));
    }
    let mut parser = Parser::new(text)?;
    let expr = parser.or()?;
    if parser.token.kind != TokenKind::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    condition(expr, 1)
}

/// The expression at a column, if it can be true or false.
fn condition(expr: Expr, column: usize) -> Parsed {
    let is_value = match &expr {
        Expr::Arithmetic(..) | Expr::Negative(_) | Expr::Size(_) | Expr::LowerAscii(_) => true,
        Expr::Literal(literal) => !matches!(literal, Literal::Bool(_)),
        _ => false,
    };
    if is_value {
        let what =
            "this is a value; a condition must be true or false, for example event.bot == false";
        return Err(FilterError::new(column, what));
    }
    Ok(expr)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is next.
    token: Token,
    brackets: usize,
    operators: usize,
    patterns: usize,
}

type Parsed = Result<Expr, FilterError>;

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, FilterError> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token()?;
        Ok(Self {
            lexer,
            token,
            brackets: 0,
            operators: 0,
            patterns: 0,
        })
    }

    fn or(&mut self) -> Parsed {
        let all = self.operands("||", Self::and)?;
        if self.is_symbol("?") {
            return Err(self.unsupported("the conditional operator '?:'"));
        }
        Ok(one_or(all, Expr::Or))
    }

    fn and(&mut self) -> Parsed {
        let all = self.operands("&&", Self::relation)?;
        Ok(one_or(all, Expr::And))
    }

    /// One operand, or several conditions with `operator` between them.
    fn operands(
        &mut self,
        operator: &str,
        parse: fn(&mut Self) -> Parsed,
    ) -> Result<Vec<Expr>, FilterError> {
        let column = self.token.column;
        let first = parse(self)?;
        if !self.is_symbol(operator) {
            return Ok(vec![first]);
        }
        let mut all = vec![condition(first, column)?];
        while self.operator(operator)? {
            let column = self.token.column;
            all.push(condition(parse(self)?, column)?);
        }
        Ok(all)
    }

    fn relation(&mut self) -> Parsed {
        let left = self.sum()?;
        if self.is_name("in") {
            self.count_operator()?;
            self.advance()?;
            let column = self.token.column;
            let right = self.sum()?;
            if !matches!(right, Expr::Field(_) | Expr::Literal(Literal::List(_))) {
                let what = "expected a list or a field after 'in'";
                return Err(FilterError::new(column, what));
            }
            self.not_chained()?;
            return Ok(Expr::In(left.into(), right.into()));
        }
        for (comparison, symbol) in Comparison::ALL {
            if self.operator(symbol)? {
                let right = self.sum()?;
                self.not_chained()?;
                return Ok(Expr::Compare(comparison, left.into(), right.into()));
            }
        }
        Ok(left)
    }

    /// `a < b < c` compares a boolean, which nobody means.
    fn not_chained(&self) -> Result<(), FilterError> {
        let is_comparison = Comparison::ALL
            .iter()
            .any(|(_, symbol)| self.is_symbol(symbol));
        if is_comparison || self.is_name("in") {
            return Err(self.unexpected("'&&', '||' or the end: comparisons do not chain"));
        }
        Ok(())
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let sign = if self.operator("+")? {
                Sign::Plus
            } else if self.operator("-")? {
                Sign::Minus
            } else {
                break;
            };
            left = Expr::Arithmetic(sign, left.into(), self.unary()?.into());
        }
        for symbol in ["*", "/", "%"] {
            if self.is_symbol(symbol) {
                return Err(self.unsupported(&format!("the operator '{symbol}'")));
            }
        }
        Ok(left)
    }

    /// `!!a` and `--a`, but not `!-a`, as in CEL.
    fn unary(&mut self) -> Parsed {
        // Counted, so not recursive without bound.
        if self.operator("!")? {
            if self.is_symbol("-") {
                return Err(self.unexpected("what '!' negates: no number is true or false"));
            }
            return Ok(Expr::Not(self.unary()?.into()));
        }
        if self.operator("-")? {
            if self.is_symbol("!") {
                return Err(self.unexpected("a number after '-'"));
            }
            return Ok(match self.unary()? {
                Expr::Literal(Literal::Number(number)) => match number.negated() {
                    Some(number) => Expr::Literal(Literal::Number(number)),
                    None => return Err(self.unexpected("a smaller number")),
                },
                operand => Expr::Negative(operand.into()),
            });
        }
        self.member()
    }

    fn advance(&mut self) -> Result<(), FilterError> {
        self.token = self.lexer.next_token()?;
        Ok(())
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(&self.token.kind, TokenKind::Name(found) if found == name)
    }

    /// Passes an operator if it is next.
    fn operator(&mut self, symbol: &str) -> Result<bool, FilterError> {
        if !self.is_symbol(symbol) {
            return Ok(false);
        }
        self.count_operator()?;
        self.advance()?;
        Ok(true)
    }

    fn count_operator(&mut self) -> Result<(), FilterError> {
        self.operators += 1;
        if self.operators > OPERATORS_MAX {
            let what = format!("a filter has at most {OPERATORS_MAX} operators");
            return Err(FilterError::new(self.token.column, what));
        }
        Ok(())
    }

    /// Passes an opening bracket.
    fn open(&mut self) -> Result<(), FilterError> {
        self.brackets += 1;
        if self.brackets > BRACKETS_MAX {
            let what = format!("brackets nest at most {BRACKETS_MAX} deep");
            return Err(FilterError::new(self.token.column, what));
        }
        self.advance()
    }

    fn close(&mut self, bracket: &str) -> Result<(), FilterError> {
        if !self.is_symbol(bracket) {
            return Err(self.unexpected(&format!("'{bracket}'")));
        }
        self.brackets -= 1;
        self.advance()
    }

    fn name(&mut self, expected: &str) -> Result<String, FilterError> {
        match self.token.kind.clone() {
            TokenKind::Name(name) if !is_reserved(&name) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn unexpected(&self, expected: &str) -> FilterError {
        let found = self.token.kind.describe();
        FilterError::new(
            self.token.column,
            format!("found {found}, expected {expected}"),
        )
    }

    fn unsupported(&self, what: &str) -> FilterError {
        FilterError::new(
            self.token.column,
            format!("{what} is CEL, but not supported here"),
        )
    }
}

fn one_or(mut all: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match all.len() {
        1 => all.remove(0),
        _ => many(all),
    }
}
