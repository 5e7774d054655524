//! A Rust file taken apart into tokens. Comments and the insides of strings are not code; the
//! arguments of macros are.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// A Rust file of the project.
pub struct Source {
    /// Its path from the project's folder, with `/`: `src/http/mod.rs`.
    pub file: String,
    /// As it stands there.
    pub text: String,
    tokens: TokenStream,
}

/// A path that code names: in a `use`, an expression, a type, an attribute.
#[derive(Debug)]
pub struct NamedPath {
    /// From 1.
    pub line: usize,
    /// The modules the code is in, without `crate`: `["kafka", "replay", "tests"]`.
    pub module: Vec<String>,
    /// What is named, with `self`, `super` and `eventstreams` resolved: `["crate", "event",
    /// "Record"]`, `["tokio", "time"]`.
    pub segments: Vec<String>,
    /// Whether it stands in a `use`.
    pub in_use: bool,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    pub line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub lines: usize,
}

impl Source {
    /// Takes a file apart; fails when it is not Rust.
    pub fn new(file: &str, text: &str) -> Self {
        let tokens = text
            .parse()
            .unwrap_or_else(|err| panic!("{file} is not Rust: {err}"));
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            tokens,
        }
    }

    /// The module that the file is, without `crate`: `["kafka", "replay"]`.
    pub fn module(&self) -> Vec<String> {
        module_of(&self.file)
    }

    /// Every path of two segments or more, and every name after `use`.
    pub fn paths(&self) -> Vec<NamedPath> {
        let mut paths = Vec::new();
        collect_paths(self.tokens.clone(), &module_of(&self.file), &mut paths);
        paths
    }

    /// Every function with a body, those inside others and inside macros' arguments too.
    pub fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        walk(self.tokens.clone(), &mut |trees| {
            functions.extend(function_at(trees));
        });
        functions
    }

    /// Every identifier with its line.
    pub fn identifiers(&self) -> Vec<(usize, String)> {
        let mut identifiers = Vec::new();
        walk(self.tokens.clone(), &mut |trees| {
            identifiers.extend(ident(trees.first()).map(|ident| (line(ident), ident.to_string())));
        });
        identifiers
    }

    /// Every name in an attribute that has arguments, with its line: `derive` and `cfg_attr`, and
    /// what stands inside the latter.
    pub fn attributes(&self) -> Vec<(usize, String)> {
        let mut names = Vec::new();
        walk(self.tokens.clone(), &mut |trees| {
            let rest = match trees {
                [TokenTree::Punct(hash), TokenTree::Punct(bang), rest @ ..]
                    if hash.as_char() == '#' && bang.as_char() == '!' =>
                {
                    rest
                }
                [TokenTree::Punct(hash), rest @ ..] if hash.as_char() == '#' => rest,
                _ => return,
            };
            let Some(TokenTree::Group(group)) = rest.first() else {
                return;
            };
            if group.delimiter() == Delimiter::Bracket {
                walk(group.stream(), &mut |trees| {
                    if let [TokenTree::Ident(name), TokenTree::Group(_), ..] = trees {
                        names.push((line(name), name.to_string()));
                    }
                });
            }
        });
        names
    }

    /// Every macro called, with its line.
    pub fn macros(&self) -> Vec<(usize, String)> {
        let mut macros = Vec::new();
        walk(self.tokens.clone(), &mut |trees| {
            if let [
                TokenTree::Ident(name),
                TokenTree::Punct(mark),
                TokenTree::Group(_),
                ..,
            ] = trees
                && mark.as_char() == '!'
            {
                macros.push((line(name), name.to_string()));
            }
        });
        macros
    }

    /// Every comment with its line. A `//` after code counts when a space precedes it, also inside
    /// a string.
    pub fn comments(&self) -> Vec<(usize, &str)> {
        let found = |line: &str| {
            if line.trim_start().starts_with("//") {
                line.find("//")
            } else {
                line.find(" // ")
            }
        };
        let numbered = (1..).zip(self.text.lines());
        numbered
            .filter_map(|(number, line)| Some((number, &line[found(line)?..])))
            .collect()
    }
}

/// Calls `visit` at every token, with it and its followers in the same group.
fn walk(tokens: TokenStream, visit: &mut impl FnMut(&[TokenTree])) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for start in 0..trees.len() {
        visit(&trees[start..]);
        if let TokenTree::Group(group) = &trees[start] {
            walk(group.stream(), visit);
        }
    }
}

/// `src/kafka/replay.rs` is the module `kafka::replay`, `src/kafka/mod.rs` is `kafka`, `src/lib.rs`
/// is the crate.
fn module_of(file: &str) -> Vec<String> {
    let path = file
        .strip_prefix("src/")
        .unwrap_or(file)
        .trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        module.pop();
    }
    module
}

fn collect_paths(tokens: TokenStream, module: &[String], paths: &mut Vec<NamedPath>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at..] {
            [
                TokenTree::Ident(keyword),
                TokenTree::Ident(name),
                TokenTree::Group(body),
                ..,
            ] if keyword == "mod" => {
                let inner = [module, &[name.to_string()]].concat();
                collect_paths(body.stream(), &inner, paths);
                at += 3;
            }
            [TokenTree::Group(group), ..] => {
                collect_paths(group.stream(), module, paths);
                at += 1;
            }
            [TokenTree::Ident(_), ..] => {
                let in_use = at > 0
                    && ident(trees.get(at - 1))
                        .is_some_and(|before| before == "use" || before == "crate");
                at += collect_path(&trees[at..], &[], in_use, module, paths);
            }
            _ => at += 1,
        }
    }
}

/// Takes the path at the start of `trees`, with the branches of a `use` tree; returns the number of
/// tokens it took.
fn collect_path(
    trees: &[TokenTree],
    prefix: &[String],
    in_use: bool,
    module: &[String],
    paths: &mut Vec<NamedPath>,
) -> usize {
    let Some(first) = ident(trees.first()) else {
        return 1;
    };
    let mut segments = [prefix, &[first.to_string()]].concat();
    let mut at = 1;
    while is_colon(trees.get(at)) && is_colon(trees.get(at + 1)) {
        match trees.get(at + 2) {
            Some(TokenTree::Ident(next)) => segments.push(next.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                collect_branches(group, &segments, module, paths);
                return at + 3;
            }
            _ => break,
        }
        at += 3;
    }
    if in_use || segments.len() > 1 {
        paths.push(NamedPath {
            line: line(first),
            module: module.to_vec(),
            segments: resolved(&segments, module),
            in_use,
        });
    }
    at
}

/// The branches of `use prefix::{a, b::c, d as e}`.
fn collect_branches(
    group: &Group,
    prefix: &[String],
    module: &[String],
    paths: &mut Vec<NamedPath>,
) {
    let trees: Vec<TokenTree> = group.stream().into_iter().collect();
    for branch in
        trees.split(|tree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ','))
    {
        if !branch.is_empty() {
            collect_path(branch, prefix, true, module, paths);
        }
    }
}

fn resolved(segments: &[String], module: &[String]) -> Vec<String> {
    let at_crate = |module: &[String]| [&["crate".to_owned()], module].concat();
    let supers = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    match segments[0].as_str() {
        "super" => [
            at_crate(&module[..module.len().saturating_sub(supers)]),
            segments[supers..].to_vec(),
        ]
        .concat(),
        // `self::super::x` is not resolved further: nobody writes it.
        "self" => [at_crate(module), segments[1..].to_vec()].concat(),
        "eventstreams" => at_crate(&segments[1..]),
        _ => segments.to_vec(),
    }
}

fn function_at(trees: &[TokenTree]) -> Option<Function> {
    let [TokenTree::Ident(keyword), TokenTree::Ident(name), rest @ ..] = trees else {
        return None;
    };
    if keyword != "fn" {
        return None;
    }
    // The first brace is the body. A semicolon before it means that there is none (in a trait).
    let body = rest.iter().find(|tree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    })?;
    let TokenTree::Group(body) = body else {
        return None;
    };
    let lines = body.span_close().end().line + 1 - line(keyword);
    Some(Function {
        name: name.to_string(),
        line: line(keyword),
        lines,
    })
}

fn ident(tree: Option<&TokenTree>) -> Option<&Ident> {
    if let Some(TokenTree::Ident(ident)) = tree {
        Some(ident)
    } else {
        None
    }
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

fn line(ident: &Ident) -> usize {
    ident.span().start().line
}
