//! What the parts of the walk of an event and of a request cost, each alone: `cargo bench --bench
//! micro [-- NAME]`.
//!
//! Events are samples of recentchange, 1.3 kB in the mean. Ids have two partitions (one stream) or
//! 42 (all streams of a wiki farm).
//!
//! * `filters`: parsing, evaluating and finding filters.

mod filters;

use std::collections::BTreeMap;
use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use eventstreams::config::StreamsConfig;
use eventstreams::cursor::{EventId, LastEventId, Offset, Partition, Position, TimestampMs};
use eventstreams::event::{
    Format, PublicEvent, Record, RedactionKind, RedactionRules, frame, prepare, redact_again,
};
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

criterion_group!(
    micro,
    augment_and_redact,
    ids_and_frames,
    gate,
    filters::parse,
    filters::evaluate,
    filters::find
);
criterion_main!(micro);
