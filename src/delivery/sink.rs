//! Where a stream's bytes go: a socket, or a body that hyper writes.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::memory::{MemoryBudget, Use};

/// Where one stream's bytes go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// A socket that was taken over from hyper. The body is written in chunks (RFC 9112, section
    /// 7.1).
    Socket(Arc<TcpStream>),
    /// The body of a response that hyper writes. As on a socket, an empty chunk is the last one.
    /// Without it the body was cut off.
    Body(mpsc::Sender<Bytes>),
}

/// A borrowed [`Sink`].
#[derive(Clone, Copy)]
pub(super) enum SinkRef<'a> {
    Socket(BorrowedFd<'a>),
    Body(&'a mpsc::Sender<Bytes>),
}

/// Bytes for any number of sinks, made once: plain, and framed as a chunk.
pub(super) struct Chunk {
    payload: Bytes,
    framed: Bytes,
}

/// The result of a write.
pub(super) enum WriteOutcome {
    Complete,
    /// These bytes remain.
    Partial(Bytes),
    Closed,
}

impl Chunk {
    /// The budget counts the bytes until the last reference is dropped.
    pub(super) fn of(pieces: &[Bytes], memory: &Arc<MemoryBudget>) -> Self {
        let framed = memory.keep(Use::Unwritten, chunk(pieces));
        let end = framed.len().saturating_sub(b"\r\n".len());
        let begin = end - pieces.iter().map(Bytes::len).sum::<usize>();
        Self {
            payload: framed.slice(begin..end),
            framed,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }
}

impl Sink {
    pub(super) fn as_ref(&self) -> SinkRef<'_> {
        match self {
            Self::Socket(socket) => SinkRef::Socket(socket.as_fd()),
            Self::Body(body) => SinkRef::Body(body),
        }
    }
}

impl SinkRef<'_> {
    /// The bytes in the form that this sink takes.
    pub(super) fn bytes_of(self, chunk: &Chunk) -> &Bytes {
        match self {
            Self::Socket(_) => &chunk.framed,
            Self::Body(_) => &chunk.payload,
        }
    }

    /// Writes a chunk without waiting, and returns what remains. It does not ask the runtime first
    /// whether the socket is ready: the kernel nearly always takes the bytes, and its answer costs
    /// less than the question.
    pub(super) fn write(self, chunk: &Chunk) -> WriteOutcome {
        let bytes = self.bytes_of(chunk);
        if bytes.is_empty() {
            return WriteOutcome::Complete;
        }
        match self {
            Self::Socket(socket) => match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
                Ok(written) if written == bytes.len() => WriteOutcome::Complete,
                Ok(written) => WriteOutcome::Partial(bytes.slice(written..)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => WriteOutcome::Partial(bytes.clone()),
                Err(_) => WriteOutcome::Closed,
            },
            Self::Body(body) => match body.try_send(bytes.clone()) {
                Ok(()) => WriteOutcome::Complete,
                Err(TrySendError::Full(bytes)) => WriteOutcome::Partial(bytes),
                Err(TrySendError::Closed(_)) => WriteOutcome::Closed,
            },
        }
    }
}

/// One chunk of a body (RFC 9112, section 7.1). No bytes make no chunk: an empty chunk would be the
/// last one.
fn chunk(pieces: &[Bytes]) -> Bytes {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_gets_the_payload_and_a_socket_the_chunk() {
        let memory = MemoryBudget::new(1 << 20);
        let chunk = Chunk::of(
            &[Bytes::from_static(b"one\n"), Bytes::from_static(b"two\n")],
            &memory,
        );
        assert_eq!(
            (&chunk.framed[..], &chunk.payload[..]),
            (&b"8\r\none\ntwo\n\r\n"[..], &b"one\ntwo\n"[..])
        );
        assert!(
            Chunk::of(&[], &memory).is_empty() && Chunk::of(&[Bytes::new()], &memory).is_empty()
        );
        assert_eq!(memory.held(), chunk.framed.len());
    }

    #[test]
    fn a_full_body_returns_the_bytes_that_it_does_not_take() {
        let (sender, receiver) = mpsc::channel(1);
        let sink = Sink::Body(sender);
        let chunk = Chunk::of(&[Bytes::from_static(b"event")], &MemoryBudget::new(1 << 20));
        assert!(matches!(
            sink.as_ref().write(&chunk),
            WriteOutcome::Complete
        ));
        assert!(
            matches!(sink.as_ref().write(&chunk), WriteOutcome::Partial(rest) if rest == "event")
        );
        drop(receiver);
        assert!(matches!(sink.as_ref().write(&chunk), WriteOutcome::Closed));
    }

    #[test]
    fn no_bytes_make_no_chunk() {
        assert_eq!(
            chunk(&[
                Bytes::from_static(b"0123456789"),
                Bytes::from_static(b"abcdef")
            ]),
            "10\r\n0123456789abcdef\r\n"
        );
        assert_eq!(chunk(&[]), "");
        assert_eq!(chunk(&[Bytes::new()]), "");
    }
}
