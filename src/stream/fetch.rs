//! A document over HTTP: attempts with growing pauses, each bounded in time and bytes.
//!
//! Redirects are followed here and not by the client: what the operator sends with the request (headers, the user's name and
//! password out of the URL) is for the host that he named, and for no other.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::config::UriOptions;
use crate::limits;

/// How often a URL is asked before it counts as down.
const ATTEMPTS: u32 = 4;
/// The pause after the first attempt; each further one is twice as long (0.25, 0.5 and 1 s), with up to half of it on top by chance, so that
/// a fleet that starts at once does not ask at once.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// What one attempt may take when the operator set no `timeout`.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Redirects followed in one attempt.
const REDIRECTS_MAX: usize = 10;

/// Why a URL gave no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL, or no client for it could be made.
    #[error("cannot be asked: {0}")]
    Request(String),
    /// No connection, or no whole answer in time.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer, and not 200.
    #[error("answered {0}")]
    Status(StatusCode),
    /// A redirect that leads nowhere, or too many of them.
    #[error("redirects more than {REDIRECTS_MAX} times, or to no URL")]
    Redirects,
    /// An answer larger than [`limits::STREAM_CONFIG_BYTES_MAX`].
    #[error(
        "answered with more than {} bytes; ask it for the streams that are served here only",
        limits::STREAM_CONFIG_BYTES_MAX
    )]
    TooLarge,
}

impl FetchError {
    /// Whether another attempt may go better.
    fn is_passing(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Request(_) | Self::Redirects | Self::TooLarge => false,
        }
    }
}

/// The body that `url` answers a GET with. Headers of `options`, `Host` among them, go over our own.
///
/// # Errors
/// The last attempt's; at worst after four attempts of `options.timeout` (5 s) each and 2.6 s of pauses.
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
    let client = client.map_err(|error| FetchError::Request(told(error)))?;
    let mut pause = first_pause;
    for _ in 1..ATTEMPTS {
        match attempt(&client, url, options).await {
            Err(error) if error.is_passing() => {
                tracing::debug!(%error, "asking again for a document");
                tokio::time::sleep(pause + pause.mul_f64(rand::random_range(0.0..0.5))).await;
                pause *= 2;
            }
            ended => return ended,
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
            .map_err(|error| FetchError::Request(told(error)))?;
        let response = client
            .execute(request)
            .await
            .map_err(|error| FetchError::NoAnswer(told(error)))?;
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

/// Where a redirect leads, with the name and password of the `first` URL only on its own host.
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
        .map_err(|error| FetchError::NoAnswer(told(error)))?
    {
        if body.len() + chunk.len() > limits::STREAM_CONFIG_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes, without the URL: whoever shows it names the URL, and not with what secrets it may carry.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told = format!("{told}: {inner}");
        cause = inner.source();
    }
    told
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

    /// Answers the first requests with `status`, then 200; counts them.
    async fn serve_after(failures: u32, status: StatusCode) -> (String, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let handler = move || async move {
            let status = if counted.fetch_add(1, Ordering::SeqCst) < failures {
                status
            } else {
                StatusCode::OK
            };
            (status, "{}")
        };
        (serve(Router::new().route("/", get(handler))).await, asked)
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
    async fn a_server_in_trouble_is_asked_again() {
        let (url, asked) = serve_after(3, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(
            fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
                .await
                .unwrap(),
            b"{}"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_server_that_stays_in_trouble_is_given_up_after_four_attempts() {
        let (url, asked) = serve_after(9, StatusCode::BAD_GATEWAY).await;
        let error = fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert_eq!(
            (error.to_string(), asked.load(Ordering::SeqCst)),
            ("answered 502 Bad Gateway".to_owned(), 4)
        );
    }

    #[tokio::test]
    async fn a_page_that_is_not_there_is_asked_for_once() {
        let (url, asked) = serve_after(9, StatusCode::NOT_FOUND).await;
        let error = fetch_with_pauses(&url, &UriOptions::default(), "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert_eq!(
            (error.to_string(), asked.load(Ordering::SeqCst)),
            ("answered 404 Not Found".to_owned(), 1)
        );
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_ends_at_the_timeout() {
        let url = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
        let options = UriOptions {
            timeout_ms: Some(20),
            ..UriOptions::default()
        };
        let error = fetch_with_pauses(&url, &options, "t", NO_PAUSE)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::NoAnswer(_)), "{error}");
    }

    #[tokio::test]
    async fn a_text_that_is_no_url_is_an_error_at_once() {
        let error = fetch("http://", &UriOptions::default(), "t")
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Request(_)), "{error}");
    }

    /// What a server is sent, by header; the names are in lower case.
    fn seen(headers: &HeaderMap) -> String {
        let of = |name: &str| {
            headers
                .get(name)
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        ["host", "x-own", "authorization"].map(of).join(" ")
    }

    #[tokio::test]
    async fn a_redirect_takes_headers_and_password_to_the_same_host_only() {
        let other = serve(
            Router::new().route("/", get(|headers: HeaderMap| async move { seen(&headers) })),
        )
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
                get(|headers: HeaderMap| async move { seen(&headers) }),
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
