use super::super::{Filter, FilterKind, Shorthand};

pub(super) const EVENT: &str = concat!(
    r#"{"$schema":"/mediawiki/recentchange/1.0.0","#,
    r#""meta":{"domain":"de.wiktionary.org","dt":null},"wiki":"dewiktionary","bot":false,"#,
    r#" "namespace" : 0 ,"title":"Foo \u0022bar\u0022","user":"Ex_Ample","tags":["a","b\\",3],"#,
    r#""length":{"old":1000,"new":2500},"big":9007199254740993,"max":18446744073709551615,"#,
    r#""rate":1.5,"e":{},"n":null,"deep":[[1,2],[]]}"#
);

pub(in crate::filter) fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(text: &str) -> bool {
    filter(text).matches(EVENT)
}

#[test]
fn filters_that_match() {
    for text in [
        "true",
        r#"event.wiki == "dewiktionary" && !event.bot"#,
        r#"event.meta.domain.endsWith(".wiktionary.org") && event.namespace in [0, 10]"#,
        "event.length.new - event.length.old > 1000",
        r#"event["$schema"] == "/mediawiki/recentchange/1.0.0""#,
        r#"event["length"]["new"] == 2500"#,
        r#"event.title == 'Foo "bar"'"#,
        r#"event.title.contains('"')"#,
        r#""a" in event.tags && "b\\" in event.tags && 3.0 in event.tags"#,
        "event.namespace == 0.0 && event.rate == 1.5 && event.rate > 1",
        "event.big == 9007199254740993 && event.big != 9007199254740992.0",
        "event.max == 18446744073709551615 && event.max > 18446744073709551614",
        "event.n == null && event.meta.dt == null && has(event.n)",
        "!has(event.nope) && !has(event.nope.x) && !has(event.wiki.x)",
        "!has(event.nope) || event.nope != 1",
        "event.nope == 1 || true",
        "!(event.nope == 1 && false)",
        "event.wiki != 1 && !(event.wiki == 1) && event.wiki != null",
        r#"event.title.lowerAscii() == 'foo "bar"'"#,
        r#"event.title.lowerAscii().startsWith("foo")"#,
        r#"event.title.lowerAscii().endsWith('bar"')"#,
        r#"event.title.lowerAscii().contains("o \"b") && event.title.lowerAscii().matches("^foo")"#,
        r#"event.wiki.matches("^de.*ary$") && event.wiki.matches("wiktion")"#,
        r#"size(event.wiki) == 12 && event.tags.size() == 3 && size("é") == 1"#,
        "event.deep == [[1, 2], []] && [1, 2] in event.deep && event.tags != []",
        r#"event.wiki < "e" && event.wiki >= "dewiktionary""#,
        "-event.namespace == 0 && -1 < event.namespace",
        "event.e != 1 && has(event.e)",
        r#"wiki == "dewiktionary" && namespace == 0 && bot == false"#,
        r#"title == "foo_\"bar\"" && user == "ex_ample""#,
        "(event.bot || event.namespace == 0) && (event.bot == false)",
        "event.wiki > r'd\\'",
    ] {
        assert!(matches(text), "{text}");
        assert!(
            filter(filter(text).text()).matches(EVENT),
            "normal form of {text}"
        );
    }
}

#[test]
fn filters_that_do_not_match() {
    for text in [
        "false",
        "event.nope == 1",
        "!(event.nope == 1)",
        "event.nope != 1",
        "event.nope",
        "event.wiki",
        "!event.wiki",
        "event.n < 1",
        "!(event.n < 1)",
        "event.wiki < 1",
        "event.e == event.length",
        "!(event.e == event.length)",
        "event.wiki + 1 == 2",
        "event.max + 1 > 0",
        r#"event.namespace.startsWith("0")"#,
        r#""dewiktionary" in event.wiki"#,
        "1 in event.e",
        r#"event.namespace == "0""#,
        "event.tags == ['a', 'b']",
        "event.deep == [[1, 2]]",
        "event.namespace in []",
        "event.wiki.size() > 12",
        "size(event.e) == 0",
    ] {
        assert!(!matches(text), "{text}");
        assert!(
            !filter(filter(text).text()).matches(EVENT),
            "normal form of {text}"
        );
    }
}

#[test]
fn of_duplicate_members_the_last_one_counts() {
    let event = r#"{"a":1,"m":{"x":1,"y":2},"\u0061":2,"m":{"x":3},"z":{"w":1},"z":4}"#;
    for (text, expected) in [
        ("event.a == 2", true),
        ("event.a == 1", false),
        ("event.m.x == 3", true),
        ("has(event.m.y)", false),
        ("has(event.z.w)", false),
        ("event.z == 4", true),
    ] {
        assert_eq!(filter(text).matches(event), expected, "{text}");
    }
}

#[test]
fn equal_filters_have_one_normal_form() {
    for (texts, normal) in [
        (
            &[
                "event.a == 1 && event.b == 2",
                "2 == event.b && event.a==1.0 && event.b == 2",
            ][..],
            "event.a == 1 && event.b == 2",
        ),
        (
            &[
                "event.a == 1 || event.a in [3, 2] || 1 == event.a",
                "event.a in [3,2,1,1]",
            ],
            "event.a in [1, 2, 3]",
        ),
        (
            &["!(event.a == 1)", "1 != event.a", "!!(event.a != 1)"],
            "event.a != 1",
        ),
        (&["!(event.a < 1)", "1 <= event.a"], "event.a >= 1"),
        (&["event.a in ['x']"], "event.a == \"x\""),
        (&["true && event.bot == true && true"], "event.bot == true"),
        (&["event.a == 1 || true"], "true"),
        (
            &["(event.a == 1 && (event.b == 2 && event.c == 3))"],
            "event.a == 1 && event.b == 2 && event.c == 3",
        ),
        (
            &["(event.a == 1 || event.b == 2) && event.c == 3"],
            "(event.a == 1 || event.b == 2) && event.c == 3",
        ),
        (
            &[r#"event["wiki"] == 'a\'b"\n'"#],
            r#"event.wiki == "a'b\"\n""#,
        ),
        (
            &[r#"event["$schema"] == "x""#],
            r#"event["$schema"] == "x""#,
        ),
        (
            &[
                "event.a - (event.b - 1) > -1",
                "-1 < event.a - (event.b - 1)",
            ],
            "event.a - (event.b - 1) > -1",
        ),
    ] {
        for text in texts {
            assert_eq!(filter(text).text(), normal, "{text}");
            assert_eq!(filter(normal).text(), normal);
        }
    }
}

#[test]
fn shorthand_is_the_same_as_its_expression() {
    let shorthand = |name, values| Filter::shorthand(name, values).expect(values);
    for (filter_of, text) in [
        (
            shorthand(Shorthand::Wiki, "enwiki,dewiki"),
            r#"wiki in ["dewiki", "enwiki"]"#,
        ),
        (
            shorthand(Shorthand::Wiki, "*wiktionary"),
            r#"wiki.endsWith("wiktionary")"#,
        ),
        (
            shorthand(Shorthand::Namespace, "0"),
            r#"namespace in ["0", 0]"#,
        ),
        (shorthand(Shorthand::Bot, "false"), "bot == false"),
        (
            shorthand(Shorthand::Title, "Foo  Bar"),
            r#"title == "foo_bar""#,
        ),
        (
            shorthand(Shorthand::User, "Ex*"),
            r#"user.startsWith("ex")"#,
        ),
        (
            shorthand(Shorthand::Domain, "a.org").and(shorthand(Shorthand::Type, "edit")),
            r#"domain == "a.org" && type == "edit""#,
        ),
    ] {
        assert_eq!(filter_of, filter(text));
    }
    assert!(shorthand(Shorthand::Wiki, "*wiktionary,enwiki").matches(EVENT));
    assert!(shorthand(Shorthand::Namespace, "0").matches(EVENT));
    assert!(shorthand(Shorthand::Namespace, "0").matches(r#"{"page_namespace":"0"}"#));
    assert!(shorthand(Shorthand::Title, "FOO_\"bar\"").matches(EVENT));
    assert!(shorthand(Shorthand::User, "ex ample").matches(EVENT));
    let values = |count| vec!["a*"; count].join(",");
    Filter::shorthand(Shorthand::Title, &values(100)).expect("as many as a list may have");
    for (name, values) in [
        (Shorthand::Title, &*values(101)),
        (Shorthand::Wiki, &*"x".repeat(1025)),
        (Shorthand::Bot, "maybe"),
        (Shorthand::Wiki, "a,,b"),
        (Shorthand::Wiki, ""),
        (Shorthand::Wiki, "*a*"),
    ] {
        Filter::shorthand(name, values).expect_err(values);
    }
}

#[test]
fn shorthand_takes_the_first_member_that_is_present_and_not_null() {
    let wiki = Filter::shorthand(Shorthand::Wiki, "a").expect("a filter");
    assert!(wiki.matches(r#"{"database":"a"}"#) && wiki.matches(r#"{"wiki_id":"a"}"#));
    assert!(wiki.matches(r#"{"wiki":null,"database":"a"}"#));
    assert!(!wiki.matches(r#"{"wiki":"b","database":"a"}"#));
    assert!(!filter("has(wiki)").matches(r#"{"wiki":null}"#));
}

#[test]
fn a_filter_has_a_kind() {
    for (text, kind) in [
        ("event.a == 1 && event.b.matches('x')", FilterKind::Indexed),
        ("event.b.matches('x')", FilterKind::Pattern),
        ("event.a > 1", FilterKind::Residual),
        ("event.a == 1 || event.b == 2", FilterKind::Residual),
        ("event.a in [1, 2] && event.a != 1", FilterKind::Indexed),
    ] {
        assert_eq!(filter(text).kind(), kind, "{text}");
    }
}

#[test]
fn a_normal_form_is_a_filter_also_where_lists_are_long() {
    let list = |from: u32| {
        (from..from + 90)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    let text = format!("event.a in [{}] || event.a in [{}]", list(0), list(100));
    let long = filter(&text);
    assert_eq!(filter(long.text()), long);
    assert!(long.matches(r#"{"a":150}"#) && !long.matches(r#"{"a":95}"#));
}

#[test]
fn a_number_before_a_method_keeps_its_brackets() {
    for text in [
        "(1).startsWith('a')",
        "(-1).lowerAscii() == 'b'",
        "(1.5).matches('a')",
    ] {
        let one = filter(text);
        assert_eq!(filter(one.text()), one, "{text}");
    }
}
