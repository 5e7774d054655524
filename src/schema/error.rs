//! What is wrong: with a schema, or with an event.

use serde::Serialize;
use serde_json::Value;

/// Why a document cannot be used as a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The metaschema does not allow it, or a keyword has an impossible value.
    #[error("schema is invalid: {0}")]
    Invalid(String),
    /// Its `$schema` is not one of draft-04, draft-06 and draft-07.
    #[error("the metaschema {0} is not known; use draft-07, draft-06 or draft-04")]
    Dialect(String),
    /// A `format` that is not known.
    #[error("unknown format \"{format}\" is used in schema at path \"{path}\"")]
    UnknownFormat {
        /// The format.
        format: String,
        /// Where, as in errors.
        path: String,
    },
    /// A `pattern` that cannot be matched in linear time.
    #[error("the pattern \"{pattern}\" in schema at path \"{path}\" cannot be used: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Where, as in errors.
        path: String,
        /// What cannot be expressed.
        reason: String,
    },
    /// A `$ref` to a document that was not given. A loader loads `uri` and compiles again.
    #[error("can't resolve reference {reference} from id {base}")]
    MissingDocument {
        /// The document of the reference, without a fragment.
        uri: String,
        /// The text of the `$ref`.
        reference: String,
        /// The id of the schema around it.
        base: String,
    },
    /// A `$ref` to a part of a document that is not there.
    #[error("can't resolve reference {reference} from id {base}")]
    Reference {
        /// The text of the `$ref`.
        reference: String,
        /// The id of the schema around it.
        base: String,
    },
    /// It nests too deep.
    #[error("the schema nests too deep")]
    TooDeep,
}

/// One error of an event, in AJV's words and with its names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValidationError {
    /// The keyword of the schema that the event violates.
    pub keyword: &'static str,
    /// Where in the event, as JavaScript would write it after the event's name.
    #[serde(rename = "dataPath")]
    pub data_path: String,
    /// Where in the schema: a fragment with a JSON pointer, behind the text of the `$ref` that
    /// leads to the schema.
    #[serde(rename = "schemaPath")]
    pub schema_path: String,
    /// The values of the keyword.
    pub params: Value,
    /// What should be.
    pub message: String,
    /// The member whose name is wrong, in errors below `propertyNames`.
    #[serde(rename = "propertyName", skip_serializing_if = "Option::is_none")]
    pub property_name: Option<String>,
}

/// All errors in one line: `'.field' should be string, '' should have …`.
pub fn errors_text(errors: &[ValidationError]) -> String {
    let line = |error: &ValidationError| format!("'{}' {}", error.data_path, error.message);
    errors.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// The errors of a document as AJV's `errorsText` has them: `data.field should be string, …`.
pub(super) fn data_errors_text(errors: &[ValidationError]) -> String {
    let line = |error: &ValidationError| format!("data{} {}", error.data_path, error.message);
    errors.iter().map(line).collect::<Vec<_>>().join(", ")
}
