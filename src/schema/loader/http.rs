//! Documents over HTTP.

use std::error::Error as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};

use super::error::BaseError;
use crate::limits::SCHEMA_BYTES_MAX;

/// Redirects that a request follows, as a server does from a link to its target.
const REDIRECTS_MAX: usize = 5;

pub(super) fn client(user_agent: &str, timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(user_agent)
        .timeout(timeout)
        .redirect(Policy::limited(REDIRECTS_MAX))
        .build()
}

/// The body of the response to a GET, whole within the client's time limit.
pub(super) async fn read(client: &Client, url: Url) -> Result<Vec<u8>, BaseError> {
    let mut response = client.get(url).send().await.map_err(describe)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(BaseError::Unreachable(format!("responded with {status}")));
    }
    if status != StatusCode::OK {
        return Err(BaseError::NotFound);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > SCHEMA_BYTES_MAX {
            return Err(BaseError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error with its causes but without the URL, which may hold secrets.
fn describe(error: reqwest::Error) -> BaseError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    BaseError::Unreachable(text)
}
