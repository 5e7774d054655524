//! Lays the environment over the file: `EVENTSTREAMS__PORT=8093`,
//! `EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST=kafka1:9093`.

use serde_json::{Map, Value};

use super::error::Diagnostics;
use super::flat::FlatConfig;
use super::keys::{KEYS, Key, ValueKind};
use super::{kafka, nested, yaml};

const PREFIX: &str = "EVENTSTREAMS__";

/// Lays the environment over the file and returns the names of the variables that took effect.
///
/// Variables without the prefix `EVENTSTREAMS__` are not ours: Kubernetes sets
/// `EVENTSTREAMS_SERVICE_HOST` and the like.
pub(super) fn apply(
    env: impl Iterator<Item = (String, String)>,
    flat: &mut FlatConfig,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let mut variables: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // This puts a whole map before its entries (`..KAFKA` before `..KAFKA__CLIENT_ID`). The sort is
    // stable: of two variables with one name, the last wins.
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (variable, text) in &variables {
        apply_one(variable, text, flat, diagnostics);
    }
    variables.dedup_by(|(a, _), (b, _)| a == b);
    variables.into_iter().map(|(name, _)| name).collect()
}

fn apply_one(variable: &str, text: &str, flat: &mut FlatConfig, diagnostics: &mut Diagnostics) {
    let rest = variable[PREFIX.len()..].to_ascii_lowercase();
    let (name, entry) = match rest.split_once("__") {
        Some((name, entry)) => (name, Some(entry)),
        None => (rest.as_str(), None),
    };
    let Some(key) = settable().find(|key| key.name == name) else {
        return diagnostics.unknown_key(variable, name, settable().map(|key| key.name));
    };
    match (key.kind, entry) {
        (_, None) => set_whole(key, variable, text, flat, diagnostics),
        (ValueKind::Properties, Some(entry)) if entry.is_empty() || entry.contains("__") => {
            diagnostics.error(
                variable,
                "must be EVENTSTREAMS__KAFKA__ and the name of a property, with `_` for each dot",
            );
        }
        (ValueKind::Properties, Some(entry)) => {
            set_entry(name, &entry.replace('_', "."), variable, text, flat);
        }
        (ValueKind::Logging, Some("level")) => set_entry(name, "level", variable, text, flat),
        (_, Some(_)) => {
            let whole = format!("{PREFIX}{}", name.to_ascii_uppercase());
            let message = format!(
                "a single entry of this key cannot be set; \
                 set {whole} to the whole value, as JSON or YAML"
            );
            diagnostics.error(variable, message);
        }
    }
}

/// The keys that a variable can set.
fn settable() -> impl Iterator<Item = &'static Key> {
    KEYS.iter()
        .filter(|key| !matches!(key.kind, ValueKind::Ignored | ValueKind::Metrics))
}

fn set_whole(
    key: &Key,
    variable: &str,
    text: &str,
    flat: &mut FlatConfig,
    diagnostics: &mut Diagnostics,
) {
    if is_verbatim(key.kind) {
        return flat.set(key.name, variable, Value::String(text.to_owned()));
    }
    match yaml::parse(text) {
        Ok(Value::Null) => {
            flat.values.remove(key.name);
        }
        Ok(mut value) => {
            if key.kind == ValueKind::RedactedPages {
                nested::restore_titles(&mut value, text);
            }
            flat.set(key.name, variable, value);
        }
        Err(error) => {
            let message = format!("is not a JSON or YAML value: {}", error.message);
            diagnostics.error(variable, message);
        }
    }
}

/// Whether the text of a variable is the value itself, not JSON or YAML.
fn is_verbatim(kind: ValueKind) -> bool {
    matches!(
        kind,
        ValueKind::Text
            | ValueKind::HeaderValue
            | ValueKind::HeaderValueOrOff
            | ValueKind::HeaderName
            | ValueKind::HttpUrl
            | ValueKind::Interface
            | ValueKind::Choice(_)
    )
}

/// Sets one entry of a map. A value in the file that is not a map keeps its own error.
fn set_entry(name: &str, entry: &str, variable: &str, text: &str, flat: &mut FlatConfig) {
    if !flat.values.contains_key(name) {
        flat.set(name, variable, Value::Object(Map::new()));
    }
    if let Some(Value::Object(entries)) = flat.values.get_mut(name) {
        entries.retain(|given, _| kafka::canonical(given) != kafka::canonical(entry));
        entries.insert(entry.to_owned(), Value::String(text.to_owned()));
        flat.paths
            .insert(yaml::join(name, entry), variable.to_owned());
    }
}
