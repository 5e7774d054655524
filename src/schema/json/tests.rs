use proptest::prelude::*;

use super::{DEPTH_MAX, Json, JsonFault, Kind, name_hash};

fn parse(text: &str) -> Json<'_> {
    Json::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn values_keep_their_spans_and_their_digits() {
    let text = r#" { "a" : 9007199254740993 , "b":[1.10, -0, 1e400], "c" : "x\ny" } "#;
    let json = parse(text);
    let root = json.root();
    assert_eq!(&text[root.span()], text.trim());
    assert_eq!(root.get("a").unwrap().text(), "9007199254740993");
    let numbers: Vec<_> = root.get("b").unwrap().items().collect();
    assert_eq!(
        numbers.iter().map(super::Value::text).collect::<Vec<_>>(),
        ["1.10", "-0", "1e400"]
    );
    assert_eq!(numbers[2].as_f64(), Some(f64::INFINITY));
    assert!(numbers[1].as_f64().unwrap().is_sign_negative());
    assert_eq!(root.get("c").unwrap().as_str().unwrap(), "x\ny");
    assert_eq!(root.count(), 3);
    assert!(root.get("d").is_none());
}

#[test]
fn of_equal_names_the_last_counts() {
    let json = parse(r#"{"a":1,"b":2,"\u0061":3,"a":{"c":4}}"#);
    let root = json.root();
    assert_eq!(root.count(), 2);
    assert_eq!(root.get("a").unwrap().text(), r#"{"c":4}"#);
    let names: Vec<_> = root
        .members()
        .map(|member| member.name().into_owned())
        .collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn of_many_equal_names_the_last_counts() {
    let members: Vec<String> = (0..300).map(|n| format!(r#""k{}":{n}"#, n % 100)).collect();
    let text = format!("{{{}}}", members.join(","));
    let json = parse(&text);
    assert_eq!(json.root().count(), 100);
    assert_eq!(json.root().get("k7").unwrap().text(), "207");
}

#[test]
fn text_that_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "]",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "1 2",
        "01",
        "1.",
        ".5",
        "-",
        "1e",
        "+1",
        "nul",
        "nulll",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "\"abcdefgh\u{1}\"",
        "[1}",
        "{\"a\":1]",
        "'a'",
        "NaN",
        "[1 2]",
        "{\"a\" 1}",
        "\u{feff}1",
    ] {
        let error = Json::parse(text).expect_err(text);
        assert_eq!(error.fault, JsonFault::Syntax, "{text}");
        assert!(error.at <= text.len());
    }
}

#[test]
fn nesting_is_bounded_without_recursion() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(parse(&nested(DEPTH_MAX)).root().kind(), Kind::Array);
    let text = nested(DEPTH_MAX + 1);
    assert_eq!(Json::parse(&text).unwrap_err().fault, JsonFault::TooDeep);
    assert_eq!(
        Json::parse(&"[".repeat(1_000_000)).unwrap_err().fault,
        JsonFault::TooDeep
    );
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character() {
    for (text, expected) in [
        (r#""\ud83d\ude42""#, "🙂"),
        (r#""\ud83dx""#, "\u{fffd}x"),
        (r#""\ude42\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
    ] {
        assert_eq!(parse(text).root().as_str().unwrap(), expected);
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::vec((".{0,12}", inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value as `serde_json` has it.
fn rebuild(value: super::Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Array => value.items().map(rebuild).collect(),
        Kind::Object => {
            let members = value.members();
            members
                .map(|member| (member.name().into_owned(), rebuild(member.value())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Kind::String => value.as_str().unwrap().into(),
        _ => serde_json::from_str(value.text()).unwrap(),
    }
}

proptest! {
    #[test]
    fn it_reads_what_serde_json_writes(value in value()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(rebuild(parse(&text).root()), value);
    }

    #[test]
    fn it_takes_the_texts_that_serde_json_takes(text in r#"[\[\]{},:"\\a01.e+\- nulltrue]{0,12}"#) {
        let expected = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // A number that overflows is an error there, and half a surrogate pair.
        if expected {
            prop_assert!(Json::parse(&text).is_ok(), "{}", text);
        } else if !text.contains('e') && !text.contains("\\u") {
            prop_assert!(Json::parse(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn equal_names_have_equal_hashes_and_others_rarely(one in ".{0,20}", other in ".{0,20}") {
        prop_assert_eq!(name_hash(&one) == name_hash(&other), one == other);
    }
}
