//! The `OpenAPI` document of the public streams (`/?spec`), and a page that shows it (`/?doc`).

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::App;
use crate::stream::Stream;

/// `OpenAPI` 3: every public stream is a path of its own, its aliases too.
pub(super) fn document(app: &App) -> Value {
    let catalog = app.catalog();
    let mut paths = Map::new();
    for stream in catalog.streams() {
        paths.insert(format!("/v2/stream/{}", stream.name), path(stream));
        for alias in &stream.aliases {
            paths.insert(format!("/v2/stream/{alias}"), path(stream));
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": app.config.service_name,
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Streams of events as Server-Sent Events. Ask for several streams at once with commas between their names.",
        },
        "paths": paths,
    })
}

fn path(stream: &Stream) -> Value {
    let parameter = |name: &str, place: &str, description: &str| json!({"name": name, "in": place, "required": false, "description": description, "schema": {"type": "string"}});
    json!({
        "get": {
            "tags": ["Streams"],
            "summary": format!("The stream {}", stream.name),
            "description": stream.description.as_deref().unwrap_or_default(),
            "x-schema-title": stream.schema_title,
            "parameters": [
                parameter("since", "query", "Begin with events of this time: ISO 8601, or milliseconds since 1970."),
                parameter("Last-Event-ID", "header", "The id of the last event received: go on right after it."),
                parameter("lastEventId", "query", "The same for clients that cannot set the header."),
            ],
            "responses": {
                "200": {
                    "description": "Events, without end",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object"}}},
                },
                "default": {
                    "description": "A problem",
                    "content": {"application/problem+json": {"schema": {"type": "object"}}},
                },
            },
        }
    })
}

/// A page for people: what streams there are and how to read them.
pub(super) fn page(app: &App) -> String {
    let catalog = app.catalog();
    let mut rows = String::new();
    for stream in catalog.streams() {
        let aliases = stream.aliases.join(", ");
        let (name, description) = (escape(stream.name.as_str()), escape(stream.description.as_deref().unwrap_or_default()));
        let _ = write!(
            rows,
            "<tr><td><a href=\"/v2/stream/{name}\"><code>{name}</code></a></td><td><code>{}</code></td><td>{description}</td></tr>",
            escape(&aliases)
        );
    }
    format!(
        include_str!("doc.html"),
        name = escape(&app.config.service_name),
        version = env!("CARGO_PKG_VERSION"),
        home = super::info::HOME,
        rows = rows
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
