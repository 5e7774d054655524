//! The small routes (docs/protocol.md, "Other routes").

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::negotiation::weighted;
use super::query::{Parameters, ROOT_PARAMETERS};
use super::spec;
use super::{App, HOME};
use crate::problem::Problem;

/// `GET /`: leads a browser to the page, and others to the documentation, with a text for those who
/// do not follow. `?doc` is the documentation, `?spec` its machine-readable form.
pub(super) async fn root(
    State(app): State<Arc<App>>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Response {
    let parameters = match Parameters::parse(raw.as_deref(), &ROOT_PARAMETERS) {
        Ok(parameters) => parameters,
        Err(problem) => return problem.response(request.method(), request.uri()),
    };
    let mut response = if parameters.get("spec").is_some() {
        (
            [(header::CONTENT_TYPE, "application/json")],
            spec::document(&app),
        )
            .into_response()
    } else if parameters.get("doc").is_some() {
        (
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            spec::page(&app),
        )
            .into_response()
    } else {
        lead_on(&app, request.uri(), request.headers())
    };
    parameters.add_ignored_header(response.headers_mut());
    response
}

/// `GET /rc`: a former URL of the stream of recent changes.
pub(super) async fn recent_changes() -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "/?doc")]).into_response()
}

/// `GET /doc.css`: the style of the page. The content security policy does not allow it inline.
pub(super) async fn doc_style() -> Response {
    (
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        include_str!("doc.css"),
    )
        .into_response()
}

/// `GET /robots.txt`: crawlers should not read endless responses.
pub(super) async fn robots() -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        "User-agent: *\nDisallow: /\n",
    )
        .into_response()
}

/// `GET /_info`: 200 only while streams are served, so that it can serve as a probe.
pub(super) async fn info(State(app): State<Arc<App>>, request: Request) -> Response {
    if !app.hub.is_ready() || app.shutdown.is_announced() {
        let problem = Problem::Unavailable("Not ready to serve streams");
        return problem.response(request.method(), request.uri());
    }
    axum::Json(json!({
        "name": app.config.service_name,
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "home": HOME,
    }))
    .into_response()
}

/// `GET /_info/name`.
pub(super) async fn name(State(app): State<Arc<App>>) -> Response {
    axum::Json(json!({ "name": app.config.service_name })).into_response()
}

/// `GET /_info/version`.
pub(super) async fn version() -> Response {
    axum::Json(json!({ "version": env!("CARGO_PKG_VERSION") })).into_response()
}

/// `GET /_info/home`.
pub(super) async fn home() -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, HOME)]).into_response()
}

/// The media type that every browser accepts for a page, and no program by default.
const PAGE: &str = "text/html";

fn lead_on(app: &App, uri: &Uri, headers: &HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter();
    let mut accept = accept.filter_map(|value| value.to_str().ok());
    let is_browser = accept.any(|ranges| {
        weighted(ranges).any(|(range, weight)| range.eq_ignore_ascii_case(PAGE) && weight > 0.0)
    });
    let see = |to| [(header::LOCATION, to), (header::VARY, "accept")];
    if is_browser && app.config.http.stream_ui_enabled {
        return (StatusCode::SEE_OTHER, see("/v2/ui/")).into_response();
    }
    let text = welcome(app, &origin(uri, headers));
    (StatusCode::SEE_OTHER, see("/?doc"), text).into_response()
}

/// What this is, and three commands that work.
fn welcome(app: &App, origin: &str) -> String {
    let catalog = app.catalog();
    let names = || catalog.streams().map(|stream| stream.name.as_str());
    // The one that most people come for, if it is there.
    let name = names().find(|name| name.ends_with("recentchange"));
    let name = name.or_else(|| names().next()).unwrap_or("NAME");
    let page = if app.config.http.stream_ui_enabled {
        format!("In a browser: {origin}/v2/ui/\n")
    } else {
        String::new()
    };
    format!(
        "{service} {version}: streams of events as Server-Sent Events.\n\n\
         # which streams there are\n\
         curl {origin}/v2/streams\n\
         # events from now on; Ctrl-C ends it\n\
         curl -N {origin}/v2/stream/{name}\n\
         # ten events as lines of JSON\n\
         curl -N -H 'Accept: application/x-ndjson' '{origin}/v2/stream/{name}?limit=10'\n\n\
         Documentation: {origin}/?doc\n\
         {page}",
        service = app.config.service_name,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// The address that the client used, as far as its text is harmless in a command.
fn origin(uri: &Uri, headers: &HeaderMap) -> String {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let is_harmless = |host: &&str| {
        let allowed = |char: char| char.is_ascii_alphanumeric() || ".-:[]".contains(char);
        !host.is_empty() && host.chars().all(allowed)
    };
    let host = header("host").or_else(|| uri.authority().map(Authority::as_str));
    let host = host.filter(is_harmless).unwrap_or("HOST");
    let scheme = match header("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_address_of_a_command_is_the_one_of_the_request() {
        let of = |uri: &'static str, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            origin(&Uri::from_static(uri), &headers.collect())
        };
        assert_eq!(of("/", &[("host", "a.example:80")]), "http://a.example:80");
        assert_eq!(of("http://a.example/", &[]), "http://a.example");
        let behind_a_proxy = [("host", "a.example"), ("x-forwarded-proto", "https")];
        assert_eq!(of("/", &behind_a_proxy), "https://a.example");
        for hostile in ["a';id;'", "a b", "$(id)", ""] {
            assert_eq!(of("/", &[("host", hostile)]), "http://HOST", "{hostile}");
        }
    }
}
