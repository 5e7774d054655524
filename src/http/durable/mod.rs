//! `GET /v1/stream/{streams}`: the read protocol of Durable Streams (docs/protocol.md, "Durable
//! Streams"). A client reads page by page, and a cache may keep each page for a while.
//!
//! * `read_request`: such a request, parsed. `token`: its offsets.
//! * `pages`: reads the pages of a subscription.
//! * `response`: a page as a response. `sse`: pages as Server-Sent Events.
//! * `content`: the content type of a stream, and its messages.
//! * `write`: `PUT` and `POST`, where the server allows them: in `eventstreams dev`.

mod content;
mod pages;
mod read_request;
mod response;
mod sse;
mod token;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use tokio::time::Instant;

pub(super) use self::response::HEADERS;
pub use self::write::WritableStreams;
pub(super) use self::write::{append, create};

use self::content::Content;
use self::pages::Pages;
use self::read_request::{Live, ReadRequest, Start};
use super::App;
use super::client_address::ClientIp;
use super::id_bound;
use super::stream::{check_available, check_client, take_filter_permit, take_permit, user_agent};
use crate::delivery::StreamClient;
use crate::fanout::{AtTail, Bound, PageBound};
use crate::limits;
use crate::problem::{Problem, or_problem};

/// The endpoint. It answers HEAD with the end of the streams.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    client: ClientIp,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let response = respond(&app, client, &method, &uri, &headers).await;
    or_problem(response, &method, &uri)
}

async fn respond(
    app: &Arc<App>,
    client: ClientIp,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    check_client(app, &client, headers)?;
    let mut request = ReadRequest::parse(app, uri, &client)?;
    if method == Method::HEAD {
        request.start_now();
    }
    let permit = take_permit(app, &client)?;
    check_available(app, &request.streams, &request.subscribe).await?;
    let subscribe = &request.subscribe;
    id_bound::check(app, subscribe.topics.iter(), subscribe.ids)?;
    request.find_start(&app.hub);
    let is_filtered = request.chooses_events();
    let filter = take_filter_permit(app, &client, is_filtered, &request.subscribe)?;
    let content = Content::of(app, &request.streams);
    request.subscribe.bound = first_bound(&request);
    let mut pages = Pages::open(app, &request).await?;
    if method == Method::HEAD {
        return Ok(response::head(&request, &content, &pages.tail()));
    }
    let page = match request.live {
        None if request.start == Start::Now => pages.tail(),
        None => pages.next(Instant::now() + limits::PAGE_TIMEOUT).await?,
        Some(Live::LongPoll) => pages.next(Instant::now() + heartbeat(app)).await?,
        Some(Live::Sse) => {
            let client = StreamClient {
                user_agent: user_agent(headers),
                address: client
                    .address
                    .filter(|_| app.config.http.log_client_addresses),
                permit,
                filter,
                span: None,
            };
            return Ok(sse::start(app, request, content, pages, client));
        }
    };
    Ok(response::page(app, &request, &content, &page, headers))
}

/// The end of the first page of a request.
fn first_bound(request: &ReadRequest) -> Bound {
    let at_tail = match request.live {
        Some(Live::LongPoll) => AtTail::WaitForEvent,
        // The client learns at once where it is.
        Some(Live::Sse) | None => AtTail::End,
    };
    bound(at_tail)
}

fn bound(at_tail: AtTail) -> Bound {
    Bound::page(PageBound {
        bytes: limits::PAGE_BYTES,
        records: limits::PAGE_RECORDS,
        at_tail,
    })
}

/// After how long a client hears of its place, with or without an event.
fn heartbeat(app: &App) -> Duration {
    Duration::from_millis(app.config.http.heartbeat_ms)
}
