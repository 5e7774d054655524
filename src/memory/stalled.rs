//! Clients that accept no bytes now. When memory is short, the one with the most bytes waiting is
//! evicted first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits;

/// See the module.
#[derive(Debug, Default)]
pub struct StalledClients {
    registry: Arc<Mutex<Registry>>,
}

#[derive(Debug, Default)]
struct Registry {
    next_number: u64,
    clients: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    since: Instant,
    /// Its drop wakes the client's stream.
    _evict: oneshot::Sender<()>,
}

/// A client that accepts no bytes: registered until this is dropped.
#[derive(Debug)]
pub struct StalledClient {
    registry: Arc<Mutex<Registry>>,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl StalledClients {
    /// Registers a client that accepts none of the `bytes` that wait for it.
    #[must_use]
    pub fn register(&self, bytes: usize) -> StalledClient {
        let (evict, evicted) = oneshot::channel();
        let mut registry = self.registry.lock();
        registry.next_number += 1;
        let number = registry.next_number;
        let entry = Entry {
            bytes,
            since: Instant::now(),
            _evict: evict,
        };
        registry.clients.insert(number, entry);
        StalledClient {
            registry: Arc::clone(&self.registry),
            number,
            evicted,
        }
    }

    /// Evicts clients that have been stalled for [`limits::MEMORY_STALL`], the one with the most
    /// bytes first, until `excess` bytes are free or no such client is left. Returns how many.
    pub fn evict(&self, excess: usize) -> usize {
        let mut registry = self.registry.lock();
        let mut stalled: Vec<(usize, u64)> = registry
            .clients
            .iter()
            .filter(|(_, client)| client.since.elapsed() >= limits::MEMORY_STALL)
            .map(|(number, client)| (client.bytes, *number))
            .collect();
        stalled.sort_unstable_by(|one, other| other.cmp(one));
        let mut freed = 0;
        let mut evicted = 0;
        for (bytes, number) in stalled {
            if freed >= excess {
                break;
            }
            registry.clients.remove(&number);
            freed += bytes;
            evicted += 1;
        }
        evicted
    }
}

impl StalledClient {
    /// Waits until this client is evicted.
    pub async fn evicted(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.evicted).await;
    }
}

impl Drop for StalledClient {
    fn drop(&mut self) {
        self.registry.lock().clients.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_evicted(client: &mut StalledClient) -> bool {
        client.evicted().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_are_evicted_first_and_only_as_many_as_needed() {
        let stalled = StalledClients::default();
        let mut clients = [300, 100, 200].map(|bytes| stalled.register(bytes));
        assert_eq!(stalled.evict(1000), 0, "none has been stalled for long");
        tokio::time::sleep(limits::MEMORY_STALL).await;
        let mut late = stalled.register(1000);
        assert_eq!(stalled.evict(400), 2);
        assert_eq!(clients.each_mut().map(is_evicted), [true, false, true]);
        assert!(!is_evicted(&mut late));
        drop((clients, late));
        assert!(stalled.registry.lock().clients.is_empty());
    }
}
