//! What every public request passes: request id, span, count of problems, headers, CORS, host
//! check.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use super::App;
use super::durable;
use super::query::IGNORED;
use super::requested_filter::FILTER;
use crate::problem::{Problem, ProblemName};
use crate::telemetry::metrics::ReasonLabel;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes of a request id that a client may choose.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The headers that a script of a browser may read. Others are added where a response has them.
const EXPOSED_HEADERS: &str = "etag, retry-after, x-request-id, x-eventstreams-moved";

/// The headers that a page of another origin may send.
const ALLOWED_HEADERS: &str = "accept, x-requested-with, content-type, last-event-id";

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// Wraps every route. The first layer is the outermost: it sees the request first and the response
/// last.
pub(super) fn wrap(router: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    let policy = app.config.http.csp.as_deref();
    let policy = policy.and_then(|policy| HeaderValue::from_str(policy).ok());
    let set = SetResponseHeaderLayer::<HeaderValue>::overriding;
    let no_cache = HeaderValue::from_static("no-cache");
    let layers = ServiceBuilder::new()
        .map_request(remove_unusable_request_id)
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn_with_state(Arc::clone(app), trace))
        .layer(from_fn_with_state(Arc::clone(app), count_problem))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            no_cache,
        ))
        .layer(set(
            header::X_FRAME_OPTIONS,
            HeaderValue::from_static("SAMEORIGIN"),
        ))
        .layer(set(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        // The page has a stricter one of its own.
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CONTENT_SECURITY_POLICY,
            policy,
        ))
        .layer(from_fn_with_state(Arc::clone(app), cors))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(from_fn(check_host))
        .layer(from_fn(answer_options));
    router.layer(layers)
}

/// A client may choose the id of its request, within bounds. Otherwise the request gets a new id.
fn remove_unusable_request_id(mut request: Request) -> Request {
    let is_usable = |id: &HeaderValue| {
        id.len() <= REQUEST_ID_BYTES_MAX && id.to_str().is_ok_and(|id| !id.is_empty())
    };
    if !request.headers().get(REQUEST_ID).is_some_and(is_usable) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Sends a span for each request. The span of a stream ends with the stream.
async fn trace(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let Some(traces) = &app.traces else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str);
    let span = traces.request(request.method(), request.uri(), route, request.headers());
    // A stream keeps the span until it ends.
    request.extensions_mut().insert(span.clone());
    let response = next.run(request).await;
    span.record_response(response.status(), problem_name(&response));
    response
}

async fn count_problem(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(reason) = problem_name(&response) {
        let problems = &app.metrics.problems;
        problems.get_or_create(&ReasonLabel { reason }).increment(1);
    }
    response
}

fn problem_name(response: &Response) -> Option<&'static str> {
    response.extensions().get().map(|ProblemName(name)| *name)
}

/// Adds the headers of the Fetch standard. tower-http's `CorsLayer` does not fit: it sends
/// `access-control-allow-headers` in preflight responses only, and the Node service sends it in
/// every response.
async fn cors(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let preflight =
        (request.method() == Method::OPTIONS).then(|| preflight_headers(request.headers()));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let origin = app.config.http.cors.as_deref();
    let origin = origin.and_then(|origin| HeaderValue::from_str(origin).ok());
    if let Some(origin) = origin {
        add_cors_headers(headers, origin);
        if let Some(allowed) = &preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.clone());
            let vary = HeaderValue::from_static("access-control-request-headers");
            headers.append(header::VARY, vary);
        }
    }
    if preflight.is_some() {
        headers.insert(header::ALLOW, ALLOWED_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    }
    response
}

fn add_cors_headers(headers: &mut HeaderMap, origin: HeaderValue) {
    let mut exposed = EXPOSED_HEADERS.to_owned();
    for header in [IGNORED, FILTER].iter().chain(&durable::HEADERS) {
        if headers.contains_key(header) {
            exposed = format!("{exposed}, {header}");
        }
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let allowed = HeaderValue::from_static(ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    if let Ok(exposed) = HeaderValue::try_from(exposed) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// The allowed headers, and those that the preflight requests: no header that the server reads can
/// do harm.
fn preflight_headers(headers: &HeaderMap) -> HeaderValue {
    let requested = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let requested = requested.iter().filter_map(|names| names.to_str().ok());
    let names = ALLOWED_HEADERS.split(", ");
    let names = names.chain(requested.flat_map(|names| names.split(',')));
    let mut allowed: Vec<HeaderName> = Vec::new();
    for name in names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()) {
        if !allowed.contains(&name) {
            allowed.push(name);
        }
    }
    let allowed: Vec<_> = allowed.iter().map(HeaderName::as_str).collect();
    HeaderValue::try_from(allowed.join(", ")).unwrap_or(HeaderValue::from_static(ALLOWED_HEADERS))
}

/// Refuses a request that does not name its host, or names several (RFC 9112, section 3.2).
async fn check_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        return Problem::InvalidHost.response(request.method(), request.uri());
    }
    next.run(request).await
}

/// Answers a preflight request for any path.
async fn answer_options(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_may_read_the_headers_of_a_stream() {
        let exposed = |names: &[HeaderName]| {
            let value = HeaderValue::from_static("x");
            let mut headers: HeaderMap = names
                .iter()
                .map(|name| (name.clone(), value.clone()))
                .collect();
            add_cors_headers(&mut headers, value);
            let exposed = headers.get(header::ACCESS_CONTROL_EXPOSE_HEADERS);
            exposed
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let with = |more: &str| Some(format!("{EXPOSED_HEADERS}{more}"));
        assert_eq!(exposed(&[]), with(""));
        assert_eq!(exposed(&[FILTER]), with(", x-eventstreams-filter"));
        let both = ", x-eventstreams-ignored, x-eventstreams-filter";
        assert_eq!(exposed(&[FILTER, IGNORED]), with(both));
    }
}
