//! Bounds how many records a second the filtered subscribers of each client scan while they catch
//! up: a filter that nothing matches would otherwise read as fast as it can.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::fair_queue::Client;
use crate::limits;

/// See the module.
#[derive(Debug)]
pub(super) struct ScanPace {
    clients: DefaultKeyedRateLimiter<Client>,
    clock: DefaultClock,
}

impl ScanPace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self {
            clients: RateLimiter::keyed(Quota::per_second(per_second)),
            clock: DefaultClock::default(),
        }
    }

    /// Counts records that were looked at for `client`, and waits until it may look at more.
    pub(super) async fn wait(&self, client: Client, records: u64) {
        if self.clients.len() > limits::RATE_LIMITED_CLIENTS_MAX {
            self.clients.retain_recent();
        }
        while let Some(pause) = self.pause(client, records) {
            tokio::time::sleep(pause).await;
        }
    }

    /// How long the client must wait until these records count; `None` if they count now.
    fn pause(&self, client: Client, records: u64) -> Option<Duration> {
        let records = NonZeroU32::new(u32::try_from(records).unwrap_or(u32::MAX))?;
        match self.clients.check_key_n(&client, records) {
            Ok(Ok(())) => None,
            Ok(Err(not_until)) => Some(not_until.wait_time_from(self.clock.now())),
            // More records than a second allows count as that many.
            Err(capacity) => self.pause(client, capacity.0.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_over_its_pace_waits_and_others_do_not() {
        let pace = ScanPace::new(NonZeroU32::new(1000).expect("not 0"));
        let client = |last| Some(std::net::IpAddr::from([192, 0, 2, last]));
        assert_eq!(pace.pause(client(1), 0), None);
        assert_eq!(
            pace.pause(client(1), 1000),
            None,
            "the first second's worth"
        );
        assert!(pace.pause(client(1), 900).is_some());
        assert_eq!(pace.pause(client(2), 900), None, "another client");
        assert_eq!(
            pace.pause(client(3), 5000),
            None,
            "as much as a second allows"
        );
        assert!(pace.pause(client(3), 900).is_some());
    }
}
