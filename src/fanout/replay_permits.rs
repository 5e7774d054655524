//! Permits for subscribers that are replayed from Kafka: a bounded number with a bounded queue. No
//! client can hold all of them.
//!
//! * Each client address has a bounded number of permits, and the queue serves addresses
//!   round-robin. When the queue is full, an address with fewer waiters evicts the last waiter of
//!   the address with the most.
//! * Between two steps, the entries fetched for a subscriber are stored with its permit
//!   ([`ReplayPermit::park`]). When a client reads nothing for [`limits::REPLAY_STALL`] and others
//!   wait, its permit is revoked at once and the entries are dropped.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

pub(super) use self::state::PermitLimits;
use self::state::{Grant, Parked, State};
use super::fair_queue::Client;
use super::partition_buffer::PartitionBuffer;
use crate::limits;

mod state;

/// The permits and their queue.
#[derive(Debug)]
pub(super) struct ReplayPermits {
    state: Arc<Mutex<State>>,
}

/// A permit, returned when dropped.
#[derive(Debug)]
pub(super) struct ReplayPermit {
    state: Arc<Mutex<State>>,
    number: u64,
}

/// A waiter for a permit. Dropped, it leaves the queue, or returns the permit that it was granted.
#[derive(Debug)]
pub(super) struct ReplayWaiter {
    state: Arc<Mutex<State>>,
    client: Client,
    number: u64,
    granted: oneshot::Receiver<()>,
    is_claimed: bool,
}

/// The result of [`ReplayWaiter::wait`].
#[derive(Debug)]
pub(super) enum WaitOutcome {
    /// The permit.
    Granted(ReplayPermit),
    /// A permit was granted and revoked because it was not claimed in time. Queue again.
    Expired,
    /// Still in the queue, at this position.
    StillWaiting(usize),
    /// Removed from the queue in favour of a client with fewer waiters.
    Evicted,
}

impl ReplayPermits {
    pub(super) fn new(limits: PermitLimits) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(limits))),
        }
    }

    /// Returns a permit if one is free now.
    pub(super) fn try_acquire(&self, client: Client) -> Option<ReplayPermit> {
        let mut state = self.state.lock();
        if !state.grants.have_free(&client, None) {
            return None;
        }
        let number = state.next_number();
        state.grants.add(client, number, None);
        Some(ReplayPermit {
            state: Arc::clone(&self.state),
            number,
        })
    }

    /// Joins the queue; `None` when it is full.
    pub(super) fn enqueue(&self, client: Client) -> Option<ReplayWaiter> {
        let (sender, granted) = oneshot::channel();
        let mut state = self.state.lock();
        if !state.make_room(&client) {
            return None;
        }
        let number = state.next_number();
        state.waiting.push(client, number, sender);
        let revoked = state.serve_from_stalled();
        drop(state);
        drop(revoked);
        Some(ReplayWaiter {
            state: Arc::clone(&self.state),
            client,
            number,
            granted,
            is_claimed: false,
        })
    }

    /// Revokes the permits of clients that read nothing, even if no other client waits, and drops
    /// the entries stored with them.
    pub(super) fn revoke_stalled(&self) {
        let mut state = self.state.lock();
        let stalled: Vec<u64> = state
            .grants
            .by_number
            .iter()
            .filter(|(_, grant)| grant.stalled_since().is_some())
            .map(|(number, _)| *number)
            .collect();
        let revoked: Vec<Grant> = stalled
            .into_iter()
            .filter_map(|number| state.grants.remove(number))
            .collect();
        state.serve();
        drop(state);
        drop(revoked);
    }

    /// Whether a client that needs a permit now gets neither a permit nor a position in the queue.
    pub(super) fn would_refuse(&self, client: Client) -> bool {
        let state = self.state.lock();
        !state.grants.have_free(&client, None) && !state.has_room(&client)
    }

    /// The number of permits in use.
    pub(super) fn in_use(&self) -> usize {
        self.state.lock().grants.by_number.len()
    }

    /// The number of waiters.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }
}

impl ReplayPermit {
    /// Stores the fetched entries with the permit until the next step.
    pub(super) fn park(&self, buffers: Vec<PartitionBuffer>) {
        if let Some(grant) = self.state.lock().grants.by_number.get_mut(&self.number) {
            grant.parked = Some(Parked::new(buffers));
        }
    }

    /// Returns the stored entries; `None` when the permit has been revoked.
    pub(super) fn resume(&self) -> Option<Vec<PartitionBuffer>> {
        let mut state = self.state.lock();
        let grant = state.grants.by_number.get_mut(&self.number)?;
        Some(
            grant
                .parked
                .take()
                .map_or_else(Vec::new, |parked| parked.buffers),
        )
    }

    /// Whether it has been held for [`limits::REPLAY_HOLD_MAX`] and a waiter could have it.
    pub(super) fn is_due(&self) -> bool {
        let state = self.state.lock();
        let grant = state.grants.by_number.get(&self.number);
        grant.is_some_and(|grant| {
            grant.since.elapsed() >= limits::REPLAY_HOLD_MAX && state.is_wanted(&grant.client)
        })
    }
}

impl Drop for ReplayPermit {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let grant = state.grants.remove(self.number);
        state.serve();
        drop(state);
        drop(grant);
    }
}

impl ReplayWaiter {
    /// Its position in the queue; `None` when it is no longer in the queue.
    pub(super) fn position(&self) -> Option<usize> {
        self.state
            .lock()
            .waiting
            .position(&self.client, self.number)
    }

    /// Waits for the permit, for at most about [`limits::QUEUE_NOTICE_INTERVAL`].
    pub(super) async fn wait(&mut self) -> WaitOutcome {
        let started = Instant::now();
        while started.elapsed() < limits::QUEUE_NOTICE_INTERVAL {
            match timeout(limits::REPLAY_STALL, &mut self.granted).await {
                Ok(Ok(())) => return self.claim(),
                Ok(Err(_)) => return WaitOutcome::Evicted,
                Err(_) => {
                    let revoked = self.state.lock().serve_from_stalled();
                    drop(revoked);
                }
            }
        }
        WaitOutcome::StillWaiting(self.position().unwrap_or(1))
    }

    fn claim(&mut self) -> WaitOutcome {
        self.is_claimed = true;
        let mut state = self.state.lock();
        let Some(grant) = state.grants.by_number.get_mut(&self.number) else {
            return WaitOutcome::Expired;
        };
        grant.since = Instant::now();
        grant.parked = None;
        WaitOutcome::Granted(ReplayPermit {
            state: Arc::clone(&self.state),
            number: self.number,
        })
    }
}

impl Drop for ReplayWaiter {
    fn drop(&mut self) {
        if self.is_claimed {
            return;
        }
        let mut state = self.state.lock();
        if state.waiting.remove(&self.client, self.number).is_none()
            && state.grants.remove(self.number).is_some()
        {
            state.serve();
        }
    }
}

#[cfg(test)]
mod tests;
