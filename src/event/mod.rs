//! One event, from Kafka's bytes to the bytes on the wire. Pure: no I/O, no clock, no locks.
//!
//! The Kafka record's value IS the event: a JSON object whose bytes belong to its producer. It is read once, in place; nothing
//! is parsed into a tree or written anew. [`prepare`] finds the few byte ranges that change (`meta` gains where in Kafka the
//! event lies; the pages that the operator names lose who did it) and copies the rest into one buffer, a
//! [`PublicEvent`], which no other code can make. A [`frame`] then gives it the form of the wire. A record that is no
//! such object is skipped with a [`SkipReason`].
//!
//! * `record`: what Kafka handed over, and why it may not be delivered.
//! * `json_text`: the value as one line of text.
//! * `json_object`: an object's members as slices of its text, and how to cut some out.
//! * `augment`: adds Kafka's fields to `meta`.
//! * `redact`: the operator's rules, which events they mean, and what those lose.
//! * `prepare`: the way from a record to a public event.
//! * [`frame`]: frames of SSE and NDJSON, heartbeats, comments.
//!
//! Deliberate quirks, each with the test that locks it (in `tests.rs` unless another file is named):
//!
//! * Kafka's fields stand at the end of `meta`, whatever place fields of those names had:
//!   `fields_of_kafkas_names_are_overwritten_wherever_and_however_they_stand_in_meta`.
//! * A producer's `meta.key` stays when the record has no key: `a_producers_key_stays_when_the_record_has_none`.
//! * Of several members `meta` the last is augmented, as JSON parsers read it; redaction looks at all of them:
//!   `of_several_metas_the_last_is_augmented`, `no_choice_of_duplicates_escapes_redaction`.
//! * JSON of any depth passes, and lone surrogate escapes (`"\ud800"`) pass, because no byte of the producer is ours to judge
//!   while it is JSON by RFC 8259: `json_of_any_depth_passes`, `what_mainstream_parsers_accept_passes_unchanged`.
//! * A byte order mark and white space around the object are dropped, line breaks between tokens go with the white space
//!   around them: `json_text.rs`, `a_pretty_printed_value_comes_out_on_one_line_with_its_other_white_space_kept`.
//! * A `page_change` event of a named page has `performer: {}` even when it had none: `redact.rs`,
//!   `page_change_gets_an_empty_performer_where_there_was_none`.
//! * A title matches over differences that `MediaWiki` does not keep: `redact.rs`,
//!   `titles_compare_as_mediawiki_does_and_without_case`.

mod augment;
pub mod frame;
mod json_object;
mod json_text;
mod prepare;
mod record;
mod redact;
#[cfg(test)]
mod tests;

pub use frame::Format;
pub use prepare::{Prepared, PublicEvent, prepare, redact_again};
pub use record::{Record, SkipReason};
pub use redact::{RedactionKind, RedactionPolicy, RedactionRules};
