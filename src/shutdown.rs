//! Leaving in order: announced first, so that nobody new is sent here, then begun.

use tokio::sync::watch;

/// Says that the process is to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stage: watch::Sender<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Staying,
    Announced,
    Begun,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Staying),
        }
    }
}

impl Shutdown {
    /// Announces it: the server is not ready any more, and goes on serving until it begins.
    pub fn announce(&self) {
        self.advance(Stage::Announced);
    }

    /// Whether it is announced, or has begun.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        *self.stage.borrow() >= Stage::Announced
    }

    /// Waits until it is announced, or begins.
    pub async fn announced(&self) {
        self.reached(Stage::Announced).await;
    }

    /// Begins it: the doors close and streams end. A second call changes nothing.
    pub fn begin(&self) {
        self.advance(Stage::Begun);
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.stage.borrow() == Stage::Begun
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.reached(Stage::Begun).await;
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let is_later = *stage < to;
            *stage = (*stage).max(to);
            is_later
        });
    }

    async fn reached(&self, stage: Stage) {
        let mut watched = self.stage.subscribe();
        // The sender lives in `self`.
        let _ = watched.wait_for(|now| *now >= stage).await;
    }

    /// Announces it at the first SIGTERM or SIGINT, and begins it at the second: who is in a hurry says so twice.
    ///
    /// # Errors
    /// When the process may not listen to signals.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        let shutdown = self.clone();
        tokio::spawn(async move {
            for stage in [Stage::Announced, Stage::Begun] {
                let signal = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                // Before it is logged: the log may be a pipe that nobody reads any more.
                shutdown.advance(stage);
                tracing::info!("{signal}: leaving");
            }
        });
        Ok(())
    }
}
