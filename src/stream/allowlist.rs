//! Decides which configured streams are public. Nothing else does.

use regex::Regex;
use serde_json::{Map, Value};

use super::merge::merge;
use super::{StreamError, StreamName, StreamProblem};

/// A public stream with its merged settings.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) name: StreamName,
    pub(super) settings: Map<String, Value>,
    /// Whether the settings come from a pattern that its name matches.
    pub(super) from_pattern: bool,
}

/// The configuration of streams: the document of `stream_config_uri`, and what lies under and over
/// it.
pub(super) struct Configured<'a> {
    pub(super) document: &'a Map<String, Value>,
    pub(super) defaults: &'a Map<String, Value>,
    pub(super) overrides: &'a Map<String, Value>,
}

/// Whether the name is a pattern, a regular expression in slashes: `/^mediawiki\.job\..+/`.
pub(super) fn is_pattern(name: &str) -> bool {
    name.len() > 2 && name.starts_with('/') && name.ends_with('/')
}

impl Configured<'_> {
    /// The names in document, defaults and overrides, patterns too. A name may come more than once.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.document
            .keys()
            .chain(self.defaults.keys())
            .chain(self.overrides.keys())
    }

    /// The stream `name`, if it is configured itself or a pattern matches it.
    pub(super) fn find(&self, name: &str) -> Result<Option<Allowed>, StreamError> {
        let pattern = if self.document.contains_key(name) {
            None
        } else {
            self.matching_pattern(name)?
        };
        let given = [self.document, self.defaults, self.overrides]
            .iter()
            .any(|map| map.contains_key(name));
        if !given && pattern.is_none() {
            return Ok(None);
        }
        let from_pattern = pattern.is_some();
        // The defaults and overrides of the stream go under and over the settings of its pattern.
        let mut settings = Map::new();
        merge_from(&mut settings, self.defaults, name)?;
        if let Some(pattern) = pattern {
            for map in [self.defaults, self.document, self.overrides] {
                merge_from(&mut settings, map, pattern)?;
            }
        }
        merge_from(&mut settings, self.document, name)?;
        merge_from(&mut settings, self.overrides, name)?;
        Ok(Some(Allowed {
            name: StreamName::from(name),
            settings,
            from_pattern,
        }))
    }

    /// The first pattern, in the order of the document, that matches `name`.
    fn matching_pattern(&self, name: &str) -> Result<Option<&str>, StreamError> {
        for pattern in self.names().filter(|name| is_pattern(name)) {
            // Patterns are not anchored, as in JavaScript: `^` and `$` make them match whole names.
            let regex =
                Regex::new(&pattern[1..pattern.len() - 1]).map_err(|error| StreamError {
                    stream: pattern.clone(),
                    problem: StreamProblem::Pattern(last_line(&error.to_string())),
                })?;
            if regex.is_match(name) {
                return Ok(Some(pattern));
            }
        }
        Ok(None)
    }
}

fn merge_from(
    settings: &mut Map<String, Value>,
    map: &Map<String, Value>,
    name: &str,
) -> Result<(), StreamError> {
    match map.get(name) {
        None => Ok(()),
        Some(Value::Object(over)) => {
            merge(settings, over);
            Ok(())
        }
        Some(_) => Err(StreamError {
            stream: name.to_owned(),
            problem: StreamProblem::NotAMap,
        }),
    }
}

/// The regex crate describes an error in several lines, of which the last states the cause.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}
