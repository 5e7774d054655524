//! Values against the table of keys: kinds, bounds, defaults.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::error::Findings;
use super::keys::{KEYS, Key, Kind, levels};
use super::layout::Layout;
use super::yaml::{self, join};
use super::{kafka, maps};

/// Every key that means something, with the value given or its default, in the shape that the typed configuration reads.
///
/// A value that is not what its key takes is a problem in `findings`; its default stands in so that all problems are found at once.
pub(super) fn check(layout: &Layout, findings: &mut Findings) -> Map<String, Value> {
    let mut checked = Map::new();
    for key in KEYS.iter().filter(|key| key.kind != Kind::Ignored) {
        let given = layout
            .values
            .get(key.name)
            .and_then(|value| check_one(key, value, layout, findings));
        checked.insert(key.name.to_owned(), given.unwrap_or_else(|| default(key)));
    }
    checked
}

/// The default of `key` in its checked shape.
pub(super) fn default(key: &Key) -> Value {
    let value = yaml::parse(key.default)
        .expect("defaults in the table are YAML: every one is read by a test");
    if value.is_null() {
        return value;
    }
    check_one(key, &value, &Layout::default(), &mut Findings::default())
        .expect("defaults in the table pass their own check: tested")
}

fn check_one(key: &Key, value: &Value, layout: &Layout, findings: &mut Findings) -> Option<Value> {
    let path = layout.path(key.name);
    let checked = match key.kind {
        Kind::Properties => return kafka::check_properties(value, path, findings),
        Kind::RedactedPages => return maps::check_redacted_pages(value, path, findings),
        Kind::Streams => return maps::check_streams(value, path, findings),
        Kind::UriOptions => return maps::check_uri_options(value, path, findings),
        Kind::Logging => return check_logging(value, layout, findings),
        Kind::Metrics => return check_metrics(value, path, findings),
        Kind::NamesOrAll if value == "all" => Ok(Value::Null),
        Kind::Names | Kind::NamesOrAll => {
            return check_list(value, path, findings, |entry| {
                text(entry).map(Value::String)
            });
        }
        Kind::Networks => return check_list(value, path, findings, network),
        // Templates leave empty text where there is nothing to say.
        Kind::Text | Kind::HttpUrl if key.default == "null" && value == "" => Ok(Value::Null),
        Kind::Text => text(value).map(Value::String),
        // The Node service takes `false`; a header of the text "off" is nobody's wish.
        Kind::HeaderValueOrOff if *value == Value::Bool(false) || value == "off" => Ok(Value::Null),
        Kind::HeaderValue | Kind::HeaderValueOrOff => header_value(value),
        Kind::HeaderName => text(value).and_then(|text| match HeaderName::try_from(&text) {
            Ok(name) => Ok(json!(name.as_str())),
            Err(_) => Err(format!("{text:?} is no name of an HTTP header")),
        }),
        Kind::HttpUrl => http_url(value),
        Kind::Flag => flag(value),
        Kind::Number { min, max } => number(value, min, max),
        Kind::NumberOrOff { max } => number_or_off(value, max),
        Kind::NumberOrAuto { .. } if value == "auto" => Ok(Value::Null),
        Kind::NumberOrAuto { min, max } => {
            number(value, min, max).map_err(|what| what + ", or may be auto")
        }
        Kind::Interface => interface(value),
        Kind::Choice(words) => choice(value, words),
        Kind::ChoiceOrFlag { words, on, off } => match value {
            Value::Bool(flag) => Ok(json!(if *flag { on } else { off })),
            _ => choice(value, words),
        },
        Kind::Ignored => Ok(Value::Null),
    };
    checked.map_err(|what| findings.problem(path, what)).ok()
}

/// A scalar as text, numbers and booleans as they are written in JSON.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("must be text, is {}", shape(value))),
    }
}

/// What a value is, in words for error texts.
pub(super) fn shape(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        scalar => scalar.to_string(),
    }
}

fn header_value(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    match HeaderValue::from_str(&text) {
        Ok(_) => Ok(Value::String(text)),
        Err(_) => Err(format!("{text:?} cannot stand in an HTTP header")),
    }
}

fn http_url(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    let has_host = |scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|host| !host.is_empty())
    };
    if has_host("http://") || has_host("https://") {
        Ok(Value::String(text))
    } else {
        Err(format!("{text:?} is no http:// or https:// URL"))
    }
}

fn flag(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        _ => Err(format!("must be true or false, is {}", shape(value))),
    }
}

/// A whole number; digits in quotes are taken too, as templates like to quote.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

fn number(value: &Value, min: u64, max: u64) -> Result<Value, String> {
    match whole(value) {
        Some(number) if (min..=max).contains(&number) => Ok(json!(number)),
        _ => Err(format!(
            "must be a whole number from {min} to {max}, is {}",
            shape(value)
        )),
    }
}

fn number_or_off(value: &Value, max: u64) -> Result<Value, String> {
    match value {
        Value::Bool(false) => Ok(Value::Null),
        Value::String(text) if text == "off" => Ok(Value::Null),
        _ => match whole(value) {
            // The Node service reads 0 as "no limit".
            Some(0) => Ok(Value::Null),
            Some(number) if number <= max => Ok(json!(number)),
            _ => Err(format!(
                "must be a whole number from 1 to {max}, or off; is {}",
                shape(value)
            )),
        },
    }
}

fn interface(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    match text.as_str() {
        "all" | "*" | "" => Ok(json!(IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
        "localhost" => Ok(json!("127.0.0.1")),
        address => match address.parse::<IpAddr>() {
            Ok(address) => Ok(json!(address)),
            Err(_) => Err(format!(
                "must be an IP address, localhost or all; is {text:?}"
            )),
        },
    }
}

fn choice(value: &Value, words: &[&str]) -> Result<Value, String> {
    match value {
        Value::String(word) if words.contains(&word.as_str()) => Ok(value.clone()),
        _ => Err(format!(
            "must be one of {}; is {}",
            words.join(", "),
            shape(value)
        )),
    }
}

fn network(entry: &Value) -> Result<Value, String> {
    let text = text(entry)?;
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network
        .map(|network| json!(network))
        .ok_or_else(|| format!("must be an IP network like 10.0.0.0/8 or an address, is {text:?}"))
}

fn check_list(
    value: &Value,
    path: &str,
    findings: &mut Findings,
    check_entry: impl Fn(&Value) -> Result<Value, String>,
) -> Option<Value> {
    let Value::Array(entries) = value else {
        findings.problem(path, format!("must be a list, is {}", shape(value)));
        return None;
    };
    let mut checked = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match check_entry(entry) {
            Ok(entry) => checked.push(entry),
            Err(what) => findings.problem(&format!("{path}[{index}]"), what),
        }
    }
    Some(Value::Array(checked))
}

/// The service runner's `logging`; only the level is ours, and is the answer.
fn check_logging(value: &Value, layout: &Layout, findings: &mut Findings) -> Option<Value> {
    let Value::Object(entries) = value else {
        findings.problem(
            layout.path("logging"),
            format!("must be a map like {{level: info}}, is {}", shape(value)),
        );
        return None;
    };
    let mut level = None;
    for (name, value) in entries {
        let path = layout.entry_path("logging", name);
        match name.as_str() {
            "level" => match choice(value, levels()) {
                Ok(checked) => level = Some(checked),
                Err(what) => findings.problem(&path, what),
            },
            "name" | "streams" | "sampled_levels" => findings.ignored.push(path),
            _ => findings.unknown_key(
                &path,
                name,
                ["level", "name", "streams", "sampled_levels"].into_iter(),
            ),
        }
    }
    level
}

/// The service runner's `metrics`: a reporter or a list of them. The answer is the port of the one of type `prometheus`.
fn check_metrics(value: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let single = std::slice::from_ref(value);
    let (reporters, in_list) = match value {
        Value::Array(reporters) => (reporters.as_slice(), true),
        _ => (single, false),
    };
    let mut port = None;
    for (index, reporter) in reporters.iter().enumerate() {
        let path = if in_list {
            format!("{path}[{index}]")
        } else {
            path.to_owned()
        };
        let Value::Object(entries) = reporter else {
            findings.problem(&path, "must be a map like {type: prometheus, port: 9102}");
            continue;
        };
        if entries.get("type").and_then(Value::as_str) != Some("prometheus") {
            findings.ignored.push(path);
            continue;
        }
        for (name, value) in entries {
            let path = join(&path, name);
            match name.as_str() {
                "port" => match number_or_off(value, 65_535) {
                    Ok(checked) => port = Some(checked),
                    Err(what) => findings.problem(&path, what),
                },
                "type" => {}
                // Only things of the service runner's own, all without meaning here.
                _ => findings.ignored.push(path),
            }
        }
    }
    port
}
