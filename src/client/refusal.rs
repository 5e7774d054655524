//! What a server refuses, in its own words.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// Bytes of a body that are read for the words in it.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Characters of a body that is not a problem.
const WORDS_MAX: usize = 200;

/// A response that is not a stream, or the problem at the end of one.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The detail of the problem (RFC 9457), or the beginning of the body.
    pub(super) detail: String,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads a response whose status is not 200.
    pub(super) async fn of(mut response: Response) -> Self {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = body(&mut response, BODY_BYTES_MAX).await;
        let text = String::from_utf8_lossy(&body);
        let detail = detail(&text).unwrap_or_else(|| beginning(&text, status));
        Self {
            status: status.as_u16(),
            detail,
            retry_after,
        }
    }

    /// The data of an `event: error`.
    pub(super) fn of_event(data: &str) -> Self {
        let problem: Value = serde_json::from_str(data).unwrap_or_default();
        let status = problem["status"].as_u64();
        Self {
            status: status
                .and_then(|status| status.try_into().ok())
                .unwrap_or(500),
            detail: detail(data).unwrap_or_else(|| data.to_owned()),
            retry_after: None,
        }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

/// The first bytes of a body: at least `bytes_max` of them, or up to where it breaks off.
pub(super) async fn body(response: &mut Response, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() < bytes_max
    {
        body.extend_from_slice(&chunk);
    }
    body
}

fn detail(body: &str) -> Option<String> {
    let problem: Value = serde_json::from_str(body).ok()?;
    let text = |name: &str| problem.get(name)?.as_str().map(str::to_owned);
    text("detail").or_else(|| text("title"))
}

fn beginning(body: &str, status: StatusCode) -> String {
    let line = body.trim().lines().next().unwrap_or_default();
    if line.is_empty() || line.starts_with('<') {
        return status.to_string();
    }
    line.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(status: u16, retry_after: &str, body: &'static str) -> Refusal {
        let response = http::Response::builder()
            .status(status)
            .header(RETRY_AFTER, retry_after)
            .body(body)
            .expect("a response");
        Refusal::of(response.into()).await
    }

    #[tokio::test]
    async fn the_words_are_those_of_the_problem() {
        let body = r#"{"status":429,"title":"Too Many","detail":"At most 2."}"#;
        let refused = refusal(429, "5", body).await;
        assert_eq!(refused.detail, "At most 2.");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(5)));
        assert!(refused.is_transient());
        let refused = refusal(404, "soon", r#"{"title":"Not Found"}"#).await;
        assert_eq!(
            (refused.detail.as_str(), refused.retry_after),
            ("Not Found", None)
        );
        assert!(!refused.is_transient());
    }

    #[tokio::test]
    async fn a_body_that_is_no_problem_is_cut_short() {
        assert_eq!(refusal(502, "", "<html>").await.detail, "502 Bad Gateway");
        assert_eq!(refusal(502, "", "upstream\nx").await.detail, "upstream");
        let problem = r#"{"status":410,"detail":"The stream is gone."}"#;
        let at_the_end = Refusal::of_event(problem);
        assert_eq!(
            (at_the_end.status, at_the_end.detail.as_str()),
            (410, "The stream is gone.")
        );
        assert_eq!(Refusal::of_event("what").status, 500);
    }
}
