//! Permits for look-ups in Kafka: a bounded number with a bounded queue, which serves clients
//! round-robin.
//!
//! Each client has a bounded number of look-ups that run and a bounded number that wait, however
//! many requests it sends. A look-up waits for at most one look-up of each other client.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::fair_queue::{Client, FairQueue};

/// How many look-ups may run and wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupLimits {
    /// Look-ups that run.
    pub(super) permits: usize,
    /// Those of one client.
    pub(super) permits_per_client: usize,
    /// Look-ups that wait.
    pub(super) queue: usize,
    /// Those of one client.
    pub(super) queue_per_client: usize,
}

/// The permits and their queue.
#[derive(Clone, Debug)]
pub(super) struct LookupPermits {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    limits: LookupLimits,
    last_number: u64,
    in_use: usize,
    /// The number of permits of each client.
    per_client: HashMap<Client, usize>,
    waiting: FairQueue<oneshot::Sender<()>>,
}

/// The queue has no room for another waiter of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

/// A permit, returned when dropped.
#[derive(Debug)]
pub(super) struct LookupPermit {
    state: Arc<Mutex<State>>,
    client: Client,
}

/// A waiter for a permit. Dropped, it leaves the queue, or returns the permit that it was granted.
struct LookupWaiter {
    state: Arc<Mutex<State>>,
    client: Client,
    number: u64,
    granted: oneshot::Receiver<()>,
    is_claimed: bool,
}

impl LookupPermits {
    pub(super) fn new(limits: LookupLimits) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                limits,
                last_number: 0,
                in_use: 0,
                per_client: HashMap::new(),
                waiting: FairQueue::default(),
            })),
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// The client has too many waiters, or the queue is full and no other client has more waiters.
    pub(super) async fn acquire(&self, client: Client) -> Result<LookupPermit, QueueFull> {
        let mut waiter = self.enqueue(client)?;
        // The sender is dropped when the waiter is evicted.
        (&mut waiter.granted).await.map_err(|_| QueueFull)?;
        waiter.is_claimed = true;
        Ok(LookupPermit {
            state: Arc::clone(&self.state),
            client,
        })
    }

    fn enqueue(&self, client: Client) -> Result<LookupWaiter, QueueFull> {
        let (sender, granted) = oneshot::channel();
        let mut state = self.state.lock();
        let own = state.waiting.count_of(&client);
        if own >= state.limits.queue_per_client {
            return Err(QueueFull);
        }
        if state.waiting.len() >= state.limits.queue {
            let Some((longest, last)) = state
                .waiting
                .longest()
                .filter(|(longest, _)| state.waiting.count_of(longest) > own + 1)
            else {
                return Err(QueueFull);
            };
            state.waiting.remove(&longest, last);
        }
        state.last_number += 1;
        let number = state.last_number;
        state.waiting.push(client, number, sender);
        state.serve();
        Ok(LookupWaiter {
            state: Arc::clone(&self.state),
            client,
            number,
            granted,
            is_claimed: false,
        })
    }
}

impl State {
    fn serve(&mut self) {
        while self.in_use < self.limits.permits {
            let (held, max) = (&self.per_client, self.limits.permits_per_client);
            let may_go = |client: &Client| held.get(client).is_none_or(|own| *own < max);
            let Some((client, _, granted)) = self.waiting.pop(may_go) else {
                return;
            };
            self.in_use += 1;
            *self.per_client.entry(client).or_default() += 1;
            // The receiver exists: a dropped waiter has left the queue.
            let _ = granted.send(());
        }
    }

    fn release(&mut self, client: &Client) {
        self.in_use -= 1;
        if let Some(count) = self.per_client.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                self.per_client.remove(client);
            }
        }
        self.serve();
    }
}

impl Drop for LookupPermit {
    fn drop(&mut self) {
        self.state.lock().release(&self.client);
    }
}

impl Drop for LookupWaiter {
    fn drop(&mut self) {
        if self.is_claimed {
            return;
        }
        let mut state = self.state.lock();
        // Neither in the queue nor granted: it was evicted.
        if state.waiting.remove(&self.client, self.number).is_none()
            && self.granted.try_recv().is_ok()
        {
            state.release(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::*;

    const LIMITS: LookupLimits = LookupLimits {
        permits: 3,
        permits_per_client: 2,
        queue: 6,
        queue_per_client: 4,
    };

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the address of a client may be unknown"
    )]
    fn client(number: u8) -> Client {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    fn is_granted(waiter: &mut LookupWaiter) -> bool {
        let granted = (&mut waiter.granted)
            .now_or_never()
            .is_some_and(|granted| granted.is_ok());
        waiter.is_claimed |= granted;
        granted
    }

    #[test]
    fn a_client_with_many_look_ups_leaves_permits_to_the_others() {
        let permits = LookupPermits::new(LIMITS);
        let mut many: Vec<LookupWaiter> = (0..6)
            .map(|_| permits.enqueue(client(1)).expect("within its bounds"))
            .collect();
        let are_granted = |waiters: &mut Vec<LookupWaiter>| {
            waiters.iter_mut().map(is_granted).collect::<Vec<_>>()
        };
        assert_eq!(
            are_granted(&mut many),
            [true, true, false, false, false, false]
        );
        assert!(permits.enqueue(client(1)).is_err(), "four of them wait");
        let mut other = permits.enqueue(client(2)).expect("another client");
        assert!(is_granted(&mut other), "the third permit");
    }

    #[test]
    fn clients_are_served_round_robin() {
        let permits = LookupPermits::new(LookupLimits {
            permits: 1,
            permits_per_client: 1,
            ..LIMITS
        });
        let first = permits
            .acquire(client(1))
            .now_or_never()
            .expect("at once")
            .expect("a permit");
        let mut many: Vec<LookupWaiter> = (0..3)
            .map(|_| permits.enqueue(client(1)).expect("a waiter"))
            .collect();
        let mut other = permits.enqueue(client(2)).expect("a waiter");
        drop(first);
        assert!(is_granted(&mut many[0]) && !is_granted(&mut other));
        drop(LookupPermit {
            state: Arc::clone(&permits.state),
            client: client(1),
        });
        assert!(
            is_granted(&mut other),
            "before the other two, which queued earlier"
        );
    }

    #[test]
    fn a_full_queue_evicts_a_waiter_of_the_client_with_the_most() {
        let permits = LookupPermits::new(LookupLimits {
            permits: 0,
            queue: 4,
            ..LIMITS
        });
        let mut many: Vec<LookupWaiter> = (0..4)
            .map(|_| permits.enqueue(client(1)).expect("a waiter"))
            .collect();
        let other = permits.enqueue(client(2)).expect("a waiter");
        assert!(
            (&mut many[3].granted)
                .now_or_never()
                .is_some_and(|granted| granted.is_err()),
            "it was evicted"
        );
        drop((many, other));
        assert_eq!(permits.state.lock().waiting.len(), 0);
    }

    #[test]
    fn an_unclaimed_permit_goes_to_the_next_waiter() {
        let permits = LookupPermits::new(LookupLimits {
            permits: 1,
            ..LIMITS
        });
        let unused = permits.enqueue(client(1)).expect("granted at once");
        let mut next = permits.enqueue(client(2)).expect("a waiter");
        drop(unused);
        assert!(is_granted(&mut next));
        drop(LookupPermit {
            state: Arc::clone(&permits.state),
            client: client(2),
        });
        let state = permits.state.lock();
        assert_eq!((state.in_use, state.per_client.len()), (0, 0));
    }
}
