//! How many streams each client has at once (`client_ip_connection_limit`), and all clients
//! together (`streams_max`).

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Counts the streams of each client, and of all.
#[derive(Debug)]
pub struct StreamLimit {
    client_max: Option<u32>,
    /// Streams of each client that has one.
    clients: Arc<DashMap<IpAddr, u32>>,
    total: Option<Total>,
}

#[derive(Debug)]
struct Total {
    max: u32,
    free: Arc<Semaphore>,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamLimitError {
    /// The client has this many streams.
    Client(u32),
    /// All clients together have this many streams.
    Total(u32),
}

impl From<StreamLimitError> for Problem {
    fn from(error: StreamLimitError) -> Self {
        match error {
            StreamLimitError::Client(max) => Self::ClientStreamLimit(max),
            StreamLimitError::Total(max) => Self::TotalStreamLimit(max),
        }
    }
}

/// One stream of a client. Dropped, it no longer counts.
#[derive(Debug)]
pub struct StreamPermit {
    _client: Option<ClientPermit>,
    _total: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct ClientPermit {
    client: IpAddr,
    clients: Arc<DashMap<IpAddr, u32>>,
}

impl StreamLimit {
    /// At most `client_max` streams for each client and `total_max` for all together; `None` is no
    /// limit.
    #[must_use]
    pub fn new(client_max: Option<u32>, total_max: Option<u32>) -> Self {
        let total = total_max.map(|max| Total {
            max,
            free: Arc::new(Semaphore::new(max as usize)),
        });
        Self {
            client_max,
            clients: Arc::default(),
            total,
        }
    }

    /// Whether a client's address is needed.
    #[must_use]
    pub fn is_per_client(&self) -> bool {
        self.client_max.is_some()
    }

    /// Takes a permit for one more stream of `client`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn take(&self, client: IpAddr) -> Result<StreamPermit, StreamLimitError> {
        let client = match self.client_max {
            Some(max) => Some(self.take_client(client, max)?),
            None => None,
        };
        let total = match &self.total {
            Some(Total { max, free }) => match Arc::clone(free).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return Err(StreamLimitError::Total(*max)),
            },
            None => None,
        };
        Ok(StreamPermit {
            _client: client,
            _total: total,
        })
    }

    fn take_client(&self, client: IpAddr, max: u32) -> Result<ClientPermit, StreamLimitError> {
        // The entry is locked until the end of this function.
        let mut streams = self.clients.entry(client).or_default();
        let permit = ClientPermit {
            client,
            clients: Arc::clone(&self.clients),
        };
        *streams += 1;
        if *streams > max {
            drop(streams);
            drop(permit);
            return Err(StreamLimitError::Client(max));
        }
        Ok(permit)
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.clients.remove_if_mut(&self.client, |_, streams| {
            *streams -= 1;
            *streams == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_dropped_permit_is_free_again() {
        let limit = StreamLimit::new(Some(2), None);
        let one = limit.take(client(1)).expect("the first");
        let _two = limit.take(client(1)).expect("the second");
        assert_eq!(
            limit.take(client(1)).err(),
            Some(StreamLimitError::Client(2))
        );
        let _other = limit.take(client(2)).expect("another address");
        drop(one);
        let _again = limit.take(client(1)).expect("after one was given back");
        assert!(
            limit.take(client(1)).is_err(),
            "a refusal gives back what it counted, no more"
        );
    }

    #[test]
    fn all_clients_together_have_a_limit() {
        let limit = StreamLimit::new(None, Some(2));
        let one = limit.take(client(1)).expect("the first");
        let _two = limit.take(client(1)).expect("the second");
        assert_eq!(
            limit.take(client(2)).err(),
            Some(StreamLimitError::Total(2))
        );
        drop(one);
        let _again = limit.take(client(2)).expect("after one was given back");
    }

    #[test]
    fn a_refusal_by_the_total_limit_does_not_count_for_the_client() {
        let limit = StreamLimit::new(Some(1), Some(1));
        let one = limit.take(client(1)).expect("the first");
        assert_eq!(
            limit.take(client(2)).err(),
            Some(StreamLimitError::Total(1))
        );
        drop(one);
        assert!(limit.clients.is_empty());
        assert!(limit.take(client(2)).is_ok());
    }

    #[test]
    fn clients_without_streams_are_forgotten() {
        let limit = StreamLimit::new(Some(1), None);
        drop(limit.take(client(1)).expect("free"));
        assert!(limit.clients.is_empty());
        assert!(StreamLimit::new(Some(0), None).take(client(1)).is_err());
    }

    #[test]
    fn without_limits_every_stream_is_admitted() {
        let limit = StreamLimit::new(None, None);
        let permits: Vec<_> = (0..100).map(|_| limit.take(client(1))).collect();
        assert!(permits.iter().all(Result::is_ok) && limit.clients.is_empty());
    }
}
