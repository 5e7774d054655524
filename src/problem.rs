//! Errors before the first byte of a stream: one enum, and its responses as problem details (RFC
//! 9457).
//!
//! * `durable`: those of the protocol of Durable Streams.

mod durable;

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub use self::durable::DurableProblem;
use crate::cursor::{LastEventIdError, Offset, Partition, SinceError};
use crate::fanout::{EventAtError, SubscribeError};
use crate::limits;
use crate::stream::Topic;

/// What can be wrong with a request. Each variant documents its status and its type.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// 400 `not_found`: streams that are unknown or not public. All of them are named.
    #[error("Invalid streams: {}. {}", .names.join(","), .hints.join(" "))]
    StreamNotFound {
        /// The names, as they were sent.
        names: Vec<String>,
        /// Hints at names that may be meant.
        hints: Vec<String>,
    },
    /// 410 `stream_gone`: streams that are allowed but no longer configured. Also the
    /// error event of a stream that was just removed.
    #[error("No longer available: {}", .0.join(","))]
    StreamGone(Vec<String>),
    /// 400 `invalid_timestamp`: `since` or `until` is not a time.
    #[error("`{name}` {error}")]
    InvalidTimestamp {
        /// The parameter.
        name: &'static str,
        /// Why it is not one.
        error: SinceError,
    },
    /// 400 `invalid_last_event_id`: not an array, a malformed entry, too long.
    #[error(transparent)]
    InvalidLastEventId(#[from] LastEventIdError),
    /// 400 `invalid_last_event_id`: the header is not UTF-8.
    #[error("Last-Event-ID is not UTF-8")]
    LastEventIdNotUtf8,
    /// 400 `invalid_last_event_id`: the id names a partition that its topic does not have.
    #[error("Topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: Partition,
    },
    /// 404 `topic_not_available`: the id names topics of none of the requested streams.
    #[error(
        "Last-Event-ID names topics that are not available in the requested streams: {}",
        .0.join(",")
    )]
    TopicNotAvailable(Vec<String>),
    /// 400 `invalid_query`: a misspelt query parameter, or one given twice.
    #[error("{detail} Valid query parameters here: {valid}")]
    InvalidQuery {
        /// What is wrong with which parameter.
        detail: String,
        /// The parameters of the endpoint.
        valid: &'static str,
    },
    /// 400 `invalid_query`: a value that the query parameter does not take.
    #[error("The query parameter '{name}' must be {expected}")]
    InvalidValue {
        /// The parameter.
        name: &'static str,
        /// The values that it takes.
        expected: &'static str,
    },
    /// 400 `invalid_filter`: a filter that cannot be parsed, with the column; a shorthand parameter
    /// with a wrong value; an unknown name.
    #[error("{0}")]
    InvalidFilter(String),
    /// 429 `too_many_filters`, with Retry-After: the client has its limit of different filters.
    #[error(
        "Too many different filters from your address: at most {0} are allowed at the same time. \
         Close a stream, or read several wikis with one filter."
    )]
    ClientFilterLimit(usize),
    /// 503 `unavailable`, with Retry-After: the server has its limit of different filters.
    #[error(
        "The server has reached its limit of {0} different filters. Try again in a few seconds, \
         or use a filter that others use, too."
    )]
    TotalFilterLimit(usize),
    /// 503 `unavailable`, with Retry-After: the server has its limit of filters that it evaluates
    /// for each event.
    #[error(
        "The server has reached its limit of {0} filters that do not compare a field with values. \
         Try again in a few seconds, or add a condition such as wiki=enwiki."
    )]
    UnindexedFilterLimit(usize),
    /// 400 `invalid_host`: an HTTP/1.1 request without a Host header, or with several (RFC 9112,
    /// section 3.2).
    #[error("A request must have exactly one Host header")]
    InvalidHost,
    /// 400 `too_many_partitions`: the server would not accept ids of these streams back.
    #[error(
        "These streams have {partitions} partitions. An event's id has an entry for each: about \
         {bytes} bytes in a URL, of which at most {max} are accepted back. Request fewer streams \
         at once, or use a format without ids: Accept: application/x-ndjson"
    )]
    TooManyPartitions {
        /// How many.
        partitions: usize,
        /// Bytes of an id, percent-encoded.
        bytes: usize,
        /// Bytes that are accepted.
        max: usize,
    },
    /// 404 `not_found`: the path of a stream without a name.
    #[error(
        "The name of a stream is missing after /v2/stream/. See /?doc for the list of streams, or \
         /?spec for programs."
    )]
    StreamMissing,
    /// 429 `too_many_streams`, with Retry-After: more streams in one request than the operator
    /// allows.
    #[error(
        "{requested} streams in one request; at most {max} are allowed. Request fewer, or open \
         several connections."
    )]
    StreamsPerRequestLimit {
        /// How many were requested.
        requested: usize,
        /// How many are allowed.
        max: usize,
    },
    /// 429 `too_many_requests`, with Retry-After: the client has its limit of streams.
    #[error(
        "Too many simultaneous streams from your address: at most {0} are allowed. Close one of \
         them first."
    )]
    ClientStreamLimit(u32),
    /// 429 `too_many_requests`, with Retry-After: the server has its limit of streams.
    #[error(
        "The server has reached its limit of {0} concurrent streams. Try again in a few seconds."
    )]
    TotalStreamLimit(u32),
    /// 429 `too_many_requests`, with Retry-After: the peer has its limit of connections and HTTP/2
    /// streams.
    #[error(
        "Too many connections from your address: at most {0} are allowed, HTTP/2 streams \
         included. Close one of them first."
    )]
    ConnectionLimit(usize),
    /// 429 `too_many_requests`, with Retry-After: the client sends requests too fast.
    #[error(
        "Too many requests from your address: at most {0} per second are allowed. Keep one stream \
         open instead."
    )]
    RequestRateLimit(u32),
    /// 400 `missing_client_ip`: a limit needs the client's address, and the header with it is
    /// missing.
    #[error(
        "The header {0} with the client's address is missing or repeated; the proxy in front of \
         this service must set it once"
    )]
    MissingClientIp(String),
    /// 403 `user_agent_required`: the operator requires a User-Agent header.
    #[error(
        "Send a User-Agent header that names your program and how to reach you, e.g. \
         'MyBot/1.0 (https://example.org/mybot; mybot@example.org)'. Browsers, which cannot set \
         one, send their own."
    )]
    UserAgentRequired,
    /// 503 `unavailable`, with Retry-After: not ready yet, out of capacity, or shutting down.
    #[error("{0}")]
    Unavailable(&'static str),
    /// 503 `stream_unavailable`, with Retry-After: no topic of a stream can be read now. Each
    /// stream with the reasons.
    #[error("Currently unavailable: {}", .0.join(", "))]
    StreamUnavailable(Vec<String>),
    /// 404 `topic_not_available`: no public stream has the topic.
    #[error("No public stream has the topic {0}. The topics are listed at /v2/streams.")]
    TopicNotPublic(Topic),
    /// 400 `invalid_position`: a partition or an offset that is not a number.
    #[error(
        "Write the position of an event as /v2/event/TOPIC/PARTITION/OFFSET, with two numbers as \
         in the event's meta.partition and meta.offset"
    )]
    InvalidPosition,
    /// 404 `event_not_found`: the topic has no such partition.
    #[error("Topic {0} has no partition {1}")]
    NoPartition(Topic, Partition),
    /// 404 `event_not_found`: the offset holds no event.
    #[error(
        "No event is at this offset: it holds a record that is not an event, a transaction \
         marker, or nothing since the log was compacted"
    )]
    NoEvent,
    /// 404 `event_not_found`: the log does not reach the offset.
    #[error("No event is at this offset yet: the log ends at offset {0}")]
    EventNotYet(Offset),
    /// 410 `event_gone`: the record was deleted.
    #[error("The event was deleted: the log begins at offset {0} now")]
    EventGone(Offset),
    /// See [`DurableProblem`].
    #[error(transparent)]
    Durable(#[from] DurableProblem),
    /// 404 `not_found`: no such page.
    #[error("There is no such page. See /?doc for the list of streams.")]
    PageNotFound,
    /// 405 `method_not_allowed`, with Allow.
    #[error("Only GET, HEAD and OPTIONS are supported here")]
    MethodNotAllowed,
}

/// After how many seconds a client may try again.
pub(crate) const RETRY_AFTER_SECONDS: &str = "5";

/// The properties that all problems of a type share.
#[derive(Clone, Copy, Debug)]
pub struct ProblemKind {
    /// The status code.
    pub status: StatusCode,
    /// The short name that clients match on.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
}

const fn kind(status: StatusCode, name: &'static str, title: &'static str) -> ProblemKind {
    ProblemKind {
        status,
        name,
        title,
    }
}

impl Problem {
    /// Status, name and title.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        use StatusCode as S;
        match self {
            Self::StreamNotFound { .. } => kind(S::BAD_REQUEST, "not_found", "Stream Not Found"),
            Self::StreamGone(_) => kind(S::GONE, "stream_gone", "Stream Gone"),
            Self::Durable(problem) => problem.kind(),
            Self::InvalidTimestamp { .. } => {
                kind(S::BAD_REQUEST, "invalid_timestamp", "Invalid Timestamp")
            }
            Self::InvalidLastEventId(_)
            | Self::LastEventIdNotUtf8
            | Self::UnknownPartition { .. } => kind(
                S::BAD_REQUEST,
                "invalid_last_event_id",
                "Invalid Last-Event-ID",
            ),
            Self::TopicNotAvailable(_) | Self::TopicNotPublic(_) => {
                kind(S::NOT_FOUND, "topic_not_available", "Topic Not Available")
            }
            Self::InvalidQuery { .. } | Self::InvalidValue { .. } => {
                kind(S::BAD_REQUEST, "invalid_query", "Invalid Query")
            }
            Self::InvalidFilter(_) => kind(S::BAD_REQUEST, "invalid_filter", "Invalid Filter"),
            Self::ClientFilterLimit(_) => {
                kind(S::TOO_MANY_REQUESTS, "too_many_filters", "Too Many Filters")
            }
            Self::InvalidHost => kind(S::BAD_REQUEST, "invalid_host", "Invalid Host"),
            Self::TooManyPartitions { .. } => {
                kind(S::BAD_REQUEST, "too_many_partitions", "Too Many Partitions")
            }
            Self::StreamsPerRequestLimit { .. } => {
                kind(S::TOO_MANY_REQUESTS, "too_many_streams", "Too Many Streams")
            }
            Self::ClientStreamLimit(_)
            | Self::TotalStreamLimit(_)
            | Self::ConnectionLimit(_)
            | Self::RequestRateLimit(_) => kind(
                S::TOO_MANY_REQUESTS,
                "too_many_requests",
                "Too Many Requests",
            ),
            Self::MissingClientIp(_) => {
                kind(S::BAD_REQUEST, "missing_client_ip", "Missing Client IP")
            }
            Self::UserAgentRequired => {
                kind(S::FORBIDDEN, "user_agent_required", "User-Agent Required")
            }
            Self::Unavailable(_) | Self::TotalFilterLimit(_) | Self::UnindexedFilterLimit(_) => {
                kind(S::SERVICE_UNAVAILABLE, "unavailable", "Service Unavailable")
            }
            Self::StreamUnavailable(_) => kind(
                S::SERVICE_UNAVAILABLE,
                "stream_unavailable",
                "Stream Unavailable",
            ),
            Self::InvalidPosition => kind(S::BAD_REQUEST, "invalid_position", "Invalid Position"),
            Self::NoPartition(..) | Self::NoEvent | Self::EventNotYet(_) => {
                kind(S::NOT_FOUND, "event_not_found", "Event Not Found")
            }
            Self::EventGone(_) => kind(S::GONE, "event_gone", "Event Gone"),
            Self::PageNotFound | Self::StreamMissing => {
                kind(S::NOT_FOUND, "not_found", "Not Found")
            }
            Self::MethodNotAllowed => kind(
                S::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method Not Allowed",
            ),
        }
    }

    /// The members of a problem that has no request: status, type, title, detail.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        let ProblemKind {
            status,
            name,
            title,
        } = self.kind();
        json!({
            "status": status.as_u16(),
            "type": name,
            "title": title,
            "detail": truncated(self.to_string(), limits::PROBLEM_DETAIL_BYTES_MAX),
        })
    }

    /// The response to the request that has the problem.
    #[must_use]
    pub fn response(&self, method: &Method, uri: &Uri) -> Response {
        use StatusCode as S;
        let ProblemKind { status, name, .. } = self.kind();
        let mut body = self.body();
        body["method"] = method.as_str().into();
        body["uri"] = truncated(uri.path().to_owned(), limits::PROBLEM_DETAIL_BYTES_MAX).into();
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, "application/problem+json");
        set(header::CACHE_CONTROL, "no-cache");
        if matches!(status, S::TOO_MANY_REQUESTS | S::SERVICE_UNAVAILABLE) {
            set(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if status == S::METHOD_NOT_ALLOWED {
            set(header::ALLOW, "GET, HEAD, OPTIONS");
        }
        response.extensions_mut().insert(ProblemName(name));
        response
    }
}

/// The response, or that of the problem.
pub fn or_problem(response: Result<Response, Problem>, method: &Method, uri: &Uri) -> Response {
    response.unwrap_or_else(|problem| problem.response(method, uri))
}

/// Left in a response, so that the middleware can count problems by name.
#[derive(Clone, Copy, Debug)]
pub struct ProblemName(pub &'static str);

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NotReady => {
                Self::Unavailable("The streams are not ready yet. Try again in a few seconds.")
            }
            SubscribeError::Upstream(_) => Self::Unavailable(
                "Looking up the start position timed out. Try again in a few seconds.",
            ),
            SubscribeError::ReplayRefused => Self::Unavailable(
                "Too many clients are replaying history. Try again in a few seconds, or start \
                 live.",
            ),
            SubscribeError::UnknownPartition { topic, partition } => {
                Self::UnknownPartition { topic, partition }
            }
        }
    }
}

impl From<EventAtError> for Problem {
    fn from(error: EventAtError) -> Self {
        match error {
            EventAtError::Unavailable => Self::Unavailable(
                "The event could not be read in time. Try again in a few seconds.",
            ),
            EventAtError::UnknownPartition(topic, partition) => Self::NoPartition(topic, partition),
        }
    }
}

/// `text`, truncated to about `bytes_max`.
fn truncated(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
