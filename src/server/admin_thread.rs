//! The thread of the admin port: metrics and health are answered there, however busy the streams
//! keep the other threads.

use std::io;
use std::net;
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::http::server::Port;
use crate::shutdown::Shutdown;

/// The thread of the admin port. Dropped, it ends at once.
pub(super) struct AdminThread {
    shutdown: Shutdown,
    _abort: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl AdminThread {
    /// Serves on a thread and a runtime of its own.
    pub(super) fn start(port: Port, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let listeners: Vec<net::TcpListener> = listeners
            .into_iter()
            .map(TcpListener::into_std)
            .collect::<io::Result<_>>()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let shutdown = port.shutdown.clone();
        let (abort, aborted) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(port, listeners) => {}
                    _ = aborted => {}
                }
            });
            // The server may be gone.
            let _ = end.send(());
        };
        thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        Ok(Self {
            shutdown,
            _abort: abort,
            ended,
        })
    }

    /// Ends in order: open connections get their responses.
    pub(super) async fn stop(self) {
        self.shutdown.begin();
        // An error means that the thread panicked, which is logged.
        let _ = self.ended.await;
    }
}

/// The sockets are registered with the runtime that serves them.
async fn serve(port: Port, listeners: Vec<net::TcpListener>) {
    let listeners = listeners.into_iter().map(TcpListener::from_std);
    match listeners.collect::<io::Result<_>>() {
        Ok(listeners) => port.serve(listeners).await,
        Err(error) => tracing::error!(%error, "admin port"),
    }
}
