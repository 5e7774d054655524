//! Style as a test: what rustfmt and clippy do not check. Each rule has a test that shows that it
//! can fail.
//!
//! * `style`: lengths and widths, attributes, what is unfinished, how a folder's mod.rs opens.
//! * `words`: words that do not belong in names and comments.
//! * `layers`: which module may name which crate and which other module.
//! * `cycles`: files that name each other.
//! * `exceptions`: the findings that are known and not mended yet.
//! * `project`: no paths of machines, no hosts in `.ci/run`; what ARCHITECTURE.md and comments say
//!   of tests and dependencies; each folder's mod.rs names what is in it; no folder outgrows `src`.
//! * `documents`: what Markdown files mention is there; `markdown` takes them apart.
//! * `chart`: the chart's README lists its values.
//! * `container`: the Containerfile, as far as possible without building it.
//! * `source`: a Rust file taken apart into tokens.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]

mod chart;
mod container;
mod cycles;
mod documents;
mod exceptions;
mod layers;
mod markdown;
mod project;
mod source;
mod style;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::Source;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_rust_file_is_in_style_and_in_its_layer() {
    let sources = rust_files("");
    assert!(
        sources.iter().any(|source| source.file == "src/lib.rs"),
        "the walk starts in the wrong folder"
    );
    // The rules' own tests contain what the rules forbid.
    let findings: Vec<String> = sources
        .iter()
        .filter(|source| !source.file.starts_with("tests/tidy/"))
        .flat_map(|source| [style::check(source), layers::check(source)].concat())
        .collect();
    report(exceptions::apply(&findings, exceptions::EXCEPTIONS));
}

#[test]
fn no_files_of_src_name_each_other_in_a_circle() {
    let sources = rust_files("src");
    let graph = cycles::Graph::new(&sources);
    let circles = graph.circles();
    let is_known = |circle: &cycles::Circle<'_>| {
        let mut known = exceptions::CIRCLES.iter();
        known.any(|files| circle.is_within(files))
    };
    let unknown = circles
        .iter()
        .filter(|circle| !is_known(circle))
        .map(cycles::Circle::describe);
    let stale = exceptions::CIRCLES
        .iter()
        .filter(|known| !circles.iter().any(|circle| circle.is_within(known)))
        .map(|known| format!("tests/tidy/exceptions.rs: {known:?} is no circle: remove it"));
    report(unknown.chain(stale));
}

#[test]
fn no_folder_of_src_outgrows_the_others() {
    report(project::check_shares(&text_files("src")));
}

#[test]
fn no_file_names_a_path_of_some_machine() {
    report(
        text_files("")
            .iter()
            .flat_map(|(file, text)| project::check_machine_paths(file, text)),
    );
}

#[test]
fn ci_names_no_host() {
    report(project::check_ci(&read(".ci/run")));
}

#[test]
fn every_folder_of_src_has_a_map() {
    let files = text_files("src");
    let maps = files
        .iter()
        .filter(|(file, _)| file.ends_with("/mod.rs") || file == "src/lib.rs");
    report(maps.flat_map(|(map, text)| {
        let folder = map.rsplit_once('/').map_or("", |(folder, _)| folder);
        let inside = files
            .iter()
            .filter_map(|(file, _)| file.strip_prefix(folder)?.strip_prefix('/'));
        let entries: BTreeSet<&str> = inside.filter_map(|entry| entry.split('/').next()).collect();
        // Unit tests stand where every reader looks for them.
        let own = ["mod.rs", "lib.rs", "tests.rs", "tests"];
        let entries: Vec<&str> = entries
            .into_iter()
            .filter(|entry| !own.contains(entry) && (is_rust(entry) || !entry.contains('.')))
            .collect();
        project::check_map(map, text, &entries)
    }));
}

#[test]
fn every_test_that_is_named_exists() {
    let files = rust_files("");
    let functions = files
        .iter()
        .flat_map(Source::functions)
        .map(|function| function.name)
        .collect();
    let architecture =
        project::check_tests_named("ARCHITECTURE.md", &read("ARCHITECTURE.md"), &functions);
    let comments = files
        .iter()
        .filter(|source| !source.file.starts_with("tests/tidy/"))
        .flat_map(|source| {
            let comments = source.comments().into_iter();
            comments
                .flat_map(|(line, comment)| {
                    project::check_tests_named(
                        &format!("{}:{line}", source.file),
                        comment,
                        &functions,
                    )
                })
                .collect::<Vec<_>>()
        });
    report(architecture.into_iter().chain(comments));
}

#[test]
fn what_the_documents_mention_is_there() {
    let files = text_files("");
    let project = documents::Project::new(&files);
    let documents = files
        .iter()
        .filter(|(file, _)| documents::is_document(file));
    report(documents.flat_map(|(file, text)| documents::check(file, text, &project)));
}

#[test]
fn the_charts_readme_lists_its_values() {
    report(chart::check_values(
        &read("helm/eventstreams/README.md"),
        &read("helm/eventstreams/values.yaml"),
    ));
}

#[test]
fn every_invariant_names_the_test_that_holds_it() {
    report(project::check_invariants(&read("ARCHITECTURE.md")));
}

#[test]
fn every_dependency_has_its_reason() {
    report(project::check_dependencies(
        &read("ARCHITECTURE.md"),
        &read("Cargo.toml"),
    ));
}

#[test]
fn the_containerfile_names_what_is_there() {
    let keys = read("src/config/keys/table/service.rs");
    for (key, port) in [("port", "8092"), ("admin_port", "9102")] {
        // `conf("port", KIND, "8092", ..)`, over several lines.
        let arguments = keys
            .split(&format!("\"{key}\","))
            .nth(1)
            .unwrap_or_default();
        let entry = arguments.split("conf(").next().unwrap_or_default();
        let has_default = entry.contains(&format!("\"{port}\""));
        assert!(has_default, "{key} is not {port} by default");
    }
    let is_there = |path: &str| Path::new(ROOT).join(path).exists();
    report(container::check_containerfile(
        &read("Containerfile"),
        "eventstreams",
        &["8092", "9102"],
        is_there,
    ));
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn is_rust(file: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

fn report(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

/// The Rust files below a folder of the project.
fn rust_files(folder: &str) -> Vec<Source> {
    text_files(folder)
        .iter()
        .filter(|(file, _)| is_rust(file))
        .map(|(file, text)| Source::new(file, text))
        .collect()
}

/// The text files below a folder of the project, by path from the project's folder, sorted; without
/// build output and hidden files (except `.ci`).
fn text_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut entries: Vec<_> = fs::read_dir(Path::new(ROOT).join(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry
            .file_name()
            .into_string()
            .expect("file names are text");
        let file = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let skipped =
            name == "target" || name == "node_modules" || (name.starts_with('.') && name != ".ci");
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() && !skipped {
            files.extend(text_files(&file));
        } else if kind.is_file() && !skipped {
            files.extend(
                fs::read_to_string(entry.path())
                    .ok()
                    .map(|text| (file, text)),
            );
        }
    }
    files
}
