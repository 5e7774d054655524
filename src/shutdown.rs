//! The shutdown of a server in two stages: it is announced, so that load balancers send no more
//! clients, and then it begins.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::SignalStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;

/// The stages of a shutdown. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    announced: CancellationToken,
    begun: CancellationToken,
}

impl Shutdown {
    /// Announces the shutdown. The server is no longer ready, but it serves until the shutdown
    /// begins.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether the shutdown is announced or has begun.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Waits until the shutdown is announced or begins.
    pub async fn announced(&self) {
        self.announced.cancelled().await;
    }

    /// Begins the shutdown: the listeners close and streams end. A second call changes nothing.
    pub fn begin(&self) {
        self.announced.cancel();
        self.begun.cancel();
    }

    /// Whether the shutdown has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the shutdown begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Announces the shutdown at the first SIGTERM or SIGINT. A second signal skips the notice
    /// period: the shutdown begins at once.
    ///
    /// # Errors
    /// When the process cannot listen to signals.
    pub fn on_signals(&self) -> io::Result<()> {
        let terminate = signals(SignalKind::terminate(), "SIGTERM")?;
        let interrupt = signals(SignalKind::interrupt(), "SIGINT")?;
        let mut signals = terminate.merge(interrupt);
        let shutdown = self.clone();
        tokio::spawn(async move {
            // The stage changes before it is logged: the log may be a pipe that nobody reads.
            if let Some(name) = signals.next().await {
                shutdown.announce();
                tracing::info!("{name} received, shutting down");
            }
            if let Some(name) = signals.next().await {
                shutdown.begin();
                tracing::info!("{name} received, skipping the notice period");
            }
        });
        Ok(())
    }
}

/// Yields `name` for each signal of this kind.
fn signals(
    kind: SignalKind,
    name: &'static str,
) -> io::Result<impl Stream<Item = &'static str> + Unpin> {
    Ok(SignalStream::new(signal(kind)?).map(move |()| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_is_announced_before_it_begins() {
        let shutdown = Shutdown::default();
        assert!(!shutdown.is_announced() && !shutdown.has_begun());
        shutdown.clone().announce();
        assert!(shutdown.is_announced() && !shutdown.has_begun());
        shutdown.begin();
        shutdown.begin();
        assert!(shutdown.is_announced() && shutdown.has_begun());
    }

    #[tokio::test]
    async fn a_shutdown_that_begins_is_announced_too() {
        let shutdown = Shutdown::default();
        shutdown.begin();
        tokio::join!(shutdown.announced(), shutdown.begun());
    }
}
