//! `GET /v2/stream/{streams}` (protocol §1 to §3): from the request to a subscription.
//!
//! All that can fail with a status fails here, before the first byte.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::App;
use super::asked::{asked, topics_of};
use super::body::body;
use super::coding::Coding;
use super::common::{MOVED, shown};
use super::handover::Handover;
use super::id_bound;
use super::negotiation::{MediaType, coding, vary};
use super::problem::Problem;
use super::query::{Parameters, STREAM_PARAMETERS};
use super::requested::requested_streams;
use super::stream_end::StreamEnd;
use super::voice::Voice;
use crate::cursor::AskedEntry;
use crate::event::Format;
use crate::fanout::{Started, subscribe};
use crate::limits;
use crate::memory::Use;
use crate::stream::{Stream, Topic};

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
    match answer(
        &app,
        peer,
        handover.map(|Extension(handover)| handover),
        &method,
        &uri,
        &headers,
    )
    .await
    {
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
        return Err(Problem::Unavailable(
            "This server is about to end. Connect again.",
        ));
    }
    if app.config.http.require_user_agent && !has_user_agent(headers) {
        return Err(Problem::UserAgentRequired);
    }
    app.request_rate.check(headers, peer.ip())?;
    let parameters = Parameters::parse(uri.query(), &STREAM_PARAMETERS)?;
    let form = Form::asked(app, headers, &parameters)?;
    let streams = requested_streams(
        &app.catalog(),
        uri.path(),
        app.config.limits.streams_per_request_max,
    )?;
    let permit = app.connection_limit.take(headers, peer.ip())?;
    let client = app.addresses.client(headers, peer.ip()).ok();
    let mut asked = asked(&streams, headers, &parameters, form.media.format(), client)?;
    asked.asker = client.or(Some(peer.ip()));
    if !app.hub.is_ready() {
        return Err(crate::fanout::SubscribeError::NotReady.into());
    }
    if app.hub.memory().is_short() {
        app.metrics.memory_refusals.inc();
        return Err(Problem::Unavailable(
            "This server has no memory left for another stream. Try again in some seconds, and read fast what you asked for.",
        ));
    }
    await_topics(app, &streams, &asked.last_event_id).await?;
    if form.media.format() == Format::Sse {
        id_bound::check(app, asked.topics.iter())?;
    }
    let mut response_headers = form.headers(app);
    parameters.tell(&mut response_headers);
    if method == Method::HEAD {
        return Ok((StatusCode::OK, response_headers).into_response());
    }
    let mut notes: Vec<_> = parameters
        .ignored()
        .map(|names| format!("ignored query parameters: {names}"))
        .into_iter()
        .collect();
    notes.extend(
        unavailable(app, asked.topics.iter()).map(|topic| format!("unavailable: topic {topic}")),
    );
    let started = subscribe(&app.hub, asked).await?;
    let client = if app.config.http.log_client_addresses {
        app.connection_limit.client(headers, peer.ip())
    } else {
        None
    };
    let held = app.hub.memory().hold(Use::Streams, limits::STREAM_BYTES);
    let end = StreamEnd::new(
        (Arc::clone(&app.metrics), held),
        &streams,
        user_agent(headers),
        (client, permit),
    );
    let voice = Voice::new(
        app,
        started.subscription.feed_key(),
        form.coding,
        notes,
        end,
    );
    Ok(begin(started, voice, handover, response_headers))
}

/// In which form a stream goes to its client.
struct Form {
    media: MediaType,
    coding: Coding,
}

impl Form {
    /// # Errors
    /// [`Problem::InvalidQuery`] for a `compression` that is none.
    fn asked(app: &App, headers: &HeaderMap, parameters: &Parameters) -> Result<Self, Problem> {
        let by_query = match parameters.get("compression") {
            Some(name) => Some(Coding::named(name).ok_or(Problem::InvalidCompression)?),
            None => None,
        };
        Ok(Self {
            media: MediaType::asked(headers),
            coding: coding(app.config.http.compression, by_query, headers),
        })
    }

    fn headers(&self, app: &App) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, self.media.content_type());
        // Proxies that buffer (nginx) would hold events back.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        headers.insert(header::VARY, vary(app.config.http.compression));
        if let Some(coding) = self.coding.name() {
            headers.insert(header::CONTENT_ENCODING, coding);
        }
        headers
    }
}

/// Of the topics that it would read, each stream needs one at least that Kafka has.
async fn await_topics(
    app: &App,
    streams: &[Arc<Stream>],
    entries: &[AskedEntry],
) -> Result<(), Problem> {
    let missing =
        |stream: &&Arc<Stream>| !topics_of(stream, entries).any(|topic| app.hub.has_topic(topic));
    if app
        .hub
        .await_discovery(|| !streams.iter().any(|stream| missing(&stream)))
        .await
    {
        return Ok(());
    }
    let reasons = |stream: &Arc<Stream>| {
        let topics: Vec<_> = unavailable(app, topics_of(stream, entries)).collect();
        format!("{} ({})", stream.name, topics.join("; "))
    };
    Err(Problem::StreamUnavailable(
        streams.iter().filter(missing).map(reasons).collect(),
    ))
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

/// The response whose body is the stream.
fn begin(
    started: Started,
    voice: Voice,
    handover: Option<Handover>,
    mut headers: HeaderMap,
) -> Response {
    for moved in &started.moved {
        if let Ok(value) = HeaderValue::try_from(moved.to_string()) {
            headers.append(MOVED, value);
        }
    }
    let span = Extension(voice.end.span());
    let body = match handover {
        Some(handover) => handover.take(started, voice),
        None => body(started, voice),
    };
    (StatusCode::OK, headers, span, body).into_response()
}

fn has_user_agent(headers: &HeaderMap) -> bool {
    headers
        .get(header::USER_AGENT)
        .is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
}

/// As it stands in the log: a bounded part, whatever its bytes.
fn user_agent(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::USER_AGENT)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    shown(
        &String::from_utf8_lossy(value),
        limits::LOGGED_HEADER_BYTES_MAX,
    )
}
