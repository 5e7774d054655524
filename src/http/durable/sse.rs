//! Pages as Server-Sent Events: a frame `data` for each page with events, and a frame `control`
//! after it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::content::{Content, Kind};
use super::pages::{Page, Pages};
use super::read_request::ReadRequest;
use super::{bound, heartbeat};
use crate::delivery::{StreamClient, StreamGuard};
use crate::fanout::AtTail;
use crate::http::App;
use crate::http::server::http2;
use crate::http::stream::add_moved_headers;
use crate::limits;
use crate::memory::Use;

/// Says that frames `data` are in base64.
const ENCODING: &str = "stream-sse-data-encoding";

/// Frames that wait for a client.
const FRAMES_MAX: usize = 1;

/// Starts the response.
pub(super) fn start(
    app: &Arc<App>,
    request: ReadRequest,
    content: Content,
    pages: Pages,
    client: StreamClient,
) -> Response {
    let mut headers = HeaderMap::new();
    let media_type = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, media_type);
    // Proxies that buffer (nginx) would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if content.kind == Kind::Binary {
        headers.insert(ENCODING, HeaderValue::from_static("base64"));
    }
    request.add_headers(&mut headers);
    add_moved_headers(&mut headers, &pages.moved);
    let held = app.hub.memory().hold(Use::Streams, limits::STREAM_BYTES);
    let guard = StreamGuard::new(&app.metrics, &request.streams, client, held);
    let (frames, receiver) = mpsc::channel(FRAMES_MAX);
    let stream = PageStream {
        app: Arc::clone(app),
        request,
        content,
        pages,
        guard,
        frames,
        reset: http2::reset(),
    };
    tokio::spawn(stream.run());
    (StatusCode::OK, headers, body(receiver)).into_response()
}

/// An empty frame is the end. Without it the stream was cut off, and the body ends with an error.
fn body(receiver: mpsc::Receiver<Bytes>) -> Body {
    let cut_off = tokio_stream::once(Err(io::Error::from(io::ErrorKind::TimedOut)));
    let frames = ReceiverStream::new(receiver).map(Ok).chain(cut_off);
    Body::from_stream(frames.take_while(|frame| !matches!(frame, Ok(end) if end.is_empty())))
}

struct PageStream {
    app: Arc<App>,
    request: ReadRequest,
    content: Content,
    pages: Pages,
    guard: StreamGuard,
    frames: mpsc::Sender<Bytes>,
    /// Resets a stream of HTTP/2 whose client stalls.
    reset: Option<CancellationToken>,
}

/// The client is gone, or stalls.
struct Gone;

impl PageStream {
    async fn run(mut self) {
        let is_sent = self.send_pages().await;
        let end = match is_sent {
            Ok(()) => self.send(Bytes::new()).await,
            Err(Gone) => Err(Gone),
        };
        if let (Err(Gone), Some(reset)) = (end, &self.reset) {
            reset.cancel();
        }
    }

    async fn send_pages(&mut self) -> Result<(), Gone> {
        let end = Instant::now() + limits::PAGE_STREAM;
        let heartbeat = heartbeat(&self.app).max(Duration::from_millis(1));
        while Instant::now() < end && !self.app.shutdown.has_begun() && self.is_public() {
            let deadline = end.min(Instant::now() + heartbeat);
            let page = tokio::select! {
                biased;
                () = self.frames.closed() => return Err(Gone),
                page = self.pages.next(deadline) => page,
            };
            // The client comes back with its last offset, and gets the problem.
            let Ok(page) = page else { return Ok(()) };
            self.guard.count(page.totals);
            let at_tail = if page.is_up_to_date {
                AtTail::WaitForEvent
            } else {
                AtTail::End
            };
            let frames = self.frames(&page);
            let frames = self.app.hub.memory().keep(Use::Unwritten, frames);
            self.send(frames).await?;
            self.pages.set_bound(bound(at_tail));
        }
        Ok(())
    }

    /// Whether the streams are as they were at the request.
    fn is_public(&self) -> bool {
        let catalog = self.app.catalog();
        let mut streams = self.request.streams.iter();
        streams.all(|stream| catalog.resolve(stream.name.as_str()) == Some(stream))
    }

    async fn send(&mut self, frames: Bytes) -> Result<(), Gone> {
        let write_timeout = Duration::from_millis(self.app.config.limits.write_timeout_ms);
        match timeout(write_timeout, self.frames.send(frames)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    fn frames(&self, page: &Page) -> Bytes {
        let mut frames = BytesMut::new();
        if !page.pieces.is_empty() {
            let body = self.content.body(&page.pieces);
            frames.put_slice(b"event: data\n");
            if self.content.kind == Kind::Binary {
                put_data(&mut frames, STANDARD.encode(body).as_bytes());
            } else {
                put_data(&mut frames, &body);
            }
        }
        let cursor = page.next.cursor(self.request.cursor);
        let mut control = serde_json::json!({
            "streamNextOffset": page.next.text,
            "streamCursor": cursor.to_string(),
        });
        if page.is_up_to_date {
            control["upToDate"] = true.into();
        }
        frames.put_slice(b"event: control\n");
        put_data(&mut frames, control.to_string().as_bytes());
        frames.freeze()
    }
}

/// Appends the lines of a text as data, and ends the frame.
fn put_data(frames: &mut BytesMut, text: &[u8]) {
    let mut rest = text;
    loop {
        let end = memchr::memchr2(b'\n', b'\r', rest);
        frames.put_slice(b"data:");
        frames.put_slice(&rest[..end.unwrap_or(rest.len())]);
        frames.put_slice(b"\n");
        let Some(end) = end else { break };
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    frames.put_slice(b"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_text_is_a_line_of_data() {
        for (text, expected) in [
            ("", "data:\n\n"),
            ("a", "data:a\n\n"),
            ("a\nb", "data:a\ndata:b\n\n"),
            ("a\r\nb\rc\n", "data:a\ndata:b\ndata:c\ndata:\n\n"),
            ("\r\r\n\n", "data:\ndata:\ndata:\ndata:\n\n"),
        ] {
            let mut frames = BytesMut::new();
            put_data(&mut frames, text.as_bytes());
            assert_eq!(frames, expected, "{text:?}");
        }
    }
}
