//! Keys whose values are maps with keys of the operator's own: redacted pages, stream settings, options of requests.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::{shape, text};
use super::error::Findings;
use super::streams::misspelt_essential_setting;
use super::yaml::{self, join};

fn entries<'a>(
    value: &'a Value,
    path: &str,
    findings: &mut Findings,
) -> Option<&'a Map<String, Value>> {
    let entries = value.as_object();
    if entries.is_none() {
        findings.problem(path, format!("must be a map, is {}", shape(value)));
    }
    entries
}

/// `{domain: [titles]}`.
pub(super) fn check_redacted_pages(
    value: &Value,
    path: &str,
    findings: &mut Findings,
) -> Option<Value> {
    let mut checked = Map::new();
    for (domain, titles) in entries(value, path, findings)? {
        let path = join(path, domain);
        let titles = match titles {
            Value::Array(titles) => titles.as_slice(),
            Value::Null => &[],
            _ => {
                findings.problem(
                    &path,
                    format!("must be a list of page titles, is {}", shape(titles)),
                );
                continue;
            }
        };
        let mut texts = Vec::new();
        for (index, title) in titles.iter().enumerate() {
            match page_title(title) {
                Ok(title) => texts.push(Value::String(title)),
                Err(what) => findings.problem(&format!("{path}[{index}]"), what),
            }
        }
        checked.insert(domain.clone(), Value::Array(texts));
    }
    Some(Value::Object(checked))
}

/// Redacted pages, the titles as they are written.
type WrittenPages = BTreeMap<String, Option<Vec<Option<String>>>>;

/// The file's places of redacted pages.
#[derive(Deserialize)]
struct WrittenFile {
    mediawiki_redacted_pages: Option<WrittenPages>,
    services: Option<Vec<WrittenService>>,
}

#[derive(Deserialize)]
struct WrittenService {
    conf: Option<WrittenConf>,
}

#[derive(Deserialize)]
struct WrittenConf {
    mediawiki_redacted_pages: Option<WrittenPages>,
}

/// Page titles in the file's document that YAML takes for whole numbers become what is written: `0x1F`, and not 31.
pub(super) fn keep_titles_of_file(document: &mut Value, text: &str) {
    let Some(written) = yaml::parse_as::<WrittenFile>(text) else {
        return;
    };
    let of_service = written
        .services
        .and_then(|services| services.into_iter().next()?.conf?.mediawiki_redacted_pages);
    for (place, written) in [
        (
            "/mediawiki_redacted_pages",
            written.mediawiki_redacted_pages,
        ),
        ("/services/0/conf/mediawiki_redacted_pages", of_service),
    ] {
        if let (Some(pages), Some(written)) = (document.pointer_mut(place), written) {
            keep(pages, &written);
        }
    }
}

/// The same where `text` is the map of redacted pages alone.
pub(super) fn keep_titles(pages: &mut Value, text: &str) {
    if let Some(written) = yaml::parse_as(text) {
        keep(pages, &written);
    }
}

fn keep(pages: &mut Value, written: &WrittenPages) {
    for (domain, titles) in pages.as_object_mut().into_iter().flatten() {
        let written = written.get(domain).and_then(Option::as_ref);
        for (title, written) in titles
            .as_array_mut()
            .into_iter()
            .flatten()
            .zip(written.into_iter().flatten())
        {
            if let (true, Some(written)) = (title.is_u64(), written) {
                *title = Value::String(written.clone());
            }
        }
    }
}

/// A title that YAML reads as something else would silently not be redacted: `1.10` is the number 1.1 and `Null` is nothing.
fn page_title(value: &Value) -> Result<String, String> {
    match value {
        Value::String(title) if title.trim().is_empty() => Err("is an empty page title".to_owned()),
        Value::String(title) => Ok(title.clone()),
        _ => Err(format!(
            "YAML reads this page title as {}; put it in quotes",
            shape(value)
        )),
    }
}

/// `{stream: {setting: ..}}`. What the settings mean is the catalog's business.
pub(super) fn check_streams(value: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let mut checked = Map::new();
    for (name, settings) in entries(value, path, findings)? {
        match settings {
            Value::Object(given) => {
                for setting in given.keys() {
                    if let Some(near) = misspelt_essential_setting(setting) {
                        let path = join(&join(path, name), setting);
                        findings.problem(
                            &path,
                            format!("no such setting of a stream; did you mean `{near}`?"),
                        );
                    }
                }
                checked.insert(name.clone(), settings.clone());
            }
            // `my.stream:` with nothing behind it is a stream of that name with no settings of its own.
            Value::Null => {
                checked.insert(name.clone(), Value::Object(Map::new()));
            }
            _ => findings.problem(
                &join(path, name),
                format!(
                    "must be a map of the stream's settings, is {}",
                    shape(settings)
                ),
            ),
        }
    }
    Some(Value::Object(checked))
}

/// `{headers: {name: value}, timeout: milliseconds}`.
pub(super) fn check_uri_options(
    value: &Value,
    path: &str,
    findings: &mut Findings,
) -> Option<Value> {
    let mut checked = Map::new();
    for (name, value) in entries(value, path, findings)? {
        let path = join(path, name);
        match name.as_str() {
            "headers" if value.is_null() => {}
            "headers" => {
                if let Some(headers) = check_headers(value, &path, findings) {
                    checked.insert("headers".to_owned(), headers);
                }
            }
            "timeout" => match value.as_u64() {
                Some(timeout @ 1..=3_600_000) => {
                    checked.insert("timeout".to_owned(), json!(timeout));
                }
                _ => findings.problem(
                    &path,
                    format!(
                        "must be milliseconds from 1 to 3600000, is {}",
                        shape(value)
                    ),
                ),
            },
            // Options of the Node service's HTTP client and of its file reader.
            "method" | "redirect" | "follow" | "compress" | "size" | "retries" | "encoding" => {
                findings.ignored.push(path);
            }
            _ => findings.unknown_key(&path, name, ["headers", "timeout"].into_iter()),
        }
    }
    Some(Value::Object(checked))
}

fn check_headers(value: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let mut headers = Map::new();
    for (name, value) in entries(value, path, findings)? {
        let path = join(path, name);
        if HeaderName::try_from(name).is_err() {
            findings.problem(&path, "is no name of an HTTP header");
            continue;
        }
        match text(value) {
            Ok(text) if HeaderValue::from_str(&text).is_ok() => {
                headers.insert(name.clone(), Value::String(text));
            }
            Ok(_) => findings.problem(&path, "cannot stand in an HTTP header"),
            Err(what) => findings.problem(&path, what),
        }
    }
    Some(Value::Object(headers))
}
