//! `GET /v2/stream/{streams}`: from the request to a stream (docs/protocol.md).
//!
//! Everything that can fail with a status fails here, before the first byte.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::App;
use super::client_address::ClientIp;
use super::id_bound;
use super::printable::printable;
use super::server::body::body;
use super::server::hijack::Hijack;
use super::stream_request::{StreamRequest, topics_of};
use crate::cursor::IdEntry;
use crate::delivery::{FilterPermit, StreamClient, StreamGuard, StreamOutput, StreamPermit};
use crate::event::Format;
use crate::fanout::{Moved, SubscribeError, SubscribeRequest, subscribe};
use crate::limits;
use crate::memory::Use;
use crate::problem::{Problem, or_problem};
use crate::stream::{Stream, Topic};
use crate::telemetry::traces::RequestSpan;

/// A position that is not the requested one, one header each ([`crate::fanout::Moved`]).
const MOVED: HeaderName = HeaderName::from_static("x-eventstreams-moved");

/// The endpoint. It also answers HEAD, at once and without a stream.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    client: ClientIp,
    method: Method,
    uri: Uri,
    hijack: Option<Extension<Hijack>>,
    span: Option<Extension<RequestSpan>>,
    headers: HeaderMap,
) -> Response {
    let response = async {
        check_client(&app, &client, &headers)?;
        let request = StreamRequest::parse(&app, &uri, &headers, &client)?;
        let permit = take_permit(&app, &client)?;
        check_available(&app, &request.streams, &request.subscribe).await?;
        if request.subscribe.format == Format::Sse {
            let subscribe = &request.subscribe;
            id_bound::check(&app, subscribe.topics.iter(), subscribe.ids)?;
        }
        if request.subscribe.is_over(&app.hub) {
            // A browser does not reconnect after it.
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        if method == Method::HEAD {
            return Ok((StatusCode::OK, request.response_headers(&app)).into_response());
        }
        let is_filtered = request.chooses_events();
        let filter = take_filter_permit(&app, &client, is_filtered, &request.subscribe)?;
        let client = StreamClient {
            user_agent: user_agent(&headers),
            address: client
                .address
                .filter(|_| app.config.http.log_client_addresses),
            permit,
            filter,
            span: span.map(|Extension(span)| span),
        };
        start(
            &app,
            request,
            client,
            hijack.map(|Extension(hijack)| hijack),
        )
        .await
    };
    or_problem(response.await, &method, &uri)
}

/// Whether the server takes requests, and this client's.
pub(super) fn check_client(
    app: &App,
    client: &ClientIp,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if app.shutdown.has_begun() {
        return Err(Problem::Unavailable(
            "The server is shutting down. Please reconnect.",
        ));
    }
    if app.config.http.require_user_agent && !has_user_agent(headers) {
        return Err(Problem::UserAgentRequired);
    }
    if app.request_rate.is_limited() {
        app.request_rate.check(client.required()?)?;
    }
    Ok(())
}

/// Takes a stream of the client's limit, which it holds while it reads.
pub(super) fn take_permit(app: &App, client: &ClientIp) -> Result<StreamPermit, Problem> {
    let address = if app.stream_limit.is_per_client() {
        client.required()?
    } else {
        client.or_peer()
    };
    Ok(app.stream_limit.take(address)?)
}

/// Takes a filter of the client's limit, if the client chooses its events.
pub(super) fn take_filter_permit(
    app: &App,
    client: &ClientIp,
    is_filtered: bool,
    subscribe: &SubscribeRequest,
) -> Result<Option<FilterPermit>, Problem> {
    if !is_filtered {
        return Ok(None);
    }
    // The same filter with other fields is not another filter.
    let feed = subscribe.feed_key().with_whole_events();
    Ok(app.filter_limit.take(client.or_peer(), &feed)?)
}

/// Whether the streams can be read now.
pub(super) async fn check_available(
    app: &App,
    streams: &[Arc<Stream>],
    subscribe: &SubscribeRequest,
) -> Result<(), Problem> {
    if !app.hub.is_ready() {
        return Err(SubscribeError::NotReady.into());
    }
    if app.hub.memory().is_short() {
        app.metrics.memory_refusals.increment(1);
        return Err(Problem::Unavailable(
            "The server has no memory for another stream. Try again in a few seconds.",
        ));
    }
    await_topics(app, streams, &subscribe.last_event_id).await
}

/// Of the topics that a stream reads, Kafka must have one at least.
async fn await_topics(
    app: &App,
    streams: &[Arc<Stream>],
    entries: &[IdEntry],
) -> Result<(), Problem> {
    let is_missing =
        |stream: &&Arc<Stream>| !topics_of(stream, entries).any(|topic| app.hub.has_topic(topic));
    let all_there = || !streams.iter().any(|stream| is_missing(&stream));
    if app.hub.await_discovery(all_there).await {
        return Ok(());
    }
    let reasons = |stream: &Arc<Stream>| {
        let topics: Vec<_> = unavailable(app, topics_of(stream, entries)).collect();
        format!("{} ({})", stream.name, topics.join("; "))
    };
    let missing = streams.iter().filter(is_missing).map(reasons);
    Err(Problem::StreamUnavailable(missing.collect()))
}

/// The topics that cannot be read, each with the reason.
fn unavailable<'a>(
    app: &App,
    topics: impl Iterator<Item = &'a Topic>,
) -> impl Iterator<Item = String> {
    topics.filter_map(|topic| match app.kafka_health.topic(topic) {
        Some(trouble) => Some(format!("{topic} {}", trouble.words())),
        None if app.hub.has_topic(topic) => None,
        None => Some(format!("{topic} is not read yet")),
    })
}

/// Subscribes, and starts the response whose body is the stream.
async fn start(
    app: &Arc<App>,
    request: StreamRequest,
    client: StreamClient,
    hijack: Option<Hijack>,
) -> Result<Response, Problem> {
    let mut headers = request.response_headers(app);
    let ignored = request.ignored();
    let mut notes: Vec<_> = ignored
        .map(|names| format!("ignored query parameters: {names}"))
        .into_iter()
        .collect();
    let missing = unavailable(app, request.subscribe.topics.iter());
    notes.extend(missing.map(|topic| format!("unavailable: topic {topic}")));

    let subscribed = subscribe(&app.hub, request.subscribe).await?;
    add_moved_headers(&mut headers, &subscribed.moved);
    let held = app.hub.memory().hold(Use::Streams, limits::STREAM_BYTES);
    let guard = StreamGuard::new(&app.metrics, &request.streams, client, held);
    let key = subscribed.subscription.feed_key();
    let output = StreamOutput::new(&app.delivery, key, request.coding, notes, guard);
    let body = match hijack {
        Some(hijack) => hijack.take(subscribed, output),
        None => body(subscribed, output),
    };
    Ok((StatusCode::OK, headers, body).into_response())
}

/// Names each partition that begins at another position than the requested one.
pub(super) fn add_moved_headers(headers: &mut HeaderMap, moved: &[Moved]) {
    for moved in moved {
        if let Ok(value) = HeaderValue::try_from(moved.to_string()) {
            headers.append(MOVED, value);
        }
    }
}

fn has_user_agent(headers: &HeaderMap) -> bool {
    let value = headers.get(header::USER_AGENT);
    value.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}

/// The user agent as it may stand in the log: a bounded part, whatever its bytes.
pub(super) fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(value.unwrap_or_default());
    printable(&text, limits::LOGGED_HEADER_BYTES_MAX)
}
