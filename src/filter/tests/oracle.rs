//! Random filters against the `cel` crate, an index against each filter alone, normal forms against
//! what was written.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, extensions};
use proptest::prelude::*;
use serde_json::Value;

use super::super::{Filter, FilterIndex, Scratch};
use super::generate;

/// CEL with its functions of strings: `lowerAscii`.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)
        .expect("its own extension");
    Arc::new(env)
});

/// The crate's result: `None` for an error, which is unknown here.
fn cel(text: &str, event: &str) -> Option<bool> {
    let event: Value = serde_json::from_str(event).expect("an event");
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.add_variable("event", event).expect("a variable");
    let program = ENV.compile(text).expect(text);
    match program.execute(&context) {
        Ok(cel::Value::Bool(value)) => Some(value),
        _ => None,
    }
}

/// Whether the filter does with an object what CEL allows and filters do not: its size, its keys,
/// its equality.
fn compares_objects(text: &str, event: &str) -> bool {
    let has_object = event[1..].contains('{');
    let takes_object = ["size(", " in event", "== event", "!= event"];
    has_object && takes_object.iter().any(|part| text.contains(part))
}

/// Whether there are numbers that the crate takes for equal in lists, and only there: it rounds
/// them to doubles.
fn rounds_in_lists(text: &str, event: &str) -> bool {
    let has = |number: &str| text.contains(number) || event.contains(number);
    let has_list = event.contains(":[") || text.contains(" [");
    has_list && has("9007199254740993") && has("9007199254740992.0")
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        max_global_rejects: 200_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_cel_crate_agrees(text in generate::filter(), event in generate::event()) {
        let filter = Filter::parse(&text);
        prop_assume!(filter.is_ok() && !compares_objects(&text, &event));
        prop_assume!(!rounds_in_lists(&text, &event));
        let ours = filter.expect("checked").matches(&event);
        let theirs = cel(&text, &event) == Some(true);
        prop_assert_eq!(ours, theirs, "{} on {}", text, event);
    }

    #[test]
    fn a_normal_form_matches_the_same_events(
        text in generate::filter(),
        events in prop::collection::vec(generate::event(), 1..5),
    ) {
        let filter = Filter::parse(&text);
        prop_assume!(filter.is_ok());
        let filter = filter.expect("checked");
        let again = Filter::parse(filter.text()).expect("a normal form");
        prop_assert_eq!(&again, &filter);
        for event in &events {
            prop_assert_eq!(again.matches(event), filter.matches(event));
        }
    }

    #[test]
    fn an_index_finds_the_filters_that_match_alone(
        texts in prop::collection::vec(generate::filter(), 1..12),
        removed in any::<u16>(),
        events in prop::collection::vec(generate::event(), 1..5),
    ) {
        let filters = texts.iter().filter_map(|text| Filter::parse(text).ok());
        let (mut index, mut scratch) = (FilterIndex::default(), Scratch::default());
        let mut all: Vec<_> = filters.map(|filter| (index.add(&filter), filter)).collect();
        for number in (0..all.len()).rev().filter(|number| removed & (1 << number) != 0) {
            index.remove(all.remove(number).0);
        }
        for event in &events {
            let mut found = index.matching(event, &mut scratch).to_vec();
            found.sort_unstable();
            let alone = all.iter().filter(|(_, filter)| filter.matches(event));
            prop_assert_eq!(found, alone.map(|(id, _)| *id).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn no_event_makes_it_panic(
        text in generate::filter(),
        event in "[{}\\[\\]\",:a-c0-9\\\\ ]{0,60}",
    ) {
        if let Ok(filter) = Filter::parse(&text) {
            filter.matches(&event);
        }
    }
}

#[test]
fn a_string_that_does_not_end_makes_no_shorthand_panic() {
    for name in ["wiki", "title", "user"] {
        let filter = Filter::parse(&format!("{name} == \"a\"")).expect("a filter");
        for event in [format!("{{\"{name}\":\""), format!("{{\"{name}\":\"\\\\\\")] {
            assert!(!filter.matches(&event), "{event}");
        }
    }
}
