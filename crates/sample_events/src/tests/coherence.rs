//! The events of one activity agree with each other, and with what happened before.

use super::{EVENTS, is_canary, of_stream};
use serde_json::Value;
use std::collections::BTreeMap;

/// The events of a stream by the request that caused them. A move that leaves a redirect gives two
/// to some streams.
fn by_request<'a>(values: &[&'a Value]) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut requests = BTreeMap::<&str, Vec<&Value>>::new();
    for value in values {
        requests
            .entry(text(&value["meta"]["request_id"]))
            .or_default()
            .push(value);
    }
    requests
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn spaced(title: &Value) -> String {
    text(title).replace('_', " ")
}

#[test]
fn three_streams_agree_on_an_edit() {
    let revisions = by_request(&of_stream("mediawiki.revision-create"));
    let page_changes = by_request(&of_stream("mediawiki.page_change.v1"));
    let mut compared = 0;
    for change in of_stream("mediawiki.recentchange") {
        if change["type"] != "edit" && change["type"] != "new" {
            continue;
        }
        let request = text(&change["meta"]["request_id"]);
        let (revision, page_change) = (revisions[request][0], page_changes[request][0]);
        assert_eq!(revision["rev_id"], change["revision"]["new"]);
        assert_eq!(page_change["revision"]["rev_id"], change["revision"]["new"]);
        assert_eq!(revision["rev_parent_id"], change["revision"]["old"]);
        assert_eq!(
            revision["rev_parent_id"],
            page_change["revision"]["rev_parent_id"]
        );
        assert_eq!(
            page_change["prior_state"]["revision"]["rev_id"],
            change["revision"]["old"]
        );
        assert_eq!(
            page_change["prior_state"]["revision"]["rev_size"],
            change["length"]["old"]
        );
        assert_eq!(revision["rev_len"], change["length"]["new"]);
        assert_eq!(revision["page_id"], page_change["page"]["page_id"]);
        assert_eq!(spaced(&revision["page_title"]), change["title"]);
        assert_eq!(spaced(&page_change["page"]["page_title"]), change["title"]);
        assert_eq!(
            (&revision["database"], &page_change["wiki_id"]),
            (&change["wiki"], &change["wiki"])
        );
        assert_eq!(
            (
                &revision["performer"]["user_text"],
                &page_change["performer"]["user_text"]
            ),
            (&change["user"], &change["user"])
        );
        assert_eq!(
            (&revision["comment"], &page_change["revision"]["comment"]),
            (&change["comment"], &change["comment"])
        );
        assert_eq!(revision["meta"]["uri"], change["meta"]["uri"]);
        compared += 1;
    }
    assert!(compared > 3_000, "{compared}");
}

#[test]
fn page_create_has_the_first_revision_of_a_new_page() {
    let revisions = of_stream("mediawiki.revision-create");
    let created = of_stream("mediawiki.page-create");
    assert!(created.len() > 200);
    for page in created {
        let mut first = (*revisions
            .iter()
            .find(|revision| {
                revision["rev_id"] == page["rev_id"] && revision["database"] == page["database"]
            })
            .expect("its revision"))
        .clone();
        assert_eq!(first["meta"]["dt"], page["meta"]["dt"]);
        first["meta"] = page["meta"].clone();
        assert_eq!(&first, page);
        assert_eq!(page["rev_parent_id"], Value::Null);
    }
}

#[test]
fn moves_and_deletions_agree_with_the_log_and_page_change() {
    let changes = by_request(&of_stream("mediawiki.recentchange"));
    let page_changes = by_request(&of_stream("mediawiki.page_change.v1"));
    let last = text(&EVENTS[EVENTS.len() - 200].1["meta"]["dt"]);
    for (stream, kind) in [
        ("mediawiki.page-move", "move"),
        ("mediawiki.page-delete", "delete"),
    ] {
        let events = of_stream(stream);
        assert!(events.len() > 10, "{stream}: {}", events.len());
        // The last ones' other events may lie beyond the end of the run.
        for event in events
            .into_iter()
            .filter(|event| text(&event["meta"]["dt"]) < last)
        {
            let request = text(&event["meta"]["request_id"]);
            let change = changes[request][0];
            assert_eq!(
                (&change["type"], &change["log_type"]),
                (&"log".into(), &kind.into())
            );
            let page_change = page_changes[request]
                .iter()
                .find(|change| change["page_change_kind"] == kind)
                .expect("its page_change");
            assert_eq!(page_change["page"]["page_id"], event["page_id"]);
            assert_eq!(page_change["page"]["page_title"], event["page_title"]);
            assert_eq!(page_change["revision"]["rev_id"], event["rev_id"]);
            if kind == "move" {
                assert_ne!(event["prior_state"]["page_title"], event["page_title"]);
                assert_eq!(spaced(&event["prior_state"]["page_title"]), change["title"]);
                assert_eq!(spaced(&event["page_title"]), change["log_params"]["target"]);
                assert_eq!(
                    page_change["prior_state"]["page"]["page_title"],
                    event["prior_state"]["page_title"]
                );
                assert_eq!(
                    page_change["created_redirect_page"]["page_id"],
                    event["new_redirect_page"]["page_id"]
                );
            } else {
                assert_eq!(page_change["changelog_kind"], "delete");
                assert_eq!(page_change["page"]["revision_count"], event["rev_count"]);
            }
        }
    }
}

#[test]
fn a_page_that_is_edited_again_has_its_last_revision_as_parent() {
    let mut pages = BTreeMap::<(String, u64), BTreeMap<u64, Value>>::new();
    for revision in of_stream("mediawiki.revision-create") {
        let page = (
            revision["database"].to_string(),
            revision["page_id"].as_u64().expect("a number"),
        );
        let id = revision["rev_id"].as_u64().expect("a number");
        assert!(
            pages
                .entry(page)
                .or_default()
                .insert(id, revision["rev_parent_id"].clone())
                .is_none(),
            "revision {id} twice"
        );
    }
    let mut followed = 0;
    for revisions in pages.values() {
        for ((before, _), (_, parent)) in revisions.iter().zip(revisions.iter().skip(1)) {
            assert_eq!(parent, before);
            followed += 1;
        }
    }
    assert!(followed > 500, "{followed}");
}

#[test]
fn only_page_change_has_keys_and_a_page_stays_in_its_partition() {
    let mut places = BTreeMap::new();
    for (event, value) in EVENTS.iter() {
        if value["meta"]["stream"] != "mediawiki.page_change.v1" {
            assert_eq!(event.key, None);
            continue;
        }
        let key = event.key.as_deref().expect("page_change has a key");
        let expected = format!(
            "{{\"wiki_id\":{},\"page_id\":{}}}",
            value["wiki_id"], value["page"]["page_id"]
        );
        assert_eq!(String::from_utf8_lossy(key), expected);
        if !is_canary(value) {
            assert_eq!(
                *places.entry(key).or_insert(event.partition),
                event.partition
            );
        }
    }
    assert!(places.len() > 1_000);
}
