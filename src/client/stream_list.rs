//! Which streams a server has (`GET /v2/streams`).

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::Deserialize;

use super::refusal::{Refusal, body};
use super::request::StreamRequest;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The list of Wikimedia's two hundred streams has some 200 kB.
const LIST_BYTES_MAX: usize = 16 << 20;

/// A stream of a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct RemoteStream {
    /// Its name.
    pub name: String,
    /// Its other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What its events are.
    pub description: Option<String>,
    /// The title of their schema.
    pub schema_title: Option<String>,
    /// Where its events come from.
    pub topics: Vec<RemoteTopic>,
}

/// A topic of a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct RemoteTopic {
    /// Its name.
    pub name: String,
    /// The number of its partitions. A topic that cannot be read has none.
    pub partitions: i32,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// No response, or not a whole one.
    #[error("no response: {0}")]
    NoResponse(String),
    /// The server refuses.
    #[error("{0}")]
    Refused(String),
    /// It is something else.
    #[error("its list of streams cannot be understood: {0}")]
    NoList(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct List {
    streams: Vec<RemoteStream>,
}

/// The streams of the server that a request is for. `None` when the server has no such list, as the
/// Node service.
///
/// # Errors
/// See [`ListError`].
pub async fn list_streams(
    request: &StreamRequest,
    user_agent: &str,
) -> Result<Option<Vec<RemoteStream>>, ListError> {
    let no_response = |error: reqwest::Error| ListError::NoResponse(super::describe(&error));
    let client = Client::builder().user_agent(user_agent).timeout(TIMEOUT);
    let client = client.build().map_err(no_response)?;
    let sent = client.get(request.list_url()).send().await;
    let mut response = sent.map_err(no_response)?;
    match response.status() {
        StatusCode::OK => {
            let body = body(&mut response, LIST_BYTES_MAX).await;
            let list: List = serde_json::from_slice(&body)?;
            Ok(Some(list.streams))
        }
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(ListError::Refused(Refusal::of(response).await.detail)),
    }
}
