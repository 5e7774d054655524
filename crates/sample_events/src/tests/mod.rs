//! What the samples promise: as a whole here, for the events of one activity in `coherence`, for an
//! event's fields in `fields`.

mod coherence;
mod fields;

use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const START_MS: i64 = 1_767_323_045_600;

/// The first 16,000 events of seed 1 at 30 a second, with their parsed values: made once for all
/// tests.
static EVENTS: LazyLock<Vec<(SampleEvent, Value)>> = LazyLock::new(|| {
    let events = Samples::new(1, 30.0, START_MS).take(16_000);
    events.map(|event| (event.clone(), parse(&event))).collect()
});

fn parse(event: &SampleEvent) -> Value {
    serde_json::from_slice(&event.value).expect("a sample is JSON")
}

fn is_canary(value: &Value) -> bool {
    value["meta"]["domain"] == "canary"
}

/// Parsed events of a stream, both datacenters, without canaries.
fn of_stream(stream: &str) -> Vec<&'static Value> {
    EVENTS
        .iter()
        .map(|(_, value)| value)
        .filter(|value| value["meta"]["stream"] == stream && !is_canary(value))
        .collect()
}

/// How many of 1000 values match.
fn per_mille(values: &[&Value], so: impl Fn(&Value) -> bool) -> usize {
    values.iter().filter(|value| so(value)).count() * 1000 / values.len()
}

#[test]
fn equal_arguments_give_equal_bytes() {
    let run = || {
        Samples::new(7, 30.0, START_MS)
            .take(1_500)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn another_seed_gives_other_events() {
    let ids = |seed| -> BTreeSet<String> {
        Samples::new(seed, 30.0, START_MS)
            .take(500)
            .map(|event| parse(&event)["meta"]["id"].to_string())
            .collect()
    };
    assert_eq!(ids(1).len(), 500);
    assert!(ids(1).is_disjoint(&ids(2)));
}

#[test]
fn a_seed_gives_the_same_events_on_every_machine() {
    // A hash of the first thousand events. A change of the samples changes the number on purpose;
    // any other change would break comparisons between runs.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for event in Samples::new(1, 30.0, START_MS).take(1_000) {
        for byte in event.topic.bytes().chain(event.value) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    assert_eq!(format!("{hash:016x}"), "45f41d55aa9e09b1");
}

#[test]
fn timestamps_never_go_back_and_are_the_events_own() {
    let mut last = START_MS;
    for (event, value) in EVENTS.iter() {
        assert!(event.timestamp_ms >= last);
        last = event.timestamp_ms;
        assert_eq!(value["meta"]["dt"], time::milliseconds(event.timestamp_ms));
    }
}

#[test]
fn the_rate_is_kept_on_average() {
    for (rate, seconds) in [(3.0, 2_000.0), (30.0, 200.0), (100_000.0, 0.06)] {
        let last = Samples::new(5, rate, 0)
            .take(6_000)
            .last()
            .expect("samples do not end");
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let took = last.timestamp_ms as f64 / 1000.0;
        assert!(
            (took / seconds - 1.0).abs() < 0.07,
            "6,000 events at {rate}/s took {took} s"
        );
    }
}

#[test]
fn any_rate_shows_every_stream() {
    for rate in [RATE_MIN, 30.0, RATE_MAX] {
        let events = Samples::new(3, rate, START_MS)
            .take(3_000)
            .map(|event| parse(&event));
        let seen: BTreeSet<String> = events
            .filter(|value| !is_canary(value))
            .map(|value| value["meta"]["stream"].to_string())
            .collect();
        assert_eq!(seen.len(), 8, "at {rate}: {seen:?}");
    }
}

#[test]
fn every_topic_begins_with_a_canary() {
    let first = &EVENTS[..16];
    assert!(first.iter().all(|(_, value)| is_canary(value)));
    let spoke: BTreeSet<String> = first.iter().map(|(event, _)| event.topic.clone()).collect();
    assert_eq!(
        spoke,
        topics().into_iter().map(|(topic, _)| topic).collect()
    );
}

#[test]
fn canaries_come_back_in_every_topic() {
    let mut canaries = BTreeMap::<String, usize>::new();
    for (event, _) in EVENTS.iter().filter(|(_, value)| is_canary(value)) {
        *canaries.entry(event.topic.clone()).or_default() += 1;
    }
    assert_eq!(canaries.len(), 16);
    assert!(canaries.values().all(|count| *count == 2), "{canaries:?}");
}

#[test]
fn every_partition_of_the_large_topics_is_used_and_none_beyond() {
    let mut used = BTreeMap::<String, BTreeSet<i32>>::new();
    for (event, _) in EVENTS.iter() {
        used.entry(event.topic.clone())
            .or_default()
            .insert(event.partition);
    }
    for (topic, partitions) in topics() {
        assert_eq!(
            used.remove(&topic),
            Some((0..partitions).collect()),
            "{topic}"
        );
    }
    assert!(used.is_empty());
}

#[test]
fn some_events_of_a_topic_share_a_millisecond() {
    let mut last = BTreeMap::<(String, i32), i64>::new();
    let mut ties = 0;
    for (event, _) in EVENTS.iter() {
        let before = last.insert((event.topic.clone(), event.partition), event.timestamp_ms);
        ties += usize::from(before == Some(event.timestamp_ms));
    }
    assert!((50..1_500).contains(&ties), "{ties} of 16,000");
}

#[test]
fn most_events_are_in_eqiad_and_a_few_in_codfw() {
    let codfw = EVENTS
        .iter()
        .filter(|(event, value)| event.topic.starts_with("codfw.") && !is_canary(value))
        .count();
    assert!((160..640).contains(&codfw), "{codfw} of 16,000");
}

#[test]
fn wikis_bots_and_types_have_their_shares() {
    let revisions = of_stream("mediawiki.revision-create");
    for (database, share) in [
        ("wikidatawiki", 440..500),
        ("commonswiki", 180..220),
        ("enwiki", 85..120),
    ] {
        let found = per_mille(&revisions, |value| value["database"] == database);
        assert!(share.contains(&found), "{database}: {found}");
    }
    let changes = of_stream("mediawiki.recentchange");
    for (kind, share) in [
        ("edit", 520..640),
        ("categorize", 280..400),
        ("log", 35..80),
        ("new", 15..45),
    ] {
        let found = per_mille(&changes, |value| value["type"] == kind);
        assert!(share.contains(&found), "{kind}: {found}");
    }
    let bots = per_mille(&changes, |value| value["bot"] == true);
    assert!((220..400).contains(&bots), "bots: {bots}");
}

#[test]
fn titles_are_written_in_many_scripts() {
    let scripts = [
        ("Latin", 'A'..='ž'),
        ("Greek", 'Α'..='ω'),
        ("Cyrillic", 'А'..='я'),
        ("Armenian", 'Ա'..='և'),
        ("Hebrew", 'א'..='ת'),
        ("Arabic", 'ء'..='ي'),
        ("Devanagari", 'अ'..='ह'),
        ("Bengali", 'অ'..='হ'),
        ("Tamil", 'அ'..='ஹ'),
        ("Telugu", 'అ'..='హ'),
        ("Thai", 'ก'..='ฮ'),
        ("Georgian", 'ა'..='ჰ'),
        ("Ethiopic", 'ሀ'..='ፗ'),
        ("kana", 'ぁ'..='ヺ'),
        ("Han", '一'..='鿿'),
        ("Hangul", '가'..='힣'),
    ];
    let changes = of_stream("mediawiki.recentchange");
    for (name, range) in scripts {
        let found = changes.iter().any(|value| {
            value["title"]
                .as_str()
                .is_some_and(|title| title.contains(|c| range.contains(&c)))
        });
        assert!(found, "no title in {name}");
    }
}

#[test]
fn recentchange_events_have_the_sizes_of_real_ones() {
    let mut sizes: Vec<usize> = EVENTS
        .iter()
        .filter(|(event, value)| event.topic.ends_with("recentchange") && !is_canary(value))
        .map(|(event, _)| event.value.len())
        .collect();
    sizes.sort_unstable();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((1_000..1_600).contains(&mean), "mean {mean}");
    let (late, largest) = (sizes[sizes.len() * 99 / 100], sizes[sizes.len() - 1]);
    assert!(
        late > 1_600 && largest > 5_000,
        "99th percentile {late}, largest {largest}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_seed_rate_or_start_stops_the_samples(seed: u64, rate: f64, start_ms: i64) {
        let events: Vec<SampleEvent> = Samples::new(seed, rate, start_ms).take(60).collect();
        prop_assert_eq!(events.len(), 60);
        prop_assert!(events.iter().all(|event| event.timestamp_ms >= 0));
        prop_assert!(events.is_sorted_by_key(|event| event.timestamp_ms));
    }
}
