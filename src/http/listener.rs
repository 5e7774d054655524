//! Accepts connections, and tells HTTP/1.1 from HTTP/2.
//!
//! hyper's own connection builder rather than `axum::serve`: it costs less memory for each connection, and request heads,
//! idle sockets and stalled writes get their bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::http::response::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::handover::{HandedOver, Handover};
use super::http2::StreamExecutor;
use super::socket::{Socket, Unsent};
use crate::limits;
use crate::shutdown::Shutdown;

/// The bounds of a listener's connections.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// Connections open at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// How long a request's head may take to arrive.
    pub request_head_timeout: Duration,
    /// Bytes of a request's head.
    pub request_head_bytes_max: usize,
    /// How long a write may make no progress before the connection is closed.
    pub write_timeout: Duration,
}

/// What a client that knows that we speak it begins HTTP/2 with (RFC 9113 §3.4); no method of HTTP/1.1 is called so.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// hyper refuses a smaller bound.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// Serves `router` on `listener` until `shutdown`, then waits for open connections to end, `grace` long at the most.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ListenerLimits,
    open: Gauge,
    shutdown: Shutdown,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let tasks = TaskTracker::new();
    let protocols = Protocols::new(&limits);
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
            () = shutdown.begun() => break,
        };
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.begun() => break,
        };
        let place = Place::new(place, open.clone());
        let socket = Socket::new(socket, limits.write_timeout);
        let connection = Connection { protocols: protocols.clone(), router: router.clone(), peer, shutdown: shutdown.clone() };
        let streams = tasks.clone();
        tasks.spawn(async move {
            let Some(begun) = connection.run(socket).await else { return };
            // A task of its own: hyper's connection is large, and this one waits for hours.
            let stream = begun.stream.on(begun.socket, &begun.response, limits.write_timeout);
            streams.spawn(stream.run(place));
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("connections were still open at the end of the grace period");
    }
}

/// One of `connections_max` places.
struct Place {
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.inc();
        Self { open, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// The two protocols of a port, as hyper serves them.
#[derive(Clone)]
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<StreamExecutor>,
    request_head_timeout: Duration,
}

impl Protocols {
    fn new(limits: &ListenerLimits) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // A client that has sent all it has to say is still there for the answer.
            .half_close(true)
            .header_read_timeout(limits.request_head_timeout)
            .max_buf_size(limits.request_head_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
        let mut http2 = http2::Builder::new(StreamExecutor);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.request_head_bytes_max).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .max_send_buf_size(limits::HTTP2_SEND_BUFFER_BYTES)
            .keep_alive_interval(limits.write_timeout)
            .keep_alive_timeout(limits.write_timeout);
        Self { http1, http2, request_head_timeout: limits.request_head_timeout }
    }
}

/// A connection as hyper serves it.
struct Connection {
    protocols: Protocols,
    router: Router,
    peer: SocketAddr,
    shutdown: Shutdown,
}

/// A stream that has left hyper's connection.
struct Begun {
    socket: TcpStream,
    response: Parts,
    stream: HandedOver,
}

/// What the service answers when the socket is not hyper's any more.
#[derive(Debug, thiserror::Error)]
#[error("the stream is written on the socket itself")]
struct NotHypers;

impl Connection {
    /// Answers requests until the connection ends, or a stream has begun that is written on the socket itself.
    async fn run(self, socket: Socket) -> Option<Begun> {
        let first = socket.begins_with(HTTP2_PREFACE);
        if tokio::time::timeout(self.protocols.request_head_timeout, first).await.ok()? {
            self.run_http2(socket).await;
            return None;
        }
        self.run_http1(socket).await
    }

    async fn run_http1(self, socket: Socket) -> Option<Begun> {
        let unsent = socket.unsent();
        let begun = Arc::new(Mutex::new(None));
        let (slot, router, peer) = (Arc::clone(&begun), self.router, self.peer);
        let service = service_fn(move |request| {
            let (router, slot, unsent) = (router.clone(), Arc::clone(&slot), unsent.clone());
            Box::pin(answer(router, peer, request, unsent, slot))
        });
        let mut connection = self.protocols.http1.serve_connection(TokioIo::new(socket), service);
        let result = drive(&mut connection, &self.shutdown).await;
        let begun = begun.lock().take();
        if let (Err(error), None) = (&result, &begun) {
            tracing::debug!(%error, "connection");
        }
        let (response, stream) = begun?;
        Some(Begun { socket: connection.into_parts().io.into_inner().into_stream(), response, stream })
    }

    /// Many requests of one connection: none of them can have the socket.
    async fn run_http2(self, socket: Socket) {
        let (router, peer) = (self.router, self.peer);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request.map(Body::new))
        });
        let mut connection = self.protocols.http2.serve_connection(TokioIo::new(socket), service);
        if let Err(error) = drive(&mut connection, &self.shutdown).await {
            tracing::debug!(%error, "connection");
        }
    }
}

/// Lets a connection go on until it ends; once the server leaves it takes no further request.
async fn drive<C: GracefulConnection + Unpin>(connection: &mut C, shutdown: &Shutdown) -> Result<(), C::Error> {
    tokio::select! {
        result = &mut *connection => result,
        () = shutdown.begun() => {
            std::pin::Pin::new(&mut *connection).graceful_shutdown();
            connection.await
        }
    }
}

/// Answers a request, or leaves in `begun` what it has begun.
async fn answer(
    router: Router,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    unsent: Unsent,
    begun: Arc<Mutex<Option<(Parts, HandedOver)>>>,
) -> Result<Response<Body>, NotHypers> {
    let handover = Handover::default();
    request.extensions_mut().insert(ConnectInfo(peer));
    // An answer before this one that its client has not taken would be lost with hyper's buffer.
    if request.version() == Version::HTTP_11 && !unsent.is_some() {
        request.extensions_mut().insert(handover.clone());
    }
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    match handover.taken() {
        None => Ok(response),
        Some(stream) => {
            *begun.lock() = Some((response.into_parts().0, stream));
            Err(NotHypers)
        }
    }
}

/// The next connection. Without a free file descriptor it waits for one: the process lives.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "accept");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}
