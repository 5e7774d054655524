//! One event, from Kafka's bytes to the bytes on the wire. Pure: no I/O, no clock, no locks.
//!
//! The value of the Kafka record IS the event: a JSON object whose bytes belong to its producer. It
//! is read once, in place; nothing is parsed into a tree or written again. [`prepare`] finds the
//! few byte ranges that change (`meta` gains the event's position in Kafka; the pages that the
//! operator names lose their editor) and copies the rest into one buffer, a [`PublicEvent`], which
//! no other code can make. A [`frame`] then gives it the form of the wire. A record that is no such
//! object is skipped with a [`SkipReason`].
//!
//! * `record`: a record as Kafka delivered it, and why it may be skipped.
//! * `json_text`: the value as one line of text.
//! * `json_object`: an object's members as slices of its text, and how to cut some out.
//! * `augment`: adds Kafka's fields to `meta`.
//! * `redact`: the operator's rules, the events they apply to, and what those lose.
//! * `redaction_policy`: the rules, with the way in which each topic's events are redacted.
//! * `prepare`: from a record to a public event.
//! * `projection`: the members of an event that a client asks for.
//! * [`frame`]: frames of SSE and NDJSON, heartbeats, comments.
//!
//! Deliberate quirks, each with the test that locks it (in `tests.rs` unless another file is
//! named):
//!
//! * Kafka's fields are the last ones of `meta`, wherever fields of those names were:
//!   `fields_of_kafkas_names_are_overwritten_wherever_they_are_in_meta`.
//! * A producer's `meta.key` stays when the record has no key:
//!   `a_producers_key_stays_when_the_record_has_none`.
//! * Of several members `meta` the last is augmented, as JSON parsers read it; redaction looks at
//!   all of them: `of_several_metas_the_last_is_augmented`,
//!   `no_choice_of_duplicates_escapes_redaction`.
//! * JSON of any depth passes, and so do lone surrogate escapes (`"\ud800"`), because they are JSON
//!   by RFC 8259 and the producer's bytes are not ours to judge: `json_of_any_depth_passes`,
//!   `what_mainstream_parsers_accept_passes_unchanged`.
//! * A byte order mark and white space around the object are dropped, and line breaks between
//!   tokens with the white space around them: `json_text.rs`,
//!   `a_pretty_printed_value_becomes_one_line_and_keeps_its_other_spaces`.
//! * A `page_change` event of a named page has `performer: {}` even when it had none:
//!   `redact/mod.rs`, `page_change_gets_an_empty_performer_where_there_was_none`.
//! * A title matches in spite of differences that `MediaWiki` does not keep: `redact/rules.rs`,
//!   `titles_compare_as_mediawiki_does_and_without_case`.

mod augment;
pub mod frame;
mod json_object;
mod json_text;
mod prepare;
mod projection;
mod record;
mod redact;
mod redaction_policy;
#[cfg(test)]
mod tests;

pub use frame::Format;
pub use prepare::{Prepared, PublicEvent, prepare, redact_again};
pub use projection::{Projection, ProjectionError};
pub use record::{Record, SkipReason};
pub(crate) use redact::comparable_title;
pub use redact::{RedactionKind, RedactionRules};
pub use redaction_policy::RedactionPolicy;
