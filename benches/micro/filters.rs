//! What filters cost: to parse the worst texts, to evaluate the worst filters on an event of 10 kB,
//! and to find those of many that an event matches.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use eventstreams::filter::{FILTER_BYTES_MAX, Filter, FilterIndex, Matcher, Scratch, Selection};
use serde_json::{Value, json};

/// Bytes of the event that filters are evaluated on.
const EVENT_BYTES: usize = 10_000;

/// Operators of a filter, calls included.
const OPERATORS_MAX: usize = 64;

/// As many parts with `||` between them as a filter may have: each has so many operators.
fn any(operators: usize, part: impl Fn(usize) -> String) -> String {
    let count = OPERATORS_MAX / (operators + 1);
    filled("", (0..count).map(part), "||", "")
}

/// As many parts as fit between `start` and `end`.
fn filled(start: &str, parts: impl Iterator<Item = String>, joint: &str, end: &str) -> String {
    let mut text = start.to_owned();
    for part in parts {
        let joint = if text == start { "" } else { joint };
        if text.len() + joint.len() + part.len() + end.len() > FILTER_BYTES_MAX {
            break;
        }
        text += joint;
        text += &part;
    }
    text + end
}

/// As many of `part` as fit into one pattern.
fn pattern(flags: &str, part: &str) -> String {
    let start = format!("event.a.matches(r'{flags}");
    let parts = std::iter::repeat_with(|| part.to_owned());
    filled(&start, parts, "", "')")
}

/// Texts that take long to parse.
fn long_texts() -> Vec<(&'static str, String)> {
    let nested = "(event.b==2&&(event.c==3||".repeat(8) + "event.a==1" + &"))".repeat(8);
    let list = |number: usize| {
        let items: Vec<_> = (0..100)
            .map(|item| ((item + number) % 10).to_string())
            .collect();
        format!("event.a in [{}]", items.join(","))
    };
    vec![
        (
            "fields",
            any(1, |number| format!("event.f{number}.m.n.o < {number}")),
        ),
        (
            "one field",
            any(1, |number| format!("event.a == '{number}'")),
        ),
        ("lists", any(1, list)),
        ("brackets", nested),
        ("not", "!".repeat(OPERATORS_MAX) + "event.a"),
        ("sum", format!("event.a == {}1", "1.5e10+".repeat(62))),
        (
            "string",
            filled(
                "event.a == '",
                std::iter::repeat_n(r"\u0041".into(), 200),
                "",
                "'",
            ),
        ),
    ]
}

/// Patterns that take long to compile, some of them until they are found to be too large.
fn long_patterns() -> Vec<(&'static str, String)> {
    vec![
        ("classes", pattern("", r"\pL")),
        ("folded classes", pattern("(?i)", r"\pL")),
        ("negated classes", pattern("(?i)", r"\PL")),
        ("differences of classes", pattern("(?i)", r"[\w--\pN]")),
        ("folded ranges", pattern("(?i)", "[!-\u{10ffff}]")),
        (
            "repetitions",
            "event.a.matches('(((a{9}){9}){9}){9}')".into(),
        ),
        (
            "a repeated class",
            r"event.a.matches(r'\w{9}{9}{9}')".into(),
        ),
        (
            "two repeated classes",
            r"event.a.matches(r'\w{25}')||event.b.matches(r'\W{25}')".into(),
        ),
        ("alternatives", pattern("", "a?x*|")),
        ("empty alternatives", pattern("", "|")),
    ]
}

/// Parses them.
pub fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse a filter");
    for (name, text) in [long_texts(), long_patterns()].concat() {
        assert!(text.len() <= FILTER_BYTES_MAX, "{name}: {text}");
        let parsed = Filter::parse(&text);
        println!("{name}, {} bytes: {:?}", text.len(), parsed.map(drop));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Filter::parse(black_box(&text)).is_ok());
        });
    }
    group.finish();
}

/// An event of 10 kB with this member and some more.
fn large(a: &Value) -> String {
    let mut event = json!({"$schema": "/a/b/1.0.0", "wiki": "enwiki", "b": 1, "a": a});
    let length = event.to_string().len() + r#","filler":"""#.len();
    event["filler"] = "x".repeat(EVENT_BYTES.saturating_sub(length)).into();
    event.to_string()
}

/// Filters that take long to evaluate, each with its event, over strings.
fn slow_over_text() -> Vec<(&'static str, String, String)> {
    let event = |text: &str, count| large(&text.repeat(count).into());
    let wikis = (0..100).map(|number| format!("'w{number}'"));
    let field = |number| format!("event.f{number} == {number}");
    let contains = |number| format!("event.a.contains('zz{number}')");
    let repetitive = |number| format!("event.a.contains('{}b{number}')", "a".repeat(9));
    let lower = |number| format!("event.a.lowerAscii().contains('z{number}')");
    let order = ["<", ">", "!="].map(|order| format!("event.a.lowerAscii() {order} event.a"));
    let ends = |number| format!("event.a.lowerAscii() == 'z{number}'");
    let size = |number| format!("size(event.a) == {number}");
    vec![
        ("fields", any(1, field), event("x", 9900)),
        (
            "one of 100",
            filled("event.wiki in [", wikis, ",", "]"),
            event("x", 9900),
        ),
        ("contains", any(1, contains), event("x", 9900)),
        ("contains, repetitive", any(1, repetitive), event("a", 9900)),
        ("lower case, contains", any(2, lower), event("X", 9900)),
        ("lower case, order", order.join("||"), event("x", 9900)),
        ("lower case, 21 times", any(2, ends), event("X", 9900)),
        ("size of a string", any(2, size), event("é", 4900)),
        ("escapes", any(1, field), event("\"", 4900)),
    ]
}

/// The same over arrays.
fn slow_over_arrays() -> Vec<(&'static str, String, String)> {
    let different = large(&json!((1000..2900).collect::<Vec<_>>()));
    let decimals = large(&json!(vec![1.5; 2400]));
    let ones = large(&json!(vec![1; 4900]));
    let strings = large(&json!(vec!["a\"b"; 1400]));
    let mut deep = json!(1);
    for _ in 0..15 {
        deep = json!([deep]);
    }
    let deep = large(&json!(vec![deep; 300]));
    let contains = |number| format!("{} in event.a", number + 2);
    let size = |number| format!("size(event.a) == {number}");
    let string = |number| format!("'z{number}' in event.a");
    let list = |number| format!("[{number}] in event.a");
    let numbers: Vec<_> = (0..99).map(|number| (number % 10).to_string()).collect();
    let lists = [0, 1, 2].map(|number| format!("event.a == [{number},{}]", numbers.join(",")));
    let pair = |number: usize| {
        let (a, b) = (number % 8, (number + 1 + number / 8) % 8);
        format!("event.f{a} != event.f{b}")
    };
    let mut many = json!({});
    for number in 0..8 {
        many[format!("f{number}")] = json!(vec![1; 620]);
    }
    let mut same = large(&json!(1));
    same.truncate(1);
    same += many.to_string().trim_start_matches('{');
    vec![
        ("in an array", any(1, contains), ones.clone()),
        (
            "in an array of different numbers",
            any(1, contains),
            different,
        ),
        ("in an array of decimals", any(1, contains), decimals),
        ("long lists", lists.join("||"), ones.clone()),
        ("pairs of equal arrays", any(1, pair), same),
        ("size of an array", any(2, size), ones.clone()),
        ("in an array of strings", any(1, string), strings),
        ("lists in an array", any(1, list), ones),
        ("equal arrays", "event.a != event.a".into(), deep),
    ]
}

/// Evaluates them.
pub fn evaluate(criterion: &mut Criterion) {
    let patterns = (
        "patterns",
        "event.a.matches('(a|b|ab)*c') || event.a.matches('(x+x+)+y')".to_owned(),
        large(&"ab".repeat(4900).into()),
    );
    let mut group = criterion.benchmark_group("evaluate a filter, 10 kB");
    for (name, text, event) in [slow_over_text(), slow_over_arrays(), vec![patterns]].concat() {
        let filter = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let selection = Selection::new(filter, None).expect("not everything");
        let mut matcher = Matcher::new(&selection);
        let bytes = event.len();
        assert!(bytes.abs_diff(EVENT_BYTES) < 500, "{name}: {bytes}");
        assert!(!matcher.matches(&event), "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| matcher.matches(black_box(&event)));
        });
    }
    group.finish();
}

/// The text of a filter by its number.
type OfNumber = fn(usize) -> String;

/// Finds the filters of many that events match: the time of all samples.
pub fn find(criterion: &mut Criterion) {
    let events: Vec<String> = super::values()
        .into_iter()
        .map(|value| String::from_utf8(value).expect("a sample is UTF-8"))
        .collect();
    let mut group = criterion.benchmark_group("find filters");
    group.throughput(Throughput::Elements(events.len() as u64));
    let kinds: [(&str, OfNumber); 4] = [
        ("one wiki each", |number| {
            format!("event.wiki == 'w{number}wiki'")
        }),
        ("one wiki each, no bots", |number| {
            format!("event.wiki == 'w{number}wiki' && event.bot == false")
        }),
        ("residual", |number| {
            format!(
                "event.length.new - event.length.old > {}",
                1_000_000 + number
            )
        }),
        ("a field each", |number| {
            format!("event.meta.f{number} == 1")
        }),
    ];
    for (name, text) in kinds {
        for count in [1, 200, 1000, 10_000] {
            let (mut index, mut scratch) = (FilterIndex::default(), Scratch::default());
            for number in 0..count {
                index.add(&Filter::parse(&text(number)).expect("a filter"));
            }
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    let found = events
                        .iter()
                        .map(|event| index.matching(event, &mut scratch).len());
                    found.sum::<usize>()
                });
            });
        }
    }
    group.finish();
}
