//! From hyper to a loop of our own: a stream over HTTP/1.1 is written on its socket itself.
//!
//! hyper reads the request; when the handler has made a stream of it ([`Handover::take`]), the listener takes the socket out of
//! hyper's connection and runs its [`StreamTask`] there. From then on a stream costs its socket, a small task and a place in a
//! [`super::convoy`]. Whatever else there is (HTTP/2, HTTP/1.0, a request behind an answer that its client does not read) stays an ordinary
//! [`super::body`], with the same task.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header;
use axum::http::response::Parts;
use bytes::{BufMut as _, BytesMut};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::line::Line;
use super::sink::{Chunk, Sink};
use super::stream_task::StreamTask;
use super::voice::Voice;
use crate::fanout::Started;

/// Where the handler of a request leaves a stream that is to be written on the socket itself.
#[derive(Clone, Default)]
pub struct Handover(Arc<Mutex<Option<HandedOver>>>);

/// A stream that was handed over.
pub struct HandedOver {
    started: Started,
    voice: Voice,
}

impl Handover {
    /// Hands a stream over. Nobody reads the body.
    pub(super) fn take(&self, started: Started, voice: Voice) -> Body {
        *self.0.lock() = Some(HandedOver { started, voice });
        Body::empty()
    }

    /// What was handed over.
    #[must_use]
    pub fn taken(&self) -> Option<HandedOver> {
        self.0.lock().take()
    }
}

/// The head of the response (RFC 9112 §4), whose body comes in chunks and ends with the connection.
fn head(response: &Parts) -> BytesMut {
    let mut head = BytesMut::with_capacity(1024);
    head.put_slice(format!("HTTP/1.1 {}\r\n", response.status).as_bytes());
    for (name, value) in response
        .headers
        .iter()
        .filter(|(name, _)| *name != header::CONTENT_LENGTH)
    {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    if let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        head.put_slice(format!("date: {date}\r\n").as_bytes());
    }
    head.put_slice(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    head
}

impl HandedOver {
    /// The stream on its socket, with all that is said before its first event.
    #[must_use]
    pub fn on(self, socket: TcpStream, response: &Parts, write_timeout: Duration) -> StreamTask {
        let Self {
            started: Started {
                subscription,
                moved,
            },
            mut voice,
        } = self;
        let memory = Arc::clone(voice.app.hub.memory());
        let line = Line {
            sink: Sink::Socket(Arc::new(socket)),
            write_timeout,
            reset: None,
            memory,
        };
        let mut first = head(response);
        first.put_slice(
            line.sink
                .as_ref()
                .form(&Chunk::of(&voice.opening(&moved), &line.memory)),
        );
        StreamTask::new(line, voice, subscription, first.freeze())
    }
}
