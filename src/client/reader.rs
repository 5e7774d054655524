//! One stream, over as many connections as it takes.

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Client, Response, StatusCode};
use sse_stream::{Sse, SseStream};
use tokio::time::Instant;

use super::describe;
use super::pauses::Pauses;
use super::refusal::Refusal;
use super::request::StreamRequest;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const MOVED: HeaderName = HeaderName::from_static("x-eventstreams-moved");

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection without a byte for so long is dead. Servers send a heartbeat every 15 seconds by
/// default.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Reads one stream. After each cut it connects again, with the id of the last event.
pub struct Reader {
    http: Client,
    request: StreamRequest,
    state: State,
    pauses: Pauses,
    /// Where a live stream began, by the clock of the server, until an event has an id.
    began: Option<String>,
}

enum State {
    /// The next connection is due.
    Closed(Instant),
    Open(Box<SseStream<Body>>),
    Ended,
}

/// What comes of a stream.
#[derive(Debug)]
pub enum Item {
    /// A connection is open.
    Opened {
        /// The positions that could not be had, as `x-eventstreams-moved` names them.
        moved: Option<String>,
    },
    /// The JSON of an event.
    Event(String),
    /// How far a stream is whose events do not match.
    Progress(Progress),
    /// There is no connection. The next one follows after the pause.
    Closed {
        /// Why.
        cause: Cause,
        /// How long.
        pause: Duration,
    },
    /// The stream is over: `limit` or `until` is reached.
    Ended,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Cause {
    /// The server does not answer.
    Unreachable(String),
    /// The server refuses the request for now: the status, and its own words.
    Refused(u16, String),
    /// The connection broke, or the server ended it.
    Cut(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) | Self::Cut(text) => f.write_str(text),
            Self::Refused(status, detail) => write!(f, "{detail} ({status})"),
        }
    }
}

/// The data of `event: progress`.
#[derive(Debug, serde::Deserialize)]
pub struct Progress {
    /// The time of the newest record that was looked at.
    pub dt: Option<String>,
    /// Records that were looked at since the progress before.
    pub scanned: u64,
    /// Events among them that were sent.
    pub matched: u64,
}

/// Why a stream cannot be read, however often one tries.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server refuses the request.
    #[error("the server refuses the request ({status}): {detail}")]
    Refused {
        /// The status of the response, or of the problem that ended the stream.
        status: u16,
        /// The server's own words.
        detail: String,
    },
    /// The URL leads to something else.
    #[error("the response has the media type '{0}' and is no event stream; check the URL")]
    NotAStream(String),
    /// The id cannot stand in a header.
    #[error("the id has characters that cannot stand in a header")]
    Id,
    /// There is no HTTP client.
    #[error("no HTTP client: {0}")]
    Client(String),
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader that connects when it is first polled.
    ///
    /// # Errors
    /// [`ReadError::Client`], where TLS does not start.
    pub fn new(request: StreamRequest, user_agent: &str) -> Result<Self, ReadError> {
        let http = Client::builder()
            .user_agent(user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            .build()
            .map_err(|error| ReadError::Client(describe(&error)))?;
        Ok(Self {
            http,
            request,
            state: State::Closed(Instant::now()),
            pauses: Pauses::new(),
            began: None,
        })
    }

    /// The id to go on from.
    pub fn last_event_id(&self) -> Option<&str> {
        self.request.last_event_id.as_deref()
    }

    /// What comes next. Waits without a bound.
    ///
    /// # Errors
    /// No attempt can succeed.
    pub async fn next(&mut self) -> Result<Item, ReadError> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(Item::Ended),
                State::Closed(due) => {
                    tokio::time::sleep_until(*due).await;
                    return self.open().await;
                }
                State::Open(stream) => match stream.next().await {
                    Some(Ok(block)) => {
                        if let Some(item) = self.item(block)? {
                            return Ok(item);
                        }
                    }
                    Some(Err(error)) => return Ok(self.closed(Cause::Cut(describe(&error)))),
                    None => {
                        let cause = "the server ended the response".to_owned();
                        return Ok(self.closed(Cause::Cut(cause)));
                    }
                },
            }
        }
    }

    async fn open(&mut self) -> Result<Item, ReadError> {
        let mut url = self.request.url();
        if let Some(began) = self
            .began
            .as_deref()
            .filter(|_| !self.request.has_beginning())
        {
            url.query_pairs_mut().append_pair("since", began);
        }
        let mut request = self.http.get(url).header(ACCEPT, "text/event-stream");
        if let Some(id) = &self.request.last_event_id {
            let id = HeaderValue::from_str(id).map_err(|_| ReadError::Id)?;
            request = request.header(LAST_EVENT_ID, id);
        }
        match request.send().await {
            Err(error) => Ok(self.closed(Cause::Unreachable(describe(&error)))),
            Ok(response) if response.status() == StatusCode::NO_CONTENT => {
                self.state = State::Ended;
                Ok(Item::Ended)
            }
            Ok(response) if response.status() == StatusCode::OK => self.opened(response),
            Ok(response) => self.refused(Refusal::of(response).await),
        }
    }

    fn opened(&mut self, response: Response) -> Result<Item, ReadError> {
        let headers = response.headers();
        let media_type = text(headers, &CONTENT_TYPE).unwrap_or_default();
        if !media_type.starts_with("text/event-stream") {
            return Err(ReadError::NotAStream(media_type.to_owned()));
        }
        if self.began.is_none() {
            self.began = text(headers, &DATE).and_then(in_iso_8601);
        }
        let moved = text(headers, &MOVED).map(str::to_owned);
        self.pauses.reset();
        let body = http::Response::<Body>::from(response).into_body();
        self.state = State::Open(Box::new(SseStream::new(body)));
        Ok(Item::Opened { moved })
    }

    /// What one block of the stream is, if it is something. Its id counts only when it is whole.
    fn item(&mut self, block: Sse) -> Result<Option<Item>, ReadError> {
        if let Some(pause) = block.retry {
            self.pauses.request(Duration::from_millis(pause));
        }
        if let Some(id) = block.id {
            self.request.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        let Some(data) = block.data else {
            return Ok(None);
        };
        match block.event.as_deref() {
            None | Some("message") => Ok(Some(self.event(data))),
            Some("progress") => Ok(serde_json::from_str(&data).ok().map(Item::Progress)),
            Some("end") => {
                self.state = State::Ended;
                Ok(Some(Item::Ended))
            }
            Some("error") => self.refused(Refusal::of_event(&data)).map(Some),
            Some(_) => Ok(None),
        }
    }

    fn event(&mut self, data: String) -> Item {
        if let Some(left) = &mut self.request.limit {
            *left = left.saturating_sub(1);
            // Servers that do not know `limit` go on.
            if *left == 0 {
                self.state = State::Ended;
            }
        }
        Item::Event(data)
    }

    fn refused(&mut self, refusal: Refusal) -> Result<Item, ReadError> {
        if !refusal.is_transient() {
            return Err(ReadError::Refused {
                status: refusal.status,
                detail: refusal.detail,
            });
        }
        if let Some(pause) = refusal.retry_after {
            self.pauses.request(pause);
        }
        Ok(self.closed(Cause::Refused(refusal.status, refusal.detail)))
    }

    fn closed(&mut self, cause: Cause) -> Item {
        let pause = self.pauses.take();
        self.state = State::Closed(Instant::now() + pause);
        Item::Closed { cause, pause }
    }
}

/// The text of an HTTP date (RFC 9110, section 5.6.7) in the form that `since` takes.
fn in_iso_8601(date: &str) -> Option<String> {
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(date.timestamp().to_string())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
