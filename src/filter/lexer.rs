//! Splits the text of a filter into tokens (Common Expression Language, "Syntax").

use super::error::FilterError;
use super::number::Number;

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// In characters, from 1.
    pub(super) column: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Name(String),
    String(String),
    Number(Number),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

impl TokenKind {
    /// How an error names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("'{name}'"),
            Self::String(_) => "a string".to_owned(),
            Self::Number(number) => format!("the number {number}"),
            Self::Symbol(symbol) => format!("'{symbol}'"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Longer symbols first.
const SYMBOLS: [&str; 23] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]",
    "{", "}", ".", ",", "?",
];

/// Reads tokens from a text.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            column: 1,
        }
    }

    /// The next token; [`TokenKind::End`] again and again at the end.
    pub(super) fn next_token(&mut self) -> Result<Token, FilterError> {
        let trimmed = self.rest.trim_start();
        let spaces = self.rest.len() - trimmed.len();
        self.advance(spaces);
        let column = self.column;
        let kind = self.next_kind()?;
        Ok(Token { kind, column })
    }

    fn next_kind(&mut self) -> Result<TokenKind, FilterError> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(TokenKind::End);
        };
        if let Some(string) = self.string()? {
            return Ok(TokenKind::String(string));
        }
        if first.is_ascii_digit() || self.is_fraction() {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name: String = self.rest.chars().take_while(|c| is_name(*c)).collect();
            self.advance(name.len());
            return Ok(TokenKind::Name(name));
        }
        match SYMBOLS
            .iter()
            .find(|symbol| self.rest.starts_with(**symbol))
        {
            Some(symbol) => {
                self.advance(symbol.len());
                Ok(TokenKind::Symbol(symbol))
            }
            None => Err(self.unexpected(first)),
        }
    }

    fn unexpected(&self, c: char) -> FilterError {
        let hint = match c {
            '=' => "; compare with '=='",
            '&' => "; write '&&'",
            '|' => "; write '||'",
            _ => "",
        };
        FilterError::new(self.column, format!("found '{}'{hint}", c.escape_debug()))
    }

    /// `.5`
    fn is_fraction(&self) -> bool {
        let mut chars = self.rest.chars();
        chars.next() == Some('.') && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    fn number(&mut self) -> Result<TokenKind, FilterError> {
        let mut previous = ' ';
        let is_part = |c: char| {
            let is_sign = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
            previous = c;
            is_sign || c.is_ascii_alphanumeric() || c == '.' || c == '_'
        };
        let text: String = self
            .rest
            .chars()
            .take_while({
                let mut is_part = is_part;
                move |c| is_part(*c)
            })
            .collect();
        let number = Number::parse(&text).ok_or_else(|| {
            let found = format!("found '{text}', which is not a decimal number of 64 bits");
            FilterError::new(self.column, found)
        })?;
        self.advance(text.len());
        Ok(TokenKind::Number(number))
    }

    /// `'...'`, `"..."`, and both with `r` before them.
    fn string(&mut self) -> Result<Option<String>, FilterError> {
        let after_prefix = self.rest.strip_prefix(['r', 'R']);
        let is_raw = after_prefix.is_some_and(|rest| rest.starts_with(['"', '\'']));
        let text = if is_raw { &self.rest[1..] } else { self.rest };
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return Ok(None);
        };
        if text.len() > 2 && text.bytes().take(3).all(|byte| char::from(byte) == quote) {
            let what = "strings in triple quotes are not supported";
            return Err(FilterError::new(self.column, what));
        }
        let mut string = String::new();
        let mut chars = text.char_indices().skip(1);
        loop {
            let Some((at, c)) = chars.next() else {
                return Err(FilterError::new(self.column, "this string does not end"));
            };
            if c == quote {
                let length = text[..at].len() + 1 + usize::from(is_raw);
                self.advance(length);
                return Ok(Some(string));
            }
            if c != '\\' || is_raw {
                string.push(c);
                continue;
            }
            let escape = unescape(&text[at + 1..]).ok_or_else(|| {
                let column = self.column + usize::from(is_raw) + text[..at].chars().count();
                FilterError::new(column, "this escape sequence is not valid")
            })?;
            string.push(escape.char);
            for _ in 0..escape.length {
                chars.next();
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.column += passed.chars().count();
        self.rest = rest;
    }
}

/// An escape sequence without its backslash.
struct Escape {
    char: char,
    /// In characters.
    length: usize,
}

fn unescape(text: &str) -> Option<Escape> {
    let kind = text.chars().next()?;
    let simple = |char| Some(Escape { char, length: 1 });
    let digits = |skip: usize, count: usize, radix: u32| {
        let digits = text.get(skip..skip + count)?;
        let is_digits = digits.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(digits, radix)
            .ok()
            .filter(|_| is_digits)?;
        Some(Escape {
            char: char::from_u32(code)?,
            length: skip + count,
        })
    };
    match kind {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' | '?' | '"' | '\'' | '`' => simple(kind),
        'x' | 'X' => digits(1, 2, 16),
        'u' => digits(1, 4, 16),
        'U' => digits(1, 8, 16),
        '0'..='3' => digits(0, 3, 8),
        _ => None,
    }
}
