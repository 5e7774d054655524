//! Reads YAML into a tree, and finds the line of a path.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::error::Diagnostic;

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // As in YAML 1.2 and in the Node service's parser: `no` and `off` are text.
        strict_booleans: true,
        // `007` is a page title, not 7.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

/// Reads one YAML (or JSON) document.
///
/// # Errors
/// Text that is not YAML, or a key that is given twice in one map; with the line.
pub(crate) fn parse(text: &str) -> Result<Value, Diagnostic> {
    // A file of comments is a file without keys. What the parser makes of one depends on the
    // target type.
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let line = error.location().map(|location| location.line());
        let message = match error.without_snippet() {
            serde_saphyr::Error::MultipleDocuments { .. } => {
                "a second YAML document starts here; a file may hold only one".to_owned()
            }
            error => error.to_string(),
        };
        Diagnostic {
            line,
            ..Diagnostic::new("", message)
        }
    })
}

/// The document as `T`; `None` if it has another shape. A `String` in `T` holds the scalar as it is
/// written.
pub(super) fn parse_as<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_saphyr::from_str_with_options(text, options()).ok()
}

/// The line of each key and list entry of `text`, by its path: `services[0].conf.port`.
///
/// This reads the text a second time, so it is called only when there is something to report. Empty
/// for a text that [`parse`] refuses.
pub(super) fn lines(text: &str) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    if let Ok(node) = serde_saphyr::from_str_with_options::<Node>(text, options()) {
        node.collect("", &mut lines);
    }
    lines
}

/// The path of `key` inside the map at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The shape of a document, with the positions of keys and list entries.
enum Node {
    Leaf,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    fn collect(&self, path: &str, lines: &mut BTreeMap<String, u64>) {
        match self {
            Self::Leaf => {}
            Self::List(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    entry.value.collect(&path, lines);
                    lines.insert(path, entry.referenced.line());
                }
            }
            Self::Map(entries) => {
                for (key, node) in entries {
                    let path = join(path, &key.value);
                    node.collect(&path, lines);
                    lines.insert(path, key.referenced.line());
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

macro_rules! leaves {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node::Leaf)
        })*
    };
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    leaves!(
        visit_bool: bool,
        visit_i64: i64,
        visit_i128: i128,
        visit_u64: u64,
        visit_u128: u128,
        visit_f64: f64,
        visit_str: &str
    );

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::Leaf)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(Node::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_read_as_yaml_1_2() {
        let read = parse("a: no\nb: true\nc: 10485760\nd: 007\ne: 1_000\nf: ~\ng: '5'\n").unwrap();
        assert_eq!(
            read,
            json!({
                "a": "no", "b": true, "c": 10_485_760, "d": "007", "e": "1_000",
                "f": null, "g": "5",
            })
        );
    }

    #[test]
    fn a_key_given_twice_is_an_error_with_the_line_of_the_second() {
        let error = parse("port: 1\ncors: '*'\nport: 2\n").unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(error.message.contains("port"), "{error}");
    }

    #[test]
    fn text_that_is_not_yaml_is_an_error_with_its_line() {
        assert!(parse("port: 1\ncors: [a\n").unwrap_err().line.is_some());
    }

    #[test]
    fn a_second_document_is_an_error() {
        let error = parse("port: 1\n---\nport: 2\n").unwrap_err();
        assert_eq!(error.line, Some(3));
        assert!(
            error.message.starts_with("a second YAML document"),
            "{error}"
        );
    }

    #[test]
    fn nesting_and_aliases_are_bounded() {
        let deep = "[".repeat(10_000);
        let wide = "
            a: &a [x,x,x,x,x,x,x,x]
            b: &b [*a,*a,*a,*a,*a,*a]
            c: &c [*b,*b,*b,*b,*b,*b]
            d: &d [*c,*c,*c,*c,*c,*c]
            e: &e [*d,*d,*d,*d,*d,*d]
            f: &f [*e,*e,*e,*e,*e,*e]
            g: [*f,*f,*f,*f,*f,*f]
        ";
        assert!(parse(&deep).is_err() && parse(wide).is_err());
    }

    #[test]
    fn a_file_of_comments_only_has_no_keys() {
        assert_eq!(parse("# nothing\n\n").unwrap(), Value::Null);
    }

    #[test]
    fn every_key_and_list_entry_has_its_line() {
        let lines = lines("a: 1\nb:\n  - c: 2\n    d:\n      e.f: 3\n  - x\n");
        let expected = [
            ("a", 1),
            ("b", 2),
            ("b[0]", 3),
            ("b[0].c", 3),
            ("b[0].d", 4),
            ("b[0].d.e.f", 5),
            ("b[1]", 6),
        ];
        assert_eq!(
            lines,
            expected.map(|(path, line)| (path.to_owned(), line)).into()
        );
    }
}
