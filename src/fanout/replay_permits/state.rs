//! Which permits are in use, and which waiter gets the next one.

use std::collections::HashMap;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fanout::fair_queue::{Client, FairQueue};
use crate::fanout::partition_buffer::PartitionBuffer;
use crate::limits;

/// How many permits there are, and for whom.
#[derive(Clone, Copy, Debug)]
pub(in crate::fanout) struct PermitLimits {
    /// Subscribers that are replayed at once.
    pub(in crate::fanout) permits: usize,
    /// Those of one client address; `None` for no bound. The bound does not apply to clients
    /// without a known address.
    pub(in crate::fanout) permits_per_client: Option<usize>,
    /// Subscribers that wait for a permit.
    pub(in crate::fanout) queue: usize,
}

#[derive(Debug)]
pub(super) struct State {
    last_number: u64,
    pub(super) grants: Grants,
    pub(super) waiting: FairQueue<oneshot::Sender<()>>,
}

#[derive(Debug)]
pub(super) struct Grants {
    limits: PermitLimits,
    pub(super) by_number: HashMap<u64, Grant>,
    /// The number of permits of each client.
    per_client: HashMap<Client, usize>,
}

/// A permit that is in use.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) client: Client,
    pub(super) since: Instant,
    /// `None` in the middle of a step.
    pub(super) parked: Option<Parked>,
}

/// What a subscriber leaves with its permit between two steps.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) since: Instant,
    pub(super) buffers: Vec<PartitionBuffer>,
}

impl State {
    pub(super) fn new(limits: PermitLimits) -> Self {
        Self {
            last_number: 0,
            grants: Grants {
                limits,
                by_number: HashMap::new(),
                per_client: HashMap::new(),
            },
            waiting: FairQueue::default(),
        }
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Whether a waiter could have the permit that `holder` holds.
    pub(super) fn is_wanted(&self, holder: &Client) -> bool {
        self.waiting
            .clients()
            .any(|client| self.grants.have_free(client, Some(holder)))
    }

    /// Grants the free permits to waiters.
    pub(super) fn serve(&mut self) {
        while let Some((client, number, granted)) = self
            .waiting
            .pop(|client| self.grants.have_free(client, None))
        {
            self.grants
                .add(client, number, Some(Parked::new(Vec::new())));
            // The receiver exists: a dropped waiter has left the queue.
            let _ = granted.send(());
        }
    }

    /// Like [`Self::serve`], but also revokes permits of clients that read nothing. Returns the
    /// revoked grants.
    pub(super) fn serve_from_stalled(&mut self) -> Vec<Grant> {
        self.serve();
        let mut revoked = Vec::new();
        while self.waiting.len() > 0 {
            let stalled = self.grants.by_number.iter().filter_map(|(number, grant)| {
                let since = grant.stalled_since()?;
                self.is_wanted(&grant.client).then_some((since, *number))
            });
            let Some((_, number)) = stalled.min() else {
                break;
            };
            revoked.extend(self.grants.remove(number));
            self.serve();
        }
        revoked
    }

    /// Whether the queue accepts one more waiter of `client`.
    pub(super) fn has_room(&self, client: &Client) -> bool {
        let longest = || {
            self.waiting
                .longest()
                .map_or(0, |(longest, _)| self.waiting.count_of(&longest))
        };
        self.waiting.len() < self.grants.limits.queue
            || longest() > self.waiting.count_of(client) + 1
    }

    /// Like [`Self::has_room`], but also evicts the waiter that must leave for it.
    pub(super) fn make_room(&mut self, client: &Client) -> bool {
        if !self.has_room(client) {
            return false;
        }
        if self.waiting.len() >= self.grants.limits.queue
            && let Some((longest, last)) = self.waiting.longest()
        {
            // Dropping the sender notifies the waiter.
            self.waiting.remove(&longest, last);
        }
        true
    }
}

impl Grants {
    /// Whether `client` can have a permit, once `without` has returned one.
    pub(super) fn have_free(&self, client: &Client, without: Option<&Client>) -> bool {
        let held = self.per_client.get(client).copied().unwrap_or(0);
        let own = held - usize::from(without == Some(client));
        self.by_number.len() - usize::from(without.is_some()) < self.limits.permits
            && (client.is_none() || self.limits.permits_per_client.is_none_or(|max| own < max))
    }

    pub(super) fn add(&mut self, client: Client, number: u64, parked: Option<Parked>) {
        *self.per_client.entry(client).or_default() += 1;
        self.by_number.insert(
            number,
            Grant {
                client,
                since: Instant::now(),
                parked,
            },
        );
    }

    /// Removes a grant. The caller drops it outside the lock, with the entries stored in it.
    pub(super) fn remove(&mut self, number: u64) -> Option<Grant> {
        let grant = self.by_number.remove(&number)?;
        if let Some(count) = self.per_client.get_mut(&grant.client) {
            *count -= 1;
            if *count == 0 {
                self.per_client.remove(&grant.client);
            }
        }
        Some(grant)
    }
}

impl Grant {
    /// Since when its client has read nothing, if that is too long.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        let since = self.parked.as_ref()?.since;
        (since.elapsed() >= limits::REPLAY_STALL).then_some(since)
    }
}

impl Parked {
    pub(super) fn new(buffers: Vec<PartitionBuffer>) -> Self {
        Self {
            since: Instant::now(),
            buffers,
        }
    }
}
