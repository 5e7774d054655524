//! The `OpenAPI` document of the public streams (`/?spec`), and a page that shows it (`/?doc`).
//!
//! * `parameters`: what a stream request takes. `other_routes`: the routes besides streams.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::App;
use super::requested_filter::FILTER;
use crate::stream::{Catalog, Stream};
use parameters::PARAMETERS;

mod other_routes;
mod parameters;

/// The document and the page, rendered once for each catalog.
#[derive(Debug, Default)]
pub struct Documents {
    spec: Cached,
    page: Cached,
}

/// The last rendered bytes, and their catalog.
type Cached = Mutex<Option<(Arc<Catalog>, Bytes)>>;

/// The document as JSON.
pub(super) fn document(app: &App) -> Bytes {
    let render = |catalog: &Catalog| render_document(&app.config.service_name, catalog);
    cached(&app.documents.spec, app.catalog(), render)
}

/// The page for people: which streams there are, and how to read them.
pub(super) fn page(app: &App) -> Bytes {
    let render = |catalog: &Catalog| render_page(&app.config.service_name, catalog);
    cached(&app.documents.page, app.catalog(), render)
}

/// The cached bytes if they are of this catalog. Otherwise renders them, while other requests for
/// them wait.
fn cached(cache: &Cached, catalog: Arc<Catalog>, render: impl FnOnce(&Catalog) -> String) -> Bytes {
    let mut cache = cache.lock();
    if let Some((of, bytes)) = &*cache
        && Arc::ptr_eq(of, &catalog)
    {
        return bytes.clone();
    }
    let bytes = Bytes::from(render(&catalog));
    *cache = Some((catalog, bytes.clone()));
    bytes
}

/// `OpenAPI` 3: every public stream and every alias is a path.
///
/// Writes the document as text, path by path: a tree of all paths would be many times as large.
fn render_document(service_name: &str, catalog: &Catalog) -> String {
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
        "description": "Streams of events as Server-Sent Events. Separate the names of several \
            streams with commas.",
    });
    let mut document = format!("{{\"openapi\":\"3.0.3\",\"info\":{info},\"paths\":{{");
    for (name, stream) in paths {
        let _ = write!(document, "{}:{},", Value::from(name), path(stream));
    }
    let other = other_routes::paths().map(|(name, route)| format!("\"{name}\":{route}"));
    document.push_str(&other.join(","));
    let _ = write!(document, "}},\"components\":{}}}", components());
    document
}

fn path(stream: &Stream) -> Value {
    let parameters = PARAMETERS
        .iter()
        .map(|parameter| reference("parameters", parameter.name));
    json!({
        "get": {
            "tags": ["Streams"],
            "summary": format!("The stream {}", stream.name),
            "description": stream.description.as_deref().unwrap_or_default(),
            "x-schema-title": stream.schema_title,
            "parameters": parameters.collect::<Vec<_>>(),
            "responses": {
                "200": reference("responses", "events"),
                "204": {"description": "The id is beyond `until`: there are no more events"},
                "default": reference("responses", "problem"),
            },
        }
    })
}

/// What all paths have: the document has it once.
fn components() -> Value {
    let parameters: Map<String, Value> = PARAMETERS
        .iter()
        .map(|parameter| (parameter.name.to_owned(), parameter.definition()))
        .collect();
    json!({
        "parameters": parameters,
        "responses": {
            "events": {
                "description": "Events, without end unless the request asks for one",
                "headers": {
                    FILTER.as_str(): {
                        "description": "The filter in its normal form, in ASCII. Absent when \
                            every event matches.",
                        "schema": {"type": "string"},
                    },
                },
                "content": {
                    "text/event-stream": {"schema": {"type": "string"}},
                    "application/json": {"schema": {"type": "object"}},
                },
            },
            "problem": {
                "description": "A problem",
                "content": {"application/problem+json": {"schema": {"type": "object"}}},
            },
        },
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn render_page(service_name: &str, catalog: &Catalog) -> String {
    let mut rows = String::new();
    for stream in catalog.streams() {
        let name = escape(stream.name.as_str());
        let aliases = escape(&stream.aliases.join(", "));
        let description = escape(stream.description.as_deref().unwrap_or_default());
        let _ = write!(
            rows,
            "<tr><td><a href=\"/v2/stream/{name}\"><code>{name}</code></a></td>\
             <td><code>{aliases}</code></td><td>{description}</td></tr>"
        );
    }
    format!(
        include_str!("doc.html"),
        name = escape(service_name),
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
            serde_json::from_str(&render_document("a \"name\"", &catalog)).expect("JSON");
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
                "/v2/stream/d",
                "/v1/stream/{streams}",
                "/v2/event/{topic}/{partition}/{offset}",
                "/v2/streams",
                "/v2/streams/{name}",
            ]
        );
        assert_eq!(
            (&document["openapi"], &document["info"]["title"]),
            (&json!("3.0.3"), &json!("a \"name\""))
        );
        let empty: Value =
            serde_json::from_str(&render_document("n", &Catalog::default())).expect("JSON");
        assert!(empty["paths"].get("/v2/streams").is_some());
    }

    #[test]
    fn what_a_path_refers_to_is_in_the_document() {
        let yaml = "stream_config_defaults: {a: {}}";
        let config =
            crate::config::Config::parse(yaml, std::iter::empty()).expect("a configuration");
        let catalog = Catalog::build(&Value::Null, &config.streams).expect("a catalog");
        let document: Value = serde_json::from_str(&render_document("n", &catalog)).expect("JSON");
        let get = &document["paths"]["/v2/stream/a"]["get"];
        let parameters = get["parameters"].as_array().expect("a list");
        assert_eq!(parameters.len(), PARAMETERS.len());
        let responses = [&get["responses"]["200"], &get["responses"]["default"]];
        for reference in parameters.iter().chain(responses) {
            let pointer = reference["$ref"].as_str().expect("a reference");
            let pointer = pointer.strip_prefix('#').expect("of this document");
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let headers = &document["components"]["responses"]["events"]["headers"];
        assert_eq!(headers["x-eventstreams-filter"]["schema"]["type"], "string");
    }

    #[test]
    fn a_document_is_rendered_once_for_each_catalog() {
        let cache = Cached::default();
        let mut times = 0;
        let catalogs = [Arc::new(Catalog::default()), Arc::new(Catalog::default())];
        for catalog in [0, 0, 1, 1, 1, 0] {
            cached(&cache, Arc::clone(&catalogs[catalog]), |_| {
                times += 1;
                String::from("document")
            });
        }
        assert_eq!(times, 3);
    }
}
