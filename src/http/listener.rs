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
use rustix::net::SendFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::connection_places::{ConnectionPlace, ConnectionPlaces};
use super::handover::{HandedOver, Handover};
use super::http2::StreamExecutor;
use super::problem::{Problem, RETRY_AFTER_SECONDS};
use super::requests::Requests;
use super::socket::{Socket, Unsent};
use crate::limits;
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

/// What a client that knows that we speak it begins HTTP/2 with (RFC 9113 §3.4); no method of HTTP/1.1 is called so.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// hyper refuses a smaller bound.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// Serves `router` on `listener` until `shutdown`, then waits for open connections to end, `grace` long at the most. When all
/// `places` are taken, connections wait in the kernel's queue.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ListenerLimits,
    places: ConnectionPlaces,
    shutdown: Shutdown,
    grace: Duration,
) {
    let tasks = TaskTracker::new();
    loop {
        let free = tokio::select! {
            free = places.free() => free,
            () = shutdown.begun() => break,
        };
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.begun() => break,
        };
        let Some(place) = places.give(free, peer.ip()) else {
            refuse(&socket, places.per_address_max().unwrap_or_default());
            continue;
        };
        let socket = Socket::new(socket, limits.write_timeout);
        let (router, shutdown) = (router.clone(), shutdown.clone());
        let streams = tasks.clone();
        tasks.spawn(async move {
            let place = Arc::new(place);
            let connection = Connection {
                limits,
                router,
                peer,
                shutdown,
                place: Arc::clone(&place),
            };
            let Some(begun) = connection.run(socket).await else {
                return;
            };
            // A task of its own: hyper's connection is large, and this one waits for hours.
            let stream = begun
                .stream
                .on(begun.socket, &begun.response, limits.write_timeout);
            streams.spawn(stream.run(place));
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!("connections were still open at the end of the grace period");
    }
}

/// Refuses a connection over the bound of its address, as far as that can be said without waiting for its request.
fn refuse(socket: &TcpStream, max: usize) {
    let problem = Problem::TooManyConnections(max);
    let (status, kind, title) = problem.kind();
    let detail = problem.to_string();
    let body = serde_json::json!({"status": status.as_u16(), "type": kind, "title": title, "detail": detail}).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nretry-after: {RETRY_AFTER_SECONDS}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that speaks HTTP/2 or is gone learns of it by the end of the connection.
    let _ = rustix::net::send(socket, (head + &body).as_bytes(), SendFlags::NOSIGNAL);
}

/// HTTP/1.1 as hyper serves it.
fn http1(limits: &ListenerLimits) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1
        .timer(TokioTimer::new())
        // A client that has sent all it has to say is still there for the answer.
        .half_close(true)
        .header_read_timeout(limits.request_head_timeout)
        .max_buf_size(limits.request_head_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    http1
}

/// HTTP/2 as hyper serves it.
fn http2(limits: &ListenerLimits, requests: Requests) -> http2::Builder<StreamExecutor> {
    let mut http2 = http2::Builder::new(StreamExecutor::new(requests));
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

/// A connection as hyper serves it.
struct Connection {
    limits: ListenerLimits,
    router: Router,
    peer: SocketAddr,
    shutdown: Shutdown,
    place: Arc<ConnectionPlace>,
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
    /// Answers requests until the connection ends, or a stream has begun that is written on the socket itself. One clock runs
    /// from the first moment until the first request has arrived whole, whatever arrives before.
    async fn run(self, mut socket: Socket) -> Option<Begun> {
        let requests = Requests::default();
        let timeout = self.limits.request_head_timeout;
        let mut missed = Box::pin({
            let requests = requests.clone();
            async move { requests.missed_for(timeout).await }
        });
        let is_http2 = tokio::select! {
            is_http2 = socket.begins_with(HTTP2_PREFACE) => is_http2.ok()?,
            () = &mut missed => return None,
        };
        if is_http2 {
            self.run_http2(socket, requests, missed).await;
            return None;
        }
        self.run_http1(socket, requests, missed).await
    }

    async fn run_http1(
        self,
        socket: Socket,
        requests: Requests,
        missed: impl Future<Output = ()>,
    ) -> Option<Begun> {
        let unsent = socket.unsent();
        let begun = Arc::new(Mutex::new(None));
        let (slot, router, peer) = (Arc::clone(&begun), self.router, self.peer);
        let first = Mutex::new(None);
        let service = service_fn(move |request| {
            // Of the heads that follow hyper watches the time. An answer may take longer than that.
            first.lock().get_or_insert_with(|| requests.begin());
            let (router, slot, unsent) = (router.clone(), Arc::clone(&slot), unsent.clone());
            Box::pin(answer(router, peer, request, unsent, slot))
        });
        let mut connection = http1(&self.limits).serve_connection(TokioIo::new(socket), service);
        let result = tokio::select! {
            result = drive(&mut connection, &self.shutdown) => result,
            () = missed => return None,
        };
        let begun = begun.lock().take();
        if let (Err(error), None) = (&result, &begun) {
            tracing::debug!(%error, "connection");
        }
        let (response, stream) = begun?;
        Some(Begun {
            socket: connection.into_parts().io.into_inner().into_stream(),
            response,
            stream,
        })
    }

    /// Many requests of one connection: none of them can have the socket.
    async fn run_http2(self, socket: Socket, requests: Requests, missed: impl Future<Output = ()>) {
        let (router, peer, place) = (self.router, self.peer, self.place);
        let service =
            service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                let (router, share) = (router.clone(), place.another_share(peer.ip()));
                async move {
                    match share {
                        Err(max) => Ok(Problem::TooManyConnections(max)
                            .response(request.method(), request.uri())),
                        Ok(share) => {
                            super::http2::keep(share);
                            router.oneshot(request.map(Body::new)).await
                        }
                    }
                }
            });
        let builder = http2(&self.limits, requests.clone());
        let mut connection = builder.serve_connection(TokioIo::new(socket), service);
        let mut driven = Box::pin(drive(&mut connection, &self.shutdown));
        let result = tokio::select! {
            result = &mut driven => result,
            () = missed => {
                drop(driven);
                if !requests.were_there() {
                    return;
                }
                // A request may be on its way: it is answered, and no further one.
                Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    result = connection => result,
                    () = requests.missed_for(self.limits.request_head_timeout) => return,
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "connection");
        }
    }
}

/// Lets a connection go on until it ends; once the server leaves it takes no further request.
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
