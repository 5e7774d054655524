//! The small routes (docs/protocol.md, "Other routes").

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::query::{Parameters, ROOT_PARAMETERS};
use super::spec;
use super::{App, HOME};
use crate::problem::Problem;

/// `GET /`: the documentation; `?spec` is its machine-readable form.
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
        see_other("/?doc")
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

fn see_other(to: &str) -> Response {
    Redirect::to(to).into_response()
}
