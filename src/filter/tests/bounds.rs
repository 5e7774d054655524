use std::thread;

use super::super::{FILTER_BYTES_MAX, Filter};

/// The stack of the thread that parses.
const STACK_BYTES: usize = 512 * 1024;

/// As many of `part` as fit between `start` and `end`.
fn filled(start: &str, part: &str, end: &str) -> String {
    let count = (FILTER_BYTES_MAX - start.len() - end.len()) / part.len();
    [start, &part.repeat(count), end].concat()
}

/// `open` so many times, `inner`, `close` so many times.
fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    [&open.repeat(depth), inner, &close.repeat(depth)].concat()
}

/// Texts that nest or repeat as much as they can, with and without errors.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "(",
        "[",
        "!",
        "-",
        "!-",
        "(!",
        "!(",
        "[[(",
        "{",
        "size(",
        "has(",
        "a.a(",
        "event.a&&",
        "event.a||",
        "1+",
        "1-",
        "event.a==",
        "event.a.b",
        "event[",
        "event['a']",
        ".a",
        "'",
        "\\",
        "event.a.matches(",
        "event.a.contains(",
        "event.a.size()",
        "1 in [",
        "?",
        "true?true:",
    ]
    .iter()
    .flat_map(|part| ["", "event.a == "].map(|start| filled(start, part, "")))
    .collect();
    for depth in 1..=60 {
        texts.extend([
            nested("(", "event.a", ")", depth),
            nested("!(", "event.a", ")", depth),
            nested("(event.a && (event.b || ", "event.c", "))", depth),
            nested("[", "1", "]", depth) + " == event.a",
            nested("-(1 + ", "event.a", ")", depth) + " == 1",
            nested("size(", "event.a", ")", depth) + " == 1",
            nested("event.a.contains(", "'a'", ")", depth),
            nested("!", "event.a", "", depth),
            nested("-", "event.a", "", depth) + " == 1",
        ]);
    }
    texts.push(filled("event.a == 1", "+ 1", ""));
    texts.push(filled("event.a.matches('", "(", ")')"));
    texts.push(nested("(", "a", ")*", 330));
    texts
        .iter()
        .map(|text| text.chars().take(FILTER_BYTES_MAX).collect())
        .chain(
            (1..340).map(|depth| format!("event.a.matches('{}')", nested("(", "a", ")*", depth))),
        )
        .collect()
}

#[test]
fn no_text_overflows_a_small_stack() {
    let parse_all = || {
        for text in texts() {
            let Ok(filter) = Filter::parse(&text) else {
                continue;
            };
            filter.matches(r#"{"a":1,"b":[[]]}"#);
            assert!(filter.kind().name().is_ascii());
            assert_eq!(Filter::parse(filter.text()), Ok(filter.clone()), "{text}");
        }
    };
    let thread = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(parse_all);
    thread.expect("a thread").join().expect("it parses");
}

#[test]
fn arrays_of_any_depth_overflow_no_small_stack() {
    let compare = || {
        let is_match = |depth| {
            let deep = nested("[", "1", "]", depth);
            let filter = Filter::parse("event.a == event.b || event.a in event.c");
            let event = format!(r#"{{"a":{deep},"b":{deep},"c":[{deep}]}}"#);
            filter.expect("a filter").matches(&event)
        };
        assert!([1, 17, 100_000].into_iter().all(is_match));
    };
    let thread = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(compare);
    thread.expect("a thread").join().expect("it compares");
}
