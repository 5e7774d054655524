//! The open requests of a connection, and for how long there was none.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// The open requests of one connection. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(super) struct OpenRequests(watch::Sender<Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    started: u64,
    open: u64,
}

/// A request that is open until this is dropped.
#[derive(Debug)]
pub(super) struct OpenRequest(OpenRequests);

impl Default for OpenRequests {
    fn default() -> Self {
        Self(watch::Sender::new(Counts::default()))
    }
}

impl OpenRequests {
    /// Counts a request whose head has arrived.
    pub(super) fn open(&self) -> OpenRequest {
        self.0.send_modify(|counts| {
            counts.started += 1;
            counts.open += 1;
        });
        OpenRequest(self.clone())
    }

    /// Whether there was a request at all.
    pub(super) fn were_any(&self) -> bool {
        self.0.borrow().started > 0
    }

    /// Waits until no request was open for `time`.
    pub(super) async fn none_for(&self, time: Duration) {
        let mut counts = self.0.subscribe();
        loop {
            let open = counts.borrow_and_update().open;
            let timer = async {
                if open == 0 {
                    sleep(time).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                // The sender lives in `self`.
                _ = counts.changed() => {}
                () = timer => return,
            }
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|counts| counts.open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn the_clock_runs_while_no_request_is_open() {
        let requests = OpenRequests::default();
        let started = tokio::time::Instant::now();
        let first = requests.open();
        let second = requests.open();
        let ends = async {
            sleep(TIME * 2).await;
            drop(first);
            sleep(TIME * 2).await;
            drop(second);
        };
        tokio::join!(requests.none_for(TIME), ends);
        assert_eq!(
            (started.elapsed().as_secs(), requests.were_any()),
            (50, true)
        );
        requests.none_for(TIME).await;
        assert_eq!(started.elapsed().as_secs(), 60);
    }
}
