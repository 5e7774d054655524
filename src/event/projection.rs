//! The members of an event that a client asks for (docs/protocol.md, "Fields").
//!
//! Members are cut out of the event's text: names and values stay as the producer wrote them.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::PublicEvent;
use super::json_object::wanted_members;

/// The longest text that is parsed, in bytes.
const FIELDS_BYTES_MAX: usize = 1024;

/// The most paths.
const PATHS_MAX: usize = 64;

/// The most names in a path.
const DEPTH_MAX: usize = 16;

/// Where an event comes from and when it happened: a client always gets these.
const ALWAYS: [&str; 6] = ["stream", "topic", "partition", "offset", "dt", "id"];

/// Which members of an event a client gets. Equal ones share their work, whatever the order of
/// their paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Projection {
    members: Members,
}

type Members = BTreeMap<Box<str>, Node>;

/// What a client gets of a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    Whole,
    Members(Members),
}

/// Why a list of fields is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionError {
    /// A path, or a name in it, is empty.
    Empty,
    /// Longer than 1,024 bytes.
    TooLong,
    /// More than 64 paths.
    TooManyPaths,
    /// More than 16 names in a path.
    TooDeep,
}

impl ProjectionError {
    /// What is accepted instead.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Empty => {
                "names of members, separated by commas, with dots between the names of members \
                 inside each other: title,length.new"
            }
            Self::TooLong => "at most 1024 bytes long",
            Self::TooManyPaths => "at most 64 fields",
            Self::TooDeep => "fields of at most 16 names each",
        }
    }
}

impl Projection {
    /// Parses the value of the query's `fields`, percent-decoded: `title,length.new`.
    ///
    /// # Errors
    ///
    /// [`ProjectionError`].
    pub fn parse(text: &str) -> Result<Self, ProjectionError> {
        if text.len() > FIELDS_BYTES_MAX {
            return Err(ProjectionError::TooLong);
        }
        let mut members = Members::new();
        for (number, path) in text.split(',').enumerate() {
            if number == PATHS_MAX {
                return Err(ProjectionError::TooManyPaths);
            }
            let names: Vec<&str> = path.trim_ascii().split('.').collect();
            if names.iter().any(|name| name.is_empty()) {
                return Err(ProjectionError::Empty);
            }
            if names.len() > DEPTH_MAX {
                return Err(ProjectionError::TooDeep);
            }
            add(&mut members, &names);
        }
        for name in ALWAYS {
            add(&mut members, &["meta", name]);
        }
        Ok(Self { members })
    }

    /// Appends the JSON of `event` without the members that the client does not get.
    pub fn append_to(&self, out: &mut BytesMut, event: &PublicEvent) {
        self.append_text(out, event.text());
    }

    /// Appends the JSON of an event's text without the members that the client does not get.
    pub(super) fn append_text(&self, out: &mut BytesMut, json: &str) {
        let start = out.len();
        if append_members(out, json, &self.members).is_err() {
            debug_assert!(false, "an event is a JSON object");
            out.truncate(start);
            out.extend_from_slice(json.as_bytes());
        }
    }
}

/// Adds a path. A member that is wanted as a whole stays so.
fn add(members: &mut Members, path: &[&str]) {
    let [name, rest @ ..] = path else { return };
    if rest.is_empty() {
        members.insert((*name).into(), Node::Whole);
        return;
    }
    let node = members.entry((*name).into());
    if let Node::Members(inner) = node.or_insert_with(|| Node::Members(Members::new())) {
        add(inner, rest);
    }
}

/// Appends an object with those of its members that are wanted. A member of which only members are
/// wanted is there if it is an object.
fn append_members(out: &mut BytesMut, object: &str, wanted: &Members) -> serde_json::Result<()> {
    let mut result = Ok(());
    let start = out.len();
    let is_wanted = |name: &str| wanted.contains_key(name);
    wanted_members(object, is_wanted, |member| {
        let node = wanted.get(&*member.name);
        let inner = match node {
            Some(Node::Whole) => None,
            Some(Node::Members(inner)) if member.is_object() => Some(inner),
            _ => return,
        };
        let separator: &[u8] = if out.len() == start { b"{" } else { b"," };
        for part in [separator, member.key.as_bytes(), b":"] {
            out.extend_from_slice(part);
        }
        match inner {
            None => out.extend_from_slice(member.value.as_bytes()),
            Some(inner) => {
                if let Err(error) = append_members(out, member.value, inner) {
                    result = Err(error);
                }
            }
        }
    })?;
    out.extend_from_slice(if out.len() == start { b"{}" } else { b"}" });
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn projected(fields: &str, json: &str) -> String {
        let mut out = BytesMut::new();
        let projection = Projection::parse(fields).expect(fields);
        projection.append_text(&mut out, json);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    #[test]
    fn the_wanted_members_stay_as_they_are_written() {
        let event = r#"{"$schema":"/a/1","n" : 1.50e3,"a":{"b":{"c":1,"d":2},"e":"\u00fc"},"#
            .to_owned()
            + r#""t":["x",{"c":1}],"z":null,"meta":{"uri":"u","dt":"2026","id":"7","topic":"t"}}"#;
        let meta = r#""meta":{"dt":"2026","id":"7","topic":"t"}"#;
        for (fields, members) in [
            ("n", r#""n":1.50e3"#),
            ("a.b.c", r#""a":{"b":{"c":1}}"#),
            ("a.e,a.b.d", r#""a":{"b":{"d":2},"e":"\u00fc"}"#),
            ("a,a.e", r#""a":{"b":{"c":1,"d":2},"e":"\u00fc"}"#),
            ("a.e , a", r#""a":{"b":{"c":1,"d":2},"e":"\u00fc"}"#),
            ("t,z", r#""t":["x",{"c":1}],"z":null"#),
            ("$schema", r#""$schema":"/a/1""#),
            ("a.nope", r#""a":{}"#),
        ] {
            let expected = format!("{{{members},{meta}}}");
            assert_eq!(projected(fields, &event), expected, "{fields}");
        }
        for fields in ["nope", "n.x", "t.c", "z.a"] {
            assert_eq!(projected(fields, &event), format!("{{{meta}}}"), "{fields}");
        }
        let all = r#"{"meta":{"uri":"u","dt":"2026","id":"7","topic":"t"}}"#;
        assert_eq!(projected("meta", &event), all);
        let uri = r#"{"meta":{"uri":"u","dt":"2026","id":"7","topic":"t"}}"#;
        assert_eq!(projected("meta.uri", &event), uri);
    }

    #[test]
    fn duplicates_and_escaped_names_are_members_as_well() {
        let event = r#"{"a":1,"\u0061":2,"b":3,"a":{"x":4},"ü":5}"#;
        assert_eq!(projected("a", event), r#"{"a":1,"\u0061":2,"a":{"x":4}}"#);
        assert_eq!(projected("a.x", event), r#"{"a":{"x":4}}"#);
        assert_eq!(projected("ü", event), r#"{"ü":5}"#);
        assert_eq!(projected("a", "{}"), "{}");
    }

    #[test]
    fn equal_requests_are_equal_in_any_order() {
        let parse = |text| Projection::parse(text).expect(text);
        assert_eq!(parse("a,b.c,b.d"), parse("b.d, b.c,a,a.x"));
        assert_eq!(parse("a,meta.id"), parse("a"));
        assert_ne!(parse("a"), parse("a.b"));
    }

    #[test]
    fn what_is_too_much_or_empty_is_refused() {
        let paths = |count: usize| vec!["a"; count].join(",");
        let deep = |count: usize| vec!["a"; count].join(".");
        for (text, error) in [
            (String::new(), ProjectionError::Empty),
            ("a,,b".to_owned(), ProjectionError::Empty),
            ("a,".to_owned(), ProjectionError::Empty),
            ("a..b".to_owned(), ProjectionError::Empty),
            (".".to_owned(), ProjectionError::Empty),
            (paths(65), ProjectionError::TooManyPaths),
            (deep(17), ProjectionError::TooDeep),
            ("a".repeat(1025), ProjectionError::TooLong),
        ] {
            assert_eq!(Projection::parse(&text), Err(error), "{text}");
            assert!(!error.expected().is_empty());
        }
        for text in [paths(64), deep(16), "a".repeat(1024)] {
            assert!(Projection::parse(&text).is_ok(), "{text}");
        }
    }

    /// What a projection leaves, on a parsed event.
    fn model(value: &Value, paths: &[Vec<String>]) -> Value {
        let mut out = json!({});
        let Value::Object(members) = value else {
            return out;
        };
        for (name, inner) in members {
            let below = paths.iter().filter(|path| path[0] == *name);
            let below: Vec<Vec<String>> = below.map(|path| path[1..].to_vec()).collect();
            if below.iter().any(Vec::is_empty) {
                out[name] = inner.clone();
            } else if !below.is_empty() && inner.is_object() {
                out[name] = model(inner, &below);
            }
        }
        out
    }

    fn event() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,4}".prop_map(Value::from)
        ];
        let inner = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::btree_map("[a-c]", inner.clone(), 0..4)
                    .prop_map(|members| json!(members)),
                prop::collection::vec(inner, 0..3).prop_map(Value::from),
            ]
        });
        prop::collection::btree_map("[a-c]|meta", inner, 0..4).prop_map(|members| json!(members))
    }

    proptest! {
        #[test]
        fn a_projection_is_that_of_the_parsed_event(
            event in event(),
            paths in prop::collection::vec(prop::collection::vec("[a-c]|meta|id", 1..4), 1..5),
        ) {
            let fields: Vec<String> = paths.iter().map(|path| path.join(".")).collect();
            let projected = projected(&fields.join(","), &event.to_string());
            let mut paths = paths;
            paths.extend(ALWAYS.map(|name| vec!["meta".to_owned(), name.to_owned()]));
            let parsed: Value = serde_json::from_str(&projected).expect("JSON");
            prop_assert_eq!(parsed, model(&event, &paths));
        }

        #[test]
        fn no_text_makes_parse_panic(text in "\\PC{0,80}|[a.,]{0,2000}") {
            let _ = Projection::parse(&text);
        }
    }
}
