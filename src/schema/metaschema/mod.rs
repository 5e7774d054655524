//! The metaschemas of draft-04, draft-06 and draft-07, built in: none is ever fetched.
//!
//! * `dialect`: their documents and URIs.

mod dialect;

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::Schema;
use super::compile::{Defaults, Documents, compile};
use super::error::{SchemaError, data_errors_text};
use super::json::Json;
use super::validate::validate;
use dialect::Dialect;
pub(super) use dialect::is_known;

/// The compiled metaschema.
fn compiled(dialect: Dialect) -> Result<&'static Schema, SchemaError> {
    static COMPILED: [OnceLock<Result<Schema, SchemaError>>; 3] = [const { OnceLock::new() }; 3];
    let compiled = COMPILED[dialect as usize].get_or_init(|| {
        let document = serde_json::from_str(dialect.text()).unwrap_or_default();
        compile(&Arc::new(document), &Documents::new(), Defaults::Ignored)
    });
    compiled.as_ref().map_err(SchemaError::clone)
}

/// Adds the metaschemas that `documents` lacks, for a `$ref` to one.
pub(super) fn with_metaschemas(documents: &Documents) -> Documents {
    let mut all = documents.clone();
    for dialect in Dialect::ALL {
        if let Ok(schema) = compiled(dialect) {
            let document = || Arc::clone(schema.document());
            all.entry(dialect.uri().to_owned()).or_insert_with(document);
        }
    }
    all
}

/// Checks a document against the metaschema that it names: draft-07 where it names none.
///
/// # Errors
/// The metaschema is not known, or does not allow the document.
pub fn check(schema: &Value) -> Result<(), SchemaError> {
    let dialect = match schema.get("$schema") {
        None => Dialect::Draft07,
        Some(Value::String(uri)) => {
            Dialect::of_uri(uri).ok_or_else(|| SchemaError::Dialect(uri.clone()))?
        }
        Some(_) => return Err(SchemaError::Invalid("$schema must be a string".to_owned())),
    };
    if !schema.is_object() && !schema.is_boolean() {
        let reason = "data should be an object or a boolean".to_owned();
        return Err(SchemaError::Invalid(reason));
    }
    let json = Json::from_value(schema).map_err(|_| SchemaError::TooDeep)?;
    let outcome = validate(compiled(dialect)?, json.root(), usize::MAX);
    match outcome.errors() {
        [] => Ok(()),
        errors => Err(SchemaError::Invalid(data_errors_text(errors))),
    }
}
