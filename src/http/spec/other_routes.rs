//! The routes besides streams.

use serde_json::{Value, json};

use super::reference;

/// Each path with its description.
pub(super) fn paths() -> [(&'static str, Value); 4] {
    let name = path_parameter("name", "The name or an alias of a stream.", "string");
    let topic = path_parameter(
        "topic",
        "A topic of a public stream: `meta.topic`.",
        "string",
    );
    let partition = path_parameter("partition", "Its partition: `meta.partition`.", "integer");
    let offset = path_parameter("offset", "The event's offset: `meta.offset`.", "integer");
    [
        ("/v1/stream/{streams}", pages()),
        (
            "/v2/event/{topic}/{partition}/{offset}",
            route("One event", "The event", &[topic, partition, offset]),
        ),
        (
            "/v2/streams",
            route(
                "The public streams",
                "All public streams, in `streams`",
                &[],
            ),
        ),
        (
            "/v2/streams/{name}",
            route("One public stream", "The stream", &[name]),
        ),
    ]
}

/// A page of the protocol of Durable Streams.
fn pages() -> Value {
    let streams = path_parameter(
        "streams",
        "Names of streams, separated by commas.",
        "string",
    );
    let query = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": "string"},
        })
    };
    let parameters = [
        streams,
        query("offset", "`-1`, `now`, or the last `Stream-Next-Offset`."),
        query("live", "`long-poll` or `sse`; absent for a page at once."),
        query("cursor", "The last `Stream-Cursor`."),
    ];
    let filters = ["filter", "fields"].map(|name| reference("parameters", name));
    let parameters: Vec<Value> = parameters.into_iter().chain(filters).collect();
    let mut pages = route(
        "Events page by page (Durable Streams)",
        "A page",
        &parameters,
    );
    let responses = &mut pages["get"]["responses"];
    responses["200"]["content"]["application/json"]["schema"] = json!({"type": "array"});
    responses["204"] = json!({"description": "A long poll without an event"});
    pages
}

fn path_parameter(name: &str, description: &str, kind: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": {"type": kind},
    })
}

fn route(summary: &str, answer: &str, parameters: &[Value]) -> Value {
    json!({
        "get": {
            "tags": ["Streams"],
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": answer,
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                "304": {"description": "The body has the `ETag` of `If-None-Match`"},
                "default": reference("responses", "problem"),
            },
        }
    })
}
