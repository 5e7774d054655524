//! Rules that concern several files of the project, or files that are not Rust.

use std::collections::{BTreeMap, BTreeSet};

/// Where machines keep their files. Split in two, so that this file does not contain them.
const MACHINE_PATHS: [[&str; 2]; 4] = [
    ["/wo", "rk/"],
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
];

/// The lines of a text file that name a path of some machine.
pub fn check_machine_paths(file: &str, text: &str) -> Vec<String> {
    let paths = MACHINE_PATHS.map(|parts| parts.concat());
    let machine_path = |line: &str| paths.iter().find(|path| begins_in(line, path)).cloned();
    let found = (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| Some((number, machine_path(line)?)));
    found
        .map(|(number, path)| format!("{file}:{number}: names {path}, a path of some machine"))
        .collect()
}

/// Whether `path` begins in the line as an absolute path: `example.org/home/` and `$dir/work/` are
/// none.
fn begins_in(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || "}_-.*".contains(before))
    })
}

/// `.ci/run` leaves it to cargo, apt and Maven where things come from.
pub fn check_ci(text: &str) -> Vec<String> {
    let found = (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains("://"));
    found
        .map(|(number, _): (usize, _)| format!(".ci/run:{number}: names a host"))
        .collect()
}

/// The largest part of `src` that a folder may be, in percent of its lines.
const FOLDER_SHARE_MAX: usize = 22;

/// No folder of `src` outgrows the others. Takes its files by path.
pub fn check_shares(files: &[(String, String)]) -> Vec<String> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (file, text) in files {
        let folder = file.split('/').nth(1).unwrap_or_default();
        *lines.entry(folder).or_default() += text.lines().count();
    }
    let all: usize = lines.values().sum();
    lines
        .into_iter()
        .filter(|(_, lines)| lines * 100 > all * FOLDER_SHARE_MAX)
        .map(|(folder, lines)| {
            let share = lines * 100 / all;
            format!("src/{folder}: {share} % of src, over {FOLDER_SHARE_MAX} %: split it")
        })
        .collect()
}

/// A folder's mod.rs (in src, lib.rs) is its map: its opening comment names every file and folder
/// beside it.
pub fn check_map(file: &str, text: &str, entries: &[&str]) -> Vec<String> {
    let opening: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    let words: BTreeSet<&str> = opening
        .iter()
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let name = |entry: &str| entry.strip_suffix(".rs").unwrap_or(entry).to_owned();
    let missing = entries
        .iter()
        .map(|entry| name(entry))
        .filter(|name| !words.contains(name.as_str()));
    missing
        .map(|name| format!("{file}: its opening comment does not say what {name} is"))
        .collect()
}

/// Every test that a text names: what stands in backquotes and has five words or more. Shorter
/// names are those of keys, functions and metrics.
pub fn tests_named(text: &str) -> Vec<(usize, &str)> {
    let is_sentence = |name: &&str| {
        let plain = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        name.split('_').count() >= 5 && name.split('_').all(plain)
    };
    let quoted = |line| str::split(line, '`').skip(1).step_by(2).filter(is_sentence);
    (1..)
        .zip(text.lines())
        .flat_map(|(number, line)| quoted(line).map(move |name| (number, name)))
        .collect()
}

/// Every test that a text names is there.
pub fn check_tests_named(file: &str, text: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let gone = tests_named(text)
        .into_iter()
        .filter(|(_, name)| !functions.contains(*name));
    gone.map(|(number, name)| format!("{file}:{number}: no test is named {name}"))
        .collect()
}

/// Every invariant in ARCHITECTURE.md, a numbered item, names a test that holds it.
pub fn check_invariants(architecture: &str) -> Vec<String> {
    let begins = |line: &str| {
        line.split_once(". ")
            .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    };
    let mut items: Vec<String> = Vec::new();
    for line in section(architecture, "Invariants").lines() {
        match items.last_mut() {
            _ if begins(line) => items.push(line.to_owned()),
            Some(item) => item.extend(["\n", line]),
            None => {}
        }
    }
    if items.is_empty() {
        return vec!["ARCHITECTURE.md: has no numbered invariants".to_owned()];
    }
    let untested = items.iter().filter(|item| tests_named(item).is_empty());
    untested
        .map(|item| {
            format!(
                "ARCHITECTURE.md: no test is named for: {}",
                item.lines().next().unwrap_or_default()
            )
        })
        .collect()
}

/// ARCHITECTURE.md gives a reason for every dependency of Cargo.toml, and for nothing else.
pub fn check_dependencies(architecture: &str, manifest: &str) -> Vec<String> {
    let listed = section(architecture, "Dependencies");
    let explained: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let there = dependencies(manifest);
    let missing = there
        .iter()
        .filter(|name| !explained.contains(name))
        .map(|name| format!("gives no reason for {name}"));
    let gone = explained
        .iter()
        .filter(|name| !there.contains(name))
        .map(|name| format!("{name} is no dependency"));
    missing
        .chain(gone)
        .map(|what| format!("ARCHITECTURE.md: {what}"))
        .collect()
}

/// The names in `[dependencies]` and `[dev-dependencies]`, one a line.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = matches!(line, "[dependencies]" | "[dev-dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside) {
            names.push(name);
        }
    }
    names
}

/// What stands under a `## ` heading, up to the next one.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let (_, rest) = markdown
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_default();
    rest.split_once("\n## ")
        .map_or(rest, |(section, _)| section)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        check_ci, check_dependencies, check_invariants, check_machine_paths, check_map,
        check_shares, check_tests_named,
    };

    #[test]
    fn paths_of_machines_are_found() {
        let path = |name: &str| format!("let a = \"/{name}/x\";");
        for name in ["work", "root", "home"] {
            assert_eq!(
                check_machine_paths("a", &format!("\n{}", path(name))),
                [format!("a:2: names /{name}/, a path of some machine")]
            );
        }
        assert_eq!(
            check_machine_paths(
                "a",
                "GET /_info/home 301 https://example.org/home/\n$folder/work/x"
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn hosts_in_ci_are_found() {
        assert_eq!(check_ci("curl https://example.org").len(), 1);
        assert_eq!(check_ci("cargo test"), Vec::<String>::new());
    }

    #[test]
    fn folders_that_outgrow_the_others_are_found() {
        let file = |name: &str, lines| (name.to_owned(), "\n".repeat(lines));
        let mut files: Vec<_> = (0..5).map(|n| file(&format!("src/{n}/a.rs"), 20)).collect();
        assert_eq!(check_shares(&files), Vec::<String>::new());
        files.push(file("src/0/b/c.rs", 10));
        assert_eq!(
            check_shares(&files),
            ["src/0: 27 % of src, over 22 %: split it"]
        );
    }

    #[test]
    fn files_missing_on_the_map_are_found() {
        let text = "//! * `replay`: reads.\n\n// offsets\nmod offsets;\n";
        assert_eq!(
            check_map("src/kafka/mod.rs", text, &["replay.rs"]),
            Vec::<String>::new()
        );
        let gone = ["src/kafka/mod.rs: its opening comment does not say what offsets is"];
        assert_eq!(
            check_map("src/kafka/mod.rs", text, &["replay.rs", "offsets"]),
            gone
        );
    }

    #[test]
    fn tests_that_are_named_and_do_not_exist_are_found() {
        let functions = BTreeSet::from(["a_cursor_is_what_is_sent".to_owned()]);
        let text = "`stream_config_uri_options`, `MY_NAME_IS_A_CONSTANT`, held by\n\
                    `a_cursor_is_what_is_sent` and `a_test_that_is_gone`.";
        assert_eq!(
            check_tests_named("A.md", text, &functions),
            ["A.md:2: no test is named a_test_that_is_gone"]
        );
    }

    #[test]
    fn invariants_without_a_test_are_found() {
        let good = "\n## Invariants\n\n1. All is well:\n   \
                    `a_cursor_is_what_is_sent`.\n\n## Next\n\n2. Not one.\n";
        assert_eq!(check_invariants(good), Vec::<String>::new());
        let bad = "\n## Invariants\n\n1. `a_cursor_is_what_is_sent`.\n2. Nothing `is_ever` lost.\n";
        assert_eq!(
            check_invariants(bad),
            ["ARCHITECTURE.md: no test is named for: 2. Nothing `is_ever` lost."]
        );
        assert_eq!(check_invariants("\n## Layers\n").len(), 1);
    }

    #[test]
    fn dependencies_without_a_reason_are_found() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\nuuid = \"1\"\n\
                        [profile.dev]\ndebug = 1\n";
        let good =
            "\n## Dependencies\n\n- `serde`: reads.\n- `uuid`: names.\n\n## Traps\n\n- `none`\n";
        assert_eq!(check_dependencies(good, manifest), Vec::<String>::new());
        let bad = "\n## Dependencies\n\n- `serde`: reads.\n- `rand`: chance.\n";
        let findings = ["gives no reason for uuid", "rand is no dependency"]
            .map(|what| format!("ARCHITECTURE.md: {what}"));
        assert_eq!(check_dependencies(bad, manifest), findings);
    }
}
