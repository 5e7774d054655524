//! Places for subscribers that are replayed from Kafka: a bounded number, a bounded queue before
//! them, and nobody who can have them all.
//!
//! * A client address has a bounded number of places, and in the queue the addresses take turns.
//!   When the queue is full, the last of the address that has the most waiting makes room for an
//!   address that has fewer.
//! * What was fetched for a subscriber lies in its place between two steps ([`ReplayPlace::park`]):
//!   so when a client takes nothing for [`limits::REPLAY_STALL`] and others wait, the place goes to
//!   them at once, and what lay in it is let go.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::catch_up::Lane;
use super::turns::{Client, Turns};
use crate::limits;

/// How many places there are, and for whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceLimits {
    /// Subscribers that are replayed at once.
    pub(super) places: usize,
    /// Those of one client address; `None` for no bound. Clients whose address is not known have
    /// none.
    pub(super) places_per_client: Option<usize>,
    /// Subscribers that wait for a place.
    pub(super) queue: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ReplayPlaces {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    next: u64,
    holders: Holders,
    waiting: Turns<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Holders {
    limits: PlaceLimits,
    taken: HashMap<u64, Taken>,
    /// How many places each client has.
    held: HashMap<Client, usize>,
}

#[derive(Debug)]
struct Taken {
    client: Client,
    since: Instant,
    /// Since when nothing was done with it, and what lies in it. `None` in the middle of a step.
    parked: Option<(Instant, Vec<Lane>)>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct ReplayPlace {
    state: Arc<Mutex<State>>,
    number: u64,
}

/// A place in the queue before the places, given back when dropped.
#[derive(Debug)]
pub(super) struct ReplayTicket {
    state: Arc<Mutex<State>>,
    client: Client,
    number: u64,
    granted: oneshot::Receiver<()>,
    is_redeemed: bool,
}

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is here.
    Place(ReplayPlace),
    /// It was here, and nobody took it in time: queue again.
    Missed,
    /// Still to wait, at this place in the queue.
    Wait(usize),
    /// Put out of the queue for a client that has fewer waiting.
    PutOut,
}

impl ReplayPlaces {
    pub(super) fn new(limits: PlaceLimits) -> Self {
        let holders = Holders {
            limits,
            taken: HashMap::new(),
            held: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(State {
                next: 0,
                holders,
                waiting: Turns::default(),
            })),
        }
    }

    /// A place if one is free at once.
    pub(super) fn take(&self, client: Client) -> Option<ReplayPlace> {
        let mut state = self.state.lock();
        if !state.holders.have_free(&client, None) {
            return None;
        }
        let number = state.number();
        state.holders.give(client, number, None);
        Some(ReplayPlace {
            state: Arc::clone(&self.state),
            number,
        })
    }

    /// A place in the queue; `None` when it is full.
    pub(super) fn queue(&self, client: Client) -> Option<ReplayTicket> {
        let (sender, granted) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.make_room(&client) {
            return None;
        }
        let number = state.number();
        state.waiting.push(client, number, sender);
        let let_go = state.hand_over();
        drop(state);
        drop(let_go);
        Some(ReplayTicket {
            state: Arc::clone(&self.state),
            client,
            number,
            granted,
            is_redeemed: false,
        })
    }

    /// Takes the places of clients that take nothing, whether others wait or not: what lies in them
    /// is let go.
    pub(super) fn let_go_of_stalled(&self) {
        let mut state = self.state.lock();
        let is_stalled = |taken: &Taken| {
            taken
                .parked
                .as_ref()
                .is_some_and(|(since, _)| since.elapsed() >= limits::REPLAY_STALL)
        };
        let stalled: Vec<u64> = state
            .holders
            .taken
            .iter()
            .filter(|(_, taken)| is_stalled(taken))
            .map(|(number, _)| *number)
            .collect();
        let let_go: Vec<Taken> = stalled
            .into_iter()
            .filter_map(|number| state.holders.release(number))
            .collect();
        state.serve();
        drop(state);
        drop(let_go);
    }

    /// Whether a client that needs a place now would be refused.
    pub(super) fn are_exhausted(&self, client: Client) -> bool {
        let state = self.state.lock();
        !state.holders.have_free(&client, None) && !state.has_room(&client)
    }

    /// How many places are taken now.
    pub(super) fn taken(&self) -> usize {
        self.state.lock().holders.taken.len()
    }

    /// How many wait for a place now.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }
}

impl Holders {
    /// Whether there is a place for `client`, if one that is held by `but` were free.
    fn have_free(&self, client: &Client, but: Option<&Client>) -> bool {
        let held = self.held.get(client).copied().unwrap_or(0);
        let own = held - usize::from(but == Some(client));
        self.taken.len() - usize::from(but.is_some()) < self.limits.places
            && (client.is_none() || self.limits.places_per_client.is_none_or(|max| own < max))
    }

    fn give(&mut self, client: Client, number: u64, parked: Option<(Instant, Vec<Lane>)>) {
        *self.held.entry(client).or_default() += 1;
        self.taken.insert(
            number,
            Taken {
                client,
                since: Instant::now(),
                parked,
            },
        );
    }

    /// Takes a place back; what lay in it is for the caller to drop, outside the lock.
    fn release(&mut self, number: u64) -> Option<Taken> {
        let taken = self.taken.remove(&number)?;
        if let Some(held) = self.held.get_mut(&taken.client) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&taken.client);
            }
        }
        Some(taken)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Whether somebody who waits could have the place that `holder` holds.
    fn is_wanted(&self, holder: &Client) -> bool {
        self.waiting
            .clients()
            .any(|client| self.holders.have_free(client, Some(holder)))
    }

    /// Gives what is free to those who wait.
    fn serve(&mut self) {
        while let Some((client, number, granted)) = self
            .waiting
            .pop(|client| self.holders.have_free(client, None))
        {
            self.holders
                .give(client, number, Some((Instant::now(), Vec::new())));
            // Whoever waits takes itself out of the queue before it goes.
            let _ = granted.send(());
        }
    }

    /// [`Self::serve`], also with the places of those whose clients take nothing. Returns what lay
    /// in them.
    fn hand_over(&mut self) -> Vec<Taken> {
        self.serve();
        let mut let_go = Vec::new();
        while self.waiting.len() > 0 {
            let stalled = self.holders.taken.iter().filter_map(|(number, taken)| {
                let (since, _) = taken.parked.as_ref()?;
                (since.elapsed() >= limits::REPLAY_STALL && self.is_wanted(&taken.client))
                    .then_some((*since, *number))
            });
            let Some((_, number)) = stalled.min() else {
                break;
            };
            let_go.extend(self.holders.release(number));
            self.serve();
        }
        let_go
    }

    /// Whether one more of `client` may wait.
    fn has_room(&self, client: &Client) -> bool {
        let longest = || {
            self.waiting
                .longest()
                .map_or(0, |(longest, _)| self.waiting.of(&longest))
        };
        self.waiting.len() < self.holders.limits.queue || longest() > self.waiting.of(client) + 1
    }

    /// [`Self::has_room`], and puts out who must go for it.
    fn make_room(&mut self, client: &Client) -> bool {
        if !self.has_room(client) {
            return false;
        }
        if self.waiting.len() >= self.holders.limits.queue
            && let Some((longest, last)) = self.waiting.longest()
        {
            // Its sender is dropped: that tells it.
            self.waiting.remove(&longest, last);
        }
        true
    }
}

impl ReplayPlace {
    /// Leaves what was fetched in the place until the next step.
    pub(super) fn park(&self, lanes: Vec<Lane>) {
        if let Some(taken) = self.state.lock().holders.taken.get_mut(&self.number) {
            taken.parked = Some((Instant::now(), lanes));
        }
    }

    /// Takes it out again; `None` when the place was given to somebody else meanwhile.
    pub(super) fn resume(&self) -> Option<Vec<Lane>> {
        let mut state = self.state.lock();
        let taken = state.holders.taken.get_mut(&self.number)?;
        Some(
            taken
                .parked
                .take()
                .map_or_else(Vec::new, |(_, lanes)| lanes),
        )
    }

    /// Whether it has been held for a turn, and somebody waits for it.
    pub(super) fn is_due(&self) -> bool {
        let state = self.state.lock();
        let taken = state.holders.taken.get(&self.number);
        taken.is_some_and(|taken| {
            taken.since.elapsed() >= limits::REPLAY_HOLD_MAX && state.is_wanted(&taken.client)
        })
    }
}

impl Drop for ReplayPlace {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let taken = state.holders.release(self.number);
        state.serve();
        drop(state);
        drop(taken);
    }
}

impl ReplayTicket {
    /// Its place in the queue; `None` when it is there already, or out of it.
    pub(super) fn place(&self) -> Option<usize> {
        self.state.lock().waiting.place(&self.client, self.number)
    }

    /// Waits for its turn, for [`limits::QUEUE_NOTICE_INTERVAL`] at the most.
    pub(super) async fn redeem(&mut self) -> Turn {
        let begun = Instant::now();
        while begun.elapsed() < limits::QUEUE_NOTICE_INTERVAL {
            match timeout(limits::REPLAY_STALL, &mut self.granted).await {
                Ok(Ok(())) => return self.take(),
                Ok(Err(_)) => return Turn::PutOut,
                Err(_) => {
                    let let_go = self.state.lock().hand_over();
                    drop(let_go);
                }
            }
        }
        self.place().map_or_else(|| Turn::Wait(1), Turn::Wait)
    }

    fn take(&mut self) -> Turn {
        self.is_redeemed = true;
        let mut state = self.state.lock();
        let Some(taken) = state.holders.taken.get_mut(&self.number) else {
            return Turn::Missed;
        };
        // Its turn begins now.
        (taken.since, taken.parked) = (Instant::now(), None);
        Turn::Place(ReplayPlace {
            state: Arc::clone(&self.state),
            number: self.number,
        })
    }
}

impl Drop for ReplayTicket {
    fn drop(&mut self) {
        if self.is_redeemed {
            return;
        }
        let mut state = self.state.lock();
        if state.waiting.remove(&self.client, self.number).is_none()
            && state.holders.release(self.number).is_some()
        {
            state.serve();
        }
    }
}

#[cfg(test)]
mod tests;
