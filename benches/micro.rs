//! What the parts of the walk of an event and of a request cost, each alone: `cargo bench --bench
//! micro [-- NAME]`.
//!
//! Events are samples of recentchange, 1.3 kB in the mean. Ids have two partitions (one stream) or
//! 42 (all streams of a wiki farm).

use std::collections::BTreeMap;
use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use eventstreams::config::StreamsConfig;
use eventstreams::cursor::{EventId, LastEventId, Offset, Partition, Position, TimestampMs};
use eventstreams::event::{
    Format, PublicEvent, Record, RedactionKind, RedactionRules, frame, prepare, redact_again,
};
use eventstreams::filter::{FILTER_BYTES_MAX, Filter, FilterIndex, Matcher, Scratch, Selection};
use eventstreams::stream::{Catalog, Topic};
use memchr::memmem;
use sample_events::Samples;
use serde_json::json;

/// Samples that are prepared in one iteration.
const SAMPLES: usize = 256;

/// Partitions of one stream, and of all.
const PARTITIONS: [usize; 2] = [2, 42];

fn values() -> Vec<Vec<u8>> {
    let events = Samples::new(1, 30.0, 1_700_000_000_000)
        .filter(|event| event.topic.ends_with("mediawiki.recentchange"));
    // The canaries have no title.
    let values = events
        .map(|event| event.value)
        .filter(|value| memmem::find(value, b"\"title\":").is_some());
    values.take(SAMPLES).collect()
}

fn record<'a>(topic: &'a Topic, value: &'a [u8]) -> Record<'a> {
    Record {
        topic,
        partition: Partition(0),
        offset: Offset(123_456_789),
        timestamp: TimestampMs(1_700_000_000_000),
        key: None,
        value: Some(value),
    }
}

/// Rules that know every domain of the samples: the scan has to look at all titles.
fn rules(title: &str) -> RedactionRules {
    let domains = values().into_iter().filter_map(|value| {
        let event: serde_json::Value = serde_json::from_slice(&value).ok()?;
        Some((
            event["meta"]["domain"].as_str()?.to_owned(),
            vec![title.to_owned()],
        ))
    });
    RedactionRules::new(&domains.collect::<BTreeMap<_, _>>())
}

fn prepared(value: &[u8], rules: &RedactionRules) -> PublicEvent {
    let kind = RedactionKind::of_streams(&["recentchange".into()]);
    prepare(
        &record(&"eqiad.mediawiki.recentchange".into(), value),
        rules,
        kind,
        1 << 20,
    )
    .expect("a sample is an event")
    .event
}

/// Rules and the one sample that they redact.
fn named(values: &[Vec<u8>]) -> (RedactionRules, &[u8]) {
    let event: serde_json::Value = serde_json::from_slice(&values[0]).expect("a sample is JSON");
    (
        rules(
            event["title"]
                .as_str()
                .expect("a sample of recentchange has a title"),
        ),
        &values[0],
    )
}

fn augment_and_redact(criterion: &mut Criterion) {
    let values = values();
    let bytes = values.iter().map(|value| value.len() as u64).sum();
    let mut group = criterion.benchmark_group("prepare");
    group.throughput(Throughput::Bytes(bytes));
    for (name, rules) in [
        ("augment", RedactionRules::default()),
        ("augment, with rules", rules("No such page")),
    ] {
        group.bench_function(format!("{name}, {SAMPLES} events"), |bencher| {
            bencher.iter(|| {
                values
                    .iter()
                    .map(|value| prepared(value, &rules).json().len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
    let (rules, value) = named(&values);
    criterion.bench_function("augment and redact, one event", |bencher| {
        bencher.iter(|| prepared(value, &rules));
    });
    let event = prepared(value, &RedactionRules::default());
    let kind = RedactionKind::of_streams(&["recentchange".into()]);
    assert!(
        redact_again(&event, &rules, kind).is_some(),
        "the rules name the sample's page"
    );
    criterion.bench_function("redact again, one event", |bencher| {
        bencher.iter(|| redact_again(&event, &rules, kind));
    });
}

fn event_id(partitions: usize) -> EventId {
    let mut id = EventId::new();
    for number in 0..partitions {
        let topic = format!(
            "{}.mediawiki.stream-{}",
            ["codfw", "eqiad"][number % 2],
            number / 2
        );
        let position = Position {
            next: Offset(123_456_000),
            timestamp: TimestampMs(1_700_000_000_000),
        };
        id.push_slot(topic.as_str().into(), Partition(0), None, position);
    }
    id
}

fn ids_and_frames(criterion: &mut Criterion) {
    let event = prepared(&values()[0], &RedactionRules::default());
    for partitions in PARTITIONS {
        let mut id = event_id(partitions);
        let (mut next, mut turn) = (123_456_000, (0..partitions).cycle());
        criterion.bench_with_input(
            BenchmarkId::new("move the id", partitions),
            &(),
            |bencher, ()| {
                bencher.iter(|| {
                    next += 1;
                    let slot = turn.next().unwrap_or_default();
                    id.set(
                        slot,
                        Position {
                            next: Offset(next),
                            timestamp: TimestampMs(next),
                        },
                    );
                    black_box(id.as_bytes().len())
                });
            },
        );
        for format in [Format::Sse, Format::Ndjson] {
            criterion.bench_with_input(
                BenchmarkId::new(format!("frame, {format:?}"), partitions),
                &(),
                |bencher, ()| {
                    bencher.iter(|| frame::render(format, id.as_bytes(), &event));
                },
            );
        }
        let mut buffer = BytesMut::with_capacity(1 << 20);
        criterion.bench_with_input(
            BenchmarkId::new("frame behind others", partitions),
            &(),
            |bencher, ()| {
                bencher.iter(|| {
                    buffer.clear();
                    frame::append_to(&mut buffer, Format::Sse, id.as_bytes(), &event);
                });
            },
        );
        let text = String::from_utf8(id.as_bytes().to_vec()).expect("an id is UTF-8");
        criterion.bench_with_input(
            BenchmarkId::new("parse Last-Event-ID", partitions),
            &(),
            |bencher, ()| {
                bencher.iter(|| LastEventId::parse(&text).expect("an id of our own"));
            },
        );
    }
}

fn gate(criterion: &mut Criterion) {
    let name = |number: usize| format!("mediawiki.stream-{number}");
    let settings = json!({"topic_prefixes": ["eqiad.", "codfw."]});
    let document = (0..1000)
        .map(|number| (name(number), settings.clone()))
        .collect();
    let config = StreamsConfig {
        allowed_streams: Some((0..100).map(name).collect()),
        ..StreamsConfig::default()
    };
    let catalog = Catalog::build(&serde_json::Value::Object(document), &config).expect("a catalog");
    let mut group = criterion.benchmark_group("gate");
    for (what, number) in [("resolve a public stream", 42), ("refuse another", 421)] {
        let name = name(number);
        assert_eq!(catalog.resolve(&name).is_some(), number < 100);
        group.bench_function(what, |bencher| {
            bencher.iter(|| catalog.resolve(black_box(&name)).is_some());
        });
    }
    group.finish();
}

/// As many of `parts`, joined, as fit into a filter; `end` closes it.
fn fill(start: &str, parts: impl Iterator<Item = String>, joint: &str, end: &str) -> String {
    let mut text = start.to_owned();
    for (number, part) in parts.enumerate() {
        let joint = if number == 0 { "" } else { joint };
        if text.len() + joint.len() + part.len() + end.len() > FILTER_BYTES_MAX {
            break;
        }
        text += joint;
        text += &part;
    }
    text + end
}

/// Texts of filters that take long to parse, some of them with an error at their end.
fn long_filters() -> Vec<(&'static str, String)> {
    let lists = (0..).map(|number| {
        let items: Vec<_> = (0..100)
            .map(|item| format!("{}", (item + number) % 10))
            .collect();
        format!("event.a in [{}]", items.join(","))
    });
    let classes = |class: &'static str| std::iter::repeat_with(move || class.to_owned());
    let nested = |depth: usize| {
        format!(
            "{}event.a==1{}",
            "(event.b==2&&(event.c==3||".repeat(depth),
            "))".repeat(depth)
        )
    };
    vec![
        (
            "comparisons",
            fill(
                "",
                (0..32).map(|n| format!("event.f{n}.m.n.o < {n}")),
                " && ",
                "",
            ),
        ),
        (
            "one field",
            fill("", (0..32).map(|n| format!("event.a == '{n}'")), "||", ""),
        ),
        ("lists", fill("", lists, "||", "")),
        ("nested", nested(8)),
        ("not", format!("{}event.a", "!".repeat(64))),
        (
            "sum",
            fill("1 == ", (0..62).map(|n| format!("{n}.5e10")), "+", ""),
        ),
        ("string", fill("event.a == '", classes("\\u0041"), "", "'")),
        (
            "classes",
            fill("event.a.matches('", classes("\\\\pL"), "", "')"),
        ),
        (
            "folded classes",
            fill("event.a.matches('(?i)", classes("\\\\pL"), "", "')"),
        ),
        (
            "sets",
            fill(
                "event.a.matches('(?i)",
                classes("[\\\\w--\\\\pN]"),
                "",
                "')",
            ),
        ),
        (
            "nested sets",
            fill(
                "event.a.matches('(?i)[",
                classes("\\\\pL&&\\\\w"),
                "&&",
                "]')",
            ),
        ),
        (
            "repetitions",
            "event.a.matches('(((a{9}){9}){9}){9}')".to_owned(),
        ),
        (
            "repeated classes",
            "event.a.matches('(\\\\pL{20}){20}') || event.a.matches('\\\\w{200}')".to_owned(),
        ),
        (
            "alternatives",
            fill(
                "event.a.matches('",
                (0..).map(|n| format!("{n}x*")),
                "|",
                "')",
            ),
        ),
        (
            "empty alternatives",
            fill("event.a.matches('", classes("|"), "", "')"),
        ),
    ]
}

/// An event of 10 kB with these members.
fn large(members: &serde_json::Value) -> String {
    let mut event = json!({"$schema": "/a/b/1.0.0", "wiki": "enwiki"});
    for (name, value) in members.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    let filler = 10_000_usize.saturating_sub(event.to_string().len() + 12);
    event["filler"] = "x".repeat(filler).into();
    event.to_string()
}

/// Filters that take long to evaluate, each with its event.
fn slow_filters() -> Vec<(&'static str, String, String)> {
    let or = |part: fn(usize) -> String| fill("", (0..32).map(part), "||", "");
    let text = |text: &str| large(&json!({"c": text}));
    let ones = large(&json!({"a": vec![1; 4800], "b": 1}));
    let strings = large(&json!({"a": vec!["a\"b"; 1300]}));
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let deep: serde_json::Value = serde_json::from_str(&deep).expect("JSON");
    let deep = large(&json!({"a": vec![deep.clone(); 35], "b": vec![deep; 35]}));
    let mut filters = vec![
        (
            "fields",
            or(|n| format!("event.f{n} == {n}")),
            large(&json!({"b": 1})),
        ),
        (
            "one of 100",
            fill(
                "event.wiki in [",
                (0..100).map(|n| format!("'w{n}'")),
                ",",
                "]",
            ),
            text(""),
        ),
        (
            "contains",
            or(|n| format!("event.c.contains('zz{n}')")),
            text(&"x".repeat(9900)),
        ),
        (
            "contains, repetitive",
            or(|_| "event.c.contains('aaaaaaaaaaaaab')".into()),
            text(&"a".repeat(9900)),
        ),
        (
            "lower, contains",
            fill(
                "",
                (0..21).map(|n| format!("event.c.lowerAscii().contains('z{n}')")),
                "||",
                "",
            ),
            text(&"X".repeat(9900)),
        ),
        (
            "lower, compared",
            fill(
                "",
                (0..16).map(|_| "event.c.lowerAscii() < event.c".into()),
                "||",
                "",
            ),
            text(&"x".repeat(9900)),
        ),
        (
            "in an array",
            or(|n| format!("{} in event.a", n + 2)),
            ones.clone(),
        ),
        (
            "a size",
            or(|n| format!("size(event.a) == {n}")),
            ones.clone(),
        ),
        (
            "size of a string",
            or(|n| format!("size(event.c) == {n}")),
            text(&"é".repeat(4900)),
        ),
        (
            "in an array of strings",
            or(|n| format!("'z{n}' in event.a")),
            strings,
        ),
        (
            "equal arrays",
            fill("", (0..32).map(|_| "event.a != event.b".into()), "||", ""),
            deep,
        ),
        (
            "pattern",
            "event.c.matches('(a|b|ab)*c') || event.c.matches('(x+x+)+y')".into(),
            text(&"ab".repeat(4900)),
        ),
    ];
    // Distinct, so that the normal form keeps them all.
    filters.push((
        "arrays of arrays",
        or(|n| format!("[{n}] in event.a")),
        ones,
    ));
    filters
}

fn filters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse a filter");
    for (name, text) in long_filters() {
        assert!(text.len() <= FILTER_BYTES_MAX, "{name}: {text}");
        println!("{name}: {:?}", Filter::parse(&text).map(drop));
        group.bench_function(name, |bencher| {
            bencher.iter(|| Filter::parse(black_box(&text)).is_ok());
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("evaluate a filter, 10 kB");
    for (name, text, event) in slow_filters() {
        let filter = Filter::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let selection = Selection::new(filter, None).expect("not everything");
        let mut matcher = Matcher::new(&selection);
        assert!(
            (9_900..=10_100).contains(&event.len()),
            "{name}: {}",
            event.len()
        );
        assert!(!matcher.matches(&event), "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| matcher.matches(black_box(&event)));
        });
    }
    group.finish();
}

/// Many filters at once, on events of recentchange: the time of all samples.
fn filter_index(criterion: &mut Criterion) {
    let events: Vec<String> = values()
        .into_iter()
        .map(|value| String::from_utf8(value).expect("a sample is UTF-8"))
        .collect();
    let mut group = criterion.benchmark_group("filters");
    group.throughput(Throughput::Elements(events.len() as u64));
    let wiki = |number: usize| format!("event.wiki == 'w{number}wiki'");
    let kinds: [(&str, fn(&dyn Fn(usize) -> String, usize) -> String); 4] = [
        ("one wiki each", |wiki, number| wiki(number)),
        ("one wiki each, no bots", |wiki, number| {
            format!("{} && event.bot == false", wiki(number))
        }),
        ("residual", |_, number| {
            format!(
                "event.length.new - event.length.old > {}",
                1_000_000 + number
            )
        }),
        ("different fields", |_, number| {
            format!("event.f{number} == 1")
        }),
    ];
    for (name, text) in kinds {
        for count in [1, 200, 1000, 10_000] {
            let (mut index, mut scratch) = (FilterIndex::default(), Scratch::default());
            for number in 0..count {
                index.add(&Filter::parse(&text(&wiki, number)).expect("a filter"));
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

criterion_group!(
    micro,
    augment_and_redact,
    ids_and_frames,
    gate,
    filters,
    filter_index
);
criterion_main!(micro);
