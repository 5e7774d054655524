//! JSON as text: an object's members with all that stands between them, and JSON texts out of any
//! bytes.

use serde_json::value::RawValue;

/// A member's parts in the order in which they are written, the comma aside.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// White space before the key.
    pub before: &'a str,
    /// The key as written, with its quotes.
    pub key: &'a str,
    /// The colon and the white space around it.
    pub colon: &'a str,
    /// The value as written.
    pub value: &'a str,
    /// White space behind the value.
    pub after: &'a str,
}

impl Parts<'_> {
    /// What the key means; as written where no text can mean it (lone surrogates).
    pub fn name(&self) -> String {
        serde_json::from_str(self.key)
            .unwrap_or_else(|_| self.key[1..self.key.len() - 1].to_owned())
    }
}

/// The members of an object, which must be valid JSON without white space around it.
pub fn members(object: &str) -> Vec<Parts<'_>> {
    let mut rest = &object[1..object.len() - 1];
    let mut members = Vec::new();
    if rest.trim_ascii().is_empty() {
        return members;
    }
    loop {
        let before = take(&mut rest, space_end);
        let key = take(&mut rest, string_end);
        let colon = take(&mut rest, |text| {
            let at = space_end(text) + 1;
            at + space_end(&text[at..])
        });
        let value = take(&mut rest, value_end);
        let after = take(&mut rest, space_end);
        members.push(Parts {
            before,
            key,
            colon,
            value,
            after,
        });
        if rest.is_empty() {
            return members;
        }
        rest = rest.strip_prefix(',').expect("a comma between members");
    }
}

fn take<'a>(rest: &mut &'a str, end: impl Fn(&str) -> usize) -> &'a str {
    let (taken, left) = rest.split_at(end(rest));
    *rest = left;
    taken
}

fn space_end(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| b" \t\r\n".contains(byte))
        .count()
}

/// Behind the string that the text begins with.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    panic!("a string without end: {text}")
}

/// Behind the value that the text begins with.
fn value_end(text: &str) -> usize {
    if text.starts_with('"') {
        return string_end(text);
    }
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => {
                at += string_end(&text[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The text without the runs of white space between tokens that hold a line break, and without any
/// around it.
pub fn on_one_line(json: &str) -> String {
    let mut line = String::new();
    let mut rest = json.trim_matches([' ', '\t', '\r', '\n']);
    while let Some(first) = rest.chars().next() {
        match first {
            '"' => line.push_str(take(&mut rest, string_end)),
            ' ' | '\t' | '\r' | '\n' => {
                let space = take(&mut rest, space_end);
                if !space.contains(['\r', '\n']) {
                    line.push_str(space);
                }
            }
            _ => line.push_str(take(&mut rest, |_| first.len_utf8())),
        }
    }
    line
}

/// Whether the text is one JSON value.
pub fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

/// What names a made object may have: those that mean something, and others.
const NAMES: [&str; 29] = [
    "meta",
    "topic",
    "partition",
    "offset",
    "key",
    "domain",
    "page_title",
    "title",
    "page",
    "performer",
    "user",
    "revision",
    "editor",
    "prior_state",
    "created_redirect_page",
    "new_redirect_page",
    "redirect_page_link",
    "log_params",
    "target",
    "dt",
    "id",
    "",
    "a",
    "me\\u0074a",
    "\\u0074opic",
    "d\\u006fmain",
    "\\ud800",
    "\\\"",
    "é",
];

/// What strings a made text may have.
const STRINGS: [&str; 16] = [
    "en.wikipedia.org",
    "EN.wikipedia.org",
    "Secret page",
    "Secret_page",
    "secret\\u0020page",
    "Another page",
    "",
    "\\\\",
    "\\\"",
    "\\n",
    "\\ud800",
    "\\ud83d\\ude00",
    "日本",
    "}",
    "{\\\"meta\\\":{}}",
    ",",
];

const SCALARS: [&str; 12] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.50",
    "1e5",
    "-12E+3",
    "123456789012345678901234567890",
    "{}",
    "[]",
    "[ ]",
];

const SPACES: [&str; 8] = ["", "", "", "", " ", "\t ", "\n", "\r\n  "];

/// Makes a JSON object out of any bytes: each decides over the next thing.
pub fn made(bytes: &[u8]) -> String {
    let mut maker = Maker {
        bytes: bytes.iter(),
        text: String::new(),
    };
    maker.space();
    maker.object(0);
    maker.space();
    maker.text
}

struct Maker<'a> {
    bytes: std::slice::Iter<'a, u8>,
    text: String,
}

impl Maker<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % end)
    }

    fn space(&mut self) {
        let space = SPACES[self.below(SPACES.len())];
        self.text.push_str(space);
    }

    fn string(&mut self, of: &[&str]) {
        let string = of[self.below(of.len())];
        self.text.extend(["\"", string, "\""]);
    }

    fn object(&mut self, depth: usize) {
        self.text.push('{');
        for number in 0..self.below(7) {
            if number > 0 {
                self.text.push(',');
            }
            self.space();
            self.string(&NAMES);
            self.space();
            self.text.push(':');
            self.space();
            self.value(depth + 1);
            self.space();
        }
        self.text.push('}');
    }

    fn value(&mut self, depth: usize) {
        match self.below(8) {
            0..3 if depth < 5 => self.object(depth),
            3 if depth < 5 => {
                self.text.push('[');
                for number in 0..self.below(4) {
                    if number > 0 {
                        self.text.push(',');
                    }
                    self.space();
                    self.value(depth + 1);
                    self.space();
                }
                self.text.push(']');
            }
            4 | 5 => self.string(&STRINGS),
            _ => {
                let scalar = SCALARS[self.below(SCALARS.len())];
                self.text.push_str(scalar);
            }
        }
    }
}
