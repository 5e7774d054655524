//! `prepare` against a slow model that builds its texts from parts, over every spelling JSON has
//! for the same thing.

use super::*;

/// White space that may stand between tokens, line breaks aside.
fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "  ", "\t", " \t "])
}

/// A string's text, quotes included, in many spellings.
fn string() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "Z",
        " ",
        "é",
        "日",
        "👋",
        "\u{2028}",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\ud83d\\ude00",
        "{",
        "}",
        "[",
        ",",
        ":",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A value's text.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string(),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?",
        prop::sample::select(vec!["null", "true", "false", "{}", "[ ]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (prop::collection::vec(inner.clone(), 0..4), space())
                .prop_map(|(values, space)| format!("[{}]", values.join(&format!("{space},")))),
            (prop::collection::vec((string(), inner), 0..4), space()).prop_map(
                |(members, space)| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(key, value)| format!("{key}{space}:{space}{value}"))
                        .collect();
                    format!("{{{space}{}}}", members.join(","))
                }
            ),
        ]
    })
}

/// A member's parts in the order in which they are written, the comma aside.
#[derive(Clone, Debug)]
struct Parts {
    before: &'static str,
    key: String,
    colon: String,
    value: String,
    after: &'static str,
}

fn member(
    key: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = Parts> {
    (space(), key, space(), space(), value, space()).prop_map(
        |(before, key, left, right, value, after)| Parts {
            before,
            key,
            colon: format!("{left}:{right}"),
            value,
            after,
        },
    )
}

/// A key's text that means `name`.
fn spelled(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (
        prop::sample::select(names),
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(name, index, escape)| {
            let at = index.index(name.len());
            let escaped = format!(
                "\"{}\\u{:04x}{}\"",
                &name[..at],
                name.as_bytes()[at],
                &name[at + 1..]
            );
            if escape {
                escaped
            } else {
                format!("\"{name}\"")
            }
        })
}

fn object(members: &[Parts]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|m| format!("{}{}{}{}{}", m.before, m.key, m.colon, m.value, m.after))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// The model of cutting and adding: what stays of the members, with the white space that its
/// neighbours leave it.
fn rewritten(members: &[Parts], is_cut: impl Fn(&Parts) -> bool, added: &str) -> String {
    let mut out = "{".to_owned() + members.first().map_or("", |first| first.before);
    let mut any_kept = false;
    for (index, member) in members
        .iter()
        .enumerate()
        .filter(|(_, member)| !is_cut(member))
    {
        if any_kept {
            out.extend([members[index - 1].after, ",", member.before]);
        }
        out.extend([&*member.key, &*member.colon, &*member.value]);
        any_kept = true;
    }
    if any_kept && !added.is_empty() {
        out.push(',');
    }
    out + added + members.last().map_or("", |last| last.after) + "}"
}

fn decoded(key: &str) -> String {
    serde_json::from_str(key).unwrap()
}

const KAFKAS: &[&str] = &["topic", "partition", "offset", "key"];
const FIELDS: &str = r#""topic":"eqiad.x","partition":3,"offset":42"#;

/// An event's members, and, when it has a `meta`, where that stands and its members (`None`: null).
type Model = (Vec<Parts>, Option<(usize, Option<Vec<Parts>>)>);

fn model() -> impl Strategy<Value = Model> {
    let names = &["a", "title", "topic", "user", "metas"];
    let members =
        prop::collection::vec(member(prop_oneof![spelled(names), string()], value()), 0..5);
    let metas = prop::collection::vec(
        member(prop_oneof![spelled(KAFKAS), string()], value()),
        0..6,
    );
    let meta = prop::option::of((
        member(spelled(&["meta"]), Just(String::new())),
        prop::option::of(metas),
    ));
    (members, meta, any::<prop::sample::Index>()).prop_map(|(mut members, meta, index)| {
        let meta = meta.map(|(mut parts, metas)| {
            let at = index.index(members.len() + 1);
            parts.value = metas
                .as_ref()
                .map_or("null".to_owned(), |metas| object(metas));
            members.insert(at, parts);
            (at, metas)
        });
        (members, meta)
    })
}

proptest! {
    #[test]
    fn nothing_but_kafkas_fields_changes(
        (members, meta) in model(),
        has_key: bool,
    ) {
        let added = if has_key { format!(r#"{FIELDS},"key":"k\"""#) } else { FIELDS.to_owned() };
        let replaced = |member: &Parts| {
            let name = decoded(&member.key);
            KAFKAS[..3].contains(&name.as_str()) || has_key && name == "key"
        };
        let input = object(&members);
        let expected = match &meta {
            None => rewritten(&members, |_| false, &format!(r#""meta":{{{added}}}"#)),
            Some((at, metas)) => {
                let mut members = members.clone();
                let metas = metas.as_deref().unwrap_or_default();
                members[*at].value = rewritten(metas, replaced, &added);
                object(&members)
            }
        };
        let prepared = prepare_for("test", has_key.then_some(b"k\""), input.as_bytes()).unwrap();
        prop_assert_eq!(text(&prepared), expected);

        // The same through a tree, which knows nothing of texts.
        let mut tree: Value = serde_json::from_str(&input).unwrap();
        if !tree["meta"].is_object() {
            tree["meta"] = serde_json::json!({});
        }
        tree["meta"]["topic"] = "eqiad.x".into();
        tree["meta"]["partition"] = 3.into();
        tree["meta"]["offset"] = 42.into();
        if has_key {
            tree["meta"]["key"] = "k\"".into();
        }
        prop_assert_eq!(serde_json::from_slice::<Value>(prepared.event.json()).unwrap(), tree);
    }

    #[test]
    fn redaction_leaves_no_trace_and_removes_nothing_else(
        kind in 0..3_usize,
        before in prop::collection::vec(member(spelled(&["a", "type", "page_id"]), value()), 0..3),
        secrets in prop::collection::vec(member(spelled(&["performer"]), secret()), 0..3),
        editors in prop::collection::vec(
            member(prop_oneof![spelled(&["editor"]), spelled(&["rev_id"])], secret()),
            0..4,
        ),
        after in prop::collection::vec(member(spelled(&["b", "page"]), value()), 0..3),
        order in any::<prop::sample::Index>(),
    ) {
        let stream = [
            "mediawiki.page_change.v1",
            "mediawiki.recentchange",
            "mediawiki.page-move",
        ][kind];
        let is_removed = |name: &str| name == "user" || kind != 0 && name == "performer";
        let mut members = before;
        members.extend(secrets.into_iter().map(|mut parts| {
            if kind == 1 {
                parts.key = "\"us\\u0065r\"".to_owned();
            }
            parts
        }));
        let mut editors = editors;
        for parts in editors.iter_mut().filter(|parts| decoded(&parts.key) == "rev_id") {
            parts.value = "1.10".to_owned();
        }
        members.push(part("revision", object(&editors)));
        members.push(part("prior_state", object(&[part("revision", object(&editors))])));
        members.extend(after);
        members.push(part("title", r#""main_page""#.to_owned()));
        let rotation = order.index(members.len());
        members.rotate_left(rotation);
        members.push(part("meta", r#"{"domain":"tt.wikipedia.org"}"#.to_owned()));

        let prepared = prepare_for(stream, None, object(&members).as_bytes()).unwrap();
        prop_assert!(prepared.redacted);
        let json = text(&prepared);
        prop_assert!(!json.contains("SECRET"), "{json}");
        let is_kept =
            |parts: &&Parts| !parts.value.contains("SECRET") && decoded(&parts.key) != "meta";
        for Parts { key, colon, value, .. } in members.iter().filter(is_kept) {
            prop_assert!(json.contains(&format!("{key}{colon}{value}")), "{key} in {json}");
        }
        let tree: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(tree["meta"]["offset"].as_i64(), Some(42));
        prop_assert!(tree.as_object().unwrap().keys().all(|name| !is_removed(name)));
        let performer = tree["performer"].as_object();
        prop_assert!(kind != 0 || performer.is_some_and(serde_json::Map::is_empty));
    }

    #[test]
    fn no_bytes_make_prepare_panic(value in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = prepare_for("test", None, &value);
    }

    #[test]
    fn damaged_events_are_skipped_or_become_one_line_of_json(
        (members, _) in model(),
        damage in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                prop::sample::select(&b"{}[]\",:\\ \n\r0a\xff"[..]),
            ),
            0..3,
        ),
    ) {
        let mut value = object(&members).into_bytes();
        for (index, byte) in damage {
            let at = index.index(value.len());
            value[at] = byte;
        }
        let is_object = std::str::from_utf8(&value).is_ok_and(|text| {
            text.trim_start().starts_with('{')
                && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
        });
        match prepare_for("mediawiki.page_change.v1", None, &value) {
            Ok(prepared) => {
                prop_assert!(is_object);
                let json = prepared.event.json();
                prop_assert!(memchr::memchr2(b'\n', b'\r', json).is_none());
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok());
            }
            Err(SkipReason::MetaNotObject) => prop_assert!(is_object),
            Err(_) => prop_assert!(!is_object),
        }
    }
}

fn part(key: &str, value: String) -> Parts {
    Parts {
        before: "",
        key: format!("\"{key}\""),
        colon: ":".into(),
        value,
        after: "",
    }
}

fn secret() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""SECRET""#,
        r#"{"user_text":"SECRET","groups":["SECRET", {}]}"#,
        r#"[ "SECRET\"}" ,1]"#,
        r#""SECRET \ud83d\ude00""#,
    ])
    .prop_map(str::to_owned)
}
