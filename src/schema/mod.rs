//! JSON Schemas as the intake judges events by them: draft-04, draft-06 and draft-07, with the
//! errors, the order and the words of AJV 6.12.6. Pure but for `loader`.
//!
//! A schema is compiled once into a tree of typed rules. An event is parsed once into nodes with
//! spans in its text (`json`), and the rules walk these. This is not `serde_json::Value`, for three
//! reasons. The event that goes on to Kafka is the producer's text, in which numbers and the order
//! of members are as they came, with the defaults inserted at byte positions. A parsed event costs
//! one allocation and not one for each string, and parsing is most of the cost of an event. And the
//! digits of numbers are kept without `arbitrary_precision`, which would change `serde_json` for
//! the whole program.
//!
//! Every event is judged in bounded time: patterns run in linear time, errors beyond a number are
//! only counted, and levels that nest too deep end the judgement.
//!
//! * `json`: a document as nodes that borrow its text.
//! * `compile`: from a document to `node`, the compiled rules. `metaschema`: whether the document
//!   is a schema. `secure`: whether its rules are cheap to judge.
//! * `validate`: judges an event and fills in defaults. `filled`: the event with its defaults.
//! * `pattern`: patterns of JavaScript. `formats`: the known formats. `names`: names and numbers as
//!   JavaScript writes them.
//! * `loader`: schemas by their URIs.
//! * `error`: what is wrong with a schema or an event. `stack`: a stack that grows.

mod compile;
mod error;
mod filled;
mod formats;
mod json;
mod loader;
mod metaschema;
mod names;
mod node;
mod pattern;
mod secure;
mod stack;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::Arc;

use serde_json::Value as Document;

pub use compile::Documents;
pub use error::{SchemaError, ValidationError, errors_text};
pub use filled::{Filled, Insertion};
pub use json::{Json, JsonError, JsonFault, Kind, Member, Members, Value};
pub use loader::{BaseError, LoadError, LoaderConfig, SchemaLoader};
pub use metaschema::check as check_metaschema;
pub use secure::insecurities;
pub use validate::Outcome;

use node::Node;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    /// The levels that a `$ref` can lead to. The first is the document itself.
    functions: Vec<Node>,
    document: Arc<Document>,
}

impl Schema {
    /// Compiles a document. Documents that it refers to are taken from `documents`, by their URIs
    /// without fragments, and the metaschemas are known.
    ///
    /// # Errors
    /// The document is no valid schema, or refers to a document that is not there
    /// ([`SchemaError::MissingDocument`]).
    pub fn compile(document: &Arc<Document>, documents: &Documents) -> Result<Self, SchemaError> {
        metaschema::check(document)?;
        let documents = metaschema::with_metaschemas(documents);
        compile::compile(document, &documents, compile::Defaults::Filled)
    }

    /// The document that was compiled.
    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// Judges a value: at most `errors_max` errors, and one more that counts the others.
    pub fn validate<'d>(&'d self, value: Value<'d>, errors_max: usize) -> Outcome<'d> {
        validate::validate(self, value, errors_max)
    }
}
