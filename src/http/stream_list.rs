//! `GET /v2/streams` and `GET /v2/streams/{name}`: the public streams, for programs
//! (docs/protocol.md, "The list of streams").

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::App;
use super::cacheable::cacheable;
use super::log_facts::{FactsOfTopics, LogFactsCache};
use super::stream_names::named_stream;
use crate::cursor::TimestampMs;
use crate::fanout::LogFacts;
use crate::filter::Shorthand;
use crate::problem::{Problem, or_problem};
use crate::stream::{Catalog, Stream, Topic};

/// How long the list is kept, and for how many seconds caches may keep it.
const MAX_AGE_SECONDS: u32 = 10;

/// The newest records of a partition that are searched for members.
const SEARCHED_RECORDS: usize = 5;

/// The list, rendered a moment ago, and what it needs of Kafka.
#[derive(Debug, Default)]
pub struct StreamList {
    facts: LogFactsCache,
    rendered: Mutex<Option<Rendered>>,
}

#[derive(Debug)]
struct Rendered {
    catalog: Arc<Catalog>,
    at: Instant,
    streams: HashMap<String, Bytes>,
    all: Bytes,
}

/// `GET /v2/streams`.
pub(super) async fn streams(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let all = with_list(&app, |list| list.all.clone()).await;
    cacheable(all, "application/json", MAX_AGE_SECONDS, &headers)
}

/// `GET /v2/streams/{name}`: a name or an alias.
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let response = async {
        let stream = named_stream(&app.catalog(), &name)?;
        let of_stream = |list: &Rendered| list.streams.get(stream.name.as_str()).cloned();
        let body = with_list(&app, of_stream).await;
        let gone = || Problem::StreamGone(vec![name.clone()]);
        let body = body.ok_or_else(gone)?;
        Ok(cacheable(
            body,
            "application/json",
            MAX_AGE_SECONDS,
            &headers,
        ))
    };
    or_problem(response.await, &method, &uri)
}

/// The list as it is, or was a moment ago.
async fn with_list<T>(app: &Arc<App>, get: impl FnOnce(&Rendered) -> T) -> T {
    let catalog = app.catalog();
    let facts = app.stream_list.facts.get(&app.hub, &catalog).await;
    let mut rendered = app.stream_list.rendered.lock();
    let is_fresh = |list: &Rendered| {
        Arc::ptr_eq(&list.catalog, &catalog)
            && list.at.elapsed() < Duration::from_secs(MAX_AGE_SECONDS.into())
    };
    match &*rendered {
        Some(list) if is_fresh(list) => get(list),
        _ => get(rendered.insert(render(app, catalog, &facts))),
    }
}

fn render(app: &App, catalog: Arc<Catalog>, facts: &FactsOfTopics) -> Rendered {
    let describe = |stream: &Arc<Stream>| {
        let entry = serde_json::to_string(&entry(app, stream, facts)).unwrap_or_default();
        (stream.name.to_string(), Bytes::from(entry))
    };
    let entries: Vec<_> = catalog.streams().map(describe).collect();
    let texts: Vec<_> = entries
        .iter()
        .map(|(_, entry)| str::from_utf8(entry).unwrap_or_default())
        .collect();
    let all = Bytes::from(format!("{{\"streams\":[{}]}}", texts.join(",")));
    Rendered {
        all,
        streams: entries.into_iter().collect(),
        at: Instant::now(),
        catalog,
    }
}

/// What the list says of one stream.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    aliases: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_title: Option<&'a str>,
    topics: Vec<Value>,
    /// The shorthand parameters that newest events have members for.
    shorthand: Vec<&'static str>,
    records_per_second: RecordsPerSecond,
    /// The time of the first record; `null` while it is not known, or without records.
    oldest: Option<String>,
    /// The time of the last record.
    newest: Option<String>,
}

/// Records, not events: some are skipped or redacted.
#[derive(Debug, Default, Serialize)]
struct RecordsPerSecond {
    last_minute: f64,
    /// `null` while it is not known.
    last_day: Option<f64>,
}

fn entry<'a>(app: &App, stream: &'a Stream, facts: &FactsOfTopics) -> Entry<'a> {
    let now = TimestampMs::now();
    let mut rates = RecordsPerSecond::default();
    let (mut oldest, mut newest) = (None, None);
    let mut topics = Vec::new();
    let mut events = Vec::new();
    for topic in &stream.topics {
        let partitions = app.hub.partitions(topic);
        topics.push(describe_topic(app, topic, partitions.len()));
        for partition in &partitions {
            let (records, since) =
                partition.records_since(now.saturating_sub(Duration::from_mins(1)));
            rates.last_minute += per_second(records, since, now);
            let end = partition.end();
            newest = newest.max(Some(end.timestamp).filter(|time| time.0 > 0));
            if let Some(facts) = facts.get(&(topic.clone(), partition.partition)) {
                let day = rates.last_day.get_or_insert(0.0);
                *day += per_second(
                    u64::try_from(end.next.0 - facts.from.0).unwrap_or(0),
                    start(facts),
                    now,
                );
                oldest = oldest.into_iter().chain(facts.oldest).min();
            }
            let newest = partition.newest(SEARCHED_RECORDS).into_iter();
            events.extend(newest.filter_map(|entry| entry.event));
        }
    }
    let events: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_slice(event.json()).ok())
        .collect();
    rates.last_minute = rounded(rates.last_minute);
    rates.last_day = rates.last_day.map(rounded);
    Entry {
        name: stream.name.as_str(),
        url: format!("/v2/stream/{}", stream.name),
        description: stream.description.as_deref(),
        aliases: &stream.aliases,
        schema_title: stream.schema_title.as_deref(),
        topics,
        shorthand: shorthand_of(&events),
        records_per_second: rates,
        oldest: oldest.and_then(rfc3339),
        newest: newest.and_then(rfc3339),
    }
}

fn describe_topic(app: &App, topic: &Topic, partitions: usize) -> Value {
    let mut described = json!({"name": topic.as_str(), "partitions": partitions});
    if let Some(trouble) = app.kafka_health.topic(topic) {
        described["unavailable"] = trouble.words().into();
    }
    described
}

/// The time from which the records of the last day are counted.
fn start(facts: &LogFacts) -> TimestampMs {
    facts
        .oldest
        .map_or(facts.since, |oldest| oldest.max(facts.since))
}

/// Records of at least a second, so that a log that has just begun has no absurd rate.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
fn per_second(records: u64, since: TimestampMs, now: TimestampMs) -> f64 {
    let milliseconds = now.0.saturating_sub(since.0).max(1000);
    records as f64 * 1000.0 / milliseconds as f64
}

/// To four decimals: a record in a few hours still shows.
fn rounded(rate: f64) -> f64 {
    (rate * 10_000.0).round() / 10_000.0
}

/// The shorthand parameters for which one of these events has a member.
fn shorthand_of(events: &[Value]) -> Vec<&'static str> {
    let is_there = |path: &[&str]| {
        let member = |event| {
            path.iter()
                .try_fold(event, |value: &Value, name| value.get(*name))
        };
        events
            .iter()
            .any(|event| member(event).is_some_and(|member| !member.is_null()))
    };
    let applies = |shorthand: &Shorthand| shorthand.members().iter().any(|path| is_there(path));
    Shorthand::ALL
        .into_iter()
        .filter(applies)
        .map(Shorthand::name)
        .collect()
}

fn rfc3339(time: TimestampMs) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(time.0).ok()?;
    Some(format!("{time:.3}"))
}
