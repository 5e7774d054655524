//! What a Rust file looks like: lengths, attributes, openings, and what is left unfinished.

use crate::source::Source;
use crate::words;

/// Aim at 300 lines; split at 400.
const FILE_LINES_MAX: usize = 400;
/// What rustfmt keeps code to; it leaves long strings and comments alone.
const COLUMNS_MAX: usize = 100;
/// From `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Left behind by whoever was not finished.
const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

const LOG_MACROS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Everything about the file that is not as it should be.
pub fn check(source: &Source) -> Vec<String> {
    let found = [
        length(source),
        columns(source),
        functions(source),
        words::check(source),
        lints(source),
        unfinished(source),
        opening(source),
        debug_fields(source),
    ];
    let locate = |(line, what): (usize, String)| format!("{}:{line}: {what}", source.file);
    found.into_iter().flatten().map(locate).collect()
}

fn length(source: &Source) -> Vec<(usize, String)> {
    let lines = source.text.lines().count();
    let finding = || {
        let what = format!("a file of {lines} lines; split it at {FILE_LINES_MAX}");
        (lines, what)
    };
    (lines > FILE_LINES_MAX).then(finding).into_iter().collect()
}

fn columns(source: &Source) -> Vec<(usize, String)> {
    let widths = (1..).zip(source.text.lines().map(|line| line.chars().count()));
    widths
        .filter(|(_, width)| *width > COLUMNS_MAX)
        .map(|(number, width)| (number, format!("{width} columns, over {COLUMNS_MAX}")))
        .collect()
}

/// `#[expect]` says when it is no longer needed, `#[allow]` does not.
fn lints(source: &Source) -> Vec<(usize, String)> {
    let attributes = source.attributes().into_iter();
    attributes
        .filter(|(_, name)| name == "allow")
        .map(|(line, _)| (line, "#[allow]: use #[expect] with a reason".to_owned()))
        .collect()
}

/// Fields of the log are text and numbers: `?field` would put Rust's own notation into them.
fn debug_fields(source: &Source) -> Vec<(usize, String)> {
    let finding = "a field of the log in Rust's Debug notation; give text or a number";
    let lines = source.text.lines().enumerate();
    let mut inside = false;
    let mut found = Vec::new();
    for (index, line) in lines.filter(|_| source.file.starts_with("src/")) {
        inside |= LOG_MACROS
            .iter()
            .any(|name| line.contains(&format!("tracing::{name}!(")));
        let is_debug = |(at, _): (usize, &str)| {
            let before = line[..at].trim_end();
            (before.is_empty() || before.ends_with([',', '(', '=']))
                && line[at + 1..].starts_with(char::is_alphabetic)
        };
        if inside && line.match_indices('?').any(is_debug) {
            found.push((index + 1, finding.to_owned()));
        }
        inside &= !line.trim_end().ends_with([';', '}']) && !line.trim_end().ends_with("),");
    }
    found
}

fn functions(source: &Source) -> Vec<(usize, String)> {
    let long = source
        .functions()
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX);
    long.map(|function| {
        (
            function.line,
            format!(
                "fn {} has {} lines, over {FUNCTION_LINES_MAX}",
                function.name, function.lines
            ),
        )
    })
    .collect()
}

fn unfinished(source: &Source) -> Vec<(usize, String)> {
    let calls = source
        .macros()
        .into_iter()
        .filter(|(_, name)| UNFINISHED.contains(&name.as_str()));
    calls
        .map(|(line, name)| (line, format!("{name}! is left in")))
        .collect()
}

/// A folder's mod.rs opens with a comment about the folder; so does the crate.
fn opening(source: &Source) -> Vec<(usize, String)> {
    let must_open = source.file.ends_with("/mod.rs") || source.file == "src/lib.rs";
    let is_missing = must_open && !source.text.starts_with("//!");
    is_missing
        .then(|| {
            (
                1,
                "must open with //! and say what the folder is".to_owned(),
            )
        })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    fn findings(text: &str) -> Vec<String> {
        check(&Source::new(
            "src/fanout/mod.rs",
            &format!("//! Fan-out.\n{text}"),
        ))
    }

    fn refuses(text: &str, why: &str) {
        let found = findings(text);
        assert!(
            found.len() == 1 && found[0].contains(why),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn a_good_file_is_good() {
        assert_eq!(
            findings("use tokio_util::sync::A; // from tokio-util\nfn f() { todo(); }"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn files_and_functions_have_an_end() {
        assert_eq!(findings(&"\n".repeat(399)), Vec::<String>::new());
        refuses(&"\n".repeat(400), "401 lines");
        let function = |lines: usize| {
            format!(
                "impl A {{\n    fn f(&self) -> [u8; 2] {{{}}}\n}}",
                "\n".repeat(lines - 1)
            )
        };
        assert_eq!(findings(&function(70)), Vec::<String>::new());
        refuses(&function(71), "fn f has 71 lines");
        refuses(
            &format!("tests! {{ async fn g() {{{}}} }}", "\n".repeat(80)),
            "fn g has 81 lines",
        );
        assert_eq!(
            findings(&format!(
                "trait A {{ fn f(); }}\nstruct B {{{}}}",
                "\n".repeat(80)
            )),
            Vec::<String>::new()
        );
    }

    #[test]
    fn lines_over_100_columns_are_found() {
        refuses(&format!("// {}", "ä".repeat(98)), ":2: 101 columns");
        assert_eq!(
            findings(&format!("// {}", "ä".repeat(97))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn allowed_lints_are_found() {
        refuses("#[allow(dead_code, reason = \"b\")]\nfn f() {}", "#[allow]");
        refuses("#![allow(dead_code)]", "#[allow]");
        refuses("#[cfg_attr(test, allow(dead_code))]\nfn f() {}", "#[allow]");
        let fine = "#[expect(dead_code)]\nfn allow() { a.allow(1) }";
        assert_eq!(findings(fine), Vec::<String>::new());
    }

    #[test]
    fn fields_of_the_log_in_debug_notation_are_found() {
        let found = |text: &str| check(&Source::new("src/cli.rs", text)).len();
        assert_eq!(found("fn f() { tracing::warn!(?a, \"b\"); }"), 1);
        assert_eq!(
            found(
                "fn f() {\n    tracing::info!(\n        a = 1,\n        \
                 b = ?b,\n        \"c\"\n    );\n}"
            ),
            1
        );
        let fine = "fn f() { tracing::warn!(a = %g(b)?, \"{a}: why?\"); h(|| i()?); }";
        assert_eq!(found(fine), 0);
    }

    #[test]
    fn unfinished_code_is_found() {
        refuses("fn f() { todo!() }", "todo!");
        refuses("fn f() { vec![dbg!(1)]; }", "dbg!");
        refuses(
            "fn f() { std::unimplemented!(\"later\") }",
            "unimplemented!",
        );
    }

    #[test]
    fn folders_say_what_they_are() {
        assert_eq!(
            check(&Source::new("src/fanout/mod.rs", "mod hub;")).len(),
            1
        );
        assert_eq!(
            check(&Source::new("src/fanout/hub.rs", "struct Hub;")),
            Vec::<String>::new()
        );
    }
}
