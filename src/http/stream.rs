//! `GET /v2/stream/{streams}` (protocol §1 to §3): from the request to a subscription.
//!
//! All that can fail with a status fails here, before the first byte.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::App;
use super::body::body;
use super::coding::Coding;
use super::common::MOVED;
use super::connection_limit::ConnectionPermit;
use super::handover::Handover;
use super::problem::Problem;
use super::query;
use super::stream_end::StreamEnd;
use super::voice::Voice;
use crate::cursor::{AskedEntry, LastEventId, since};
use crate::event::Format;
use crate::fanout::{Asked, Client, Started, subscribe};
use crate::stream::{Catalog, Stream, Topic};

pub(super) const PATH: &str = "/v2/stream/";

/// The endpoint; also answers HEAD, at once and without a stream.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    handover: Option<Extension<Handover>>,
    headers: HeaderMap,
) -> Response {
    match answer(&app, peer, handover.map(|Extension(handover)| handover), &method, &uri, &headers).await {
        Ok(response) => response,
        Err(problem) => problem.response(&method, &uri),
    }
}

async fn answer(
    app: &Arc<App>,
    peer: SocketAddr,
    handover: Option<Handover>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if app.shutdown.has_begun() {
        return Err(Problem::Unavailable("This server is about to end. Connect again."));
    }
    if app.config.http.require_user_agent && !has_user_agent(headers) {
        return Err(Problem::UserAgentRequired);
    }
    app.request_rate.check(headers, peer.ip())?;
    let parameters = query::parse(uri.query(), query::STREAM_PARAMETERS)?;
    let streams = requested_streams(&app.catalog(), uri.path(), app.config.limits.streams_per_request_max)?;
    let permit = app.connection_limit.take(headers, peer.ip())?;
    let client = app.addresses.client(headers, peer.ip()).ok();
    let asked = asked(&streams, headers, &parameters, client)?;
    if !app.hub.is_ready() {
        return Err(crate::fanout::SubscribeError::NotReady.into());
    }
    await_topics(app, &streams, &asked.last_event_id).await?;
    if method == Method::HEAD {
        return Ok(head(app, headers).into_response());
    }
    let started = subscribe(&app.hub, asked).await?;
    let client = if app.config.http.log_client_addresses { app.connection_limit.client(headers, peer.ip()) } else { None };
    Ok(begin(app, started, &streams, (client, permit), handover, headers))
}

/// Of the topics that it would read, each stream needs one at least that Kafka has.
async fn await_topics(app: &App, streams: &[Arc<Stream>], entries: &[AskedEntry]) -> Result<(), Problem> {
    let missing = |stream: &&Arc<Stream>| !topics_of(stream, entries).any(|topic| app.hub.has_topic(topic));
    if app.hub.await_discovery(|| !streams.iter().any(|stream| missing(&stream))).await {
        return Ok(());
    }
    Err(Problem::StreamUnavailable(streams.iter().filter(missing).map(|stream| stream.name.to_string()).collect()))
}

/// The response whose body is the stream.
fn begin(
    app: &Arc<App>,
    started: Started,
    streams: &[Arc<Stream>],
    client: (Option<IpAddr>, Option<ConnectionPermit>),
    handover: Option<Handover>,
    headers: &HeaderMap,
) -> Response {
    let (status, mut response_headers) = head(app, headers);
    for moved in &started.moved {
        if let Ok(value) = HeaderValue::try_from(moved.to_string()) {
            response_headers.append(MOVED, value);
        }
    }
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let end = StreamEnd::new(Arc::clone(&app.metrics), streams, user_agent, client);
    let span = Extension(end.span());
    let voice = Voice::new(app, started.subscription.feed_key(), coding(app, headers), end);
    let body = match handover {
        Some(handover) => handover.take(started, voice),
        None => body(started, voice),
    };
    (status, response_headers, span, body).into_response()
}

fn head(app: &App, request: &HeaderMap) -> (StatusCode, HeaderMap) {
    let content_type = match format(request) {
        Format::Sse => "text/event-stream; charset=utf-8",
        Format::Ndjson if accept(request).starts_with("application/json") => "application/json; charset=utf-8",
        Format::Ndjson => "application/x-ndjson; charset=utf-8",
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Proxies that buffer (nginx) would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if app.config.http.compression {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(coding) = coding(app, request).name() {
        headers.insert(header::CONTENT_ENCODING, coding);
    }
    (StatusCode::OK, headers)
}

/// How the stream is coded.
fn coding(app: &App, request: &HeaderMap) -> Coding {
    if !app.config.http.compression {
        return Coding::Identity;
    }
    let all: Vec<&str> = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
    Coding::preferred(&all.join(","))
}

fn accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("").trim_start()
}

/// The format that `Accept` asks for (protocol §1).
fn format(headers: &HeaderMap) -> Format {
    let accept = accept(headers);
    let lists_ndjson =
        || accept.split(',').any(|part| part.split(';').next().is_some_and(|media| media.trim() == "application/x-ndjson"));
    if accept.starts_with("application/json") || lists_ndjson() { Format::Ndjson } else { Format::Sse }
}

fn has_user_agent(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}

/// The streams that the path of a request names (`/v2/stream/a,b`, percent-encoded), aliases resolved, each once, in the order of
/// the path. At most `max` names are looked at.
///
/// # Errors
/// [`Problem::TooManyStreams`]; [`Problem::StreamNotFound`] with all names that are not public; [`Problem::StreamGone`].
pub fn requested_streams(catalog: &Catalog, path: &str, max: usize) -> Result<Vec<Arc<Stream>>, Problem> {
    let names = path.strip_prefix(PATH).unwrap_or("");
    let names = percent_decode_str(names.strip_suffix('/').unwrap_or(names)).decode_utf8_lossy();
    let asked = names.split(',').count();
    if asked > max {
        return Err(Problem::TooManyStreams { asked, max });
    }
    resolve(catalog, &names)
}

fn resolve(catalog: &Catalog, names: &str) -> Result<Vec<Arc<Stream>>, Problem> {
    let mut streams: Vec<Arc<Stream>> = Vec::new();
    let mut invalid: Vec<String> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    for name in names.split(',').map(str::trim) {
        match catalog.resolve(name) {
            Some(stream) if streams.iter().any(|known| known.name == stream.name) => {}
            Some(stream) => streams.push(Arc::clone(stream)),
            None if catalog.is_unconfigured(name) => gone.push(name.to_owned()),
            None if invalid.iter().any(|known| known == name) => {}
            None => invalid.push(name.to_owned()),
        }
    }
    if !invalid.is_empty() {
        Err(Problem::StreamNotFound(invalid))
    } else if !gone.is_empty() {
        Err(Problem::StreamGone(gone))
    } else {
        Ok(streams)
    }
}

/// What is asked of the fan-out: the header before the query parameter, for a browser cannot set the header at first, and
/// sends the newer one by itself when it reconnects.
fn asked(
    streams: &[Arc<Stream>],
    headers: &HeaderMap,
    parameters: &HashMap<&str, String>,
    client: Client,
) -> Result<Asked, Problem> {
    let since = match parameters.get("since") {
        Some(text) => Some(since::parse(text).map_err(|error| Problem::InvalidTimestamp(error.to_string()))?),
        None => None,
    };
    let header = match headers.get("last-event-id").map(|value| str::from_utf8(value.as_bytes())) {
        Some(Ok(text)) => Some(text),
        Some(Err(_)) => return Err(Problem::InvalidLastEventId("Last-Event-ID is not UTF-8".to_owned())),
        None => None,
    };
    let text = header.or(parameters.get("lastEventId").map(String::as_str));
    let entries = match text.map(LastEventId::parse) {
        Some(Ok(id)) => id.entries().to_vec(),
        Some(Err(error)) => return Err(Problem::InvalidLastEventId(error.to_string())),
        None => Vec::new(),
    };
    let topics = topics(streams, &entries)?;
    Ok(Asked { topics, format: format(headers), last_event_id: entries, since, client })
}

/// The topics of the subscription.
fn topics(streams: &[Arc<Stream>], entries: &[AskedEntry]) -> Result<Vec<Topic>, Problem> {
    let available =
        |topic: &Topic| streams.iter().any(|stream| stream.topics.contains(topic) || stream.topics_allowed.contains(topic));
    let mut outside: Vec<String> =
        entries.iter().filter(|entry| !available(&entry.topic)).map(|entry| entry.topic.to_string()).collect();
    outside.sort_unstable();
    outside.dedup();
    if !outside.is_empty() {
        return Err(Problem::TopicNotAvailable(outside));
    }
    Ok(streams.iter().flat_map(|stream| topics_of(stream, entries)).cloned().collect())
}

/// The topics of one stream: its `topics`, unless the id names topics that are only in its `topics_allowed`. A stream that
/// each datacenter computes is then followed where its client has read it so far, and not twice.
fn topics_of<'a>(stream: &'a Stream, entries: &'a [AskedEntry]) -> impl Iterator<Item = &'a Topic> {
    let is_named = move |topic: &Topic| entries.iter().any(|entry| entry.topic == *topic);
    let elsewhere = stream.topics_allowed.iter().any(|topic| !stream.topics.contains(topic) && is_named(topic));
    // `topics_allowed` holds `topics` too.
    let topics = if elsewhere { &stream.topics_allowed } else { &stream.topics };
    topics.iter().filter(move |topic| !elsewhere || is_named(topic))
}
