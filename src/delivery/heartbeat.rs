//! When a quiet stream sends a heartbeat.

use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Is due when nothing was written for a whole interval. A stream has one timer for its life: the
/// timer is checked when it fires, not reset for each event.
pub(super) struct HeartbeatTimer {
    interval: Duration,
    last_write: Instant,
    timer: Pin<Box<Sleep>>,
}

impl HeartbeatTimer {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            last_write: Instant::now(),
            timer: Box::pin(tokio::time::sleep(interval)),
        }
    }

    /// Notes that something is written.
    pub(super) fn reset(&mut self) {
        self.last_write = Instant::now();
    }

    /// Waits until a heartbeat is due.
    pub(super) async fn due(&mut self) {
        loop {
            self.timer.as_mut().await;
            let is_due = self.last_write.elapsed() >= self.interval;
            if is_due {
                self.last_write = Instant::now();
            }
            self.timer
                .as_mut()
                .reset((self.last_write + self.interval).into());
            if is_due {
                return;
            }
        }
    }
}
