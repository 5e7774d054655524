//! One connection: HTTP/1.1 or HTTP/2, until it ends or a stream takes its socket over.

use std::net::SocketAddr;
use std::sync::Arc;

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
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::ConnectionLimits;
use super::connection_slots::ConnectionSlot;
use super::hijack::{self, HijackedStream};
use super::http2::{self, StreamExecutor};
use super::open_requests::OpenRequests;
use super::socket::Socket;
use crate::limits;
use crate::problem::Problem;
use crate::shutdown::Shutdown;

/// How a client starts HTTP/2 with prior knowledge (RFC 9113, section 3.4). HTTP/1.1 has no method
/// of this name.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// hyper refuses a smaller bound.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;

/// A connection.
pub(super) struct Connection {
    pub(super) limits: ConnectionLimits,
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) slot: Arc<ConnectionSlot>,
}

impl Connection {
    /// Answers requests until the connection ends, or until a stream takes the socket over. The
    /// first request must arrive within `request_head_timeout`, whatever arrives before it.
    pub(super) async fn run(self, mut socket: Socket) -> Option<(TcpStream, HijackedStream)> {
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
        let router = self.router;
        let peer = self.peer;
        let result = Arc::clone(&hijacked);
        let first = Mutex::new(None);
        let service = service_fn(move |request| {
            // hyper times the heads that follow. A response may take longer than that.
            first.lock().get_or_insert_with(|| requests.open());
            Box::pin(hijack::answer(
                router.clone(),
                peer,
                request,
                unsent.clone(),
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
        let router = self.router;
        let peer = self.peer;
        let slot = self.slot;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = router.clone();
            let share = slot.another_share(peer.ip());
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

/// hyper's HTTP/1.1.
fn http1_builder(limits: &ConnectionLimits) -> hyper1::Builder {
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
    limits: &ConnectionLimits,
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
