//! Readers of single values. Each returns the value in its checked form, or what is wrong with it.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde_json::{Value, json};

/// A scalar as text; numbers and booleans as JSON writes them.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("must be text, not {}", describe(value))),
    }
}

/// What a value is, for error messages.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        scalar => scalar.to_string(),
    }
}

pub(super) fn header_name(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    match HeaderName::try_from(&text) {
        Ok(name) => Ok(json!(name.as_str())),
        Err(_) => Err(format!("{text:?} is not a valid HTTP header name")),
    }
}

pub(super) fn header_value(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    match HeaderValue::from_str(&text) {
        Ok(_) => Ok(Value::String(text)),
        Err(_) => Err(format!("{text:?} is not a valid HTTP header value")),
    }
}

pub(super) fn http_url(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    if host.is_some_and(|host| !host.is_empty()) {
        Ok(Value::String(text))
    } else {
        Err(format!("{text:?} is not an http:// or https:// URL"))
    }
}

pub(super) fn flag(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        _ => Err(format!("must be true or false, not {}", describe(value))),
    }
}

/// A whole number. Digits in quotes are accepted too: templates often quote numbers.
fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn number(value: &Value, min: u64, max: u64) -> Result<Value, String> {
    match whole_number(value) {
        Some(number) if (min..=max).contains(&number) => Ok(json!(number)),
        _ => Err(format!(
            "must be a whole number from {min} to {max}, not {}",
            describe(value)
        )),
    }
}

pub(super) fn number_or_off(value: &Value, max: u64) -> Result<Value, String> {
    if *value == Value::Bool(false) || value == "off" {
        return Ok(Value::Null);
    }
    match whole_number(value) {
        // The Node service reads 0 as "no limit".
        Some(0) => Ok(Value::Null),
        Some(number) if number <= max => Ok(json!(number)),
        _ => Err(format!(
            "must be off or a whole number from 1 to {max}, not {}",
            describe(value)
        )),
    }
}

pub(super) fn number_or_auto(value: &Value, min: u64, max: u64) -> Result<Value, String> {
    if value == "auto" {
        return Ok(Value::Null);
    }
    number(value, min, max).map_err(|_| {
        format!(
            "must be auto or a whole number from {min} to {max}, not {}",
            describe(value)
        )
    })
}

pub(super) fn interface(value: &Value) -> Result<Value, String> {
    let text = text(value)?;
    match text.as_str() {
        "all" | "*" | "" => Ok(json!(IpAddr::V6(Ipv6Addr::UNSPECIFIED))),
        "localhost" => Ok(json!("127.0.0.1")),
        address => match address.parse::<IpAddr>() {
            Ok(address) => Ok(json!(address)),
            Err(_) => Err(format!(
                "must be an IP address, localhost or all, not {text:?}"
            )),
        },
    }
}

pub(super) fn choice(value: &Value, words: &[&str]) -> Result<Value, String> {
    match value {
        Value::String(word) if words.contains(&word.as_str()) => Ok(value.clone()),
        _ => Err(format!(
            "must be one of {}; not {}",
            words.join(", "),
            describe(value)
        )),
    }
}

/// A network, or a single address as the network of that address.
pub(super) fn network(entry: &Value) -> Result<Value, String> {
    let text = text(entry)?;
    let network = text
        .parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.map(|network| json!(network)).ok_or_else(|| {
        format!("must be an IP address or a network such as 10.0.0.0/8, not {text:?}")
    })
}
