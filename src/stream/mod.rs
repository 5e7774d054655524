//! Which streams exist and who may see them.
//!
//! The operator's file names where stream configuration comes from and which streams are public; [`load`] reads that document,
//! [`Catalog::build`] makes one immutable snapshot of the public streams out of it. Everything else in the program asks [`Catalog::resolve`], the
//! only gate: what it does not answer does not exist for a client. A reload builds the next snapshot and swaps it in; a snapshot never changes.
//!
//! * `name`: the names of streams and topics.
//! * `merge`: settings laid over settings.
//! * `settings`: one stream out of its settings: topics, aliases, what is allowed inside an id.
//! * `allowlist`: which of the configured streams are public, patterns among them.
//! * `aliases`: the other names of public streams.
//! * `catalog`: the snapshot.
//! * `source`: stream configuration from a file or a URL, and the last good answer.
//! * `fetch`: a document over HTTP. These two are the only files here that touch the outside.
//!
//! Quirks, each with the test that locks it:
//!
//! * An allowed stream without configuration is left out with a warning, as the Node service leaves it out; when none is left, that is an error
//!   (`an_allowed_stream_without_configuration_is_left_out_and_named`, `an_allowlist_of_which_nothing_is_configured_is_an_error`).
//! * An override's list replaces the list under it: production's overrides narrow `topics` to one datacenter
//!   (`lists_and_scalars_are_replaced_whole`).
//! * The topics of a pattern are patterns themselves and are not read: the matched stream's are its prefixes and its name
//!   (`a_name_that_a_pattern_matches_becomes_a_stream_with_its_settings_and_prefixes`).

mod aliases;
mod allowlist;
mod catalog;
mod fetch;
mod merge;
mod name;
mod settings;
mod source;
#[cfg(test)]
mod tests;

pub use catalog::{Catalog, CatalogError, Warning};
pub use fetch::FetchError;
pub use name::{StreamName, Topic};
pub use settings::{Stream, StreamError, StreamProblem};
pub use source::{
    LoadError, Loaded, SourceError, is_fetched, load, load_catalog, shown_uri, source_file,
};
