//! Words that do not belong in Rust code and its comments.

use crate::source::Source;

/// Words that say nothing about the thing they name (ARCHITECTURE.md, glossary).
const EMPTY_WORDS: &[&str] = &["helper", "helpers", "manager", "util", "utils"];

/// Crates whose names we did not choose.
const CRATES: &[&str] = &[
    "futures_util",
    "http_body_util",
    "hyper_util",
    "metrics_util",
    "tokio_util",
];

/// Private metaphors of an earlier version, which only its authors understood.
const PRIVATE_WORDS: &[&str] = &[
    "aboard",
    "anew",
    "audience",
    "convoy",
    "convoys",
    "deed",
    "deeds",
    "farewell",
    "happening",
    "happenings",
    "handover",
    "journey",
    "journeys",
    "knock",
    "knocks",
    "newcomer",
    "newcomers",
    "outbox",
    "seat",
    "seats",
    "tallies",
    "tally",
    "voice",
    "voices",
    "witness",
    "witnesses",
];

/// Ordinary English in a sentence, and no name for data or a step.
const PRIVATE_NAMES: &[&str] = &["said", "spoken", "told", "wish", "wishes"];

/// The words in a file that do not belong there, each with its line.
pub fn check(source: &Source) -> Vec<(usize, String)> {
    let in_names = source
        .identifiers()
        .into_iter()
        .filter(|(_, name)| !CRATES.contains(&name.as_str()))
        .filter_map(|(line, name)| {
            let fault = words_of(&name)
                .iter()
                .find_map(|word| fault_of(word, true))?;
            Some((line, format!("`{name}`: {fault}")))
        });
    let in_comments = source.comments().into_iter().filter_map(|(line, comment)| {
        // `hyper-util` and `tokio_util` are one word each.
        let mut words = comment
            .split(|letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_');
        let fault = words.find_map(|word| fault_of(&word.to_lowercase(), false))?;
        Some((line, format!("a comment: {fault}")))
    });
    in_names.chain(in_comments).collect()
}

/// What is wrong with a word, in lower case.
fn fault_of(word: &str, in_name: bool) -> Option<String> {
    if EMPTY_WORDS.contains(&word) {
        Some(format!("the word {word} says nothing"))
    } else if PRIVATE_WORDS.contains(&word) || (in_name && PRIVATE_NAMES.contains(&word)) {
        Some(format!("the word {word} is private: use the field's word"))
    } else {
        None
    }
}

/// `HTTPServer_manager2` has the words `httpserver` and `manager2`; `StreamManager` has `stream`
/// and `manager`.
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

#[cfg(test)]
mod tests {
    use super::{check, words_of};
    use crate::source::Source;

    fn findings(text: &str) -> Vec<String> {
        let found = check(&Source::new("src/a.rs", text));
        found.into_iter().map(|(_, what)| what).collect()
    }

    fn refuses(text: &str, why: &str) {
        let found = findings(text);
        assert!(
            found.len() == 1 && found[0].contains(why),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn words_that_say_nothing_are_found() {
        refuses("struct StreamManager;", "`StreamManager`");
        refuses("mod utils;", "`utils`");
        refuses("fn parse_helper() {}", "`parse_helper`");
        refuses("// A helper for frames.", "helper");
        refuses("let x = 1; // Manager of all", "manager");
        refuses("/// The connection manager.\nstruct A;", "manager");
        let fine = "use tokio_util::sync::A; // from tokio-util\nfn utility() {} // \"manageress\"";
        assert_eq!(findings(fine), Vec::<String>::new());
        assert_eq!(words_of("StreamManager_of2"), ["stream", "manager", "of2"]);
    }

    #[test]
    fn private_words_are_found_in_names_and_comments() {
        refuses(
            "struct ConvoyKey;",
            "`ConvoyKey`: the word convoy is private",
        );
        refuses("fn begin_anew() {}", "anew");
        refuses(
            "// It leaves its Seat.",
            "a comment: the word seat is private",
        );
        refuses("let told = 1;", "told");
        let fine = "// As said above: told.\nconst SEAT: &str = \"convoy\";".replace("SEAT", "A");
        assert_eq!(findings(&fine), Vec::<String>::new());
    }
}
