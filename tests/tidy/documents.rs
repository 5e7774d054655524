//! What the documents mention exists: links, files, names in the code, commands with their
//! options.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory as _;
use eventstreams::cli::Cli;

use crate::markdown;

const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The folder that cargo makes; nothing in it is part of the project.
const BUILD_OUTPUT: &str = "target";

/// What a document may mention.
#[derive(Default)]
pub struct Project {
    /// The path of every text file, and of every folder with one.
    paths: BTreeSet<String>,
    /// Every word of the files that are no documents: names of functions, keys, metrics, modules.
    words: BTreeSet<String>,
    /// Markdown files with the anchors of their headings, as `file#anchor`.
    anchors: BTreeSet<String>,
}

impl Project {
    /// Takes the project's text files, by path.
    pub fn new(files: &[(String, String)]) -> Self {
        let mut project = Self::default();
        for (file, text) in files {
            let folders = file.match_indices('/').map(|(at, _)| &file[..at]);
            project
                .paths
                .extend(folders.chain([file.as_str()]).map(str::to_owned));
            if is_document(file) {
                project.anchors.extend(
                    markdown::anchors(text)
                        .into_iter()
                        .map(|anchor| format!("{file}#{anchor}")),
                );
            } else if !file.starts_with("tests/tidy/") || file.ends_with("/main.rs") {
                // The tests of the rules here name what is not there.
                project.words.extend(words(text).map(str::to_owned));
            }
        }
        project
    }

    /// Whether there is such a path. One `*` stands for anything.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        match path.split_once('*') {
            None => self.paths.contains(path),
            Some((start, end)) => self
                .paths
                .iter()
                .any(|there| there.starts_with(start) && there.ends_with(end)),
        }
    }

    /// Whether a code span that looks like a path is one: from the project's folder or from src,
    /// with or without `.rs`.
    fn has_module(&self, path: &str) -> bool {
        self.has(path) || self.has(&format!("src/{path}")) || self.has(&format!("src/{path}.rs"))
    }

    fn has_folder(&self, name: &str) -> bool {
        self.paths.iter().any(|path| {
            path.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// Whether a file is a document that is checked.
pub fn is_document(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "md")
}

/// What the document mentions and does not exist. History (`CHANGELOG.md`) may name what is gone.
pub fn check(file: &str, text: &str, project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    // A document may explain what its own blocks of code show.
    let shown: BTreeSet<&str> = markdown::blocks(text).into_iter().flat_map(words).collect();
    for (number, line) in markdown::prose(text) {
        let links = markdown::links(line)
            .into_iter()
            .filter_map(|target| link(file, target, project));
        found.extend(links.map(|what| (number, what)));
        if file == "CHANGELOG.md" {
            continue;
        }
        let plain = line.split(|c: char| c.is_whitespace() || "()`,;:\"[]".contains(c));
        found.extend(
            plain
                .filter_map(|word| path(word, project))
                .map(|what| (number, what)),
        );
        match markdown::spans(line) {
            Ok(spans) => found.extend(
                spans
                    .iter()
                    .filter_map(|span| code(span, project, &shown))
                    .map(|what| (number, what)),
            ),
            Err(what) => found.push((number, what)),
        }
    }
    if file != "CHANGELOG.md" {
        for (number, line) in markdown::commands(text) {
            found.extend(command(&line, project).map(|what| (number, what)));
        }
    }
    found.sort();
    found.dedup();
    found
        .into_iter()
        .map(|(number, what)| format!("{file}:{number}: {what}"))
        .collect()
}

/// A link to a file of the project, or to a heading.
fn link(file: &str, target: &str, project: &Project) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let mut folders: Vec<&str> = file.split('/').collect();
    folders.pop();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match part {
            ".." => _ = folders.pop(),
            _ => folders.push(part),
        }
    }
    let linked = if path.is_empty() {
        file.to_owned()
    } else {
        folders.join("/")
    };
    let is_there = project.has(&linked)
        && (anchor.is_empty() || project.anchors.contains(&format!("{linked}#{anchor}")));
    (!is_there).then(|| format!("links to {target}, which is not there"))
}

/// A word that begins with a folder of the project: `tests/tidy/main.rs`.
fn path(word: &str, project: &Project) -> Option<String> {
    let word = word.trim_end_matches(['.', '\'']);
    let (folder, rest) = word.split_once('/')?;
    let is_open = rest.is_empty() || word.contains("..") || word.contains(['{', '<', '$', '#']);
    let ours = !folder.is_empty() && folder != BUILD_OUTPUT && project.has_folder(folder);
    (ours && !is_open && !project.has_module(word)).then(|| not_there(word))
}

fn not_there(path: &str) -> String {
    format!("names {path}, which is not there")
}

/// A code span: a module, a file, a command, or a name of the code.
fn code(span: &str, project: &Project, shown: &BTreeSet<&str>) -> Option<String> {
    if [
        "cargo ",
        "eventstreams ",
        ".ci/run",
        "mutants/run",
        "fuzz/run",
    ]
    .iter()
    .any(|start| span.starts_with(start))
    {
        return command(span, project).next();
    }
    let is_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_./-".contains(c);
    if let Some((folder, _)) = span.split_once('/')
        && span.chars().all(is_path)
    {
        let ours = project.has_folder(folder) || project.has_folder(&format!("src/{folder}"));
        return (ours && folder != BUILD_OUTPUT && !project.has_module(span))
            .then(|| not_there(span));
    }
    if let Some((_, "rs" | "md" | "toml" | "svg" | "patch" | "service")) = span.rsplit_once('.') {
        let there = project
            .paths
            .iter()
            .any(|path| path.rsplit('/').next() == Some(span));
        return (!there).then(|| not_there(span));
    }
    let name = span
        .split(['{', '(', ':', '=', '<', ' '])
        .next()
        .filter(|_| !span.contains("::"))
        .unwrap_or(span);
    let unknown =
        |part: &&str| is_name(part) && !project.words.contains(*part) && !shown.contains(part);
    let unknown = name.split("::").find(unknown)?;
    Some(format!("names {unknown}, which no file of the code holds"))
}

/// `heartbeat_ms` and `EventSource` are names. `topic`, `RUST_LOG` and `fetch.min.bytes` cannot be
/// told from other words.
fn is_name(word: &str) -> bool {
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && word.starts_with(|c: char| c.is_ascii_alphabetic());
    let lower = word.chars().any(|c| c.is_ascii_lowercase());
    let humps = word.chars().skip(1).any(|c| c.is_ascii_uppercase());
    is_word && lower && (humps || word.contains('_')) && !word.ends_with('_')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// What is wrong with a command of the project. Of other programs only the paths are looked at.
fn command(line: &str, project: &Project) -> impl Iterator<Item = String> {
    let mut words: Vec<&str> = line
        .split_whitespace()
        .map(|word| word.trim_matches(['[', ']', '\'', '"']))
        .collect();
    let assigned = words
        .iter()
        .take_while(|word| word.contains('=') && !word.starts_with('-'))
        .count();
    words.drain(..assigned);
    let mut found: Vec<String> = words
        .iter()
        .filter_map(|word| path(word, project))
        .collect();
    match words.split_first() {
        Some((&"cargo", rest)) => found.extend(cargo(rest, project)),
        Some((&"eventstreams", rest)) => found.extend(program(rest)),
        Some((&".ci/run", checks)) => {
            let gone = checks
                .iter()
                .filter(|check| !project.words.contains(&format!("check_{check}")));
            found.extend(gone.map(|check| format!(".ci/run has no check {check}")));
        }
        _ => {}
    }
    found.into_iter()
}

/// `cargo test --test it embedded::`, `cargo bench --bench fanout -- CASE`, `cargo run -- serve -c
/// FILE`.
fn cargo(words: &[&str], project: &Project) -> Vec<String> {
    let (own, given) = words
        .iter()
        .position(|word| *word == "--")
        .map_or((words, &[][..]), |at| words.split_at(at));
    let Some((subcommand, own)) = own.split_first() else {
        return Vec::new();
    };
    if !["bench", "build", "run", "test"].contains(subcommand) {
        return Vec::new();
    }
    let (mut found, mut filters) = (Vec::new(), Vec::new());
    let mut own = own.iter();
    while let Some(word) = own.next() {
        let is_there = match (*word, word.starts_with('-')) {
            ("--test" | "--bench", _) => own.next().is_none_or(|name| target(word, name, project)),
            ("--features", _) => own
                .next()
                .is_none_or(|name| MANIFEST.contains(&format!("\n{name} = ["))),
            ("--manifest-path", _) => own.next().is_none_or(|path| project.has(path)),
            (_, true) => true,
            (filter, false) => {
                filters.push(filter);
                true
            }
        };
        if !is_there {
            found.push(format!("cargo {subcommand} {word} names what is not there"));
        }
    }
    match *subcommand {
        "run" => found.extend(program(given.get(1..).unwrap_or_default())),
        _ => filters.extend(
            given
                .iter()
                .skip(1)
                .filter(|word| !word.starts_with('-') && !word.contains(['.', '/'])),
        ),
    }
    let unknown = |part: &&str| {
        !part.is_empty() && part.chars().any(char::is_lowercase) && !project.words.contains(*part)
    };
    found.extend(
        filters
            .iter()
            .flat_map(|filter| filter.split("::"))
            .filter(unknown)
            .map(|part| format!("no test or case is named {part}")),
    );
    found
}

/// Whether there is a test or a benchmark of this name.
fn target(kind: &str, name: &str, project: &Project) -> bool {
    let folder = if kind == "--test" { "tests" } else { "benches" };
    [
        format!("{folder}/{name}.rs"),
        format!("{folder}/{name}/main.rs"),
    ]
    .iter()
    .any(|path| project.has(path))
}

/// Whether the program has these subcommands and options; their values are not checked.
fn program(words: &[&str]) -> Vec<String> {
    let root = Cli::command();
    let mut command = &root;
    let mut words = words;
    // A subcommand may have subcommands itself.
    while let Some((first, rest)) = words.split_first()
        && command.has_subcommands()
        && !first.starts_with('-')
    {
        let Some(subcommand) = command.find_subcommand(first) else {
            return vec![format!("the program has no subcommand {first}")];
        };
        command = subcommand;
        words = rest;
    }
    let known = |option: &str| {
        let by_name = |arg: &clap::Arg| {
            arg.get_long()
                .is_some_and(|long| option == format!("--{long}"))
        };
        let by_letter = |arg: &clap::Arg| {
            arg.get_short()
                .is_some_and(|short| option == format!("-{short}"))
        };
        ["--help", "-h", "--version", "-V"].contains(&option)
            || command
                .get_arguments()
                .any(|arg| by_name(arg) || by_letter(arg))
    };
    // The program's own words: a pipe ends them.
    let options = words
        .iter()
        .take_while(|word| **word != "|")
        .filter_map(|word| word.split('=').next())
        .filter(|word| word.len() > 1 && word.starts_with('-') && !known(word));
    options
        .map(|option| format!("eventstreams {} has no option {option}", command.get_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Project, check};

    fn findings(text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let project = Project::new(&[
            file("docs/a.md", "# One\n\n## Two words\n"),
            file(
                "src/http/stream.rs",
                "fn heartbeat_ms() { \"idle_20000\" } struct PublicEvent; mod faults;",
            ),
            file("tests/it/main.rs", ""),
            file("benches/fanout/main.rs", ""),
            file(".ci/run", "check_format() {"),
            file("mutants/a.patch", ""),
        ]);
        check("docs/a.md", text, &project)
    }

    fn refuses(text: &str, why: &str) {
        let found = findings(text);
        assert!(
            found.len() == 1 && found[0].contains(why),
            "{text}: {found:?}"
        );
    }

    #[test]
    fn what_is_there_may_be_mentioned() {
        let good = "[a](a.md), [b](#two-words), [c](../src/http/stream.rs)\n\
                    [d](https://example.org/x) `http/stream`, `src/http/`, mutants/*.patch, docs/a.md\n\
                    `heartbeat_ms: 5`, `heartbeat_ms{x}`, `http::PublicEvent`, `application/json`\n\
                    `RUST_LOG`, `stream.rs`, `cargo run -- serve -c FILE`\n\n\
                    ```yaml\nproxy_buffering: 1\n```\n`proxy_buffering`\n\n\
                    ```sh\nA=1 cargo test --test it faults::\n\
                    cargo bench --bench fanout -- idle_20000\n.ci/run format # and more\n\
                    eventstreams serve -c FILE [--port N]\ncargo build --features tls-system\n\
                    eventstreams tail a | jq -r .title\n\
                    eventstreams schema validate --schemas DIR\n```\n";
        assert_eq!(findings(good), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_found() {
        refuses("[a](b.md)", "docs/a.md:1: links to b.md");
        refuses("\n[a](a.md#three)", "docs/a.md:2: links to a.md#three");
        refuses("see src/http/voice.rs.", "names src/http/voice.rs");
        refuses("`http/voice`", "names http/voice");
        refuses("`voice.rs`", "names voice.rs");
        refuses("`heartbeat_s: 5`", "names heartbeat_s,");
        refuses("`http::PrivateEvent`", "names PrivateEvent,");
        refuses("`a\nb", "goes on over the end of the line");
        for (command, why) in [
            (
                "cargo test --test that",
                "cargo test --test names what is not there",
            ),
            (
                "cargo bench --bench parts",
                "cargo bench --bench names what is not there",
            ),
            ("cargo test faulty::", "no test or case is named faulty"),
            (
                "cargo bench --bench fanout -- idle_30000",
                "no test or case is named idle_30000",
            ),
            (
                "cargo build --features tls-none",
                "cargo build --features names what is not there",
            ),
            ("cargo run -- serv", "the program has no subcommand serv"),
            (
                "A=1 eventstreams serve --prt 1",
                "eventstreams serve has no option --prt",
            ),
            (".ci/run formats", ".ci/run has no check formats"),
            ("mutants/walk", "names mutants/walk"),
        ] {
            refuses(&format!("```sh\n{command}\n```"), why);
        }
    }
}
