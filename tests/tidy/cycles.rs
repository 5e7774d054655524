//! Circles between the files of `src`: files that name each other, directly or through others.
//!
//! A file and the `mod.rs` (or `NAME.rs`) of a folder it lies in form no circle: a folder declares
//! and re-exports what it contains. Tests do not count. A name that a `mod.rs` re-exports counts as
//! the name of the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{NamedPath, Source};

/// The files of `src`, and for each the files that it names.
pub struct Graph<'a> {
    /// Each file's module: `["kafka", "replay"]`.
    modules: BTreeMap<Vec<String>, &'a str>,
    /// What a `use` in a module's file makes available: module and name, to the full path.
    imports: BTreeMap<(Vec<String>, String), Vec<String>>,
    names: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    /// Reads who names whom. Files outside `src`, and tests, are ignored.
    pub fn new(sources: &'a [Source]) -> Self {
        let counted: Vec<&Source> = sources
            .iter()
            .filter(|source| source.file.starts_with("src/"))
            .filter(|source| !is_test(&source.module()))
            .collect();
        let mut graph = Self {
            modules: BTreeMap::new(),
            imports: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for source in &counted {
            graph.modules.insert(source.module(), &source.file);
        }
        let paths: Vec<(&str, NamedPath)> = counted
            .iter()
            .flat_map(|source| {
                let paths = source.paths().into_iter();
                paths.map(|path| (source.file.as_str(), path))
            })
            .filter(|(_, path)| !is_test(&path.module))
            .collect();
        for (_, path) in paths.iter().filter(|(_, path)| path.in_use) {
            if let (Some(name), Some(full)) = (path.segments.last(), graph.absolute(path)) {
                graph
                    .imports
                    .insert((path.module.clone(), name.clone()), full);
            }
        }
        for (file, path) in &paths {
            let full = graph.absolute(path).or_else(|| graph.through_import(path));
            let named = full.and_then(|full| graph.file_of(&full, 0));
            if let Some(named) = named.filter(|named| !contains_one_another(file, named)) {
                graph.names.entry(file).or_default().insert(named);
            }
        }
        graph
    }

    /// The groups of files that name each other, each with the edges within it.
    pub fn circles(&self) -> Vec<Circle<'a>> {
        let reachable: BTreeMap<&str, BTreeSet<&str>> = self
            .names
            .keys()
            .map(|file| (*file, self.reachable_from(file)))
            .collect();
        let reaches = |from: &str, to: &str| {
            let files: Option<&BTreeSet<&str>> = reachable.get(from);
            files.is_some_and(|files| files.contains(to))
        };
        let mut circles: Vec<Circle<'a>> = Vec::new();
        for file in self.names.keys().filter(|file| reaches(file, file)) {
            let known = circles.iter().any(|circle| circle.files.contains(file));
            if !known {
                let mutual = |other: &&&str| reaches(file, other) && reaches(other, file);
                let files = self.names.keys().filter(mutual).copied().collect();
                circles.push(Circle::new(files, &self.names));
            }
        }
        circles
    }

    fn reachable_from(&self, file: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&str> = vec![file];
        while let Some(file) = next.pop() {
            for named in self.names.get(file).into_iter().flatten() {
                if found.insert(*named) {
                    next.push(named);
                }
            }
        }
        found
    }

    /// The path from the crate's root, without `crate`; `None` for what is in another crate.
    fn absolute(&self, path: &NamedPath) -> Option<Vec<String>> {
        match path.segments.first()?.as_str() {
            "crate" => Some(path.segments[1..].to_vec()),
            first => {
                let child = [path.module.as_slice(), &[first.to_owned()]].concat();
                self.modules
                    .contains_key(&child)
                    .then(|| [path.module.as_slice(), &path.segments].concat())
            }
        }
    }

    /// `hub::Hub` in a file with `use crate::fanout::hub` is `fanout::hub::Hub`.
    fn through_import(&self, path: &NamedPath) -> Option<Vec<String>> {
        let (first, rest) = path.segments.split_first()?;
        let target = self.imports.get(&(path.module.clone(), first.clone()))?;
        Some([target, rest].concat())
    }

    /// The file that defines what a path names.
    fn file_of(&self, full: &[String], depth: usize) -> Option<&'a str> {
        let module = (0..=full.len())
            .rev()
            .map(|length| &full[..length])
            .find(|module| self.modules.contains_key(*module))?;
        let file = self.modules.get(module).copied();
        let Some(name) = full.get(module.len()) else {
            return file;
        };
        let imported = self.imports.get(&(module.to_vec(), name.clone()));
        match imported.filter(|target| depth < 8 && target.as_slice() != full) {
            Some(target) => self.file_of(target, depth + 1),
            None => file.filter(|_| !module.is_empty()),
        }
    }
}

/// Files that name each other.
#[derive(Debug)]
pub struct Circle<'a> {
    pub files: BTreeSet<&'a str>,
    /// Who names whom.
    edges: Vec<(&'a str, &'a str)>,
}

impl<'a> Circle<'a> {
    fn new(files: BTreeSet<&'a str>, names: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Self {
        let edges = files
            .iter()
            .flat_map(|file| names[file].iter().map(move |named| (*file, *named)))
            .filter(|(_, named)| files.contains(named))
            .collect();
        Self { files, edges }
    }

    /// Whether all its files are in a circle that is known.
    pub fn is_within(&self, known: &[&str]) -> bool {
        self.files.iter().all(|file| known.contains(file))
    }

    /// The circle for a person to read.
    pub fn describe(&self) -> String {
        let edges = self
            .edges
            .iter()
            .map(|(from, to)| format!("{from} -> {to}"));
        format!(
            "files that name each other: {}",
            edges.collect::<Vec<_>>().join(", ")
        )
    }
}

fn is_test(module: &[String]) -> bool {
    module.iter().any(|segment| segment == "tests")
}

/// Whether one file is the module of a folder that the other is in, or they are the same.
fn contains_one_another(one: &str, other: &str) -> bool {
    let folder = |file: &str| {
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        format!("{}/", stem.strip_suffix("/mod").unwrap_or(stem))
    };
    one == other || one.starts_with(&folder(other)) || other.starts_with(&folder(one))
}

#[cfg(test)]
mod tests {
    use super::Graph;
    use crate::source::Source;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files
            .iter()
            .map(|(file, text)| Source::new(file, text))
            .collect();
        let graph = Graph::new(&sources);
        let circles = graph.circles();
        circles.iter().map(super::Circle::describe).collect()
    }

    const LIB: (&str, &str) = ("src/lib.rs", "mod a; mod b; mod c;");

    #[test]
    fn files_that_name_each_other_are_a_circle() {
        let found = circles(&[
            LIB,
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "fn f() { crate::c::g() }"),
            ("src/c.rs", "use super::a::A;"),
        ]);
        let expected = "files that name each other: src/a.rs -> src/b.rs, \
                        src/b.rs -> src/c.rs, src/c.rs -> src/a.rs";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn a_chain_and_tests_are_no_circle() {
        let found = circles(&[
            LIB,
            ("src/a.rs", "use crate::b::B; use crate::c::C;"),
            ("src/b.rs", "mod tests { use crate::a::A; }"),
            ("src/c.rs", ""),
            ("src/c/tests.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_folder_and_its_files_are_no_circle() {
        let found = circles(&[
            LIB,
            ("src/a/mod.rs", "mod x; pub use x::X; struct Own;"),
            ("src/a/x.rs", "use super::Own;"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_re_exported_name_counts_as_its_file() {
        let files = [
            LIB,
            ("src/a/mod.rs", "mod x; mod y; pub use x::X; pub use y::Y;"),
            ("src/a/x.rs", "use super::Y;"),
            ("src/a/y.rs", "use crate::a::X;"),
            ("src/b.rs", "use crate::a::X;"),
        ];
        let expected = "files that name each other: src/a/x.rs -> src/a/y.rs, \
                        src/a/y.rs -> src/a/x.rs";
        assert_eq!(circles(&files), [expected]);
    }
}
