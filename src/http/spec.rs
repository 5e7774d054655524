//! The `OpenAPI` document of the public streams (`/?spec`), and a page that shows it (`/?doc`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::App;
use crate::stream::{Catalog, Stream};

/// The document and the page, each made once for each configuration of streams.
#[derive(Debug, Default)]
pub struct Documents {
    spec: Made,
    page: Made,
}

/// What was made, and of which catalog.
type Made = Mutex<Option<(Arc<Catalog>, Bytes)>>;

/// The document as JSON.
pub(super) fn document(app: &App) -> Bytes {
    once(&app.documents.spec, app.catalog(), |catalog| {
        make_document(&app.config.service_name, catalog)
    })
}

/// A page for people: what streams there are and how to read them.
pub(super) fn page(app: &App) -> Bytes {
    once(&app.documents.page, app.catalog(), |catalog| {
        make_page(app, catalog)
    })
}

/// What `made` holds, if it is of this catalog; else it is made. Whoever asks meanwhile waits for it.
fn once(made: &Made, catalog: Arc<Catalog>, render: impl FnOnce(&Catalog) -> String) -> Bytes {
    let mut made = made.lock();
    if let Some((of, bytes)) = &*made
        && Arc::ptr_eq(of, &catalog)
    {
        return bytes.clone();
    }
    let bytes = Bytes::from(render(&catalog));
    *made = Some((catalog, bytes.clone()));
    bytes
}

/// `OpenAPI` 3: every public stream is a path of its own, its aliases too.
///
/// Writes the document as text, path by path: a tree of all paths would be many times as large.
fn make_document(service_name: &str, catalog: &Catalog) -> String {
    let mut paths = BTreeMap::new();
    for stream in catalog.streams() {
        paths.insert(format!("/v2/stream/{}", stream.name), stream);
        paths.extend(
            stream
                .aliases
                .iter()
                .map(|alias| (format!("/v2/stream/{alias}"), stream)),
        );
    }
    let info = json!({
        "title": service_name,
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Streams of events as Server-Sent Events. Ask for several streams at once with commas between their names.",
    });
    let mut document = format!("{{\"openapi\":\"3.0.3\",\"info\":{info},\"paths\":{{");
    for (number, (name, stream)) in paths.into_iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let _ = write!(document, "{comma}{}:{}", Value::from(name), path(stream));
    }
    document + "}}"
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
                parameter("compression", "query", "gzip, zstd or none, for clients that cannot set Accept-Encoding."),
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

fn make_page(app: &App, catalog: &Catalog) -> String {
    let mut rows = String::new();
    for stream in catalog.streams() {
        let aliases = stream.aliases.join(", ");
        let (name, description) = (
            escape(stream.name.as_str()),
            escape(stream.description.as_deref().unwrap_or_default()),
        );
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
        home = super::HOME,
        rows = rows
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_json_with_a_path_for_each_name() {
        let yaml = "stream_config_defaults: {b: {stream_aliases: [a, c]}, d: {}}";
        let config =
            crate::config::Config::parse(yaml, std::iter::empty()).expect("a configuration");
        let catalog = Catalog::build(&Value::Null, &config.streams).expect("a catalog");
        let document: Value =
            serde_json::from_str(&make_document("a \"name\"", &catalog)).expect("JSON");
        let paths: Vec<_> = document["paths"]
            .as_object()
            .expect("a map")
            .keys()
            .collect();
        assert_eq!(
            paths,
            [
                "/v2/stream/a",
                "/v2/stream/b",
                "/v2/stream/c",
                "/v2/stream/d"
            ]
        );
        assert_eq!(
            (&document["openapi"], &document["info"]["title"]),
            (&json!("3.0.3"), &json!("a \"name\""))
        );
        let empty: Value =
            serde_json::from_str(&make_document("n", &Catalog::default())).expect("JSON");
        assert_eq!(empty["paths"], json!({}));
    }

    #[test]
    fn a_document_is_made_once_for_each_configuration() {
        let (made, mut times) = (Made::default(), 0);
        let catalogs = [Arc::new(Catalog::default()), Arc::new(Catalog::default())];
        for catalog in [0, 0, 1, 1, 1, 0] {
            once(&made, Arc::clone(&catalogs[catalog]), |_| {
                times += 1;
                String::from("document")
            });
        }
        assert_eq!(times, 3);
    }
}
