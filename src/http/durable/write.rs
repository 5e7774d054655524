//! `PUT` and `POST` of the protocol of Durable Streams: as little as its conformance suite needs
//! before it can read. `eventstreams dev` alone has them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;

use super::content::Content;
use super::pages::Pages;
use super::read_request::ReadRequest;
use super::response;
use crate::cursor::Offset;
use crate::http::App;
use crate::http::client_address::ClientIp;
use crate::http::stream_names::requested_streams;
use crate::problem::{DurableProblem, Problem, or_problem};
use crate::stream::Topic;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a body that are read although it is too long.
const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// How long a write waits until it can be read.
const READABLE_MAX: Duration = Duration::from_secs(5);

/// How often it checks that.
const READABLE_PAUSE: Duration = Duration::from_millis(2);

/// Streams that clients create and write. Each has a topic of its own name, with one partition.
pub trait WritableStreams: Debug + Send + Sync {
    /// The media type of a stream that was created so.
    fn media_type(&self, stream: &str) -> Option<String>;

    /// Creates the topic of a stream.
    ///
    /// # Errors
    /// Why it cannot be created.
    fn create(&self, stream: &str, media_type: &str) -> Result<(), String>;

    /// Appends events, and returns the offset after them.
    ///
    /// # Errors
    /// Why they cannot be stored.
    fn append(&self, stream: &str, events: &[Bytes]) -> Result<Offset, String>;
}

/// `PUT`: creates a stream, with its first messages.
pub(in crate::http) async fn create(
    State(app): State<Arc<App>>,
    client: ClientIp,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let created = create_stream(&app, &client, &uri, &headers, body).await;
    or_problem(created, &method, &uri)
}

/// `POST`: appends messages.
pub(in crate::http) async fn append(
    State(app): State<Arc<App>>,
    client: ClientIp,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let appended = append_messages(&app, &client, &uri, &headers, body).await;
    or_problem(appended, &method, &uri)
}

async fn create_stream(
    app: &Arc<App>,
    client: &ClientIp,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let writable = app.writable.get().ok_or(Problem::MethodNotAllowed)?;
    let name = uri.path().rsplit('/').next().unwrap_or_default();
    let content = Content::written(&media_type(headers));
    let body = read_body(body).await?;
    let events = if body.is_empty() {
        Vec::new()
    } else {
        content.events(&body)?
    };
    let status = match writable.media_type(name) {
        Some(known) if known == content.media_type => StatusCode::OK,
        Some(known) => return Err(DurableProblem::OtherContentType(known).into()),
        None if app.catalog().resolve(name).is_some() => {
            return Err(DurableProblem::NotWritable.into());
        }
        None => {
            let created = writable.create(name, &content.media_type);
            created.map_err(DurableProblem::InvalidBody)?;
            publish(app, name)?;
            let topic = Topic::from(name);
            app.hub.rediscover();
            app.hub.await_discovery(|| app.hub.has_topic(&topic)).await;
            write(app, name, &events).await?;
            StatusCode::CREATED
        }
    };
    written(app, client, uri, status, &content).await
}

async fn append_messages(
    app: &Arc<App>,
    client: &ClientIp,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let writable = app.writable.get().ok_or(Problem::MethodNotAllowed)?;
    let streams = requested_streams(&app.catalog(), uri.path(), 1);
    let streams = streams.map_err(super::read_request::with_status_of_protocol)?;
    let name = streams[0].name.as_str();
    let known = writable
        .media_type(name)
        .ok_or(DurableProblem::NotWritable)?;
    let content = Content::written(&known);
    if media_type(headers) != known {
        return Err(DurableProblem::OtherContentType(known).into());
    }
    let body = read_body(body).await?;
    let events = if body.is_empty() {
        Vec::new()
    } else {
        content.events(&body)?
    };
    if events.is_empty() {
        let reason = "The request has no message to append";
        return Err(DurableProblem::InvalidBody(reason.to_owned()).into());
    }
    write(app, name, &events).await?;
    written(app, client, uri, StatusCode::NO_CONTENT, &content).await
}

/// Makes a stream public.
fn publish(app: &App, name: &str) -> Result<(), Problem> {
    let catalog = app.catalog().with_stream_of_topic(name);
    let catalog = catalog.map_err(|error| DurableProblem::InvalidBody(error.to_string()))?;
    app.topics.store(Arc::new(catalog.topics()));
    app.metrics.describe_streams(&catalog);
    app.catalog.send_replace(Arc::new(catalog));
    Ok(())
}

/// Appends, and waits until the server can read it.
async fn write(app: &App, name: &str, events: &[Bytes]) -> Result<(), Problem> {
    let Some(writable) = app.writable.get().filter(|_| !events.is_empty()) else {
        return Ok(());
    };
    let end = writable
        .append(name, events)
        .map_err(DurableProblem::InvalidBody)?;
    let topic = Topic::from(name);
    let is_read = || {
        let mut partitions = app.hub.partitions(&topic).into_iter();
        partitions.any(|partition| partition.end().next >= end)
    };
    let wait = async {
        while !is_read() {
            sleep(READABLE_PAUSE).await;
        }
    };
    let in_time = timeout(READABLE_MAX, wait).await;
    in_time.map_err(|_| Problem::Unavailable("What was written cannot be read yet."))
}

/// The response to a write: where the stream ends now.
async fn written(
    app: &Arc<App>,
    client: &ClientIp,
    uri: &Uri,
    status: StatusCode,
    content: &Content,
) -> Result<Response, Problem> {
    let mut request = ReadRequest::parse(app, uri, client)?;
    request.start_now();
    let page = Pages::open(app, &request).await?.tail();
    let mut response = response::head(&request, content, &page);
    *response.status_mut() = status;
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::try_from(uri.path())
    {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response.into_response())
}

/// Reads a body. Of one that is too long the rest is read, too, within bounds: many clients read a
/// response only after they have sent all.
async fn read_body(body: Body) -> Result<Bytes, DurableProblem> {
    let mut data = body.into_data_stream();
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(piece) = data.next().await {
        let piece = piece.map_err(|error| DurableProblem::InvalidBody(error.to_string()))?;
        length += piece.len();
        if length <= BODY_BYTES_MAX {
            kept.extend_from_slice(&piece);
        } else if length > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if length > BODY_BYTES_MAX {
        return Err(DurableProblem::BodyTooLarge(BODY_BYTES_MAX));
    }
    Ok(kept.freeze())
}

/// The media type of a write, without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() {
        "application/octet-stream".to_owned()
    } else {
        essence.to_ascii_lowercase()
    }
}
