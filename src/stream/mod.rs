//! Which streams exist, and which of them are public.
//!
//! The operator's file names the source of stream configuration and the public streams. [`load`]
//! reads the document, and [`Catalog::build`] makes an immutable catalog of the public streams from
//! it. The rest of the program asks only [`Catalog::resolve`]: a stream that it does not return
//! does not exist for clients. A reload builds the next catalog and swaps it in.
//!
//! * `name`: the names of streams and topics.
//! * `merge`: merges settings.
//! * `settings`: reads one stream from its settings: topics, aliases, topics that an id may name.
//! * `allowlist`: which configured streams are public; patterns.
//! * `aliases`: the aliases of public streams.
//! * `catalog`: the catalog.
//! * `source`: stream configuration from a file or a URL, and the cache of the last good response.
//! * `fetch`: fetches a document over HTTP. Only `source` and `fetch` do I/O.
//!
//! Special rules, each with the test that guards it:
//!
//! * An allowed stream without configuration is left out with a warning, as in the Node service. If
//!   none is left, that is an error
//!   (`an_allowed_stream_without_configuration_is_left_out_and_named`,
//!   `an_allowlist_of_which_nothing_is_configured_is_an_error`).
//! * A list in the overrides replaces the list under it: production's overrides narrow `topics` to
//!   one datacenter (`lists_and_scalars_are_replaced_as_a_whole`).
//! * The topics of a pattern are patterns too and are not read. A stream that a pattern matches has
//!   the topics of its prefixes and its name
//!   (`a_name_that_a_pattern_matches_becomes_a_stream`).

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
    LoadError, Loaded, SourceError, is_fetched, load, load_catalog, redacted_uri, source_file,
};
