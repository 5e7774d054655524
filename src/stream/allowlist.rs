//! Which of the configured streams are public: the ONLY place that decides it.

use regex::Regex;
use serde_json::{Map, Value};

use super::merge::merge;
use super::{StreamError, StreamName, StreamProblem};

/// A stream that the allowlist lets through, with its merged settings.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) name: StreamName,
    pub(super) settings: Map<String, Value>,
    /// Whether the settings are those of a pattern that its name matches.
    pub(super) of_pattern: bool,
}

/// What was configured: by stream, in the order of the document. `document` is what the URI returned.
pub(super) struct Configured<'a> {
    pub(super) document: &'a Map<String, Value>,
    pub(super) defaults: &'a Map<String, Value>,
    pub(super) overrides: &'a Map<String, Value>,
}

/// A name in slashes stands for every stream that it matches: `/^mediawiki\.job\..+/`.
pub(super) fn is_pattern(name: &str) -> bool {
    name.len() > 2 && name.starts_with('/') && name.ends_with('/')
}

impl Configured<'_> {
    /// The names in document, defaults and overrides; patterns too; a name may come more than once.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.document
            .keys()
            .chain(self.defaults.keys())
            .chain(self.overrides.keys())
    }

    /// The stream `name`, when it is configured itself or a pattern matches it.
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
        let of_pattern = pattern.is_some();
        // What defaults and overrides say of this one stream goes under and over what its pattern says of all.
        let mut settings = Map::new();
        lay(&mut settings, self.defaults, name)?;
        if let Some(pattern) = pattern {
            for map in [self.defaults, self.document, self.overrides] {
                lay(&mut settings, map, pattern)?;
            }
        }
        lay(&mut settings, self.document, name)?;
        lay(&mut settings, self.overrides, name)?;
        Ok(Some(Allowed {
            name: StreamName::from(name),
            settings,
            of_pattern,
        }))
    }

    /// The first pattern, in the order of the document, that matches `name`.
    fn matching_pattern(&self, name: &str) -> Result<Option<&str>, StreamError> {
        for pattern in self.names().filter(|name| is_pattern(name)) {
            // Not anchored, as in JavaScript: patterns that mean a whole name say `^` and `$`.
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

fn lay(
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
            problem: StreamProblem::NoMap,
        }),
    }
}

/// The regex crate draws the place over several lines; its last one says what is wrong.
fn last_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}
