//! The pauses before connections, so that a server that is away is asked less and less often.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
/// Also the longest pause that a server can ask for.
const LONGEST: Duration = Duration::from_mins(1);

/// Pauses that double, from 0.5 s to 60 s.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    /// What the server asked for, for one pause: `Retry-After`, or the field `retry`.
    requested: Option<Duration>,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self {
            next: FIRST,
            requested: None,
        }
    }

    /// After a connection that worked, the pauses are short again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next pause is this one.
    pub(super) fn request(&mut self, pause: Duration) {
        self.requested = Some(pause.min(LONGEST));
    }

    /// The next pause. Up to half is added at random, so that clients that were cut together do not
    /// come back together.
    pub(super) fn take(&mut self) -> Duration {
        let pause = self.requested.take().unwrap_or(self.next);
        self.next = (self.next * 2).min(LONGEST);
        pause + pause.mul_f64(rand::random_range(0.0..0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_connection_works() {
        let mut pauses = Pauses::new();
        assert!(pauses.take() < FIRST * 2);
        for _ in 0..20 {
            assert!(pauses.take() >= FIRST * 2);
        }
        assert!(pauses.take() <= LONGEST + LONGEST / 2);
        pauses.reset();
        assert!(pauses.take() < FIRST * 2);
    }

    #[test]
    fn a_server_requests_one_pause_of_at_most_a_minute() {
        let mut pauses = Pauses::new();
        pauses.request(Duration::from_secs(20));
        assert!(pauses.take() >= Duration::from_secs(20));
        assert!(pauses.take() < Duration::from_secs(20));
        pauses.request(Duration::MAX);
        assert!(pauses.take() <= LONGEST + LONGEST / 2);
    }
}
