//! Gives diagnostics their lines in the operator's file.

use super::error::Diagnostic;
use super::yaml;

/// Locates diagnostics that were found after the file was read. Their paths are bare keys
/// (`kafka.ssl.ca.location`); a key that is not in the file keeps its path.
#[must_use]
pub fn locate(text: &str, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let lines = yaml::lines(text);
    for diagnostic in diagnostics.iter_mut().filter(|one| !one.path.is_empty()) {
        let mut lines = lines.iter();
        if let Some((path, line)) = lines.find(|(path, _)| ends_with_key(path, &diagnostic.path)) {
            diagnostic.path.clone_from(path);
            diagnostic.line = Some(*line);
        }
    }
    diagnostics
}

fn ends_with_key(path: &str, key: &str) -> bool {
    path.strip_suffix(key)
        .is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// Adds the lines of diagnostics whose paths are those of the file.
pub(super) fn with_lines(text: &str, mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let lines = yaml::lines(text);
    for diagnostic in &mut diagnostics {
        let line = lines.get(&diagnostic.path).copied();
        diagnostic.line = diagnostic.line.or(line);
    }
    diagnostics
}
