//! The formats that AJV 6 knows in its mode `fast`.

use std::sync::OnceLock;

use regex::bytes::Regex;

use super::pattern;

/// A known format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Date,
    Time,
    DateTime,
    Uri,
    UriReference,
    UriTemplate,
    Url,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Regex,
    Uuid,
    JsonPointer,
    JsonPointerUriFragment,
    RelativeJsonPointer,
}

use Format::{
    Date, DateTime, Email, Hostname, Ipv4, Ipv6, JsonPointer, JsonPointerUriFragment,
    RelativeJsonPointer, Time, Uri, UriReference, UriTemplate, Url, Uuid,
};

const FORMATS: [(&str, Format); 16] = [
    ("date", Date),
    ("time", Time),
    ("date-time", DateTime),
    ("uri", Uri),
    ("uri-reference", UriReference),
    ("uri-template", UriTemplate),
    ("url", Url),
    ("email", Email),
    ("hostname", Hostname),
    ("ipv4", Ipv4),
    ("ipv6", Ipv6),
    ("regex", Format::Regex),
    ("uuid", Uuid),
    ("json-pointer", JsonPointer),
    ("json-pointer-uri-fragment", JsonPointerUriFragment),
    ("relative-json-pointer", RelativeJsonPointer),
];

impl Format {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let known = FORMATS.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| *format)
    }

    pub(super) fn name(self) -> &'static str {
        let known = FORMATS.iter().find(|(_, format)| *format == self);
        known.map_or("", |(name, _)| name)
    }

    pub(super) fn matches(self, text: &str) -> bool {
        static REGEXES: [OnceLock<Option<Regex>>; 16] = [const { OnceLock::new() }; 16];
        let by_regex = |source: fn() -> String| {
            let regex = REGEXES[self as usize].get_or_init(|| pattern::compile(&source()).ok());
            // Case is ignored as JavaScript does without its flag `u`: that of ASCII alone.
            let text = text.to_ascii_lowercase();
            regex
                .as_ref()
                .is_some_and(|regex| regex.is_match(text.as_bytes()))
        };
        match self {
            Date => date(text.as_bytes()).is_some_and(<[u8]>::is_empty),
            Time => time(text.as_bytes(), false),
            DateTime => date_time(text),
            Uri => uri(text),
            UriReference => uri_reference(text),
            Uuid => uuid(text.as_bytes()),
            Ipv4 => ipv4(text),
            Hostname => hostname(text),
            Format::Regex => regex(text),
            UriTemplate => by_regex(|| URI_TEMPLATE.to_owned()),
            Url => by_regex(url),
            Email => by_regex(|| EMAIL.to_owned()),
            Ipv6 => by_regex(ipv6),
            JsonPointer => by_regex(|| "^(?:/(?:[^~/]|~0|~1)*)*$".to_owned()),
            JsonPointerUriFragment => by_regex(|| POINTER_FRAGMENT.to_owned()),
            RelativeJsonPointer => {
                by_regex(|| "^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~0|~1)*)*)$".to_owned())
            }
        }
    }
}

/// The rest behind the given classes of bytes: `d` a digit, other letters stand for themselves, and
/// `0`-`9` for a digit up to this one.
fn after<'t>(text: &'t [u8], shape: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(shape.len())?;
    let fits = |(byte, class): (&u8, &u8)| match class {
        b'd' => byte.is_ascii_digit(),
        b'0'..=b'9' => (b'0'..=*class).contains(byte),
        class => byte == class,
    };
    head.iter().zip(shape).all(fits).then_some(rest)
}

fn date(text: &[u8]) -> Option<&[u8]> {
    after(text, b"dddd-1d-3d")
}

fn time(text: &[u8], needs_zone: bool) -> bool {
    let Some(mut rest) = after(text, b"2d:5d:5d").or_else(|| text.strip_prefix(b"23:59:60")) else {
        return false;
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        [] => !needs_zone,
        [b'z' | b'Z'] => true,
        [b'+' | b'-', zone @ ..] => {
            let is = |shape: &[u8]| after(zone, shape).is_some_and(<[u8]>::is_empty);
            is(b"dd") || is(b"dd:dd") || is(b"dddd")
        }
        _ => false,
    }
}

fn date_time(text: &str) -> bool {
    let Some(rest) = date(text.as_bytes()) else {
        return false;
    };
    if let Some(time_of_day) = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b"t")) {
        return time(time_of_day, true);
    }
    let mut letters = text[10..].chars();
    letters.next().is_some_and(is_space) && time(letters.as_str().as_bytes(), true)
}

/// White space of JavaScript.
fn is_space(letter: char) -> bool {
    matches!(
        letter,
        '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}'
            | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

fn has_space(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|byte| is_space(char::from(byte)))
    } else {
        text.contains(is_space)
    }
}

fn uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let mut letters = scheme.bytes();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        && !has_space(rest)
}

fn uri_reference(text: &str) -> bool {
    let fragment = text.split_once('#').map_or("", |(_, fragment)| fragment);
    !text.starts_with('\\') && !fragment.contains('\\') && !has_space(text)
}

fn uuid(text: &[u8]) -> bool {
    let has_prefix = text
        .get(..9)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"urn:uuid:"));
    let text = if has_prefix { &text[9..] } else { text };
    let fits = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.iter().enumerate().all(fits)
}

fn ipv4(text: &str) -> bool {
    let is_octet = |part: &str| {
        matches!(part.len(), 1..=3)
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u8>().is_ok()
    };
    text.split('.').count() == 4 && text.split('.').all(is_octet)
}

fn hostname(text: &str) -> bool {
    let host = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        matches!(bytes.len(), 1..=63)
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

fn regex(text: &str) -> bool {
    // AJV takes `\Z`, the end of a text in other languages, for a mistake.
    let has_end = text.match_indices("\\Z").any(|(at, _)| {
        text[..at].ends_with('\\') && text[..at].chars().rev().nth(1).is_some_and(|c| c != '\\')
    });
    !has_end && pattern::is_valid(text)
}

const EMAIL: &str = "^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\
                     (?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$";
const POINTER_FRAGMENT: &str = "^#(?:/(?:[a-z0-9_\\-.!$&'()*+,;:=@]|%[0-9a-f]{2}|~0|~1)*)*$";
/// RFC 6570.
const URI_TEMPLATE: &str = "^(?:(?:[^\\x00-\\x20\"'<>%\\\\^`{|}]|%[0-9a-f]{2})|\\{[+#./;?&=,!@|]?\
     (?:[a-z0-9_]|%[0-9a-f]{2})+(?::[1-9][0-9]{0,3}|\\*)?\
     (?:,(?:[a-z0-9_]|%[0-9a-f]{2})+(?::[1-9][0-9]{0,3}|\\*)?)*\\})*$";

/// A URL of the web whose host is a name with a top level domain, or an address that is not
/// private.
fn url() -> String {
    let octet = "(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-5])";
    let last = "(?:[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-4])";
    // All first octets from 1 to 223 but 10, 127, 169, 172 and 192, then what is public of these.
    let first = "(?:[1-9]|1[1-9]|[2-9][0-9]|1[0-1][0-9]|12[0-689]|1[3-5][0-9]|16[0-8]|17[013-9]\
                 |18[0-9]|19[013-9]|2[01][0-9]|22[0-3])";
    let of_169 = "(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-35])";
    let of_172 = "(?:[0-9]|0[0-9]|1[0-5]|3[2-9]|[4-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])";
    let of_192 = "(?:[0-9]{1,2}|1[0-57-9][0-9]|16[0-79]|2[0-4][0-9]|25[0-5])";
    let start = format!("(?:{first}\\.{octet}|169\\.{of_169}|172\\.{of_172}|192\\.{of_192})");
    let address = format!("{start}\\.{octet}\\.{last}");
    let letters = "[0-9a-z\\xa1-\\uffff]";
    let name = format!(
        "(?:{letters}+-)*{letters}+(?:\\.(?:{letters}+-)*{letters}+)*\\.[a-z\\xa1-\\uffff]{{2,}}"
    );
    format!(
        "^(?:http[s\\u017f]?|ftp)://(?:\\S+(?::\\S*)?@)?(?:{address}|{name})\
         (?::[0-9]{{2,5}})?(?:/\\S*)?$"
    )
}

/// Eight groups, of which `::` stands for some; the last two may be an IPv4 address.
fn ipv6() -> String {
    let group = "[0-9a-f]{1,4}";
    let octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
    let ipv4 = format!("{octet}(?:\\.{octet}){{3}}");
    let mut forms = vec![format!("(?:{group}:){{7}}(?:{group}|:)")];
    forms.push(format!("(?:{group}:){{6}}(?::{group}|{ipv4}|:)"));
    for before in (0..=5).rev() {
        let head = match before {
            0 => ":".to_owned(),
            _ => format!("(?:{group}:){{{before}}}"),
        };
        let (after, with_ipv4) = (7 - before, if before == 0 { 4 } else { 5 - before });
        forms.push(format!(
            "{head}(?:(?::{group}){{1,{after}}}|(?::{group}){{0,{with_ipv4}}}:{ipv4}|:)"
        ));
    }
    format!("^\\s*(?:{})(?:%.+)?\\s*$", forms.join("|"))
}
