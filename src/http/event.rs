//! `GET /v2/event/{topic}/{partition}/{offset}`: one event (docs/protocol.md, "One event").

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use super::App;
use super::cacheable::cacheable;
use super::client_address::ClientIp;
use super::stream::check_client;
use crate::cursor::{Offset, Partition};
use crate::fanout::{EventAt, event_at};
use crate::problem::{Problem, or_problem};
use crate::stream::Topic;

/// For how many seconds a cache may keep an event: a page that is redacted is gone from caches
/// after that.
const MAX_AGE_SECONDS: u32 = 60;

/// The endpoint.
pub(super) async fn event(
    State(app): State<Arc<App>>,
    client: ClientIp,
    Path((topic, partition, offset)): Path<(String, String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let response = async {
        check_client(&app, &client, &headers)?;
        let topic = Topic::from(topic.as_str());
        let body = read(&app, &client, topic, &partition, &offset).await?;
        Ok(cacheable(
            body,
            "application/json",
            MAX_AGE_SECONDS,
            &headers,
        ))
    };
    or_problem(response.await, &method, &uri)
}

async fn read(
    app: &App,
    client: &ClientIp,
    topic: Topic,
    partition: &str,
    offset: &str,
) -> Result<bytes::Bytes, Problem> {
    if app.catalog().streams_of_topic(&topic).is_empty() {
        return Err(Problem::TopicNotPublic(topic));
    }
    let (Ok(partition), Ok(offset)) = (partition.parse::<u16>(), offset.parse::<u64>()) else {
        return Err(Problem::InvalidPosition);
    };
    let partition = Partition(partition.into());
    let offset = Offset(i64::try_from(offset).map_err(|_| Problem::InvalidPosition)?);
    let client = Some(client.or_peer());
    match event_at(&app.hub, client, &topic, partition, offset).await? {
        EventAt::Event(event) => Ok(event.json().clone()),
        EventAt::NoEvent => Err(Problem::NoEvent),
        EventAt::NotYet(end) => Err(Problem::EventNotYet(end)),
        EventAt::Deleted(start) => Err(Problem::EventGone(start)),
    }
}
