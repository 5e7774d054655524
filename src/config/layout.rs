//! The two forms of the file brought to one: a flat map from key to value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::Findings;
use super::keys::{KEYS, Kind, Place, find};
use super::yaml::join;

/// The keys that the operator gave, whatever the form of the file.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Values by key; only known keys that mean something.
    pub(super) values: Map<String, Value>,
    /// Where each key was given: its path in the file, or an environment variable.
    pub(super) paths: BTreeMap<String, String>,
}

impl Layout {
    pub(super) fn set(&mut self, name: &str, path: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
        self.paths.insert(name.to_owned(), path.to_owned());
    }

    /// Where `name` was given; the name itself when it was not.
    pub(super) fn path<'a>(&'a self, name: &'a str) -> &'a str {
        self.paths.get(name).map_or(name, String::as_str)
    }

    /// Where the entry `entry` of the map `name` was given.
    pub(super) fn entry_path(&self, name: &str, entry: &str) -> String {
        self.paths
            .get(&join(name, entry))
            .cloned()
            .unwrap_or_else(|| join(self.path(name), entry))
    }

    /// Reads the file that the Node service's chart renders (it has `services`), or a plain file of `conf`'s keys.
    pub(super) fn read(document: Value, findings: &mut Findings) -> Self {
        let mut layout = Self::default();
        match document {
            Value::Null => {}
            Value::Object(mut keys) => match keys.remove("services") {
                Some(services) => {
                    layout.take(keys, "", Some(Place::Top), findings);
                    layout.take_services(services, findings);
                }
                None => layout.take(keys, "", None, findings),
            },
            _ => findings.problem("", "the file is not a map of keys"),
        }
        layout
    }

    fn take_services(&mut self, services: Value, findings: &mut Findings) {
        let Value::Array(mut services) = services else {
            return findings.problem("services", "must be a list with one service");
        };
        if services.len() != 1 {
            return findings.problem(
                "services",
                format!("must be a list with one service, has {}", services.len()),
            );
        }
        let Value::Object(service) = services.remove(0) else {
            return findings.problem("services[0]", "must be a map with `name` and `conf`");
        };
        for (name, value) in service {
            let path = join("services[0]", &name);
            match (name.as_str(), value) {
                ("conf", Value::Object(keys)) => {
                    self.take(keys, &path, Some(Place::Conf), findings);
                }
                // The service's name again: `service_name` is the one used.
                ("conf", Value::Null) | ("name", _) => {}
                ("conf", _) => findings.problem(&path, "must be a map of keys"),
                ("module" | "entrypoint", _) => findings.ignored.push(path),
                _ => findings.unknown_key(
                    &path,
                    &name,
                    ["name", "module", "entrypoint", "conf"].into_iter(),
                ),
            }
        }
    }

    fn take(
        &mut self,
        keys: Map<String, Value>,
        at: &str,
        place: Option<Place>,
        findings: &mut Findings,
    ) {
        for (name, value) in keys {
            let path = join(at, &name);
            match find(&name) {
                Some(key) if place.is_none_or(|place| place == key.place) => {
                    match (key.kind, value) {
                        (Kind::Ignored, _) => findings.ignored.push(path),
                        // An empty value, as templates leave it, is no value.
                        (_, Value::Null) => {}
                        (_, value) => self.set(&name, &path, value),
                    }
                }
                Some(key) => {
                    let there = if key.place == Place::Conf {
                        "in `services[0].conf`"
                    } else {
                        "at the top of the file"
                    };
                    findings.problem(&path, format!("this key belongs {there}"));
                }
                None => {
                    let valid = KEYS
                        .iter()
                        .filter(|key| place.is_none_or(|place| place == key.place));
                    findings.unknown_key(&path, &name, valid.map(|key| key.name));
                }
            }
        }
    }
}
