//! Accepts connections; time-outs and bounds of sockets.
//!
//! hyper's own connection builder rather than `axum::serve`: it costs less memory for each connection, and request heads,
//! idle sockets and stalled writes get their bounds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

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
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.request_head_timeout)
        .max_buf_size(limits.request_head_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
            () = shutdown.begun() => break,
        };
        let (socket, peer) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = shutdown.begun() => break,
        };
        if let Err(error) = set_options(&socket, limits.write_timeout) {
            tracing::debug!(%error, "socket options");
        }
        let connection = graceful.watch(http.serve_connection(
            TokioIo::new(Box::pin(timed(socket, limits.write_timeout))),
            TowerToHyperService::new(router.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request.map(Body::new)
            })),
        ));
        let open = open.clone();
        open.inc();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection");
            }
            open.dec();
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open at the end of the grace period");
    }
}

/// A socket whose writes have to make progress.
fn timed(socket: TcpStream, write_timeout: Duration) -> TimeoutStream<TcpStream> {
    let mut socket = TimeoutStream::new(socket);
    socket.set_write_timeout(Some(write_timeout));
    socket
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

fn set_options(socket: &TcpStream, write_timeout: Duration) -> io::Result<()> {
    // An event is to leave at once, not to wait for the next.
    socket.set_nodelay(true)?;
    // A peer that vanished without a word is noticed by a heartbeat that nobody acknowledges: its slot is not held for a quarter of an hour.
    #[cfg(target_os = "linux")]
    SockRef::from(socket).set_tcp_user_timeout(Some(write_timeout))?;
    SockRef::from(socket).set_send_buffer_size(limits::SOCKET_SEND_BUFFER_BYTES)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_vanishes_without_a_word_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let _peer = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it accepts");
        let (socket, _) = accept(&listener).await;
        set_options(&socket, Duration::from_secs(7)).expect("the options are taken");
        assert_eq!(SockRef::from(&socket).tcp_user_timeout().expect("an option"), Some(Duration::from_secs(7)));
    }
}
