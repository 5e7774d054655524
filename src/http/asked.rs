//! What a request asks of the fan-out: topics, and where in them to begin (protocol §2).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;

use super::problem::Problem;
use super::query::Parameters;
use crate::cursor::{AskedEntry, LastEventId, TimestampMs, since};
use crate::event::Format;
use crate::fanout::{Asked, Client};
use crate::stream::{Stream, Topic};

/// The header before the query parameter, for a browser cannot set the header at first, and sends the newer one by itself when it
/// reconnects. An empty one is as none.
pub(super) fn asked(
    streams: &[Arc<Stream>],
    headers: &HeaderMap,
    parameters: &Parameters,
    format: Format,
    client: Client,
) -> Result<Asked, Problem> {
    let since = match parameters.get("since") {
        Some(text) => {
            Some(since::parse(text).map_err(|error| Problem::InvalidTimestamp(error.to_string()))?)
        }
        None => None,
    };
    let header = id_header(headers)?;
    let text = header.as_deref().or(parameters.get("lastEventId"));
    let entries = match text.map(LastEventId::parse) {
        Some(Ok(id)) => id.entries().to_vec(),
        Some(Err(error)) => return Err(Problem::InvalidLastEventId(error.to_string())),
        None => Vec::new(),
    };
    let topics = topics(streams, &entries)?;
    // What is not yet is live, also where a log holds records of the future.
    let since = since.filter(|since| *since <= now());
    Ok(Asked {
        topics,
        format,
        last_event_id: entries,
        since,
        client,
        asker: client,
    })
}

fn now() -> TimestampMs {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    TimestampMs(i64::try_from(now).unwrap_or(i64::MAX))
}

/// The last `Last-Event-ID` that says something.
fn id_header(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Problem> {
    let values = headers.get_all("last-event-id").iter();
    match values
        .map(|value| value.as_bytes().trim_ascii())
        .rfind(|value| !value.is_empty())
        .map(str::from_utf8)
    {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(Cow::Borrowed(text))),
        Some(Err(_)) => Err(Problem::InvalidLastEventId(
            "Last-Event-ID is not UTF-8".to_owned(),
        )),
    }
}

/// The topics of the subscription.
fn topics(streams: &[Arc<Stream>], entries: &[AskedEntry]) -> Result<Vec<Topic>, Problem> {
    let available = |topic: &Topic| {
        streams
            .iter()
            .any(|stream| stream.topics.contains(topic) || stream.topics_allowed.contains(topic))
    };
    let mut outside: Vec<String> = entries
        .iter()
        .filter(|entry| !available(&entry.topic))
        .map(|entry| entry.topic.to_string())
        .collect();
    outside.sort_unstable();
    outside.dedup();
    if !outside.is_empty() {
        return Err(Problem::TopicNotAvailable(outside));
    }
    Ok(streams
        .iter()
        .flat_map(|stream| topics_of(stream, entries))
        .cloned()
        .collect())
}

/// The topics of one stream: its `topics`, unless the id names topics that are only in its `topics_allowed`. A stream that
/// each datacenter computes is then followed where its client has read it so far, and not twice.
pub(super) fn topics_of<'a>(
    stream: &'a Stream,
    entries: &'a [AskedEntry],
) -> impl Iterator<Item = &'a Topic> {
    let is_named = move |topic: &Topic| entries.iter().any(|entry| entry.topic == *topic);
    let elsewhere = stream
        .topics_allowed
        .iter()
        .any(|topic| !stream.topics.contains(topic) && is_named(topic));
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
