//! A read request, parsed: which streams, from which offset, and how.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri};

use super::token;
use crate::cursor::{IdEntry, IdForm, RequestedPosition};
use crate::event::Format;
use crate::fanout::{Bound, Hub, HubPartition, SubscribeRequest};
use crate::http::App;
use crate::http::client_address::ClientIp;
use crate::http::query::{Parameters, READ_PARAMETERS};
use crate::http::requested_fields::requested_fields;
use crate::http::requested_filter::{FILTER, chooses_events, filter_header, requested_selection};
use crate::http::stream_names::requested_streams;
use crate::http::stream_request::topics;
use crate::problem::{DurableProblem, Problem};
use crate::stream::{Stream, Topic};

/// What a client requests.
pub(super) struct ReadRequest {
    pub(super) streams: Vec<Arc<Stream>>,
    pub(super) start: Start,
    /// `None` for a page at once.
    pub(super) live: Option<Live>,
    /// The cursor of the last response that the client got.
    pub(super) cursor: Option<u64>,
    pub(super) subscribe: SubscribeRequest,
    parameters: Parameters,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the oldest event.
    Oldest,
    /// After the newest event.
    Now,
    /// At a token.
    Token,
}

/// How a client waits for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    LongPoll,
    Sse,
}

impl ReadRequest {
    /// Parses a request.
    ///
    /// # Errors
    /// The first problem: of the query, of the filter, of the streams, of the offset.
    pub(super) fn parse(app: &App, uri: &Uri, client: &ClientIp) -> Result<Self, Problem> {
        let parameters = Parameters::parse(uri.query(), &READ_PARAMETERS)?;
        let canary_events = app.config.filters.canary_events;
        let selection = requested_selection(&parameters, &app.filters.load(), canary_events)?;
        let streams_max = app.config.limits.streams_per_request_max;
        let streams = requested_streams(&app.catalog(), uri.path(), streams_max);
        let streams = streams.map_err(with_status_of_protocol)?;
        let live = requested_live(&parameters)?;
        let (start, entries) = requested_start(&parameters, live)?;
        let subscribe = SubscribeRequest {
            topics: requested_topics(&streams, &entries)?,
            bound: Bound::default(),
            // Its frames are the lines of a page.
            format: Format::Ndjson,
            selection: selection.map(Arc::new),
            fields: requested_fields(&parameters)?,
            ids: IdForm::Compact,
            last_event_id: entries,
            since: None,
            last_events: None,
            client: client.address,
            lookup_client: Some(client.or_peer()),
        };
        Ok(Self {
            streams,
            start,
            live,
            cursor: parameters.get("cursor").and_then(token::cursor),
            subscribe,
            parameters,
        })
    }

    /// Begins after the newest event, whatever the offset.
    pub(super) fn start_now(&mut self) {
        self.start = Start::Now;
        self.live = None;
        self.subscribe.last_event_id.clear();
    }

    /// Looks up the partitions of a read from the oldest event.
    pub(super) fn find_start(&mut self, hub: &Hub) {
        if self.start == Start::Oldest {
            let oldest = |topic: &Topic| {
                let partitions = hub.partitions(topic).into_iter();
                let entry = |partition: Arc<HubPartition>| IdEntry {
                    topic: partition.topic.clone(),
                    partition: Some(partition.partition),
                    position: RequestedPosition::Earliest,
                };
                partitions.map(entry).collect::<Vec<_>>()
            };
            let topics = &self.subscribe.topics;
            self.subscribe.last_event_id = topics.iter().flat_map(oldest).collect();
        }
    }

    /// Whether the client says which events it wants.
    pub(super) fn chooses_events(&self) -> bool {
        chooses_events(&self.parameters)
    }

    /// Adds the headers that name the filter and the ignored parameters.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let selection = self.subscribe.selection.as_ref();
        if let Some(filter) = selection.and_then(|selection| filter_header(selection)) {
            headers.insert(FILTER, filter);
        }
        self.parameters.add_ignored_header(headers);
    }
}

/// An unknown stream is 404 here.
pub(super) fn with_status_of_protocol(problem: Problem) -> Problem {
    match problem {
        Problem::StreamNotFound { names, hints } => {
            DurableProblem::NoStream { names, hints }.into()
        }
        other => other,
    }
}

fn requested_live(parameters: &Parameters) -> Result<Option<Live>, Problem> {
    match parameters.get("live") {
        None => Ok(None),
        Some("long-poll") => Ok(Some(Live::LongPoll)),
        Some("sse") => Ok(Some(Live::Sse)),
        Some(_) => Err(Problem::InvalidValue {
            name: "live",
            expected: "long-poll or sse",
        }),
    }
}

fn requested_start(
    parameters: &Parameters,
    live: Option<Live>,
) -> Result<(Start, Vec<IdEntry>), Problem> {
    match parameters.get("offset") {
        None if live.is_some() => Err(Problem::InvalidValue {
            name: "offset",
            expected: "given together with 'live': -1, now, or the last Stream-Next-Offset",
        }),
        None | Some("-1") => Ok((Start::Oldest, Vec::new())),
        Some("now") => Ok((Start::Now, Vec::new())),
        Some(token) => Ok((Start::Token, token::entries(token)?)),
    }
}

fn requested_topics(streams: &[Arc<Stream>], entries: &[IdEntry]) -> Result<Vec<Topic>, Problem> {
    topics(streams, entries).map_err(|problem| match problem {
        Problem::TopicNotAvailable(topics) => {
            let topics = topics.join(", ");
            let reason = format!("it names topics of other streams ({topics})");
            DurableProblem::InvalidOffset(reason).into()
        }
        other => other,
    })
}
