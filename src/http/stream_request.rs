//! A stream request, parsed once: streams, form, client, and where to start (docs/protocol.md,
//! "Requests").

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use super::App;
use super::client_address::ClientIp;
use super::negotiation::{MediaType, coding, vary};
use super::query::{Parameters, STREAM_PARAMETERS};
use super::requested_bound::{requested_bound, requested_tail, requested_time};
use super::requested_fields::requested_fields;
use super::requested_filter::{FILTER, chooses_events, filter_header, requested_selection};
use super::stream_names::requested_streams;
use crate::cursor::{IdEntry, IdForm, LastEventId};
use crate::delivery::ContentCoding;
use crate::fanout::SubscribeRequest;
use crate::problem::Problem;
use crate::stream::{Stream, Topic};

/// What a client requests.
pub(super) struct StreamRequest {
    pub(super) streams: Vec<Arc<Stream>>,
    pub(super) media: MediaType,
    pub(super) coding: ContentCoding,
    pub(super) subscribe: SubscribeRequest,
    parameters: Parameters,
}

impl StreamRequest {
    /// Parses a request.
    ///
    /// # Errors
    /// The first problem: of the query, of `compression`, of the filter, of the streams, of the
    /// start.
    pub(super) fn parse(
        app: &App,
        uri: &Uri,
        headers: &HeaderMap,
        client: &ClientIp,
    ) -> Result<Self, Problem> {
        let parameters = Parameters::parse(uri.query(), &STREAM_PARAMETERS)?;
        let in_query = match parameters.get("compression") {
            Some(name) => Some(ContentCoding::named(name).ok_or(Problem::InvalidValue {
                name: "compression",
                expected: "gzip, zstd or none",
            })?),
            None => None,
        };
        let canary_events = app.config.filters.canary_events;
        let selection = requested_selection(&parameters, &app.filters.load(), canary_events)?;
        let media = MediaType::of(headers);
        let coding = coding(app.config.http.compression, in_query, headers);
        let streams_max = app.config.limits.streams_per_request_max;
        let streams = requested_streams(&app.catalog(), uri.path(), streams_max)?;
        let mut subscribe = subscribe_request(&streams, headers, &parameters, media, client)?;
        subscribe.selection = selection.map(Arc::new);
        Ok(Self {
            streams,
            media,
            coding,
            subscribe,
            parameters,
        })
    }

    /// The headers of the response.
    pub(super) fn response_headers(&self, app: &App) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, self.media.content_type());
        // Proxies that buffer (nginx) would hold events back.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        // The same for proxies that know Incremental HTTP Messages.
        headers.insert("incremental", HeaderValue::from_static("?1"));
        headers.insert(header::VARY, vary(app.config.http.compression));
        if let Some(coding) = self.coding.name() {
            headers.insert(header::CONTENT_ENCODING, coding);
        }
        let selection = self.subscribe.selection.as_ref();
        if let Some(filter) = selection.and_then(|selection| filter_header(selection)) {
            headers.insert(FILTER, filter);
        }
        self.parameters.add_ignored_header(&mut headers);
        headers
    }

    /// Whether the client says which events it wants.
    pub(super) fn chooses_events(&self) -> bool {
        chooses_events(&self.parameters)
    }

    /// The names of the ignored query parameters.
    pub(super) fn ignored(&self) -> Option<String> {
        self.parameters.ignored()
    }
}

/// The header goes before the query parameter: a browser cannot set the header at first, and sends
/// the newer id in it when it reconnects.
fn subscribe_request(
    streams: &[Arc<Stream>],
    headers: &HeaderMap,
    parameters: &Parameters,
    media: MediaType,
    client: &ClientIp,
) -> Result<SubscribeRequest, Problem> {
    let since = requested_time(parameters, "since")?;
    let header = id_header(headers)?;
    let id = header.as_deref().or(parameters.get("lastEventId"));
    let id = id.map(LastEventId::parse).transpose()?;
    let entries = id.map(|id| id.entries().to_vec()).unwrap_or_default();
    // A browser that reconnects sends both.
    let last_events = requested_tail(parameters, since)?.filter(|_| entries.is_empty());
    Ok(SubscribeRequest {
        topics: topics(streams, &entries)?,
        last_events,
        bound: requested_bound(parameters, since)?,
        format: media.format(),
        selection: None,
        fields: requested_fields(parameters)?,
        ids: requested_ids(parameters)?,
        last_event_id: entries,
        since,
        client: client.address,
        lookup_client: Some(client.or_peer()),
    })
}

/// The form of the ids.
fn requested_ids(parameters: &Parameters) -> Result<IdForm, Problem> {
    match parameters.get("ids") {
        None => Ok(IdForm::Auto),
        Some("compact") => Ok(IdForm::Compact),
        Some(_) => Err(Problem::InvalidValue {
            name: "ids",
            expected: "compact",
        }),
    }
}

/// The last `Last-Event-ID` header that is not empty.
fn id_header(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Problem> {
    let values = headers.get_all("last-event-id").iter();
    let mut values = values.map(|value| value.as_bytes().trim_ascii());
    let Some(value) = values.rfind(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let text = str::from_utf8(value).map_err(|_| Problem::LastEventIdNotUtf8)?;
    Ok(Some(Cow::Borrowed(text)))
}

/// The topics of the subscription.
pub(super) fn topics(streams: &[Arc<Stream>], entries: &[IdEntry]) -> Result<Vec<Topic>, Problem> {
    let is_available = |topic: &Topic| {
        let has = |stream: &Arc<Stream>| {
            stream.topics.contains(topic) || stream.topics_allowed.contains(topic)
        };
        streams.iter().any(has)
    };
    let outside = entries.iter().filter(|entry| !is_available(&entry.topic));
    let mut outside: Vec<String> = outside.map(|entry| entry.topic.to_string()).collect();
    outside.sort_unstable();
    outside.dedup();
    if !outside.is_empty() {
        return Err(Problem::TopicNotAvailable(outside));
    }
    let topics = streams.iter().flat_map(|stream| topics_of(stream, entries));
    Ok(topics.cloned().collect())
}

/// The topics of one stream: its `topics`, unless the id names topics that are only in its
/// `topics_allowed`. A stream that each datacenter computes is then followed where its client has
/// read it so far, and not twice.
pub(super) fn topics_of<'a>(
    stream: &'a Stream,
    entries: &'a [IdEntry],
) -> impl Iterator<Item = &'a Topic> {
    let is_named = move |topic: &Topic| entries.iter().any(|entry| entry.topic == *topic);
    let is_elsewhere = |topic: &Topic| !stream.topics.contains(topic) && is_named(topic);
    let elsewhere = stream.topics_allowed.iter().any(is_elsewhere);
    // `topics_allowed` holds `topics` too.
    let topics = if elsewhere {
        &stream.topics_allowed
    } else {
        &stream.topics
    };
    topics
        .iter()
        .filter(move |topic| !elsewhere || is_named(topic))
}
