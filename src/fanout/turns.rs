//! A queue in which clients take turns: who has asked often waits behind who has asked once. Pure:
//! no locks, no time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Whose turn it is: a client's address, as far as it is known; all of whom it is not known are
/// one.
pub type Client = Option<IpAddr>;

/// See the module.
#[derive(Debug)]
pub(super) struct Turns<T> {
    /// Who has somebody waiting, each once, the next first.
    order: VecDeque<Client>,
    waiting: HashMap<Client, VecDeque<(u64, T)>>,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            order: VecDeque::new(),
            waiting: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> Turns<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Everybody who has somebody waiting, the next first.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.order.iter()
    }

    /// How many wait of one client.
    pub(super) fn of(&self, client: &Client) -> usize {
        self.waiting.get(client).map_or(0, VecDeque::len)
    }

    /// Lets `number` wait behind all of its client's.
    pub(super) fn push(&mut self, client: Client, number: u64, value: T) {
        let own = self.waiting.entry(client).or_default();
        if own.is_empty() {
            self.order.push_back(client);
        }
        own.push_back((number, value));
        self.len += 1;
    }

    /// The first of the first client that `may`; that client's next turn comes after all others'.
    pub(super) fn pop(&mut self, may: impl Fn(&Client) -> bool) -> Option<(Client, u64, T)> {
        let place = self.order.iter().position(may)?;
        let client = self.order.remove(place)?;
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

    /// Takes out one that waits, wherever it is.
    pub(super) fn remove(&mut self, client: &Client, number: u64) -> Option<T> {
        let own = self.waiting.get_mut(client)?;
        let place = own.iter().position(|(waiting, _)| *waiting == number)?;
        let (_, value) = own.remove(place)?;
        self.len -= 1;
        if own.is_empty() {
            self.waiting.remove(client);
            self.order.retain(|other| other != client);
        }
        Some(value)
    }

    /// Who has the most waiting, and the last of them.
    pub(super) fn longest(&self) -> Option<(Client, u64)> {
        let client = self.order.iter().max_by_key(|client| self.of(client))?;
        let (number, _) = self.waiting.get(client)?.back()?;
        Some((*client, *number))
    }

    /// The place of one that waits, counted from 1: how many turns until it is served.
    pub(super) fn place(&self, client: &Client, number: u64) -> Option<usize> {
        let round = self
            .waiting
            .get(client)?
            .iter()
            .position(|(waiting, _)| *waiting == number)?;
        let turn = self.order.iter().position(|other| other == client)?;
        // Before its own turn in round `round` everybody had so many turns; those who come earlier
        // in a round one more.
        let before = |(place, other): (usize, &Client)| {
            self.of(other).min(round + usize::from(place < turn))
        };
        Some(1 + self.order.iter().enumerate().map(before).sum::<usize>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "an address may not be known")]
    fn client(number: u8) -> Client {
        Some(IpAddr::from([192, 0, 2, number]))
    }

    /// Four of one client, two of another, one of a third, who came in this order.
    fn turns() -> Turns<()> {
        let mut turns = Turns::default();
        for (number, of) in (0..).zip([1, 1, 1, 1, 2, 2, 3]) {
            turns.push(client(of), number, ());
        }
        turns
    }

    fn popped(turns: &mut Turns<()>) -> Vec<u64> {
        std::iter::from_fn(|| turns.pop(|_| true))
            .map(|(_, number, ())| number)
            .collect()
    }

    #[test]
    fn clients_take_turns_however_many_they_have_waiting() {
        assert_eq!(popped(&mut turns()), [0, 4, 6, 1, 5, 2, 3]);
    }

    #[test]
    fn a_place_says_how_many_turns_are_left() {
        let mut turns = turns();
        let places = |turns: &Turns<()>, all: [u64; 7]| {
            all.map(|number| {
                [1, 2, 3]
                    .iter()
                    .find_map(|of| turns.place(&client(*of), number))
                    .unwrap_or(0)
            })
        };
        assert_eq!(places(&turns, [0, 4, 6, 1, 5, 2, 3]), [1, 2, 3, 4, 5, 6, 7]);
        turns.pop(|_| true);
        assert_eq!(places(&turns, [0, 4, 6, 1, 5, 2, 3]), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn who_may_not_is_passed_over_and_keeps_its_turn() {
        let mut turns = turns();
        assert_eq!(
            turns
                .pop(|who| *who != client(1))
                .map(|(_, number, ())| number),
            Some(4)
        );
        assert_eq!(turns.pop(|_| true).map(|(_, number, ())| number), Some(0));
        assert!(turns.pop(|who| *who == client(9)).is_none());
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut turns = turns();
        assert!(turns.remove(&client(3), 6).is_some() && turns.remove(&client(3), 6).is_none());
        assert!(turns.remove(&client(1), 1).is_some());
        assert_eq!((turns.len(), turns.longest()), (5, Some((client(1), 3))));
        assert_eq!(popped(&mut turns), [0, 4, 2, 5, 3]);
        assert!(turns.len() == 0 && turns.waiting.is_empty() && turns.order.is_empty());
    }
}
