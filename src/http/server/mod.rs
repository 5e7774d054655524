//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them.
//!
//! It uses hyper's connection builders and not `axum::serve`: a connection costs less memory, and
//! request heads, idle sockets and stalled writes have bounds.
//!
//! * `connection`: one connection, from its first byte to its last.
//! * `hijack`: a stream that is written on its socket. `body`: a stream that hyper writes.
//! * `socket`: the options of a socket, and writes that must make progress.
//! * `http2`: resets a stream whose client stalls.
//! * `connection_slots`: how many connections there are, in all and of each peer.
//! * `open_requests`: the open requests of a connection, and for how long there was none.

pub(super) mod body;
mod connection;
mod connection_slots;
pub(super) mod hijack;
pub(super) mod http2;
mod open_requests;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::join_all;
use rustix::net::SendFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use self::connection::Connection;
pub use self::connection_slots::ConnectionSlots;
use self::socket::Socket;
use crate::config::Limits;
use crate::limits;
use crate::problem::{Problem, RETRY_AFTER_SECONDS};
use crate::shutdown::Shutdown;
use crate::telemetry::LogPace;

/// What is served on a port, and how.
#[derive(Clone, Debug)]
pub struct Port {
    /// The routes.
    pub router: Router,
    /// The bounds of each connection.
    pub limits: ConnectionLimits,
    /// The slots for connections. While all are taken, connections wait in the kernel's queue.
    pub slots: ConnectionSlots,
    /// When it begins, the port closes.
    pub shutdown: Shutdown,
    /// How long connections may stay open after the port has closed.
    pub grace: Duration,
}

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// How long a request's head may take to arrive, and a connection may be without a request.
    request_head_timeout: Duration,
    /// Bytes of a request's head.
    request_head_bytes_max: usize,
    /// Requests of one HTTP/2 connection at once.
    http2_streams_max: u32,
    /// How long a write may make no progress before the connection is closed.
    write_timeout: Duration,
}

impl From<&Limits> for ConnectionLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            request_head_timeout: Duration::from_millis(limits.request_head_timeout_ms),
            request_head_bytes_max: limits.request_head_bytes_max,
            http2_streams_max: limits.http2_streams_max,
            write_timeout: Duration::from_millis(limits.write_timeout_ms),
        }
    }
}

impl Port {
    /// Serves until the shutdown begins. Then waits for open connections to end.
    pub async fn serve(&self, listeners: Vec<TcpListener>) {
        join_all(
            listeners
                .into_iter()
                .map(|listener| self.serve_one(listener)),
        )
        .await;
    }

    async fn serve_one(&self, listener: TcpListener) {
        let tasks = TaskTracker::new();
        let log_pace = LogPace::new(limits::FAULT_LOG_INTERVAL);
        loop {
            let free = tokio::select! {
                free = self.slots.free() => free,
                () = self.shutdown.begun() => break,
            };
            let (socket, peer) = tokio::select! {
                accepted = accept(&listener, &log_pace) => accepted,
                () = self.shutdown.begun() => break,
            };
            let slot = match self.slots.take(free, peer.ip()) {
                Ok(slot) => Arc::new(slot),
                Err(max) => {
                    refuse(&socket, max);
                    continue;
                }
            };
            let connection = Connection {
                limits: self.limits,
                router: self.router.clone(),
                peer,
                shutdown: self.shutdown.clone(),
                slot: Arc::clone(&slot),
            };
            let socket = Socket::new(socket, self.limits.write_timeout);
            let streams = tasks.clone();
            tasks.spawn(async move {
                let Some((socket, stream)) = connection.run(socket).await else {
                    return;
                };
                // A task of its own: this task has the size of hyper's connection, and a stream
                // lasts for hours.
                streams.spawn(stream.into_task(socket).run(slot));
            });
        }
        drop(listener);
        tasks.close();
        if tokio::time::timeout(self.grace, tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("connections were still open at the end of the grace period");
        }
    }
}

/// Accepts the next connection. Without a free file descriptor it waits for one.
async fn accept(listener: &TcpListener, log_pace: &LogPace) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if let Some(not_logged) = log_pace.next() {
                    tracing::warn!(
                        %error,
                        not_logged,
                        "a connection could not be accepted (logged at most once a minute)"
                    );
                }
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Refuses a connection over the limit of its address, without waiting for a request.
fn refuse(socket: &TcpStream, max: usize) {
    let problem = Problem::ConnectionLimit(max);
    let status = problem.kind().status;
    let body = problem.body().to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\n\
         content-type: application/problem+json\r\n\
         retry-after: {RETRY_AFTER_SECONDS}\r\n\
         content-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    // A client that speaks HTTP/2 sees the connection end.
    let _ = rustix::net::send(socket, (head + &body).as_bytes(), SendFlags::NOSIGNAL);
}
