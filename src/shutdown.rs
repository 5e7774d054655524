//! Leaving in order: one signal that everybody can wait for.

use tokio::sync::watch;

/// Says that the process is to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    begun: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { begun: watch::Sender::new(false) }
    }
}

impl Shutdown {
    /// Begins it; a second call changes nothing.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        let mut begun = self.begun.subscribe();
        // The sender lives in `self`.
        let _ = begun.wait_for(|begun| *begun).await;
    }

    /// Begins it at SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the process may not listen to signals.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        tokio::spawn(async move {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            // Before it is logged: the log may be a pipe that nobody reads any more.
            shutdown.begin();
            tracing::info!("{signal}: leaving");
        });
        Ok(())
    }
}
