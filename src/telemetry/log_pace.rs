//! Keeps a fault that repeats from flooding the log.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one log line through in an interval, and counts those that it holds back.
#[derive(Debug)]
pub struct LogPace {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    held_back: u64,
}

impl LogPace {
    /// One line in `interval`.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now: then the number of lines held back since the last one.
    pub fn next(&self) -> Option<u64> {
        let mut state = self.state.lock();
        if state
            .last
            .is_some_and(|last| last.elapsed() < self.interval)
        {
            state.held_back += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_passes_once_in_an_interval_and_counts_the_others() {
        let pace = LogPace::new(Duration::from_mins(1));
        assert_eq!(pace.next(), Some(0));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!([pace.next(), pace.next()], [None, None]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pace.next(), Some(2));
        assert_eq!(pace.next(), None);
    }
}
