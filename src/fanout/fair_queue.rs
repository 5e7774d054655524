//! A fair queue: waiters are served round-robin by client, so a client with many waiters cannot
//! starve the others. Pure: no locks, no time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// A client's address, if it is known. All clients without a known address count as one.
pub type Client = Option<IpAddr>;

/// A queue of waiters, each with a number and a value.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// The clients that have waiters, each once, in the order of service.
    order: VecDeque<Client>,
    waiting: HashMap<Client, VecDeque<(u64, T)>>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            waiting: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// The number of waiters.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The clients that have waiters, in the order of service.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.order.iter()
    }

    /// The number of waiters of one client.
    pub(super) fn count_of(&self, client: &Client) -> usize {
        self.waiting.get(client).map_or(0, VecDeque::len)
    }

    /// Adds a waiter behind all others of its client.
    pub(super) fn push(&mut self, client: Client, number: u64, value: T) {
        let own = self.waiting.entry(client).or_default();
        if own.is_empty() {
            self.order.push_back(client);
        }
        own.push_back((number, value));
        self.len += 1;
    }

    /// Removes and returns the first waiter of the first client that `may_go` accepts. That client
    /// then moves behind all others.
    pub(super) fn pop(&mut self, may_go: impl Fn(&Client) -> bool) -> Option<(Client, u64, T)> {
        let index = self.order.iter().position(may_go)?;
        let client = self.order.remove(index)?;
        let own = self.waiting.get_mut(&client)?;
        let (number, value) = own.pop_front()?;
        if own.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.order.push_back(client);
        }
        self.len -= 1;
        Some((client, number, value))
    }

    /// Removes a waiter, wherever it is in the queue.
    pub(super) fn remove(&mut self, client: &Client, number: u64) -> Option<T> {
        let own = self.waiting.get_mut(client)?;
        let index = own.iter().position(|(waiting, _)| *waiting == number)?;
        let (_, value) = own.remove(index)?;
        self.len -= 1;
        if own.is_empty() {
            self.waiting.remove(client);
            self.order.retain(|other| other != client);
        }
        Some(value)
    }

    /// The client with the most waiters, and the number of its last one.
    pub(super) fn longest(&self) -> Option<(Client, u64)> {
        let client = self
            .order
            .iter()
            .max_by_key(|client| self.count_of(client))?;
        let (number, _) = self.waiting.get(client)?.back()?;
        Some((*client, *number))
    }

    /// The position of a waiter, counted from 1: how many waiters are served until it is, itself
    /// included.
    pub(super) fn position(&self, client: &Client, number: u64) -> Option<usize> {
        let round = self
            .waiting
            .get(client)?
            .iter()
            .position(|(waiting, _)| *waiting == number)?;
        let own = self.order.iter().position(|other| other == client)?;
        // Each client is served once in every round before `round`, and in that round too if it
        // comes before this client.
        let before = |(index, other): (usize, &Client)| {
            self.count_of(other).min(round + usize::from(index < own))
        };
        Some(1 + self.order.iter().enumerate().map(before).sum::<usize>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the address of a client may be unknown"
    )]
    fn client(number: u8) -> Client {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    /// Four waiters of one client, two of another and one of a third, in this order.
    fn queue() -> FairQueue<()> {
        let mut queue = FairQueue::default();
        for (number, of) in (0..).zip([1, 1, 1, 1, 2, 2, 3]) {
            queue.push(client(of), number, ());
        }
        queue
    }

    fn popped(queue: &mut FairQueue<()>) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(|_| true))
            .map(|(_, number, ())| number)
            .collect()
    }

    #[test]
    fn clients_are_served_round_robin_however_many_waiters_they_have() {
        assert_eq!(popped(&mut queue()), [0, 4, 6, 1, 5, 2, 3]);
    }

    #[test]
    fn a_position_counts_the_waiters_that_are_served_first() {
        let mut queue = queue();
        let positions = |queue: &FairQueue<()>, all: [u64; 7]| {
            all.map(|number| {
                [1, 2, 3]
                    .iter()
                    .find_map(|of| queue.position(&client(*of), number))
                    .unwrap_or(0)
            })
        };
        let served = [0, 4, 6, 1, 5, 2, 3];
        assert_eq!(positions(&queue, served), [1, 2, 3, 4, 5, 6, 7]);
        queue.pop(|_| true);
        assert_eq!(positions(&queue, served), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_client_that_is_not_accepted_is_skipped_and_stays_first() {
        let mut queue = queue();
        assert_eq!(
            queue
                .pop(|other| *other != client(1))
                .map(|(_, number, ())| number),
            Some(4)
        );
        assert_eq!(queue.pop(|_| true).map(|(_, number, ())| number), Some(0));
        assert!(queue.pop(|other| *other == client(9)).is_none());
    }

    #[test]
    fn a_removed_waiter_leaves_nothing_behind() {
        let mut queue = queue();
        assert!(queue.remove(&client(3), 6).is_some() && queue.remove(&client(3), 6).is_none());
        assert!(queue.remove(&client(1), 1).is_some());
        assert_eq!((queue.len(), queue.longest()), (5, Some((client(1), 3))));
        assert_eq!(popped(&mut queue), [0, 4, 2, 5, 3]);
        assert!(queue.len() == 0 && queue.waiting.is_empty() && queue.order.is_empty());
    }
}
