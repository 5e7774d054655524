//! Canaries, which prove that a topic works end to end, and the events of the test stream.

use super::page_change;
use crate::rng::Rng;
use crate::streams::Stream;
use crate::time;
use serde_json::{Value, json};

/// A canary of a stream and its record's key. `meta.domain` is `canary`; of the schema's fields it
/// has only those that are required, with constant values. Consumers skip it.
pub(crate) fn canary(stream: Stream, rng: &mut Rng, at_ms: i64) -> (Vec<u8>, Option<Vec<u8>>) {
    let (day, page) = ("2024-02-29T12:00:00Z", "Canary_page");
    let mut event = json!({
        "$schema": stream.schema(),
        "meta": {
            "domain": "canary",
            "stream": stream.name(),
            "id": rng.uuid(),
            "request_id": rng.uuid(),
            "dt": time::milliseconds(at_ms),
        },
    });
    let of_page = json!({
        "database": "canarywiki",
        "page_id": 7,
        "page_title": page,
        "page_namespace": 0,
        "page_is_redirect": false,
        "rev_id": 8,
    });
    let fields = match stream {
        Stream::Recentchange => json!({}),
        Stream::Test => json!({ "test": "canary" }),
        Stream::PageDelete | Stream::PagePropertiesChange => of_page,
        Stream::RevisionCreate | Stream::PageCreate => {
            with(of_page, json!({ "rev_timestamp": day, "dt": day }))
        }
        Stream::PageMove => with(
            of_page,
            json!({ "prior_state": {
                "page_title": "Old_canary_page",
                "page_namespace": 0,
                "rev_id": 6,
            } }),
        ),
        Stream::PageChange => json!({
            "changelog_kind": "update",
            "page_change_kind": "edit",
            "dt": day,
            "wiki_id": "canarywiki",
            "page": { "page_id": 7, "page_title": page, "namespace_id": 0, "is_redirect": false },
            "revision": { "rev_id": 8, "rev_parent_id": 6, "rev_dt": day },
        }),
    };
    event = with(event, fields);
    let key = (stream == Stream::PageChange).then(|| page_change::key("canarywiki", 7));
    (event.to_string().into_bytes(), key)
}

const GREETINGS: &[&str] = &["hello", "שלום", "你好", "ሰላም", "नमस्ते", "привет"];

/// An event of the test stream, received at that time.
pub(crate) fn test_event(rng: &mut Rng, number: u64, at_ms: i64) -> Vec<u8> {
    let event = json!({
        "$schema": Stream::Test.schema(),
        "meta": {
            "uri": format!("/test/{number}"),
            "request_id": rng.uuid(),
            "id": rng.uuid(),
            "domain": "eventgate.test.local",
            "stream": Stream::Test.name(),
            "dt": time::milliseconds(at_ms),
        },
        "test": format!("test event {number}"),
        "test_map": { "number": number.to_string(), "greeting": rng.pick(GREETINGS) },
    });
    event.to_string().into_bytes()
}

/// Both objects' members in one.
fn with(mut event: Value, fields: Value) -> Value {
    if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
        event.extend(fields);
    }
    event
}
