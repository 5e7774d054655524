//! Checks values against the table of keys and fills in the defaults.

use serde_json::{Map, Value, json};

use super::error::Diagnostics;
use super::flat::FlatConfig;
use super::keys::{KEYS, Key, LOG_LEVELS, ValueKind};
use super::value::{
    choice, describe, flag, header_name, header_value, http_url, interface, network, number,
    number_or_auto, number_or_off, text,
};
use super::yaml::{self, join};
use super::{kafka, nested};

/// Every key that has an effect, with its value or its default, in the form that the typed
/// configuration deserializes.
///
/// A value that its key does not accept is an error in `diagnostics`; the default takes its place,
/// so that one pass finds all errors.
pub(super) fn check(flat: &FlatConfig, diagnostics: &mut Diagnostics) -> Map<String, Value> {
    let mut checked = Map::new();
    for key in KEYS.iter().filter(|key| key.kind != ValueKind::Ignored) {
        let given = flat
            .values
            .get(key.name)
            .and_then(|value| check_one(key, value, flat, diagnostics));
        checked.insert(key.name.to_owned(), given.unwrap_or_else(|| default(key)));
    }
    checked
}

/// The default of `key` in its checked form.
pub(super) fn default(key: &Key) -> Value {
    let value = yaml::parse(key.default).expect("the default is YAML: a test reads all of them");
    if value.is_null() {
        return value;
    }
    check_one(
        key,
        &value,
        &FlatConfig::default(),
        &mut Diagnostics::default(),
    )
    .expect("the default passes its own check: a test checks all of them")
}

fn check_one(
    key: &Key,
    value: &Value,
    flat: &FlatConfig,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let path = flat.path(key.name);
    let checked = match key.kind {
        ValueKind::Properties => return kafka::check_properties(value, path, diagnostics),
        ValueKind::RedactedPages => return nested::check_redacted_pages(value, path, diagnostics),
        ValueKind::Filters => return nested::check_filters(value, path, diagnostics),
        ValueKind::Streams => return nested::check_streams(value, path, diagnostics),
        ValueKind::UriOptions => return nested::check_uri_options(value, path, diagnostics),
        ValueKind::Logging => return check_logging(value, flat, diagnostics),
        ValueKind::Metrics => return check_metrics(value, path, diagnostics),
        ValueKind::NamesOrAll if value == "all" => Ok(Value::Null),
        ValueKind::Names | ValueKind::NamesOrAll => {
            return check_list(value, path, diagnostics, |entry| {
                text(entry).map(Value::String)
            });
        }
        ValueKind::Networks => return check_list(value, path, diagnostics, network),
        // Templates render an unset value as empty text.
        ValueKind::Text | ValueKind::HttpUrl if key.default == "null" && value == "" => {
            Ok(Value::Null)
        }
        ValueKind::Text => text(value).map(Value::String),
        // The Node service accepts `false`. No operator wants a header whose value is "off".
        ValueKind::HeaderValueOrOff if *value == Value::Bool(false) || value == "off" => {
            Ok(Value::Null)
        }
        ValueKind::HeaderValue | ValueKind::HeaderValueOrOff => header_value(value),
        ValueKind::HeaderName => header_name(value),
        ValueKind::HttpUrl => http_url(value),
        ValueKind::Flag => flag(value),
        ValueKind::Number { min, max } => number(value, min, max),
        ValueKind::NumberOrOff { max } => number_or_off(value, max),
        ValueKind::NumberOrAuto { min, max } => number_or_auto(value, min, max),
        ValueKind::Interface => interface(value),
        ValueKind::Choice(words) => choice(value, words),
        ValueKind::ChoiceOrFlag { words, on, off } => match value {
            Value::Bool(is_on) => Ok(json!(if *is_on { on } else { off })),
            _ => choice(value, words),
        },
        ValueKind::Ignored => Ok(Value::Null),
    };
    checked
        .map_err(|message| diagnostics.error(path, message))
        .ok()
}

fn check_list(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
    check_entry: impl Fn(&Value) -> Result<Value, String>,
) -> Option<Value> {
    let Value::Array(entries) = value else {
        diagnostics.error(path, format!("must be a list, not {}", describe(value)));
        return None;
    };
    let mut checked = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match check_entry(entry) {
            Ok(entry) => checked.push(entry),
            Err(message) => diagnostics.error(&format!("{path}[{index}]"), message),
        }
    }
    Some(Value::Array(checked))
}

/// The `logging` of service-runner. Only the level has an effect; it is what this returns.
fn check_logging(value: &Value, flat: &FlatConfig, diagnostics: &mut Diagnostics) -> Option<Value> {
    let Value::Object(entries) = value else {
        let message = format!(
            "must be a map such as {{level: info}}, not {}",
            describe(value)
        );
        diagnostics.error(flat.path("logging"), message);
        return None;
    };
    let mut level = None;
    for (name, value) in entries {
        let path = flat.entry_path("logging", name);
        match name.as_str() {
            "level" => match choice(value, LOG_LEVELS) {
                Ok(checked) => level = Some(checked),
                Err(message) => diagnostics.error(&path, message),
            },
            "name" | "streams" | "sampled_levels" => diagnostics.ignored_keys.push(path),
            _ => {
                let valid = ["level", "name", "streams", "sampled_levels"];
                diagnostics.unknown_key(&path, name, valid);
            }
        }
    }
    level
}

/// The `metrics` of service-runner: a reporter or a list of them. Returns the port of the reporter
/// of type `prometheus`.
fn check_metrics(value: &Value, path: &str, diagnostics: &mut Diagnostics) -> Option<Value> {
    let Value::Array(reporters) = value else {
        return check_reporter(value, path, diagnostics);
    };
    let mut port = None;
    for (index, reporter) in reporters.iter().enumerate() {
        port = check_reporter(reporter, &format!("{path}[{index}]"), diagnostics).or(port);
    }
    port
}

fn check_reporter(reporter: &Value, path: &str, diagnostics: &mut Diagnostics) -> Option<Value> {
    let Value::Object(entries) = reporter else {
        diagnostics.error(path, "must be a map such as {type: prometheus, port: 9102}");
        return None;
    };
    if entries.get("type").and_then(Value::as_str) != Some("prometheus") {
        diagnostics.ignored_keys.push(path.to_owned());
        return None;
    }
    let mut port = None;
    for (name, value) in entries {
        let path = join(path, name);
        match name.as_str() {
            "port" => match number_or_off(value, 65_535) {
                Ok(checked) => port = Some(checked),
                Err(message) => diagnostics.error(&path, message),
            },
            "type" => {}
            // Settings of service-runner that have no effect here.
            _ => diagnostics.ignored_keys.push(path),
        }
    }
    port
}
