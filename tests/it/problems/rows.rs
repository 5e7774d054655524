//! Requests with the problems that they must get, as rows of a table.

use serde_json::Value;

use crate::support::server::TestServer;
use crate::support::wire::Request;

/// Status, type and title of a problem.
#[derive(Clone, Copy)]
pub(super) struct ProblemKind {
    pub(super) status: u16,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

pub(super) const fn problem(status: u16, name: &'static str, title: &'static str) -> ProblemKind {
    ProblemKind {
        status,
        name,
        title,
    }
}

/// A request and the problem that it must get.
pub(super) struct Row {
    pub(super) request: Request,
    pub(super) method: &'static str,
    pub(super) uri: String,
    pub(super) kind: ProblemKind,
    /// Parts of the detail; `=text` is the whole detail.
    pub(super) detail: Vec<String>,
}

/// Where a problem refers to.
pub(super) const STREAM_LIST: &str = "The streams are listed at /?doc, for programs at /?spec.";

pub(super) const STREAM_NOT_FOUND: ProblemKind = problem(400, "not_found", "Stream Not Found");
pub(super) const INVALID_TIMESTAMP: ProblemKind =
    problem(400, "invalid_timestamp", "Invalid Timestamp");
pub(super) const INVALID_ID: ProblemKind =
    problem(400, "invalid_last_event_id", "Invalid Last-Event-ID");
pub(super) const TOPIC_NOT_AVAILABLE: ProblemKind =
    problem(404, "topic_not_available", "Topic Not Available");
pub(super) const INVALID_QUERY: ProblemKind = problem(400, "invalid_query", "Invalid Query");
pub(super) const TOO_MANY_STREAMS: ProblemKind =
    problem(429, "too_many_streams", "Too Many Streams");
pub(super) const TOO_MANY_REQUESTS: ProblemKind =
    problem(429, "too_many_requests", "Too Many Requests");
pub(super) const MISSING_CLIENT_IP: ProblemKind =
    problem(400, "missing_client_ip", "Missing Client IP");
pub(super) const USER_AGENT_REQUIRED: ProblemKind =
    problem(403, "user_agent_required", "User-Agent Required");
pub(super) const UNAVAILABLE: ProblemKind = problem(503, "unavailable", "Service Unavailable");
pub(super) const STREAM_UNAVAILABLE: ProblemKind =
    problem(503, "stream_unavailable", "Stream Unavailable");
pub(super) const PAGE_NOT_FOUND: ProblemKind = problem(404, "not_found", "Not Found");
pub(super) const METHOD_NOT_ALLOWED: ProblemKind =
    problem(405, "method_not_allowed", "Method Not Allowed");

/// A GET of `target` and its problem.
pub(super) fn get(target: impl Into<String>, kind: ProblemKind, detail: &[&str]) -> Row {
    let target = target.into();
    let uri = target.split('?').next().unwrap_or_default().to_owned();
    let detail = detail.iter().map(|&text| text.to_owned()).collect();
    Row {
        request: Request::get(target),
        method: "GET",
        uri,
        kind,
        detail,
    }
}

impl Row {
    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(super) fn detail(mut self, text: &str) -> Self {
        self.detail.push(text.to_owned());
        self
    }

    pub(super) async fn check(self, server: &TestServer) {
        let ProblemKind {
            status,
            name,
            title,
        } = self.kind;
        let mut response = self.request.send(server.address).await;
        assert_eq!(response.status, status, "{} {}", self.method, self.uri);
        let body = response.text().await;
        let row = format!("{} {}: {body}", self.method, self.uri);
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json"),
            "{row}"
        );
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("*"),
            "{row}"
        );
        assert_eq!(response.header("cache-control"), Some("no-cache"), "{row}");
        let retry_after = response
            .header("retry-after")
            .map(|value| value.parse::<u32>().expect("seconds"));
        assert_eq!(
            retry_after.is_some_and(|seconds| seconds > 0),
            matches!(status, 429 | 503),
            "{row}"
        );
        let body: Value = serde_json::from_str(&body).expect("a body of JSON");
        let members: Vec<_> = body
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            members,
            ["status", "type", "title", "detail", "method", "uri"],
            "{row}"
        );
        assert_eq!(
            (&body["status"], &body["type"], &body["title"]),
            (&status.into(), &name.into(), &title.into()),
            "{row}"
        );
        assert_eq!(
            (&body["method"], &body["uri"]),
            (&self.method.into(), &self.uri.into()),
            "{row}"
        );
        let detail = body["detail"].as_str().expect("a detail of text");
        assert!(!detail.is_empty(), "{row}");
        for text in &self.detail {
            match text.strip_prefix('=') {
                Some(whole) => assert_eq!(detail, whole, "{row}"),
                None => assert!(detail.contains(text), "no {text:?} in: {row}"),
            }
        }
    }
}

pub(super) async fn check_all(server: &TestServer, rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        row.check(server).await;
    }
}
