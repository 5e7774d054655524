//! What is wrong with the operator's file and environment.

use std::fmt;

use crate::spelling::nearest;

/// Everything that is wrong with the operator's file and environment, reported at once.
///
/// Displayed one diagnostic a line:
/// `line 31, services[0].conf.prot: unknown key; the nearest valid key is port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one, in the order of the file; those of the environment come last.
    pub diagnostics: Vec<Diagnostic>,
}

impl ConfigError {
    pub(super) fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| diagnostic.line.unwrap_or(u64::MAX));
        Self { diagnostics }
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The path of the key in the file (`services[0].conf.kafka`) or the name of an environment
    /// variable; empty for the whole file.
    pub path: String,
    /// The line in the file, from 1, if it is known.
    pub line: Option<u64>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Diagnostic {
    /// A diagnostic whose line is not known yet.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            let separator = if self.path.is_empty() { ":" } else { "," };
            write!(f, "line {line}{separator} ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

/// Collects what a reading of the file finds: errors, and known keys that have no effect.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    pub(super) errors: Vec<Diagnostic>,
    pub(super) ignored_keys: Vec<String>,
}

impl Diagnostics {
    pub(super) fn error(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(Diagnostic::new(path, message));
    }

    pub(super) fn unknown_key(
        &mut self,
        path: &str,
        name: &str,
        valid: impl IntoIterator<Item = &'static str>,
    ) {
        let message = match nearest(name, valid) {
            Some(near) => format!("unknown key; the nearest valid key is `{near}`"),
            None => "unknown key".to_owned(),
        };
        self.error(path, message);
    }
}
