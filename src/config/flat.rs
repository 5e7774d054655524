//! Brings the two forms of the file to one: a flat map from key to value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::Diagnostics;
use super::keys::{KEYS, Section, ValueKind, find};
use super::yaml::join;

/// The keys that the operator set, whatever the form of the file.
#[derive(Debug, Default)]
pub(super) struct FlatConfig {
    /// Values by key; only known keys that have an effect.
    pub(super) values: Map<String, Value>,
    /// Where each key was set: its path in the file, or an environment variable.
    pub(super) paths: BTreeMap<String, String>,
}

impl FlatConfig {
    pub(super) fn set(&mut self, name: &str, path: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
        self.paths.insert(name.to_owned(), path.to_owned());
    }

    /// Where `name` was set; the name itself if it was not.
    pub(super) fn path<'a>(&'a self, name: &'a str) -> &'a str {
        self.paths.get(name).map_or(name, String::as_str)
    }

    /// Where the entry `entry` of the map `name` was set.
    pub(super) fn entry_path(&self, name: &str, entry: &str) -> String {
        self.paths
            .get(&join(name, entry))
            .cloned()
            .unwrap_or_else(|| join(self.path(name), entry))
    }

    /// Reads the file that the Node service's chart renders (it has `services`), or a plain file,
    /// which has all keys at its top.
    pub(super) fn read(document: Value, diagnostics: &mut Diagnostics) -> Self {
        let mut flat = Self::default();
        match document {
            Value::Null => {}
            Value::Object(mut keys) => match keys.remove("services") {
                Some(services) => {
                    flat.add_keys(keys, "", Some(Section::Top), diagnostics);
                    flat.add_services(services, diagnostics);
                }
                None => flat.add_keys(keys, "", None, diagnostics),
            },
            _ => diagnostics.error("", "the file is not a map of keys"),
        }
        flat
    }

    fn add_services(&mut self, services: Value, diagnostics: &mut Diagnostics) {
        let Value::Array(mut services) = services else {
            return diagnostics.error("services", "must be a list of one service");
        };
        if services.len() != 1 {
            let message = format!("must be a list of one service, not of {}", services.len());
            return diagnostics.error("services", message);
        }
        let Value::Object(service) = services.remove(0) else {
            return diagnostics.error("services[0]", "must be a map with `name` and `conf`");
        };
        for (name, value) in service {
            let path = join("services[0]", &name);
            match (name.as_str(), value) {
                ("conf", Value::Object(keys)) => {
                    self.add_keys(keys, &path, Some(Section::Conf), diagnostics);
                }
                // The name of the service is `service_name`, at the top.
                ("conf", Value::Null) | ("name", _) => {}
                ("conf", _) => diagnostics.error(&path, "must be a map of keys"),
                ("module" | "entrypoint", _) => diagnostics.ignored_keys.push(path),
                _ => {
                    let valid = ["name", "module", "entrypoint", "conf"];
                    diagnostics.unknown_key(&path, &name, valid);
                }
            }
        }
    }

    /// Adds the keys of one section, or of a plain file, where `section` is `None`.
    fn add_keys(
        &mut self,
        keys: Map<String, Value>,
        path: &str,
        section: Option<Section>,
        diagnostics: &mut Diagnostics,
    ) {
        let is_valid = |in_section: Section| section.is_none_or(|section| section == in_section);
        for (name, value) in keys {
            let path = join(path, &name);
            match find(&name) {
                Some(key) if is_valid(key.section) => match (key.kind, value) {
                    (ValueKind::Ignored, _) => diagnostics.ignored_keys.push(path),
                    // Templates render an unset value as nothing.
                    (_, Value::Null) => {}
                    (_, value) => self.set(&name, &path, value),
                },
                Some(key) => {
                    let message = match key.section {
                        Section::Conf => "this key belongs in `services[0].conf`",
                        Section::Top => "this key belongs at the top of the file",
                    };
                    diagnostics.error(&path, message);
                }
                None => {
                    let valid = KEYS.iter().filter(|key| is_valid(key.section));
                    diagnostics.unknown_key(&path, &name, valid.map(|key| key.name));
                }
            }
        }
    }
}
