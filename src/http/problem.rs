//! Errors before the first byte of a stream: one enum, its answers as problem bodies (protocol §3, RFC 9457).

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::fanout::SubscribeError;
use crate::limits;

/// What can be wrong with a request. The docs of a variant give status and type.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// 400 `not_found`: streams that are unknown or not allowed; all of them are named.
    #[error("Invalid streams: {}. {}", .names.join(","), .hints.join(" "))]
    StreamNotFound {
        /// The names, as they were sent.
        names: Vec<String>,
        /// What may help.
        hints: Vec<String>,
    },
    /// 410 `stream_gone`: streams that are allowed and configured no more; during a stream, one that just went.
    #[error("No longer available: {}", .0.join(","))]
    StreamGone(Vec<String>),
    /// 400 `invalid_timestamp`: `since` is no time.
    #[error("{0}")]
    InvalidTimestamp(String),
    /// 400 `invalid_last_event_id`: no array, a malformed entry, too long, an unknown partition.
    #[error("{0}")]
    InvalidLastEventId(String),
    /// 404 `topic_not_available`: the id names topics outside those of the streams asked for.
    #[error("Last-Event-ID names topics that are not available in the requested streams: {}", .0.join(","))]
    TopicNotAvailable(Vec<String>),
    /// 400 `invalid_query`: a misspelt query parameter, or one given twice.
    #[error("{0} Valid query parameters here: {1}")]
    InvalidQuery(String, &'static str),
    /// 400 `invalid_query`: the query's `compression` is none of those that there are.
    #[error("The query parameter 'compression' must be gzip, zstd or none")]
    InvalidCompression,
    /// 400 `invalid_host`: a request of HTTP/1.1 without a Host, or with several (RFC 9112 section 3.2).
    #[error("A request must have exactly one Host header")]
    InvalidHost,
    /// 400 `too_many_partitions`: the ids of these streams would not be accepted back.
    #[error(
        "These streams have {partitions} partitions. An event's id has an entry for each: about {bytes} bytes in a URL, of which \
         at most {max} are accepted back. Ask for fewer streams in one request, or without ids: Accept: application/x-ndjson"
    )]
    TooManyPartitions {
        /// How many.
        partitions: usize,
        /// Bytes of an id, percent-encoded.
        bytes: usize,
        /// Bytes that are accepted.
        max: usize,
    },
    /// 404 `not_found`: a stream's path that names no stream.
    #[error(
        "The name of a stream is missing behind /v2/stream/. The streams are listed at /?doc, for programs at /?spec."
    )]
    StreamMissing,
    /// 429 `too_many_streams`, with Retry-After: more streams in one request than the operator allows.
    #[error(
        "{asked} streams in one request; at most {max} are allowed. Ask for fewer, or open several connections."
    )]
    TooManyStreams {
        /// How many were asked for.
        asked: usize,
        /// How many are allowed.
        max: usize,
    },
    /// 429 `too_many_requests`, with Retry-After: over a connection limit.
    #[error(
        "Too many simultaneous streams from your address: at most {0} are allowed. Close one of them first."
    )]
    TooManyRequests(u32),
    /// 429 `too_many_requests`, with Retry-After: all clients together have as many streams as the operator allows.
    #[error("This server has the {0} streams that it may have at once. Try again in some seconds.")]
    TooManyStreamsInTotal(u32),
    /// 429 `too_many_requests`, with Retry-After: the peer has as many connections and HTTP/2 streams as the operator allows.
    #[error(
        "Too many connections from your address: at most {0} are allowed, HTTP/2 streams among them. Close one first."
    )]
    TooManyConnections(usize),
    /// 429 `too_many_requests`, with Retry-After: requests come too fast.
    #[error(
        "Too many requests from your address: at most {0} a second are allowed. Keep a stream open instead of asking often."
    )]
    TooFrequent(u32),
    /// 400 `missing_client_ip`: the limit needs the client's address and there is none.
    #[error(
        "The header {0} with the client's address is missing or not the only one; whatever stands before this service has to set it"
    )]
    MissingClientIp(String),
    /// 403 `user_agent_required`: the operator demands a User-Agent.
    #[error(
        "Send a User-Agent header that says what your program is and how to reach you, e.g. \
         'MyBot/1.0 (https://example.org/mybot; mybot@example.org)'. Browsers, which cannot set one, send their own."
    )]
    UserAgentRequired,
    /// 503 `unavailable`, with Retry-After: Kafka not reachable yet, replay capacity used up, draining.
    #[error("{0}")]
    Unavailable(&'static str),
    /// 503 `stream_unavailable`: no topic of a stream can be read now. Each with the reasons.
    #[error("Not available at the moment: {}", .0.join(", "))]
    StreamUnavailable(Vec<String>),
    /// 404 `not_found`: no such page.
    #[error("There is no such page here. See /?doc for what there is.")]
    PageNotFound,
    /// 405 `method_not_allowed`, with Allow.
    #[error("Only GET, HEAD and OPTIONS are answered here")]
    MethodNotAllowed,
}

/// After how many seconds a client may try again, when it is told to wait.
pub(super) const RETRY_AFTER_SECONDS: &str = "5";

impl Problem {
    /// Status, type and title.
    #[must_use]
    pub fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::StreamNotFound { .. } => {
                (StatusCode::BAD_REQUEST, "not_found", "Stream Not Found")
            }
            Self::StreamGone(_) => (StatusCode::GONE, "stream_gone", "Stream Gone"),
            Self::InvalidTimestamp(_) => (
                StatusCode::BAD_REQUEST,
                "invalid_timestamp",
                "Invalid Timestamp",
            ),
            Self::InvalidLastEventId(_) => (
                StatusCode::BAD_REQUEST,
                "invalid_last_event_id",
                "Invalid Last-Event-ID",
            ),
            Self::TopicNotAvailable(_) => (
                StatusCode::NOT_FOUND,
                "topic_not_available",
                "Topic Not Available",
            ),
            Self::InvalidQuery(..) | Self::InvalidCompression => {
                (StatusCode::BAD_REQUEST, "invalid_query", "Invalid Query")
            }
            Self::TooManyStreams { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_streams",
                "Too Many Streams",
            ),
            Self::TooManyRequests(_)
            | Self::TooManyStreamsInTotal(_)
            | Self::TooManyConnections(_)
            | Self::TooFrequent(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too Many Requests",
            ),
            Self::MissingClientIp(_) => (
                StatusCode::BAD_REQUEST,
                "missing_client_ip",
                "Missing Client IP",
            ),
            Self::UserAgentRequired => (
                StatusCode::FORBIDDEN,
                "user_agent_required",
                "User-Agent Required",
            ),
            Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Service Unavailable",
            ),
            Self::StreamUnavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "stream_unavailable",
                "Stream Unavailable",
            ),
            Self::InvalidHost => (StatusCode::BAD_REQUEST, "invalid_host", "Invalid Host"),
            Self::TooManyPartitions { .. } => (
                StatusCode::BAD_REQUEST,
                "too_many_partitions",
                "Too Many Partitions",
            ),
            Self::PageNotFound | Self::StreamMissing => {
                (StatusCode::NOT_FOUND, "not_found", "Not Found")
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method Not Allowed",
            ),
        }
    }

    /// The answer to the request that had the problem.
    #[must_use]
    pub fn response(&self, method: &Method, uri: &Uri) -> Response {
        let (status, kind, title) = self.kind();
        let body = json!({
            "status": status.as_u16(),
            "type": kind,
            "title": title,
            "detail": cut(self.to_string(), limits::PROBLEM_DETAIL_BYTES_MAX),
            "method": method.as_str(),
            "uri": cut(uri.path().to_owned(), limits::PROBLEM_DETAIL_BYTES_MAX),
        });
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from_static(RETRY_AFTER_SECONDS),
            );
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                header::ALLOW,
                HeaderValue::from_static("GET, HEAD, OPTIONS"),
            );
        }
        response.extensions_mut().insert(ProblemType(kind));
        response
    }
}

/// Left in a response for whoever counts problems.
#[derive(Clone, Copy, Debug)]
pub struct ProblemType(pub &'static str);

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NotReady => {
                Self::Unavailable("The streams are not ready yet. Try again in some seconds.")
            }
            SubscribeError::Upstream(_) => Self::Unavailable(
                "Where to begin could not be found out in time. Try again in some seconds.",
            ),
            SubscribeError::ReplayRefused => Self::Unavailable(
                "Too many clients are reading the past. Try again in some seconds, or read from now on.",
            ),
            SubscribeError::UnknownPartition { .. } => Self::InvalidLastEventId(error.to_string()),
        }
    }
}

/// `text`, not longer than about `bytes_max`.
fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
