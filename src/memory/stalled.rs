//! Clients that take nothing now, with what waits for each: when memory is short, the one with the most goes first.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits;

/// See the module.
#[derive(Debug, Default)]
pub struct Stalled {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    clients: HashMap<u64, Client>,
}

#[derive(Debug)]
struct Client {
    bytes: usize,
    since: Instant,
    /// Dropped, it tells the client's stream.
    _stay: oneshot::Sender<()>,
}

/// A client that takes nothing, until this is dropped.
#[derive(Debug)]
pub struct MemoryIsNeeded {
    waiting: Arc<Mutex<Waiting>>,
    number: u64,
    stay: oneshot::Receiver<()>,
}

impl Stalled {
    /// A client takes nothing, and so many bytes wait for it.
    #[must_use]
    pub fn wait(&self, bytes: usize) -> MemoryIsNeeded {
        let (sender, stay) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        waiting.next += 1;
        let number = waiting.next;
        waiting.clients.insert(
            number,
            Client {
                bytes,
                since: Instant::now(),
                _stay: sender,
            },
        );
        MemoryIsNeeded {
            waiting: Arc::clone(&self.waiting),
            number,
            stay,
        }
    }

    /// Sends clients away that have taken nothing for [`limits::MEMORY_STALL`], the one with the most first, until `excess`
    /// bytes are free or no such client is left. How many were sent away.
    pub fn yield_bytes(&self, excess: usize) -> usize {
        let mut waiting = self.waiting.lock();
        let long = |client: &Client| client.since.elapsed() >= limits::MEMORY_STALL;
        let mut stalled: Vec<(usize, u64)> = waiting
            .clients
            .iter()
            .filter(|(_, client)| long(client))
            .map(|(number, client)| (client.bytes, *number))
            .collect();
        stalled.sort_unstable_by(|one, other| other.cmp(one));
        let (mut freed, mut gone) = (0, 0);
        for (bytes, number) in stalled {
            if freed >= excess {
                break;
            }
            waiting.clients.remove(&number);
            freed += bytes;
            gone += 1;
        }
        gone
    }
}

impl MemoryIsNeeded {
    /// Waits until this client has to go.
    pub async fn told(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.stay).await;
    }
}

impl Drop for MemoryIsNeeded {
    fn drop(&mut self) {
        self.waiting.lock().clients.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_client_with_the_most_bytes_goes_first_and_only_as_many_as_needed() {
        let stalled = Stalled::default();
        let mut waits = [300, 100, 200].map(|bytes| stalled.wait(bytes));
        assert_eq!(
            stalled.yield_bytes(1000),
            0,
            "they have only just begun to wait"
        );
        tokio::time::sleep(limits::MEMORY_STALL).await;
        let mut late = stalled.wait(1000);
        assert_eq!(stalled.yield_bytes(400), 2);
        let told = |wait: &mut MemoryIsNeeded| wait.told().now_or_never().is_some();
        assert_eq!(waits.each_mut().map(told), [true, false, true]);
        assert!(!told(&mut late));
        drop((waits, late));
        assert!(stalled.waiting.lock().clients.is_empty());
    }
}
