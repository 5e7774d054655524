//! Takes the socket of a stream over from hyper. Go calls the same thing `http.Hijacker`.
//!
//! Over HTTP/1.1 a stream is written on its socket directly. It then costs a socket, a small task
//! and a membership in a write group, and not a connection of hyper. hyper has no API for this (its
//! `upgrade` serves status 101 only), so it goes like this:
//!
//! 1. The connection puts a [`Hijack`] into the extensions of each request that can be taken over
//!    ([`answer`]).
//! 2. The handler starts a stream and leaves it in the slot ([`Hijack::take`]). Its response has an
//!    empty body.
//! 3. [`answer`] finds the stream and returns [`SocketTaken`] to hyper, as an error. hyper stops
//!    and writes nothing.
//! 4. The connection takes the socket out of hyper's connection. [`HijackedStream::into_task`]
//!    writes the head of the response and then the stream on it.
//!
//! Everything else stays a [`super::body`] that hyper writes, with the same task: HTTP/2, HTTP/1.0,
//! and a request behind a response that its client has not read.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header;
use bytes::{BufMut as _, BytesMut};
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::{Request, Response, Version};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::socket::Unsent;
use crate::delivery::{Sink, StreamOutput, StreamTask};
use crate::fanout::Subscribed;

/// The slot in which the handler of a request leaves a stream that is written on the socket.
#[derive(Clone, Default)]
pub(in crate::http) struct Hijack(Arc<Mutex<Option<(Subscribed, StreamOutput)>>>);

/// A stream whose socket is taken over.
pub(super) struct HijackedStream {
    response: Parts,
    subscribed: Subscribed,
    output: StreamOutput,
}

/// What hyper gets instead of a response.
#[derive(Debug, thiserror::Error)]
#[error("the stream is written on the socket")]
pub(super) struct SocketTaken;

impl Hijack {
    /// Leaves a stream in the slot. The body is not written.
    pub(in crate::http) fn take(&self, subscribed: Subscribed, output: StreamOutput) -> Body {
        *self.0.lock() = Some((subscribed, output));
        Body::empty()
    }
}

/// Answers a request, or leaves its stream in `hijacked`.
pub(super) async fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    unsent: Unsent,
    hijacked: Arc<Mutex<Option<HijackedStream>>>,
) -> Result<Response<Body>, SocketTaken> {
    let hijack = Hijack::default();
    request.extensions_mut().insert(ConnectInfo(peer));
    // A response before this one that its client has not taken would be lost with hyper's buffer.
    if request.version() == Version::HTTP_11 && !unsent.is_some() {
        request.extensions_mut().insert(hijack.clone());
    }
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    let Some((subscribed, output)) = hijack.0.lock().take() else {
        return Ok(response);
    };
    *hijacked.lock() = Some(HijackedStream {
        response: response.into_parts().0,
        subscribed,
        output,
    });
    Err(SocketTaken)
}

impl HijackedStream {
    /// The task that writes the response and the stream on the socket.
    pub(super) fn into_task(self, socket: TcpStream) -> StreamTask {
        let head = head(&self.response);
        let sink = Sink::Socket(Arc::new(socket));
        StreamTask::new(self.subscribed, self.output, sink, &head, None)
    }
}

/// The head of the response (RFC 9112, section 4). The body comes in chunks and ends with the
/// connection.
fn head(response: &Parts) -> BytesMut {
    let mut head = BytesMut::with_capacity(1024);
    head.put_slice(format!("HTTP/1.1 {}\r\n", response.status).as_bytes());
    for (name, value) in &response.headers {
        if name == header::CONTENT_LENGTH {
            continue;
        }
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()) {
        head.put_slice(format!("date: {date}\r\n").as_bytes());
    }
    head.put_slice(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head
}
