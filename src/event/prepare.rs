//! From a Kafka record to an event that any client may see: the only way there is.

use std::fmt;

use bytes::Bytes;

use super::augment::{scan, splice};
use super::json_text::one_line;
use super::redact::redact;
use super::{Record, RedactionKind, RedactionRules, SkipReason};

/// An event as clients receive it: one JSON object on one line (no CR, no LF), augmented, and
/// redacted where it had to be.
///
/// Only this module makes one, so code that takes a `PublicEvent` cannot be given unredacted bytes.
/// Clones share the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicEvent {
    json: Bytes,
}

impl PublicEvent {
    /// The object's text, UTF-8.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The same as a string.
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.json).unwrap_or_default()
    }
}

impl fmt::Debug for PublicEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicEvent")
            .field(&String::from_utf8_lossy(&self.json))
            .finish()
    }
}

/// An event, ready to be framed, and what was done to it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The event.
    pub event: PublicEvent,
    /// Whether the redaction rules name its page.
    pub redacted: bool,
}

/// Checks a record's value and makes an event of it (docs/protocol.md, "The JSON of an event"):
/// `meta` gains `topic`, `partition`, `offset` and, when the record has one, `key`; events of named
/// pages lose what `kind` removes; every other byte of the producer stays.
///
/// `event_bytes_max` bounds the value as Kafka holds it.
///
/// # Errors
///
/// The [`SkipReason`] when the record is not to be delivered.
pub fn prepare(
    record: &Record<'_>,
    redaction: &RedactionRules,
    kind: RedactionKind,
    event_bytes_max: usize,
) -> Result<Prepared, SkipReason> {
    let text = one_line(record.value, event_bytes_max)?;
    let has_key = record.key.is_some();
    let found = scan(&text, has_key, redaction)?;
    let json = if found.redact {
        // Events of named pages are so rare that a separate pass is cheaper than a check for
        // redaction in every splice.
        let text = redact(&text, kind).map_err(|_| SkipReason::NotJson)?;
        splice(
            &text,
            &scan(&text, has_key, &RedactionRules::default())?,
            record,
        )
    } else {
        splice(&text, &found, record)
    };
    Ok(Prepared {
        event: PublicEvent { json: json.into() },
        redacted: found.redact,
    })
}

/// The redacted form of an event that was prepared under other rules; `None` when these change
/// nothing. What other rules have removed does not come back.
pub fn redact_again(
    event: &PublicEvent,
    redaction: &RedactionRules,
    kind: RedactionKind,
) -> Option<PublicEvent> {
    let text = event.text();
    let found = scan(text, false, redaction).ok()?;
    let redacted = found.redact.then(|| redact(text, kind).ok()).flatten()?;
    (redacted.as_bytes() != event.json).then(|| PublicEvent {
        json: redacted.into(),
    })
}
