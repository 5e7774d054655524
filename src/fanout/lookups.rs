//! Places for look-ups in Kafka: a bounded number, and a queue before them in which clients take
//! turns.
//!
//! A client has a bounded number of look-ups under way and a bounded number in the queue, however
//! many requests it sends. Another client's look-up waits for one turn of each client at the most.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::turns::{Client, Turns};
use super::upstream::UpstreamUnavailable;

/// How many look-ups may be under way and in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupLimits {
    /// Look-ups under way.
    pub(super) places: usize,
    /// Those of one client.
    pub(super) places_per_client: usize,
    /// Look-ups in the queue.
    pub(super) queue: usize,
    /// Those of one client.
    pub(super) queue_per_client: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct LookupPlaces {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    limits: LookupLimits,
    next: u64,
    taken: usize,
    /// Places of each client that has one.
    held: HashMap<Client, usize>,
    waiting: Turns<oneshot::Sender<()>>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct LookupPlace {
    state: Arc<Mutex<State>>,
    client: Client,
}

/// A place in the queue. Dropped, it leaves the queue, or gives the place back that it got.
struct Ticket {
    state: Arc<Mutex<State>>,
    client: Client,
    number: u64,
    granted: oneshot::Receiver<()>,
    is_redeemed: bool,
}

impl LookupPlaces {
    pub(super) fn new(limits: LookupLimits) -> Self {
        let (held, waiting) = (HashMap::new(), Turns::default());
        Self {
            state: Arc::new(Mutex::new(State {
                limits,
                next: 0,
                taken: 0,
                held,
                waiting,
            })),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// The client has too many look-ups in the queue, or the queue is full and nobody has more
    /// there.
    pub(super) async fn take(&self, client: Client) -> Result<LookupPlace, UpstreamUnavailable> {
        let mut ticket = self.queue(client)?;
        // Its sender is dropped when it is put out of the queue.
        (&mut ticket.granted)
            .await
            .map_err(|_| UpstreamUnavailable)?;
        ticket.is_redeemed = true;
        Ok(LookupPlace {
            state: Arc::clone(&self.state),
            client,
        })
    }

    fn queue(&self, client: Client) -> Result<Ticket, UpstreamUnavailable> {
        let (sender, granted) = oneshot::channel();
        let mut state = self.state.lock();
        let own = state.waiting.of(&client);
        if own >= state.limits.queue_per_client {
            return Err(UpstreamUnavailable);
        }
        if state.waiting.len() >= state.limits.queue {
            let Some((longest, last)) = state
                .waiting
                .longest()
                .filter(|(longest, _)| state.waiting.of(longest) > own + 1)
            else {
                return Err(UpstreamUnavailable);
            };
            state.waiting.remove(&longest, last);
        }
        state.next += 1;
        let number = state.next;
        state.waiting.push(client, number, sender);
        state.serve();
        Ok(Ticket {
            state: Arc::clone(&self.state),
            client,
            number,
            granted,
            is_redeemed: false,
        })
    }
}

impl State {
    fn serve(&mut self) {
        while self.taken < self.limits.places {
            let (held, max) = (&self.held, self.limits.places_per_client);
            let may = |client: &Client| held.get(client).is_none_or(|own| *own < max);
            let Some((client, _, granted)) = self.waiting.pop(may) else {
                return;
            };
            self.taken += 1;
            *self.held.entry(client).or_default() += 1;
            // A ticket takes itself out of the queue before it goes.
            let _ = granted.send(());
        }
    }

    fn release(&mut self, client: &Client) {
        self.taken -= 1;
        if let Some(held) = self.held.get_mut(client) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(client);
            }
        }
        self.serve();
    }
}

impl Drop for LookupPlace {
    fn drop(&mut self) {
        self.state.lock().release(&self.client);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.is_redeemed {
            return;
        }
        let mut state = self.state.lock();
        // Neither in the queue nor granted: it was put out.
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
        places: 3,
        places_per_client: 2,
        queue: 6,
        queue_per_client: 4,
    };

    #[allow(clippy::unnecessary_wraps, reason = "an address may not be known")]
    fn client(number: u8) -> Client {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    fn redeemed(ticket: &mut Ticket) -> bool {
        let granted = (&mut ticket.granted)
            .now_or_never()
            .is_some_and(|granted| granted.is_ok());
        ticket.is_redeemed |= granted;
        granted
    }

    #[test]
    fn a_client_with_many_look_ups_leaves_places_to_the_others() {
        let places = LookupPlaces::new(LIMITS);
        let mut many: Vec<Ticket> = (0..6)
            .map(|_| places.queue(client(1)).expect("within its bounds"))
            .collect();
        let granted =
            |tickets: &mut Vec<Ticket>| tickets.iter_mut().map(redeemed).collect::<Vec<_>>();
        assert_eq!(granted(&mut many), [true, true, false, false, false, false]);
        assert!(places.queue(client(1)).is_err(), "four of it wait");
        let mut other = places.queue(client(2)).expect("another client");
        assert!(redeemed(&mut other), "the third place");
    }

    #[test]
    fn clients_take_turns() {
        let places = LookupPlaces::new(LookupLimits {
            places: 1,
            places_per_client: 1,
            ..LIMITS
        });
        let first = places
            .take(client(1))
            .now_or_never()
            .expect("at once")
            .expect("a place");
        let mut many: Vec<Ticket> = (0..3)
            .map(|_| places.queue(client(1)).expect("a ticket"))
            .collect();
        let mut other = places.queue(client(2)).expect("a ticket");
        drop(first);
        assert!(redeemed(&mut many[0]) && !redeemed(&mut other));
        drop(LookupPlace {
            state: Arc::clone(&places.state),
            client: client(1),
        });
        assert!(
            redeemed(&mut other),
            "before the other two, which came earlier"
        );
    }

    #[test]
    fn the_longest_of_a_full_queue_makes_room() {
        let places = LookupPlaces::new(LookupLimits {
            places: 0,
            queue: 4,
            ..LIMITS
        });
        let mut many: Vec<Ticket> = (0..4)
            .map(|_| places.queue(client(1)).expect("a ticket"))
            .collect();
        let other = places.queue(client(2)).expect("a ticket");
        assert!(
            (&mut many[3].granted)
                .now_or_never()
                .is_some_and(|granted| granted.is_err()),
            "it was put out"
        );
        drop((many, other));
        assert_eq!(places.state.lock().waiting.len(), 0);
    }

    #[test]
    fn a_place_that_nobody_took_is_given_on() {
        let places = LookupPlaces::new(LookupLimits {
            places: 1,
            ..LIMITS
        });
        let unused = places.queue(client(1)).expect("granted at once");
        let mut next = places.queue(client(2)).expect("a ticket");
        drop(unused);
        assert!(redeemed(&mut next));
        drop(LookupPlace {
            state: Arc::clone(&places.state),
            client: client(2),
        });
        let state = places.state.lock();
        assert_eq!((state.taken, state.held.len()), (0, 0));
    }
}
