//! Accepts connections, and tells HTTP/1.1 from HTTP/2.
//!
//! It uses hyper's connection builders and not `axum::serve`: a connection costs less memory, and request heads, idle
//! sockets and stalled writes have bounds.
//!
//! * `hijack`: a stream that is written on its socket. `body`: a stream that hyper writes.
//! * `socket`: the options of a socket, and writes that must make progress.
//! * `http2`: resets a stream whose client stalls.
//! * `connection_slots`: how many connections there are, in all and of each peer.
//! * `open_requests`: the open requests of a connection, and how long there was none.

pub(super) mod body;
mod connection_slots;
pub(super) mod hijack;
mod http2;
mod open_requests;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1 as hyper1, http2 as hyper2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use rustix::net::SendFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use self::connection_slots::ConnectionSlot;
pub use self::connection_slots::ConnectionSlots;
use self::hijack::HijackedStream;
use self::http2::StreamExecutor;
use self::open_requests::OpenRequests;
use self::socket::Socket;
use crate::limits;
use crate::problem::{Problem, RETRY_AFTER_SECONDS};
use crate::shutdown::Shutdown;

/// The bounds of a listener's connections.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// How long a request's head may take to arrive, and a connection may be without a request.
    pub request_head_timeout: Duration,
    /// Bytes of a request's head.
    pub request_head_bytes_max: usize,
    /// Requests of one HTTP/2 connection at once.
    pub http2_streams_max: u32,
    /// How long a write may make no progress before the connection is closed.
    pub write_timeout: Duration,
}

/// How a client starts HTTP/2 with prior knowledge (RFC 9113, section 3.4). No method of HTTP/1.1 has this name.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// hyper refuses a smaller bound.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// Serves `router` on `listener` until `shutdown`. Then waits for open connections to end, at most for `grace`. While all
/// `slots` are taken, connections wait in the kernel's queue.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ListenerLimits,
    slots: ConnectionSlots,
    shutdown: Shutdown,
    grace: Duration,
) {
    let tasks = TaskTracker::new();
    loop {
        let free = tokio::select! {
            free = slots.free() => free,
            () = shutdown.begun() => break,
        };
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.begun() => break,
        };
        let Some(slot) = slots.take(free, peer.ip()) else {
            refuse(&socket, slots.per_address_max().unwrap_or_default());
            continue;
        };
        let socket = Socket::new(socket, limits.write_timeout);
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let streams = tasks.clone();
        tasks.spawn(async move {
            let slot = Arc::new(slot);
            let connection = Connection {
                limits,
                router,
                peer,
                shutdown,
                slot: Arc::clone(&slot),
            };
            let Some((socket, stream)) = connection.run(socket).await else {
                return;
            };
            // A task of its own: this task has the size of hyper's connection, and a stream lasts for hours.
            streams.spawn(stream.into_task(socket).run(slot));
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("connections were still open at the end of the grace period");
    }
}

/// Refuses a connection over the limit of its address, without waiting for a request.
fn refuse(socket: &TcpStream, max: usize) {
    let problem = Problem::ConnectionLimit(max);
    let (status, body) = (problem.kind().status, problem.body().to_string());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that speaks HTTP/2 sees the connection end.
    let _ = rustix::net::send(socket, (head + &body).as_bytes(), SendFlags::NOSIGNAL);
}

/// hyper's HTTP/1.1.
fn http1_builder(limits: &ListenerLimits) -> hyper1::Builder {
    let mut http1 = hyper1::Builder::new();
    http1
        .timer(TokioTimer::new())
        // A client that has closed its sending side still gets its response.
        .half_close(true)
        .header_read_timeout(limits.request_head_timeout)
        .max_buf_size(limits.request_head_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    http1
}

/// hyper's HTTP/2.
fn http2_builder(
    limits: &ListenerLimits,
    requests: OpenRequests,
) -> hyper2::Builder<StreamExecutor> {
    let mut http2 = hyper2::Builder::new(StreamExecutor::new(requests));
    http2
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.request_head_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.http2_streams_max)
        .initial_connection_window_size(limits::HTTP2_RECEIVE_WINDOW_BYTES)
        .initial_stream_window_size(limits::HTTP2_RECEIVE_WINDOW_BYTES)
        .max_send_buf_size(limits::HTTP2_SEND_BUFFER_BYTES)
        .keep_alive_interval(limits.write_timeout)
        .keep_alive_timeout(limits.write_timeout);
    http2
}

/// A connection.
struct Connection {
    limits: ListenerLimits,
    router: Router,
    peer: SocketAddr,
    shutdown: Shutdown,
    slot: Arc<ConnectionSlot>,
}

impl Connection {
    /// Answers requests until the connection ends, or until a stream takes the socket over. From the first moment, one
    /// clock runs until the first request has arrived whole, whatever arrives before.
    async fn run(self, mut socket: Socket) -> Option<(TcpStream, HijackedStream)> {
        let requests = OpenRequests::default();
        let timeout = self.limits.request_head_timeout;
        let mut idle = Box::pin({
            let requests = requests.clone();
            async move { requests.none_for(timeout).await }
        });
        let is_http2 = tokio::select! {
            is_http2 = socket.begins_with(HTTP2_PREFACE) => is_http2.ok()?,
            () = &mut idle => return None,
        };
        if is_http2 {
            self.run_http2(socket, requests, idle).await;
            return None;
        }
        self.run_http1(socket, requests, idle).await
    }

    async fn run_http1(
        self,
        socket: Socket,
        requests: OpenRequests,
        idle: impl Future<Output = ()>,
    ) -> Option<(TcpStream, HijackedStream)> {
        let unsent = socket.unsent();
        let hijacked = Arc::new(Mutex::new(None));
        let (router, peer) = (self.router, self.peer);
        let result = Arc::clone(&hijacked);
        let first = Mutex::new(None);
        let service = service_fn(move |request| {
            // hyper times the heads that follow. A response may take longer than that.
            first.lock().get_or_insert_with(|| requests.open());
            let (router, unsent) = (router.clone(), unsent.clone());
            Box::pin(hijack::answer(
                router,
                peer,
                request,
                unsent,
                Arc::clone(&result),
            ))
        });
        let mut connection =
            http1_builder(&self.limits).serve_connection(TokioIo::new(socket), service);
        let result = tokio::select! {
            result = drive(&mut connection, &self.shutdown) => result,
            () = idle => return None,
        };
        let hijacked = hijacked.lock().take();
        if let (Err(error), None) = (&result, &hijacked) {
            tracing::debug!(%error, "connection");
        }
        let stream = hijacked?;
        Some((
            connection.into_parts().io.into_inner().into_stream(),
            stream,
        ))
    }

    /// A connection has many requests at once: none of them can take the socket over.
    async fn run_http2(
        self,
        socket: Socket,
        requests: OpenRequests,
        idle: impl Future<Output = ()>,
    ) {
        let (router, peer, slot) = (self.router, self.peer, self.slot);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let (router, share) = (router.clone(), slot.another_share(peer.ip()));
            async move {
                match share {
                    Err(max) => {
                        Ok(Problem::ConnectionLimit(max).response(request.method(), request.uri()))
                    }
                    Ok(share) => {
                        http2::keep(share);
                        router.oneshot(request.map(Body::new)).await
                    }
                }
            }
        });
        let builder = http2_builder(&self.limits, requests.clone());
        let mut connection = builder.serve_connection(TokioIo::new(socket), service);
        let mut driven = Box::pin(drive(&mut connection, &self.shutdown));
        let result = tokio::select! {
            result = &mut driven => result,
            () = idle => {
                drop(driven);
                if !requests.were_any() {
                    return;
                }
                // A request may be on its way. It is answered, and no other one.
                Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = requests.none_for(self.limits.request_head_timeout) => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "connection");
        }
    }
}

/// Drives a connection until it ends. Once the server shuts down, it takes no further request.
async fn drive<C: GracefulConnection + Unpin>(
    connection: &mut C,
    shutdown: &Shutdown,
) -> Result<(), C::Error> {
    tokio::select! {
        result = &mut *connection => result,
        () = shutdown.begun() => {
            Pin::new(&mut *connection).graceful_shutdown();
            connection.await
        }
    }
}

/// Accepts the next connection. Without a free file descriptor it waits for one.
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
