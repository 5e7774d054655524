//! What is wrong with an operator's file: every problem, with its place, in one error.

use std::fmt;

/// Everything that is wrong with the operator's file and environment, in one answer: an operator mends a file once.
///
/// Displayed one problem a line: `line 31, services[0].conf.prot: unknown key; the nearest valid key is port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one, in the order of the file, those of the environment last.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key in the file (`services[0].conf.kafka`), or the name of an environment variable; empty for the whole file.
    pub path: String,
    /// The line in the file, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(
                f,
                "line {line}{}",
                if self.path.is_empty() { ": " } else { ", " }
            )?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// What is found while a file is read: problems, and keys that are known but mean nothing here.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) ignored: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, path: &str, what: impl Into<String>) {
        self.problems.push(Problem {
            path: path.to_owned(),
            line: None,
            what: what.into(),
        });
    }

    pub(super) fn unknown_key(
        &mut self,
        path: &str,
        name: &str,
        valid: impl Iterator<Item = &'static str>,
    ) {
        let what = match nearest(name, valid) {
            Some(near) => format!("unknown key; the nearest valid key is `{near}`"),
            None => "unknown key".to_owned(),
        };
        self.problem(path, what);
    }
}

fn nearest(name: &str, valid: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // Jaro-Winkler prefers common beginnings, which is how keys are mistyped (`allowed_stream`, `stream_config_url`). It takes time by
    // the length of both: no key is longer than this, and what follows makes none nearer.
    let name: String = name.chars().take(64).collect();
    let (_, nearest) = valid
        .map(|key| (strsim::jaro_winkler(&name, key), key))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some(nearest)
}
