//! A client's socket: what hyper reads and writes until a stream begins, with writes that have to
//! make progress.

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

/// See the module. A write that makes no progress for `write_timeout` fails with
/// [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    /// What was read already, to be read first.
    first: Bytes,
    write_timeout: Duration,
    /// Runs while the kernel takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    unsent: Unsent,
}

/// Whether the kernel has not taken all that was to be written: what remains is still in hyper's
/// buffer.
#[derive(Clone, Debug, Default)]
pub struct Unsent(Arc<AtomicBool>);

impl Unsent {
    /// Whether something was left of the last write.
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

    /// Whether something was left of the last write.
    #[must_use]
    pub fn unsent(&self) -> Unsent {
        self.unsent.clone()
    }

    /// Whether the first bytes of the other side are these. Whoever reads next gets them again.
    ///
    /// # Errors
    /// Those of the socket.
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
        let is_it = first == expected;
        self.first = first.into();
        Ok(is_it)
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
    // An event is to leave at once, not to wait for the next.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(limits::SOCKET_SEND_BUFFER_BYTES)?;
    // What the send buffer takes waits for nobody in the program: that the other side takes it, or
    // is there at all, the kernel has to watch. A quiet stream would never fill the buffer of a
    // client that is gone without a word.
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
    async fn one_byte_that_waits_costs_nothing() {
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
        assert!(polls < 10, "looked at {polls} times in a minute");
    }

    #[tokio::test]
    async fn first_bytes_are_read_again_whatever_they_are() {
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
