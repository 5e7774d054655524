//! A client's socket, as hyper reads and writes it until a stream begins. Writes must make
//! progress.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::limits;

/// The socket of a connection. A write that makes no progress for `write_timeout` fails with
/// [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// Bytes that were read already. They are read again first.
    first: Bytes,
    write_timeout: Duration,
    /// Runs while the kernel takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    unsent: Unsent,
}

/// Whether the kernel did not take all of the last write. The rest is still in hyper's buffer.
#[derive(Clone, Debug, Default)]
pub struct Unsent(Arc<AtomicBool>);

impl Unsent {
    /// Whether a part of the last write is left.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Socket {
    /// Sets the socket's options.
    #[must_use]
    pub fn new(stream: TcpStream, write_timeout: Duration) -> Self {
        if let Err(error) = set_options(&stream, write_timeout) {
            tracing::debug!(%error, "socket options");
        }
        Self {
            stream,
            first: Bytes::new(),
            write_timeout,
            stalled: None,
            unsent: Unsent::default(),
        }
    }

    /// A handle that shows whether a part of the last write is left.
    #[must_use]
    pub fn unsent(&self) -> Unsent {
        self.unsent.clone()
    }

    /// Whether the first bytes of the other side are these. The next read gets them again.
    ///
    /// # Errors
    /// Errors of the socket.
    pub async fn begins_with(&mut self, expected: &[u8]) -> io::Result<bool> {
        let mut first = Vec::new();
        while first.len() < expected.len() && expected.starts_with(&first) {
            let wanted = expected.len() - first.len();
            if (&mut self.stream)
                .take(wanted as u64)
                .read_buf(&mut first)
                .await?
                == 0
            {
                break;
            }
        }
        let begins = first == expected;
        self.first = first.into();
        Ok(begins)
    }

    /// The socket itself.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn written(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let taken = matches!(written, Poll::Ready(Ok(taken)) if taken == wanted);
        self.unsent.0.store(!taken, Ordering::Relaxed);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn set_options(stream: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    // Each event is sent at once and does not wait for the next.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(limits::SOCKET_SEND_BUFFER_BYTES)?;
    // A client may vanish without a packet. A quiet stream never fills its send buffer, so no write
    // in the program would time out: the kernel has to.
    socket.set_tcp_user_timeout(Some(write_timeout))
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, pieces.iter().map(|piece| piece.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (
            client.expect("a connection"),
            Socket::new(accepted.expect("a connection").0, Duration::from_secs(1)),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_after_one_byte_costs_nothing() {
        let (mut client, mut socket) = pair().await;
        client.write_all(b"P").await.expect("it is written");
        let mut first = pin!(socket.begins_with(b"PRI "));
        let mut polls = 0;
        let counted = std::future::poll_fn(|cx| {
            polls += 1;
            first.as_mut().poll(cx)
        });
        assert!(
            tokio::time::timeout(Duration::from_mins(1), counted)
                .await
                .is_err()
        );
        assert!(polls < 10, "polled {polls} times in a minute");
    }

    #[tokio::test]
    async fn first_bytes_are_read_again() {
        for (sent, expected) in [
            ("PRI * HTTP/2.0", true),
            ("PRO", false),
            ("PR", false),
            ("GET / HTTP/1.1", false),
            ("", false),
        ] {
            let (mut client, mut socket) = pair().await;
            client
                .write_all(sent.as_bytes())
                .await
                .expect("it is written");
            client.shutdown().await.expect("it is closed");
            assert_eq!(
                socket.begins_with(b"PRI ").await.expect("no error"),
                expected,
                "{sent}"
            );
            let mut read = String::new();
            socket.read_to_string(&mut read).await.expect("no error");
            assert_eq!(read, sent);
        }
    }
}
