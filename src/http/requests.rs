//! The requests of one connection that are under way, and the clock that runs while there is none.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// See the module. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(super) struct Requests(watch::Sender<Counts>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    begun: u64,
    open: u64,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct OpenRequest(Requests);

impl Default for Requests {
    fn default() -> Self {
        Self(watch::Sender::new(Counts::default()))
    }
}

impl Requests {
    /// A request whose head has arrived.
    pub(super) fn begin(&self) -> OpenRequest {
        self.0.send_modify(|counts| {
            counts.begun += 1;
            counts.open += 1;
        });
        OpenRequest(self.clone())
    }

    /// Whether there was one ever.
    pub(super) fn were_there(&self) -> bool {
        self.0.borrow().begun > 0
    }

    /// Waits until no request was under way for `time` at a stretch.
    pub(super) async fn missed_for(&self, time: Duration) {
        let mut counts = self.0.subscribe();
        loop {
            let open = counts.borrow_and_update().open;
            let timer = async {
                if open == 0 {
                    sleep(time).await
                } else {
                    std::future::pending().await
                }
            };
            tokio::select! {
                biased;
                // The sender is this.
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
    async fn the_clock_runs_while_no_request_is_under_way() {
        let requests = Requests::default();
        let begun = tokio::time::Instant::now();
        let (first, second) = (requests.begin(), requests.begin());
        let ends = async {
            sleep(TIME * 2).await;
            drop(first);
            sleep(TIME * 2).await;
            drop(second);
        };
        tokio::join!(requests.missed_for(TIME), ends);
        assert_eq!(
            (begun.elapsed().as_secs(), requests.were_there()),
            (50, true)
        );
        requests.missed_for(TIME).await;
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}
