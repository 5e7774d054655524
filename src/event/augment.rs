//! Adds an event's position in Kafka to `meta`, and leaves every other byte of the producer as it
//! is (docs/protocol.md, "The JSON of an event").

use std::ops::Range;

use serde::de::IgnoredAny;

use super::json_object::{Cuts, each_member, span, wanted_members};
use super::redact::{PageMatch, RedactionRules};
use super::{Record, SkipReason};

/// What one pass over an event's text finds: where Kafka's fields go, and whether the event must be
/// redacted.
#[derive(Debug)]
pub(super) struct Scan {
    /// Members of `meta` that Kafka's fields replace.
    cuts: Vec<Range<usize>>,
    /// The output is the text up to here, then `opening`, Kafka's fields and `closing`, then the
    /// text from `resume` on.
    at: usize,
    opening: &'static [u8],
    closing: &'static [u8],
    resume: usize,
    /// Whether the rules name the event's page.
    pub(super) redact: bool,
}

/// Scans the event once: finds `meta`, the fields in it to replace, its domain, and the page's
/// title.
///
/// Of several members `meta` the last counts, as for most JSON parsers; the others stay as they
/// are. The rules are applied to all of them, and to all titles, so that no choice of duplicates
/// escapes redaction.
///
/// # Errors
///
/// [`SkipReason::NotJson`], [`SkipReason::NotObject`], [`SkipReason::MetaNotObject`], in this
/// order.
pub(super) fn scan(text: &str, has_key: bool, rules: &RedactionRules) -> Result<Scan, SkipReason> {
    if !text.starts_with('{') {
        let json = serde_json::from_str::<IgnoredAny>(text);
        return Err(if json.is_ok() {
            SkipReason::NotObject
        } else {
            SkipReason::NotJson
        });
    }
    let mut page = PageMatch::new(rules);
    let mut meta: Option<Result<Scan, SkipReason>> = None;
    let wanted = |name: &str| name == "meta" || PageMatch::may_hold_title(rules, name);
    wanted_members(text, wanted, |member| {
        if member.name == "meta" {
            meta = Some(scan_meta(text, member.value, has_key, &mut page));
        } else {
            page.add_member(member);
        }
    })
    .map_err(|_| SkipReason::NotJson)?;
    let mut scan = meta.unwrap_or_else(|| Ok(without_meta(text)))?;
    scan.redact = page.is_named();
    Ok(scan)
}

/// Where Kafka's fields go in an event that has no `meta`: into a new one at its end.
fn without_meta(text: &str) -> Scan {
    let members = text[..text.len() - 1].trim_ascii_end();
    let opening: &[u8] = if members == "{" {
        br#""meta":{"#
    } else {
        br#","meta":{"#
    };
    Scan {
        cuts: Vec::new(),
        at: members.len(),
        opening,
        closing: b"}",
        resume: members.len(),
        redact: false,
    }
}

/// Where Kafka's fields go in this `meta`, a slice of `text` and valid JSON.
fn scan_meta<'a>(
    text: &str,
    meta: &'a str,
    has_key: bool,
    page: &mut PageMatch<'a, '_>,
) -> Result<Scan, SkipReason> {
    let meta_span = span(text, meta);
    if meta == "null" {
        return Ok(Scan {
            cuts: Vec::new(),
            at: meta_span.start,
            opening: b"{",
            closing: b"}",
            resume: meta_span.end,
            redact: false,
        });
    }
    let mut cuts = Cuts::new(text, meta);
    each_member(meta, |member| match &*member.name {
        "topic" | "partition" | "offset" => cuts.cut(text, member.value),
        "key" if has_key => cuts.cut(text, member.value),
        name => {
            if name == "domain" {
                page.add_domain(member.value);
            }
            cuts.keep(text, member.value);
        }
    })
    .map_err(|_| SkipReason::MetaNotObject)?;
    let opening: &[u8] = if cuts.any_kept { b"," } else { b"" };
    Ok(Scan {
        cuts: cuts.ranges,
        at: cuts.end,
        opening,
        closing: b"",
        resume: cuts.end,
        redact: false,
    })
}

/// The event's text with the record's topic, partition, offset and key in its `meta`. It allocates
/// only what it returns, unless topic or key need escapes.
pub(super) fn splice(text: &str, scan: &Scan, record: &Record<'_>) -> Vec<u8> {
    let (mut partition, mut offset) = (itoa::Buffer::new(), itoa::Buffer::new());
    let key = record.key.map(String::from_utf8_lossy);
    let fields = Fields {
        topic: record.topic.as_str(),
        partition: partition.format(record.partition.0),
        offset: offset.format(record.offset.0),
        key: key.as_deref(),
    };
    let cut: usize = scan.cuts.iter().map(Range::len).sum();
    let kept = text.len() - cut - (scan.resume - scan.at);
    let mut out =
        Vec::with_capacity(kept + scan.opening.len() + fields.length() + scan.closing.len());
    let text = text.as_bytes();
    let mut from = 0;
    for cut in &scan.cuts {
        out.extend_from_slice(&text[from..cut.start]);
        from = cut.end;
    }
    out.extend_from_slice(&text[from..scan.at]);
    out.extend_from_slice(scan.opening);
    fields.write(&mut out);
    out.extend_from_slice(scan.closing);
    out.extend_from_slice(&text[scan.resume..]);
    out
}

/// Kafka's fields as text.
struct Fields<'a> {
    topic: &'a str,
    partition: &'a str,
    offset: &'a str,
    /// Bytes that are not UTF-8 become U+FFFD.
    key: Option<&'a str>,
}

const TOPIC: &[u8] = br#""topic":"#;
const PARTITION: &[u8] = br#","partition":"#;
const OFFSET: &[u8] = br#","offset":"#;
const KEY: &[u8] = br#","key":"#;
const QUOTES: usize = 2;

impl Fields<'_> {
    /// How many bytes [`Fields::write`] writes when nothing needs escapes.
    fn length(&self) -> usize {
        let key = self.key.map_or(0, |key| KEY.len() + QUOTES + key.len());
        TOPIC.len()
            + QUOTES
            + self.topic.len()
            + PARTITION.len()
            + self.partition.len()
            + OFFSET.len()
            + self.offset.len()
            + key
    }

    /// The members, without braces.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(TOPIC);
        write_string(out, self.topic);
        out.extend_from_slice(PARTITION);
        out.extend_from_slice(self.partition.as_bytes());
        out.extend_from_slice(OFFSET);
        out.extend_from_slice(self.offset.as_bytes());
        if let Some(key) = self.key {
            out.extend_from_slice(KEY);
            write_string(out, key);
        }
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(&mut *out, text).expect("a string is written to memory");
}
