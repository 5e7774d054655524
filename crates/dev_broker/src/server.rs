//! Accepts connections, cuts the stream into frames, answers one request after the other.
//!
//! A frame is a length (i32, big endian) and that many bytes. As on Apache Kafka, a connection's
//! requests are answered in order, each before the next is read. A waiting fetch therefore blocks
//! its connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::requests::{self, Peer, RequestError};

/// The buffer grows by at most this much ahead of what the client has sent.
const READ_AHEAD_BYTES: usize = 256 << 10;

/// How long to wait after the system refused a connection, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a connection ends, other than by its client.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("a frame of {size} bytes (at most {max} are read): is this a Kafka client?")]
    FrameSize { size: i32, max: usize },
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the accept loop needs.
pub(crate) struct Server {
    pub(crate) broker: Arc<Broker>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Server {
    /// Accepts until stopped.
    pub(crate) async fn run(self, listener: TcpListener, connections_max: usize) {
        let places = Arc::new(Semaphore::new(connections_max));
        let _ = self
            .stop
            .run_until_cancelled(self.accept(&listener, &places))
            .await;
    }

    async fn accept(&self, listener: &TcpListener, places: &Arc<Semaphore>) {
        while let Ok(place) = Arc::clone(places).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, client)) => self.serve(stream, client, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn serve(&self, stream: TcpStream, client: SocketAddr, place: OwnedSemaphorePermit) {
        let (broker, stop) = (Arc::clone(&self.broker), self.stop.clone());
        self.tasks.spawn(async move {
            let _place = place;
            match stop
                .run_until_cancelled(answer_all(&broker, stream, client))
                .await
            {
                Some(Err(ConnectionError::Io(error))) => {
                    tracing::debug!(%client, %error, "connection lost");
                }
                Some(Err(error)) => tracing::warn!(%client, %error, "closed a connection"),
                Some(Ok(())) | None => {}
            }
        });
    }
}

async fn answer_all(
    broker: &Broker,
    mut stream: TcpStream,
    client: SocketAddr,
) -> Result<(), ConnectionError> {
    stream.set_nodelay(true)?;
    // The address by which the client reached us is one by which it can reach us again, even when
    // we listen on all addresses.
    let peer = Peer {
        client,
        advertised: stream.local_addr()?,
    };
    let mut buffer = BytesMut::new();
    while let Some(frame) = read_frame(&mut stream, &mut buffer, broker.request_bytes_max).await? {
        if let Some(answer) = requests::answer(broker, &peer, frame).await? {
            stream.write_all(&answer).await?;
        }
    }
    Ok(())
}

/// The next frame without its length; `None` when the client closed the connection between two
/// frames.
async fn read_frame(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    max: usize,
) -> Result<Option<Bytes>, ConnectionError> {
    loop {
        let mut missing = 4;
        if let Some(size) = buffer.first_chunk::<4>() {
            let size = i32::from_be_bytes(*size);
            let fits = usize::try_from(size).ok().filter(|size| *size <= max);
            let size = fits.ok_or(ConnectionError::FrameSize { size, max })?;
            if buffer.len() >= 4 + size {
                buffer.advance(4);
                return Ok(Some(buffer.split_to(size).freeze()));
            }
            missing = 4 + size - buffer.len();
        }
        buffer.reserve(missing.min(READ_AHEAD_BYTES));
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
            };
        }
    }
}
