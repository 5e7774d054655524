//! From hyper to a loop of our own: a stream over HTTP/1.1 is written on its socket itself.
//!
//! hyper reads the request; when the handler has made a stream of it ([`Handover::take`]), the listener takes the socket out of
//! hyper's connection and calls [`run`]. From then on a stream costs its socket, a small task and a place in a
//! [`super::convoy`]. Whatever else there is (HTTP/1.0, a request behind an answer that its client does not read) stays an ordinary
//! body, with the same [`Voice`].

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header;
use axum::http::response::Parts;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::coding::{Checksum, Coder};
use super::convoy::Left;
use super::stream_end::CLIENT_GONE;
use super::voice::{Said, Solo, Voice};
use crate::fanout::{Started, Subscription};
use crate::limits;

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

/// The last chunk of a body (RFC 9112 §7.1): the stream has ended in order.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One chunk of a body (RFC 9112 §7.1); nothing for nothing, since an empty chunk would be the last.
pub(super) fn chunk(pieces: &[Bytes]) -> Bytes {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    if bytes == 0 {
        return Bytes::new();
    }
    let size = format!("{bytes:x}\r\n");
    let mut chunk = BytesMut::with_capacity(size.len() + bytes + 2);
    chunk.put_slice(size.as_bytes());
    for piece in pieces {
        chunk.put_slice(piece);
    }
    chunk.put_slice(b"\r\n");
    chunk.freeze()
}

/// The head of the response (RFC 9112 §4), whose body comes in chunks and ends with the connection.
fn head(response: &Parts) -> BytesMut {
    let mut head = BytesMut::with_capacity(1024);
    head.put_slice(format!("HTTP/1.1 {}\r\n", response.status).as_bytes());
    for (name, value) in response.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH) {
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
    pub fn on(self, socket: TcpStream, response: &Parts, write_timeout: Duration) -> SocketStream {
        let Self { started: Started { subscription, moved }, mut voice } = self;
        let mut first = head(response);
        first.put_slice(&chunk(&voice.opening(&moved)));
        let begin = Box::new(Left { subscription, unwritten: first.freeze(), sum: Checksum::default(), turned_away: false });
        SocketStream { line: Line { socket: Arc::new(socket), write_timeout }, voice, begin: Some(begin) }
    }
}

/// A stream with its socket.
pub struct SocketStream {
    line: Line,
    voice: Voice,
    begin: Option<Box<Left>>,
}

impl SocketStream {
    /// Writes it until it ends or its client goes, and gives up `place` then.
    #[allow(clippy::manual_async_fn, reason = "an async fn would keep its arguments twice, for each stream")]
    pub fn run<T: Send>(mut self, place: T) -> impl Future<Output = ()> + Send {
        async move {
            let mut left = self.begin.take();
            while let Some(begin) = left {
                // Boxed: what it takes to catch up is given back when the stream is live.
                left = match Box::pin(alone(&self.line, &mut self.voice, begin)).await {
                    Ok(Some(subscription)) => together(&self.line, &mut self.voice, subscription).await,
                    Ok(None) => None,
                    Err(error) => {
                        self.voice.end.because(reason(&error));
                        None
                    }
                };
            }
            drop(place);
        }
    }
}

/// Writes by itself what the stream says until it is live; `None` when it has ended.
async fn alone(line: &Line, voice: &mut Voice, begin: Box<Left>) -> io::Result<Option<Box<Subscription>>> {
    let Left { mut subscription, unwritten, sum, turned_away } = *begin;
    voice.coder.add(sum);
    let mut solo = Solo::new(voice);
    line.write_all(unwritten).await?;
    let mut turn = turned_away;
    while turn || !subscription.is_live() {
        let said = tokio::select! {
            biased;
            reason = line.hung_up() => {
                voice.end.because(reason);
                return Ok(None);
            }
            said = voice.next(&mut subscription, &mut solo) => said,
        };
        let is_last = said.last.is_some();
        line.write_all(chunk(&voice.coder.encode(said.pieces))).await?;
        if is_last {
            line.write_all(end(&voice.coder)).await?;
            return Ok(None);
        }
        turn = false;
    }
    Ok(Some(Box::new(subscription)))
}

/// Lets a convoy write what the stream says, until the convoy leaves it or it ends: `None`.
async fn together(line: &Line, voice: &mut Voice, subscription: Box<Subscription>) -> Option<Box<Left>> {
    let mut seat = voice.app.convoys.join(voice, Arc::clone(&line.socket), *subscription);
    let left = tokio::select! {
        biased;
        left = seat.left() => left,
        reason = line.hung_up() => {
            voice.end.because(reason);
            None
        }
        said = voice.last_words() => {
            let left = seat.leave();
            Box::pin(last(line, &mut voice.coder, left, said)).await;
            None
        }
    };
    voice.end.count(seat.delivered());
    left
}

/// Ends a stream in order, when its convoy has left it. Nobody is there to be told that it did not work.
async fn last(line: &Line, coder: &mut Coder, left: impl Future<Output = Option<Box<Left>>>, said: Said) {
    let Some(left) = left.await else { return };
    coder.add(left.sum);
    for bytes in [left.unwritten, chunk(&coder.encode(said.pieces)), end(coder)] {
        if line.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// What ends a body in order.
fn end(coder: &Coder) -> Bytes {
    [chunk(&[coder.last()]), Bytes::from_static(LAST_CHUNK)].concat().into()
}

/// Why a stream has ended whose socket does not take what is written.
fn reason(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::TimedOut { "stalled" } else { CLIENT_GONE }
}

/// A client's socket, for a stream of its own.
struct Line {
    socket: Arc<TcpStream>,
    write_timeout: Duration,
}

impl Line {
    /// Writes all of `bytes`; fails when nothing of it was taken for `write_timeout`.
    async fn write_all(&self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = poll_fn(|cx| self.socket.poll_write_ready(cx));
                    tokio::time::timeout(self.write_timeout, writable).await.map_err(|_| io::ErrorKind::TimedOut)??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the client has closed its side, or is given up; says which. What it sends after its request is not read as
    /// another one.
    async fn hung_up(&self) -> &'static str {
        let (mut ignored, mut buffer) = (0, [0; 16]);
        while ignored < limits::IGNORED_BYTES_MAX {
            // Not `readable()`, which would leave hyper's task waiting on the socket, and so in memory.
            if let Err(error) = poll_fn(|cx| self.socket.poll_read_ready(cx)).await {
                return reason(&error);
            }
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return CLIENT_GONE,
                Ok(read) => ignored += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return reason(&error),
            }
        }
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_holds_all_pieces_and_nothing_is_no_chunk() {
        assert_eq!(chunk(&[Bytes::from_static(b"0123456789"), Bytes::from_static(b"abcdef")]), "10\r\n0123456789abcdef\r\n");
        assert_eq!(chunk(&[]), "");
        assert_eq!(chunk(&[Bytes::new()]), "");
    }
}
