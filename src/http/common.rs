//! Headers that every answer carries, CORS, request ids, the count of problems (protocol §1), and the span of each request.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::App;
use super::problem::ProblemType;
use crate::metrics::ReasonLabel;
use crate::traces::SpanSlot;

/// Positions that are not the ones asked for, one header each: see [`crate::fanout::Moved`].
pub(super) const MOVED: HeaderName = HeaderName::from_static("x-eventstreams-moved");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of a client's own request id that are taken over.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The middleware around every route.
pub(super) async fn common(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let request_id = request_id(request.headers());
    let preflight = request.method() == Method::OPTIONS;
    let span = app.traces.as_ref().map(|traces| {
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        traces.request(request.method(), request.uri(), route, request.headers())
    });
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let problem = response.extensions().get().map(|ProblemType(kind)| *kind);
    if let Some(reason) = problem {
        app.metrics.problems.get_or_create(&ReasonLabel { reason }).inc();
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
    add_headers(headers, app.config.http.cors.as_deref(), app.config.http.csp.as_deref());
    if preflight {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}

fn add_headers(headers: &mut HeaderMap, cors: Option<&str>, csp: Option<&str>) {
    if let Some(Ok(origin)) = cors.map(HeaderValue::from_str) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let allowed = HeaderValue::from_static("accept, x-requested-with, content-type, last-event-id");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        let exposed = HeaderValue::from_static("etag, retry-after, x-request-id, x-eventstreams-moved");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if let Some(Ok(policy)) = csp.map(HeaderValue::from_str) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
}

/// The client's id of its request, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX && id.to_str().is_ok_and(|id| !id.is_empty()));
    own.cloned().unwrap_or_else(|| {
        let id = Uuid::new_v4().hyphenated().to_string();
        HeaderValue::try_from(id).expect("a UUID is ASCII")
    })
}
