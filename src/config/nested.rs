//! Keys whose values are maps with keys of the operator's own: redacted pages, filters, stream
//! settings, request options.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::Diagnostics;
use super::streams::misspelt_essential_setting;
use super::value::{describe, text};
use super::yaml::{self, join};
use crate::filter::Filter;

fn entries<'a>(
    value: &'a Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<&'a Map<String, Value>> {
    let entries = value.as_object();
    if entries.is_none() {
        diagnostics.error(path, format!("must be a map, not {}", describe(value)));
    }
    entries
}

/// `{domain: [titles]}`.
pub(super) fn check_redacted_pages(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let mut checked = Map::new();
    for (domain, titles) in entries(value, path, diagnostics)? {
        let path = join(path, domain);
        let titles = match titles {
            Value::Array(titles) => titles.as_slice(),
            Value::Null => &[],
            _ => {
                let message = format!("must be a list of page titles, not {}", describe(titles));
                diagnostics.error(&path, message);
                continue;
            }
        };
        let mut texts = Vec::new();
        for (index, title) in titles.iter().enumerate() {
            match page_title(title) {
                Ok(title) => texts.push(Value::String(title)),
                Err(message) => diagnostics.error(&format!("{path}[{index}]"), message),
            }
        }
        checked.insert(domain.clone(), Value::Array(texts));
    }
    Some(Value::Object(checked))
}

/// Redacted pages with their titles as text.
type TitlesAsText = BTreeMap<String, Option<Vec<Option<String>>>>;

/// The two sections of the file in which redacted pages may be.
#[derive(Deserialize)]
struct FileWithTitles {
    mediawiki_redacted_pages: Option<TitlesAsText>,
    services: Option<Vec<ServiceWithTitles>>,
}

#[derive(Deserialize)]
struct ServiceWithTitles {
    conf: Option<ConfWithTitles>,
}

#[derive(Deserialize)]
struct ConfWithTitles {
    mediawiki_redacted_pages: Option<TitlesAsText>,
}

/// Replaces page titles in the file's document that YAML reads as whole numbers with their text:
/// `0x1F`, not 31.
pub(super) fn restore_titles_of_file(document: &mut Value, text: &str) {
    let Some(file) = yaml::parse_as::<FileWithTitles>(text) else {
        return;
    };
    let in_conf = file
        .services
        .and_then(|services| services.into_iter().next()?.conf?.mediawiki_redacted_pages);
    for (pointer, titles) in [
        ("/mediawiki_redacted_pages", file.mediawiki_redacted_pages),
        ("/services/0/conf/mediawiki_redacted_pages", in_conf),
    ] {
        if let (Some(pages), Some(titles)) = (document.pointer_mut(pointer), titles) {
            replace_numbers(pages, &titles);
        }
    }
}

/// The same where `text` is the map of redacted pages alone.
pub(super) fn restore_titles(pages: &mut Value, text: &str) {
    if let Some(titles) = yaml::parse_as(text) {
        replace_numbers(pages, &titles);
    }
}

fn replace_numbers(pages: &mut Value, as_text: &TitlesAsText) {
    for (domain, titles) in pages.as_object_mut().into_iter().flatten() {
        let titles = titles.as_array_mut().into_iter().flatten();
        let texts = as_text.get(domain).and_then(Option::as_ref);
        for (title, text) in titles.zip(texts.into_iter().flatten()) {
            if let (true, Some(text)) = (title.is_u64(), text) {
                *title = Value::String(text.clone());
            }
        }
    }
}

/// A title that YAML reads as something else would silently not be redacted: `1.10` is the number
/// 1.1, and `Null` is nothing.
fn page_title(value: &Value) -> Result<String, String> {
    match value {
        Value::String(title) if title.trim().is_empty() => Err("is an empty page title".to_owned()),
        Value::String(title) => Ok(title.clone()),
        _ => Err(format!(
            "YAML reads this page title as {}; put it in quotes",
            describe(value)
        )),
    }
}

/// `{stream: {setting: ..}}`. The catalog interprets the settings.
pub(super) fn check_streams(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let mut checked = Map::new();
    for (name, settings) in entries(value, path, diagnostics)? {
        let path = join(path, name);
        match settings {
            Value::Object(given) => {
                for setting in given.keys() {
                    if let Some(near) = misspelt_essential_setting(setting) {
                        let message = format!("unknown stream setting; did you mean `{near}`?");
                        diagnostics.error(&join(&path, setting), message);
                    }
                }
                checked.insert(name.clone(), settings.clone());
            }
            // `my.stream:` with nothing behind it is a stream without settings of its own.
            Value::Null => {
                checked.insert(name.clone(), Value::Object(Map::new()));
            }
            _ => {
                let message = format!(
                    "must be a map of stream settings, not {}",
                    describe(settings)
                );
                diagnostics.error(&path, message);
            }
        }
    }
    Some(Value::Object(checked))
}

/// `{name: filter}`.
pub(super) fn check_filters(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let mut checked = Map::new();
    for (name, filter) in entries(value, path, diagnostics)? {
        let path = join(path, name);
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(is_part) {
            diagnostics.error(
                &path,
                "is not a name: use ASCII letters, digits, `_` and `-`",
            );
            continue;
        }
        let parsed = text(filter).and_then(|text| match Filter::parse(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(format!("is not a filter: {error}")),
        });
        match parsed {
            Ok(text) => _ = checked.insert(name.clone(), Value::String(text)),
            Err(message) => diagnostics.error(&path, message),
        }
    }
    Some(Value::Object(checked))
}

/// `{headers: {name: value}, timeout: milliseconds}`.
pub(super) fn check_uri_options(
    value: &Value,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let mut checked = Map::new();
    for (name, value) in entries(value, path, diagnostics)? {
        let path = join(path, name);
        match name.as_str() {
            "headers" if value.is_null() => {}
            "headers" => {
                if let Some(headers) = check_headers(value, &path, diagnostics) {
                    checked.insert("headers".to_owned(), headers);
                }
            }
            "timeout" => {
                if let Some(timeout @ 1..=3_600_000) = value.as_u64() {
                    checked.insert("timeout".to_owned(), json!(timeout));
                } else {
                    let given = describe(value);
                    let message = format!("must be 1 to 3600000 milliseconds, not {given}");
                    diagnostics.error(&path, message);
                }
            }
            // Options of the Node service's HTTP client and of its file reader.
            "method" | "redirect" | "follow" | "compress" | "size" | "retries" | "encoding" => {
                diagnostics.ignored_keys.push(path);
            }
            _ => diagnostics.unknown_key(&path, name, ["headers", "timeout"]),
        }
    }
    Some(Value::Object(checked))
}

fn check_headers(value: &Value, path: &str, diagnostics: &mut Diagnostics) -> Option<Value> {
    let mut headers = Map::new();
    for (name, value) in entries(value, path, diagnostics)? {
        let path = join(path, name);
        if HeaderName::try_from(name).is_err() {
            diagnostics.error(&path, "is not a valid HTTP header name");
            continue;
        }
        match text(value) {
            Ok(text) if HeaderValue::from_str(&text).is_ok() => {
                headers.insert(name.clone(), Value::String(text));
            }
            // The value may be a secret: the message does not repeat it.
            Ok(_) => diagnostics.error(&path, "is not a valid HTTP header value"),
            Err(message) => diagnostics.error(&path, message),
        }
    }
    Some(Value::Object(headers))
}
