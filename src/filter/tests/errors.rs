use super::super::Filter;

const NOT_BOOLEAN: &str = "column 1: this is a value; a condition must be true or false, for \
                           example event.bot == false";

fn assert_errors(cases: &[(&str, &str)]) {
    for (text, error) in cases {
        let found = Filter::parse(text).expect_err(text).to_string();
        assert_eq!(found, *error, "{text}");
    }
}

#[test]
fn errors_have_their_column_and_say_what_was_expected() {
    assert_errors(&[
        (
            "",
            "column 1: found the end, expected a field, a value or a bracket",
        ),
        (
            "event.wiki = 'a'",
            "column 12: found '='; compare with '=='",
        ),
        (
            "event.wiki == ",
            "column 15: found the end, expected a field, a value or a bracket",
        ),
        (
            "wikis == 1",
            "column 1: found 'wikis', expected a field, as in event.wikis, or a value",
        ),
        ("é == 1", "column 1: found 'é'"),
        ("'é' == €", "column 8: found '€'"),
        ("event.a == 'x", "column 12: this string does not end"),
        (
            r"event.a == 'x\q'",
            "column 14: this escape sequence is not valid",
        ),
        (
            "event.a == 1 2",
            "column 14: found the number 2, expected an operator or the end",
        ),
        (
            "event.a == 0x1F",
            "column 12: found '0x1F', which is not a decimal number of 64 bits",
        ),
        (
            "event.a < 1 < 2",
            "column 13: found '<', expected '&&', '||' or the end: comparisons do not chain",
        ),
        (
            "event.a ? 1 : 2",
            "column 9: the conditional operator '?:' is CEL, but not supported here",
        ),
        (
            "event.a.all(x, x)",
            "column 9: the macro all() is CEL, but not supported here",
        ),
        (
            "{'a': 1} == event.a",
            "column 1: a map is CEL, but not supported here",
        ),
    ]);
}

#[test]
fn errors_name_what_is_not_supported() {
    assert_errors(&[
        (
            "event.a * 2 == 4",
            "column 9: the operator '*' is CEL, but not supported here",
        ),
        (
            "event == 1",
            "column 1: 'event' is the whole event; name a member of it, as in event.wiki",
        ),
        (
            "event.a[0] == 1",
            "column 9: found the number 0, expected the name of a member in quotes",
        ),
        (
            "event.a == [event.b]",
            "column 13: a list holds only values: strings, numbers, true, false, null, lists",
        ),
        (
            "has(1)",
            "column 5: has() takes a field, as in has(event.performer)",
        ),
        (
            "event.a.matches('(')",
            "column 17: this pattern is not valid: unclosed group",
        ),
        (
            "event.a.matches('(\\\\w{500}){500}')",
            "column 17: this pattern is too large when compiled",
        ),
        (
            "event.a in 'abc'",
            "column 12: expected a list or a field after 'in'",
        ),
        ("event.a + 1", NOT_BOOLEAN),
        ("'a'", NOT_BOOLEAN),
        (
            "frobnicate(event.a)",
            "column 1: found the function frobnicate(); there are has, size, startsWith, \
             endsWith, contains, matches, lowerAscii",
        ),
        ("event.a & event.b", "column 9: found '&'; write '&&'"),
        ("(event.a", "column 9: found the end, expected ')'"),
        (
            "event.a || 4",
            "column 12: this is a value; a condition must be true or false, for example \
             event.bot == false",
        ),
        (
            "!-event.a",
            "column 2: found '-', expected what '!' negates: no number is true or false",
        ),
        (
            "-!event.a == 1",
            "column 2: found '!', expected a number after '-'",
        ),
    ]);
}

#[test]
fn filters_are_bounded() {
    let long = format!("event.a == '{}'", "x".repeat(1024));
    let nested = format!("{}event.a{}", "(".repeat(17), ")".repeat(17));
    let operators = vec!["event.a"; 66].join("||");
    let nots = format!("{}event.a", "!".repeat(65));
    let items = format!("event.a in [{}]", vec!["1"; 101].join(","));
    let path = format!("event{}", ".a".repeat(17));
    let patterns = ["event.a.matches('a')"; 3].join("&&");
    for (text, error) in [
        (long, "at most 1024 are allowed"),
        (nested, "brackets nest at most 16 deep"),
        (operators, "at most 64 operators"),
        (nots, "at most 64 operators"),
        (items, "at most 100 items"),
        (path, "at most 16 members"),
        (patterns, "at most 2 patterns"),
    ] {
        let found = Filter::parse(&text).expect_err(&text).to_string();
        assert!(found.contains(error), "{found}");
    }
}
