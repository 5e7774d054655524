//! Fetches a document over HTTP: attempts with growing pauses, each bounded in time and bytes.
//!
//! This module follows redirects itself, so that the operator's headers, and the user and password
//! in the URL, go only to the host that the operator named.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::config::UriOptions;
use crate::limits;

/// Attempts before a URL counts as down.
const ATTEMPTS: u32 = 4;
/// The pause after the first attempt. Each further pause is twice as long (0.25, 0.5 and 1 s). Up
/// to half is added at random, so that servers that start together do not retry together.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The time for one attempt without the operator's `timeout`.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Redirects that one attempt follows.
const REDIRECTS_MAX: usize = 10;

/// Why a URL gives no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL or the options make no valid request.
    #[error("invalid request: {0}")]
    Request(String),
    /// No connection, or no complete response in time.
    #[error("no response: {0}")]
    NoResponse(String),
    /// The status is not 200.
    #[error("responded with {0}")]
    Status(StatusCode),
    /// Too many redirects, or one without a usable URL.
    #[error("redirects more than {REDIRECTS_MAX} times, or not to an http(s) URL")]
    Redirects,
    /// The body is larger than [`limits::STREAM_CONFIG_BYTES_MAX`].
    #[error(
        "responded with more than {} bytes; request only the streams that this service serves",
        limits::STREAM_CONFIG_BYTES_MAX
    )]
    TooLarge,
}

impl FetchError {
    /// Whether another attempt may succeed.
    fn is_transient(&self) -> bool {
        match self {
            Self::NoResponse(_) => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Request(_) | Self::Redirects | Self::TooLarge => false,
        }
    }
}

/// The body of the response to a GET of `url`. Headers in `options`, even `Host`, replace the
/// default ones.
///
/// # Errors
/// That of the last attempt, after at most four attempts of `options.timeout` (5 s) each and 2.6 s
/// of pauses.
pub(super) async fn fetch(
    url: &str,
    options: &UriOptions,
    user_agent: &str,
) -> Result<Vec<u8>, FetchError> {
    fetch_with_pauses(url, options, user_agent, FIRST_PAUSE).await
}

async fn fetch_with_pauses(
    url: &str,
    options: &UriOptions,
    user_agent: &str,
    first_pause: Duration,
) -> Result<Vec<u8>, FetchError> {
    let timeout = options
        .timeout_ms
        .map_or(ATTEMPT_TIMEOUT, Duration::from_millis);
    let client = Client::builder()
        .user_agent(user_agent)
        .timeout(timeout)
        .redirect(Policy::none())
        .build();
    let client = client.map_err(|error| FetchError::Request(describe(error)))?;
    let mut pause = first_pause;
    for _ in 1..ATTEMPTS {
        match attempt(&client, url, options).await {
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "retrying a request for a document");
                tokio::time::sleep(pause + pause.mul_f64(rand::random_range(0.0..0.5))).await;
                pause *= 2;
            }
            result => return result,
        }
    }
    attempt(&client, url, options).await
}

async fn attempt(client: &Client, url: &str, options: &UriOptions) -> Result<Vec<u8>, FetchError> {
    let first = Url::parse(url).map_err(|error| FetchError::Request(error.to_string()))?;
    let mut at = first.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut request = client.get(at.clone());
        if at.origin() == first.origin() {
            for (name, value) in &options.headers {
                request = request.header(name, value);
            }
        }
        let request = request
            .build()
            .map_err(|error| FetchError::Request(describe(error)))?;
        let response = client
            .execute(request)
            .await
            .map_err(|error| FetchError::NoResponse(describe(error)))?;
        match response.status() {
            StatusCode::OK => return body(response).await,
            status if status.is_redirection() && response.headers().contains_key(LOCATION) => {
                at = redirected(&first, &at, &response).ok_or(FetchError::Redirects)?;
            }
            status => return Err(FetchError::Status(status)),
        }
    }
    Err(FetchError::Redirects)
}

/// The target of a redirect, with the user and password of the `first` URL only on its own host.
fn redirected(first: &Url, at: &Url, response: &Response) -> Option<Url> {
    let mut to = at
        .join(response.headers().get(LOCATION)?.to_str().ok()?)
        .ok()?;
    if to.origin() == first.origin() {
        to.set_username(first.username()).ok()?;
        to.set_password(first.password()).ok()?;
    }
    matches!(to.scheme(), "http" | "https").then_some(to)
}

async fn body(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| FetchError::NoResponse(describe(error)))?
    {
        if body.len() + chunk.len() > limits::STREAM_CONFIG_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes but without the URL, which may hold secrets.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    const NO_PAUSE: Duration = Duration::ZERO;

    async fn serve(router: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    /// Responds to the first requests with `status`, then with 200, and counts all of them.
    async fn serve_after(failures: u32, status: StatusCode) -> (String, Arc<AtomicU32>) {
        let requests = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&requests);
        let handler = move || async move {
            let status = if counted.fetch_add(1, Ordering::SeqCst) < failures {
                status
            } else {
                StatusCode::OK
            };
            (status, "{}")
        };
        (
            serve(Router::new().route("/", get(handler))).await,
            requests,
        )
    }

    #[tokio::test]
    async fn the_operators_headers_are_sent_and_host_is_replaced() {
        let handler = |headers: HeaderMap| async move {
            let sent = |name: &str| {
                headers
                    .get_all(name)
                    .iter()
                    .map(|value| value.to_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            format!(
                "{:?} {:?} {:?}",
                sent("host"),
                sent("user-agent"),
                sent("x-own")
            )
        };
        let url = serve(Router::new().route("/", get(handler))).await;
        let headers = [("Host", "meta.example.org"), ("X-Own", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let options = UriOptions {
            headers: headers.into(),
            timeout_ms: None,
        };
        let body = fetch(&url, &options, "eventstreams-test").await.unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"["meta.example.org"] ["eventstreams-test"] ["1"]"#
        );
    }

    #[tokio::test]
    async fn a_request_is_repeated_after_a_server_error() {
        let (url, requests) = serve_after(3, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(
            fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
                .await
                .unwrap(),
            b"{}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_request_is_given_up_after_four_attempts() {
        let (url, requests) = serve_after(9, StatusCode::BAD_GATEWAY).await;
        let error = fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert_eq!(
            (error.to_string(), requests.load(Ordering::SeqCst)),
            ("responded with 502 Bad Gateway".to_owned(), 4)
        );
    }

    #[tokio::test]
    async fn a_missing_page_is_requested_once() {
        let (url, requests) = serve_after(9, StatusCode::NOT_FOUND).await;
        let error = fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert_eq!(
            (error.to_string(), requests.load(Ordering::SeqCst)),
            ("responded with 404 Not Found".to_owned(), 1)
        );
    }

    #[tokio::test]
    async fn a_response_that_never_comes_ends_at_the_timeout() {
        let url = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
        let options = UriOptions {
            timeout_ms: Some(20),
            ..UriOptions::default()
        };
        let error = fetch_with_pauses(&url, &options, "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::NoResponse(_)), "{error}");
    }

    #[tokio::test]
    async fn text_that_is_not_a_url_is_an_error_at_once() {
        let error = fetch("http://", &UriOptions::default(), "t")
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Request(_)), "{error}");
    }

    /// The headers that a server receives.
    fn received(headers: &HeaderMap) -> String {
        let of = |name: &str| {
            headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        ["host", "x-own", "authorization"].map(of).join(" ")
    }

    #[tokio::test]
    async fn only_a_redirect_to_the_same_host_keeps_headers_and_password() {
        let other = serve(Router::new().route(
            "/",
            get(|headers: HeaderMap| async move { received(&headers) }),
        ))
        .await;
        let away = other.clone();
        let router = Router::new()
            .route(
                "/away",
                get(|| async move { axum::response::Redirect::temporary(&away) }),
            )
            .route(
                "/moved",
                get(|| async { axum::response::Redirect::permanent("/here") }),
            )
            .route(
                "/round",
                get(|| async { axum::response::Redirect::permanent("/round") }),
            )
            .route(
                "/here",
                get(|headers: HeaderMap| async move { received(&headers) }),
            );
        let base = serve(router)
            .await
            .replace("http://", "http://user:hunter2@");
        let headers = [("Host", "meta.example.org"), ("X-Own", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let options = UriOptions {
            headers: headers.into(),
            timeout_ms: None,
        };
        let fetched = async |path: &str| {
            let url = format!("{base}{path}");
            fetch_with_pauses(&url, &options, "t", NO_PAUSE)
                .await
                .map(|body| String::from_utf8(body).unwrap())
        };
        let host = other.trim_start_matches("http://").trim_end_matches('/');
        assert_eq!(fetched("away").await.unwrap(), format!("{host} - -"));
        assert_eq!(
            fetched("moved").await.unwrap(),
            "meta.example.org 1 Basic dXNlcjpodW50ZXIy"
        );
        assert!(matches!(fetched("round").await, Err(FetchError::Redirects)));
    }
}
