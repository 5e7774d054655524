//! What a Rust file looks like.

use crate::source::Source;

/// Aim at 300; split at 500.
const FILE_LINES_MAX: usize = 500;
/// From `fn` to the closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Words that say nothing about the thing they name (ARCHITECTURE.md, glossary).
const EMPTY_WORDS: [&str; 5] = ["helper", "helpers", "manager", "util", "utils"];
/// Crates whose names we did not choose.
const CRATES: [&str; 4] = ["futures_util", "http_body_util", "hyper_util", "tokio_util"];
/// Left behind by whoever was not finished.
const UNFINISHED: [&str; 3] = ["dbg", "todo", "unimplemented"];

const LOG_MACROS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Says everything about the file that is not as it should be.
pub fn check(source: &Source) -> Vec<String> {
    let told = |(line, what): (usize, String)| format!("{}:{line}: {what}", source.file);
    let found = [
        length(source),
        functions(source),
        words(source),
        unfinished(source),
        opening(source),
        debug_fields(source),
    ];
    found.into_iter().flatten().map(told).collect()
}

fn length(source: &Source) -> Vec<(usize, String)> {
    let lines = source.text.lines().count();
    let long = lines > FILE_LINES_MAX;
    long.then(|| {
        (
            lines,
            format!("a file of {lines} lines; split it at {FILE_LINES_MAX}"),
        )
    })
    .into_iter()
    .collect()
}

/// Fields of the log are text and numbers: `?field` would put Rust's own notation into them.
fn debug_fields(source: &Source) -> Vec<(usize, String)> {
    let told = |line| {
        (
            line,
            "a field of the log in Rust's Debug notation; give text or a number".to_owned(),
        )
    };
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
            found.push(told(index + 1));
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

fn words(source: &Source) -> Vec<(usize, String)> {
    let in_code = source
        .identifiers()
        .into_iter()
        .filter(|(_, name)| !CRATES.contains(&name.as_str()))
        .filter_map(|(line, name)| {
            let word = words_of(&name)
                .into_iter()
                .find(|word| EMPTY_WORDS.contains(&word.as_str()))?;
            Some((line, format!("`{name}`: the word {word} says nothing")))
        });
    let in_comments = source.comments().into_iter().filter_map(|(line, comment)| {
        // `hyper-util` and `tokio_util` are one word each.
        let mut words = comment
            .split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_');
        let word = words.find(|word| EMPTY_WORDS.contains(&word.to_lowercase().as_str()))?;
        Some((line, format!("a comment: the word {word} says nothing")))
    });
    in_code.chain(in_comments).collect()
}

/// `HTTPServer_manager2` has the words `httpserver` and `manager2`; `StreamManager` has `stream` and `manager`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && after_lower) {
            words.push(String::new());
        }
        after_lower = letter.is_lowercase();
        if letter != '_' {
            let last = words.len() - 1;
            words[last].extend(letter.to_lowercase());
        }
    }
    words
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

/// A folder's mod.rs opens with the model; so does the crate.
fn opening(source: &Source) -> Vec<(usize, String)> {
    let told = source.file.ends_with("/mod.rs") || source.file == "src/lib.rs";
    let silent = told && !source.text.starts_with("//!");
    silent
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
    use super::{check, words_of};
    use crate::source::Source;

    fn told(text: &str) -> Vec<String> {
        check(&Source::new(
            "src/fanout/mod.rs",
            &format!("//! Fan-out.\n{text}"),
        ))
    }

    fn refuses(text: &str, why: &str) {
        let told = told(text);
        assert!(told.len() == 1 && told[0].contains(why), "{text}: {told:?}");
    }

    #[test]
    fn a_good_file_is_good() {
        assert_eq!(
            told("use tokio_util::sync::CancellationToken; // from tokio-util\nfn f() { todo(); }"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn files_and_functions_have_an_end() {
        assert_eq!(told(&"\n".repeat(499)), Vec::<String>::new());
        refuses(&"\n".repeat(500), "501 lines");
        let function = |lines: usize| {
            format!(
                "impl A {{\n    fn f(&self) -> [u8; 2] {{{}}}\n}}",
                "\n".repeat(lines - 1)
            )
        };
        assert_eq!(told(&function(70)), Vec::<String>::new());
        refuses(&function(71), "fn f has 71 lines");
        refuses(
            &format!("tests! {{ async fn g() {{{}}} }}", "\n".repeat(80)),
            "fn g has 81 lines",
        );
        assert_eq!(
            told(&format!(
                "trait A {{ fn f(); }}\nstruct B {{{}}}",
                "\n".repeat(80)
            )),
            Vec::<String>::new()
        );
    }

    #[test]
    fn words_that_say_nothing_are_found() {
        refuses("struct StreamManager;", "`StreamManager`");
        refuses("mod utils;", "`utils`");
        refuses("fn parse_helper() {}", "`parse_helper`");
        refuses("// A helper for frames.", "helper");
        refuses("let x = 1; // Manager of all", "Manager");
        refuses("/// The connection manager.\nstruct A;", "manager");
        assert_eq!(
            told("fn utility() {} // A \"manageress\".\n"),
            Vec::<String>::new()
        );
        assert_eq!(words_of("StreamManager_of2"), ["stream", "manager", "of2"]);
    }

    #[test]
    fn fields_of_the_log_in_debug_notation_are_found() {
        let found = |text: &str| check(&Source::new("src/cli.rs", text)).len();
        assert_eq!(found("fn f() { tracing::warn!(?a, \"b\"); }"), 1);
        assert_eq!(
            found(
                "fn f() {\n    tracing::info!(\n        a = 1,\n        b = ?b,\n        \"c\"\n    );\n}"
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
