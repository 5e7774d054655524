//! Writes one stream to its client, and waits while the client makes progress.

use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::close_reason::CloseReason;
use super::compression::Compressor;
use super::sink::{Chunk, Sink};
use crate::limits;
use crate::memory::MemoryBudget;

/// Where a stream's bytes go, and how long a write may make no progress.
pub(super) struct StreamWriter {
    pub(super) sink: Sink,
    pub(super) write_timeout: Duration,
    /// Resets a stream of HTTP/2.
    pub(super) reset: Option<CancellationToken>,
    pub(super) memory: Arc<MemoryBudget>,
}

/// The last chunk of a body (RFC 9112, section 7.1): the stream ended in order.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl StreamWriter {
    /// Writes these pieces of a body. While the client takes nothing, their bytes exist once.
    ///
    /// Not an `async fn`: its future would keep the pieces beside the chunk that is made of them.
    pub(super) fn write(&self, pieces: Vec<Bytes>) -> impl Future<Output = io::Result<()>> + Send {
        let bytes = self
            .sink
            .as_ref()
            .bytes_of(&Chunk::of(&pieces, &self.memory))
            .clone();
        drop(pieces);
        self.write_all(bytes)
    }

    /// Ends the body in order.
    pub(super) async fn end(&self, compressor: &Compressor) -> io::Result<()> {
        self.write(vec![compressor.tail()]).await?;
        match &self.sink {
            Sink::Socket(_) => self.write_all(Bytes::from_static(LAST_CHUNK)).await,
            Sink::Body(body) => self.write_to_body(body, Bytes::new()).await,
        }
    }

    /// Writes all of `bytes`, framed for the sink. Fails when the client takes nothing for
    /// `write_timeout`.
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
                    self.progress(bytes.len(), poll_fn(|cx| socket.poll_write_ready(cx)))
                        .await??;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until the body is empty first, so that only this write waits for the client.
    async fn write_to_body(&self, body: &mpsc::Sender<Bytes>, bytes: Bytes) -> io::Result<()> {
        for free in body.capacity() + 1..=body.max_capacity() {
            self.progress(bytes.len(), body.reserve_many(free))
                .await?
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        body.try_send(bytes)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits for `progress` while `bytes` wait for the client: at most `write_timeout`, and only
    /// while there is memory.
    async fn progress<T>(&self, bytes: usize, progress: impl Future<Output = T>) -> io::Result<T> {
        let mut memory = self.memory.stalled().register(bytes);
        let progress = tokio::time::timeout(self.write_timeout, progress);
        tokio::select! {
            biased;
            progress = progress => progress.map_err(|_| io::ErrorKind::TimedOut.into()),
            () = memory.evicted() => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    /// Resets the stream, where the protocol has a reset.
    pub(super) fn reset_stream(&self) {
        if let Some(reset) = &self.reset {
            reset.cancel();
        }
    }

    /// Waits until the client has closed its side or the connection broke, and returns which.
    pub(super) async fn client_closed(&self) -> CloseReason {
        match &self.sink {
            Sink::Socket(socket) => socket_closed(socket).await,
            Sink::Body(body) => {
                body.closed().await;
                CloseReason::ClientGone
            }
        }
    }
}

/// What a client sends after its request is read and ignored, up to a bound.
async fn socket_closed(socket: &Arc<TcpStream>) -> CloseReason {
    let mut ignored = 0;
    let mut buffer = [0; 16];
    while ignored < limits::IGNORED_BYTES_MAX {
        // Not `readable()`: it would leave hyper's task registered on the socket, and so in memory.
        if let Err(error) = poll_fn(|cx| socket.poll_read_ready(cx)).await {
            return reason(&error);
        }
        match socket.try_read(&mut buffer) {
            Ok(0) => return CloseReason::ClientGone,
            Ok(read) => ignored += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return reason(&error),
        }
    }
    pending().await
}

/// Why a stream ended whose write failed.
pub(super) fn reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::TimedOut => CloseReason::Stalled,
        io::ErrorKind::OutOfMemory => CloseReason::MemoryShort,
        _ => CloseReason::ClientGone,
    }
}
