//! Tests of whole schemas.
//!
//! * `keywords`: errors, their order, texts and paths, for each family of keywords. `defaults`:
//!   what is filled in. `references`: `$ref`. `bounds`: depth, errors and time.
//! * `oracle`: the crate `jsonschema` on random schemas. `vectors`: cases from outside of the
//!   project, in folders that the environment names.

mod bounds;
mod defaults;
mod keywords;
mod oracle;
mod references;
mod vectors;

use std::sync::Arc;

use serde_json::Value as Document;

use super::{Documents, Json, Schema, SchemaError, ValidationError};

fn compile(schema: &Document) -> Schema {
    try_compile(schema).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn try_compile(schema: &Document) -> Result<Schema, SchemaError> {
    Schema::compile(&Arc::new(schema.clone()), &Documents::new())
}

/// What validation of `data` finds, and the data with defaults.
fn judge(schema: &Schema, data: &str) -> (Vec<ValidationError>, Document) {
    let json = Json::parse(data).unwrap_or_else(|error| panic!("{data}: {error}"));
    let outcome = schema.validate(json.root(), 1000);
    let filled = outcome.filled().text(json.root());
    let filled =
        serde_json::from_str(&filled).unwrap_or_else(|error| panic!("{filled:.999}: {error}"));
    (outcome.errors().to_vec(), filled)
}

/// Each error as `dataPath schemaPath message`.
fn errors(schema: &Document, data: &Document) -> Vec<String> {
    let (errors, _) = judge(&compile(schema), &data.to_string());
    let line = |error: ValidationError| {
        let (data_path, schema_path) = (error.data_path, error.schema_path);
        format!("{data_path} {schema_path} {}", error.message)
    };
    errors.into_iter().map(line).collect()
}
