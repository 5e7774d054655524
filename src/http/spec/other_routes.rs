//! The routes besides streams.

use serde_json::{Value, json};

use super::reference;

/// Each path with its description.
pub(super) fn paths() -> [(&'static str, Value); 3] {
    let name = path_parameter("name", "The name or an alias of a stream.", "string");
    let topic = path_parameter(
        "topic",
        "A topic of a public stream: `meta.topic`.",
        "string",
    );
    let partition = path_parameter("partition", "Its partition: `meta.partition`.", "integer");
    let offset = path_parameter("offset", "The event's offset: `meta.offset`.", "integer");
    [
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
