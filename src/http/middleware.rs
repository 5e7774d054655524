//! Headers that every answer carries, CORS, request ids, the count of problems (protocol §1), and the span of each request.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::App;
use super::query::IGNORED;
use crate::problem::{Problem, ProblemName};
use crate::telemetry::metrics::ReasonLabel;
use crate::telemetry::traces::SpanSlot;

/// Positions that are not the ones asked for, one header each: see [`crate::fanout::Moved`].
pub(super) const MOVED: HeaderName = HeaderName::from_static("x-eventstreams-moved");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of a client's own request id that are taken over.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Headers that a page of another origin may send, as every answer says.
const ALLOWED_HEADERS: &str = "accept, x-requested-with, content-type, last-event-id";

/// The middleware around every route.
pub(super) async fn middleware(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let request_id = request_id(request.headers());
    let preflight =
        (request.method() == Method::OPTIONS).then(|| allowed_headers(request.headers()));
    let refused = refused_host(&request)
        .then(|| Problem::InvalidHost.response(request.method(), request.uri()));
    let span = app.traces.as_ref().map(|traces| {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map(MatchedPath::as_str);
        traces.request(request.method(), request.uri(), route, request.headers())
    });
    let mut response = match (refused, &preflight) {
        (Some(refused), _) => refused,
        (None, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        (None, None) => next.run(request).await,
    };
    let problem = response.extensions().get().map(|ProblemName(kind)| *kind);
    if let Some(reason) = problem {
        app.metrics
            .problems
            .get_or_create(&ReasonLabel { reason })
            .increment(1);
    }
    if let Some(mut span) = span {
        span.answered(response.status(), problem);
        // Dropped, it ends; a stream's body takes it along.
        if let Some(slot) = response.extensions().get::<SpanSlot>() {
            *slot.lock() = Some(span);
        }
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id);
    add_headers(
        headers,
        app.config.http.cors.as_deref(),
        app.config.http.csp.as_deref(),
    );
    if let Some(allowed) = preflight {
        if headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            headers.append(
                header::VARY,
                HeaderValue::from_static("access-control-request-headers"),
            );
        }
        headers.insert(
            header::ALLOW,
            HeaderValue::from_static("GET, HEAD, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, OPTIONS"),
        );
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("86400"),
        );
    }
    response
}

/// What a preflight is told: all that it asks for may be sent, for nothing that we read can do harm.
fn allowed_headers(headers: &HeaderMap) -> HeaderValue {
    let asked = headers
        .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|asked| asked.to_str().ok());
    let names = ALLOWED_HEADERS
        .split(", ")
        .chain(asked.flat_map(|asked| asked.split(',')));
    let mut allowed: Vec<HeaderName> = Vec::new();
    for name in names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()) {
        if !allowed.contains(&name) {
            allowed.push(name);
        }
    }
    let allowed = allowed
        .iter()
        .map(HeaderName::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    HeaderValue::try_from(allowed).unwrap_or(HeaderValue::from_static(ALLOWED_HEADERS))
}

/// Whether it is not clear which host is meant (RFC 9112 section 3.2).
fn refused_host(request: &Request) -> bool {
    request.version() == Version::HTTP_11
        && request.headers().get_all(header::HOST).iter().count() != 1
}

fn add_headers(headers: &mut HeaderMap, cors: Option<&str>, csp: Option<&str>) {
    if let Some(Ok(origin)) = cors.map(HeaderValue::from_str) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(ALLOWED_HEADERS),
        );
        let exposed = if headers.contains_key(IGNORED) {
            "etag, retry-after, x-request-id, x-eventstreams-moved, x-eventstreams-ignored"
        } else {
            "etag, retry-after, x-request-id, x-eventstreams-moved"
        };
        let exposed = HeaderValue::from_static(exposed);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if let Some(Ok(policy)) = csp.map(HeaderValue::from_str) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::X_FRAME_OPTIONS,
        HeaderValue::from_static("SAMEORIGIN"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
}

/// What a client sent, as it may stand in a log or a header: no control characters, `bytes_max` at the most.
pub(super) fn printable(text: &str, bytes_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars().map(|c| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    }) {
        if shown.len() + c.len_utf8() > bytes_max {
            break;
        }
        shown.push(c);
    }
    shown
}

/// The client's id of its request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(REQUEST_ID).filter(|id| {
        id.len() <= REQUEST_ID_BYTES_MAX && id.to_str().is_ok_and(|id| !id.is_empty())
    });
    own.cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().hyphenated().to_string();
        HeaderValue::try_from(id).expect("a UUID is ASCII")
    })
}
