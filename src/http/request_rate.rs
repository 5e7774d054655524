//! How often each client may request a stream (`request_rate_limit`).

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::limits;
use crate::problem::Problem;

/// The rate of each client's requests.
#[derive(Debug)]
pub struct RequestRate {
    per_second: Option<NonZeroU32>,
    clients: DefaultKeyedRateLimiter<IpAddr>,
}

impl RequestRate {
    /// At most `per_second` requests of each client, with bursts of the same size; `None` or 0 is
    /// no limit.
    #[must_use]
    pub fn new(per_second: Option<u32>) -> Self {
        let per_second = per_second.and_then(NonZeroU32::new);
        let clients = RateLimiter::keyed(Quota::per_second(per_second.unwrap_or(NonZeroU32::MIN)));
        Self {
            per_second,
            clients,
        }
    }

    /// Whether a client's address is needed.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.per_second.is_some()
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// [`Problem::RequestRateLimit`] over the limit.
    pub fn check(&self, client: IpAddr) -> Result<(), Problem> {
        let Some(per_second) = self.per_second else {
            return Ok(());
        };
        if self.clients.len() > limits::RATE_LIMITED_CLIENTS_MAX {
            self.clients.retain_recent();
        }
        let checked = self.clients.check_key(&client);
        checked.map_err(|_| Problem::RequestRateLimit(per_second.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_over_its_rate_is_refused_and_others_are_not() {
        let rate = RequestRate::new(Some(3));
        let client = IpAddr::from([192, 0, 2, 1]);
        let refused = (0..4).filter(|_| rate.check(client).is_err()).count();
        assert!(refused >= 1, "four at once are more than three a second");
        assert!(
            rate.check(IpAddr::from([192, 0, 2, 2])).is_ok(),
            "another client"
        );
    }

    #[test]
    fn without_a_limit_every_request_is_admitted() {
        let rate = RequestRate::new(None);
        assert!((0..100).all(|_| rate.check(IpAddr::from([192, 0, 2, 1])).is_ok()));
    }
}
