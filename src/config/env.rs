//! The environment over the file: `EVENTSTREAMS__PORT=8093`, `EVENTSTREAMS__KAFKA__METADATA_BROKER_LIST=kafka1:9093`.

use serde_json::{Map, Value};

use super::error::Findings;
use super::keys::{KEYS, Kind, find};
use super::layout::Layout;
use super::yaml;
use super::{kafka, maps};

const PREFIX: &str = "EVENTSTREAMS__";

/// Lays the environment over the file and returns the names of the variables that took effect.
///
/// Variables that do not begin with `EVENTSTREAMS__` are none of ours (Kubernetes sets `EVENTSTREAMS_SERVICE_HOST` and the like).
pub(super) fn apply(
    env: impl Iterator<Item = (String, String)>,
    layout: &mut Layout,
    findings: &mut Findings,
) -> Vec<String> {
    let mut variables: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    // A whole map comes before its single entries (`..KAFKA` before `..KAFKA__CLIENT_ID`); sorting is stable: the last of equal names wins.
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (variable, text) in &variables {
        apply_one(variable, text, layout, findings);
    }
    variables.dedup_by(|(a, _), (b, _)| a == b);
    variables.into_iter().map(|(name, _)| name).collect()
}

fn apply_one(variable: &str, text: &str, layout: &mut Layout, findings: &mut Findings) {
    let rest = variable[PREFIX.len()..].to_ascii_lowercase();
    let (name, entry) = match rest.split_once("__") {
        Some((name, entry)) => (name, Some(entry)),
        None => (rest.as_str(), None),
    };
    let usable = KEYS
        .iter()
        .filter(|key| !matches!(key.kind, Kind::Ignored | Kind::Metrics));
    let Some(key) = find(name).filter(|key| !matches!(key.kind, Kind::Ignored | Kind::Metrics))
    else {
        return findings.unknown_key(variable, name, usable.map(|key| key.name));
    };
    match (key.kind, entry) {
        (Kind::Properties, Some(entry)) => {
            if entry.is_empty() || entry.contains("__") {
                return findings.problem(
                    variable,
                    "must be EVENTSTREAMS__KAFKA__ and a property's name with `_` for each dot",
                );
            }
            let property = entry.replace('_', ".");
            set_entry(
                layout,
                name,
                variable,
                &property,
                Value::String(text.to_owned()),
            );
        }
        (Kind::Logging, Some("level")) => set_entry(
            layout,
            name,
            variable,
            "level",
            Value::String(text.to_owned()),
        ),
        (_, Some(_)) => {
            let whole = format!("{PREFIX}{}", name.to_ascii_uppercase());
            findings.problem(
                variable,
                format!("no single entry of this key can be set; set {whole} to the whole value, as JSON or YAML"),
            );
        }
        (
            Kind::Text
            | Kind::HeaderValue
            | Kind::HeaderValueOrOff
            | Kind::HeaderName
            | Kind::HttpUrl
            | Kind::Interface
            | Kind::Choice(_),
            None,
        ) => {
            layout.set(name, variable, Value::String(text.to_owned()));
        }
        (_, None) => match yaml::parse(text) {
            Ok(Value::Null) => {
                layout.values.remove(name);
            }
            Ok(mut value) => {
                if key.kind == Kind::RedactedPages {
                    maps::keep_titles(&mut value, text);
                }
                layout.set(name, variable, value);
            }
            Err(problem) => findings.problem(
                variable,
                format!("is no JSON or YAML value: {}", problem.what),
            ),
        },
    }
}

/// Sets one entry of a map; a value in the file that is no map keeps its own error.
fn set_entry(layout: &mut Layout, name: &str, variable: &str, entry: &str, value: Value) {
    if !layout.values.contains_key(name) {
        layout.set(name, variable, Value::Object(Map::new()));
    }
    if let Some(Value::Object(entries)) = layout.values.get_mut(name) {
        entries.retain(|given, _| kafka::canonical(given) != kafka::canonical(entry));
        entries.insert(entry.to_owned(), value);
        layout
            .paths
            .insert(yaml::join(name, entry), variable.to_owned());
    }
}
