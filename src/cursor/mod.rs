//! A subscriber's cursor: the next offset of every partition it follows, and nothing else.
//!
//! Every event carries a cursor to the client as its id ([`EventId`]), and the client returns it as
//! `Last-Event-ID` ([`LastEventId`]), so that any process can resume where another one ended. For
//! each partition it holds a [`Position`]: an offset, exact in the log that it was counted in, and
//! a timestamp, safe in every other. Everything here is pure but [`TimestampMs::now`]: whether a
//! topic exists and what a log holds is for the caller to find out.
//!
//! * `position`: partition, offset and timestamp, and the pair that an event id carries for each
//!   partition.
//! * `event_id`: the id of a feed, always rendered.
//! * `compact_id`: its compact form. `varint`: the numbers in it.
//! * `last_event_id`: the one parser of ids that clients send. `id_entry`: what an id requests of
//!   each partition.
//! * `log_id`: which log an offset was counted in.
//! * `resolve`: where reading of a partition begins, from the request and what its log holds.
//! * [`since`]: the time from which a client wants events.
//!
//! Deliberate quirks, each with the test that locks it:
//!
//! * An empty id counts as no id, and an empty array is refused:
//!   `no_text_is_no_id_and_an_empty_array_is_refused`.
//! * `offset: -1` with a timestamp means the timestamp:
//!   `a_timestamp_beside_live_counts_and_beside_the_earliest_does_not`.
//! * Numbers like `42.0` are integers: `every_form_of_an_entry_is_read`.
//! * `since=20261123` is milliseconds: `digits_are_milliseconds_even_when_they_look_like_a_date`.
//!   Ten digits are seconds, and refused: `seconds_are_refused_with_the_milliseconds_they_mean`.
//! * A space after a time is a `+`: `a_plus_that_was_decoded_to_a_space_is_a_plus`.

mod compact_id;
mod event_id;
mod id_entry;
mod last_event_id;
mod log_id;
mod position;
mod resolve;
pub mod since;
mod varint;

pub use compact_id::{COMPACT_ENTRY_BYTES_MAX, COMPACT_TOPIC_BYTES_MAX, CompactIdError};
pub use event_id::{EventId, IdForm, JSON_ID_BYTES_MAX};
pub use id_entry::{ID_BYTES_MAX, ID_ENTRIES_MAX, IdEntry, RequestedPosition};
pub use last_event_id::{EntryError, LastEventId, LastEventIdError};
pub use log_id::{LogId, LogMatch, TopicIdentity};
pub use position::{Offset, Partition, Position, TimestampMs};
pub use resolve::{
    Decision, FoundByTime, LogAnswer, LogQuestion, MovedReason, Requested, Target, decide,
};
pub use since::SinceError;
