//! The way of a stream that is written by itself: waits as long as its client takes something.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::coding::Coder;
use super::sink::{Chunk, Sink};
use super::stream_end::CLIENT_GONE;
use crate::limits;
use crate::memory::MemoryBudget;

/// Where a stream's bytes go, how long a write may make no progress, and what ends it then.
pub(super) struct Line {
    pub(super) sink: Sink,
    pub(super) write_timeout: Duration,
    /// Resets a stream of HTTP/2.
    pub(super) reset: Option<CancellationToken>,
    pub(super) memory: Arc<MemoryBudget>,
}

/// The last chunk of a body (RFC 9112 §7.1): the stream has ended in order.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl Line {
    /// Writes these pieces of a body. While its client takes nothing they are there once.
    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn would keep the pieces beside what is made of them"
    )]
    pub(super) fn write(&self, pieces: Vec<Bytes>) -> impl Future<Output = io::Result<()>> + Send {
        let bytes = self
            .sink
            .as_ref()
            .form(&Chunk::of(&pieces, &self.memory))
            .clone();
        drop(pieces);
        self.write_all(bytes)
    }

    /// Ends the body in order.
    pub(super) async fn end(&self, coder: &Coder) -> io::Result<()> {
        self.write(vec![coder.last()]).await?;
        match &self.sink {
            Sink::Socket(_) => self.write_all(Bytes::from_static(LAST_CHUNK)).await,
            Sink::Body(body) => self.write_to_body(body, Bytes::new()).await,
        }
    }

    /// Writes all of `bytes`, in the sink's form; fails when nothing of it was taken for `write_timeout`.
    pub(super) async fn write_all(&self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &self.sink {
            Sink::Socket(socket) => self.write_to_socket(socket, bytes).await,
            Sink::Body(body) => self.write_to_body(body, bytes).await,
        }
    }

    async fn write_to_socket(&self, socket: &TcpStream, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            match socket.try_write(&bytes) {
                Ok(written) => bytes.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.taking(bytes.len(), poll_fn(|cx| socket.poll_write_ready(cx)))
                        .await??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Only when all before was taken: what waits here is this client's own.
    async fn write_to_body(&self, body: &mpsc::Sender<Bytes>, bytes: Bytes) -> io::Result<()> {
        for free in body.capacity() + 1..=body.max_capacity() {
            self.taking(bytes.len(), body.reserve_many(free))
                .await?
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        body.try_send(bytes)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until its client takes something, of so many bytes that wait for it: as long as a write may make no progress, and as
    /// there is memory for it.
    async fn taking<T>(&self, bytes: usize, taken: impl Future<Output = T>) -> io::Result<T> {
        let mut memory = self.memory.stalled().wait(bytes);
        tokio::select! {
            biased;
            taken = tokio::time::timeout(self.write_timeout, taken) => taken.map_err(|_| io::ErrorKind::TimedOut.into()),
            () = memory.told() => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    /// Gives the client up.
    pub(super) fn give_up(&self) {
        if let Some(reset) = &self.reset {
            reset.cancel();
        }
    }

    /// Waits until the client has closed its side, or is given up; says which.
    pub(super) async fn hung_up(&self) -> &'static str {
        match &self.sink {
            Sink::Socket(socket) => socket_hung_up(socket).await,
            Sink::Body(body) => {
                body.closed().await;
                CLIENT_GONE
            }
        }
    }
}

/// What a client sends after its request is not read as another one.
async fn socket_hung_up(socket: &Arc<TcpStream>) -> &'static str {
    let (mut ignored, mut buffer) = (0, [0; 16]);
    while ignored < limits::IGNORED_BYTES_MAX {
        // Not `readable()`, which would leave hyper's task waiting on the socket, and so in memory.
        if let Err(error) = poll_fn(|cx| socket.poll_read_ready(cx)).await {
            return reason(&error);
        }
        match socket.try_read(&mut buffer) {
            Ok(0) => return CLIENT_GONE,
            Ok(read) => ignored += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return reason(&error),
        }
    }
    pending().await
}

/// Why a stream has ended whose client does not take what is written.
pub(super) fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::TimedOut => "stalled",
        io::ErrorKind::OutOfMemory => "memory_short",
        _ => CLIENT_GONE,
    }
}
