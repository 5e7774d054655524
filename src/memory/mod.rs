//! One budget for the memory that clients cause (`memory_bytes_max`).
//!
//! Each part that holds memory for clients counts it here while it lives ([`Held`]), by its kind
//! ([`Use`]). Bytes that several clients share count once ([`MemoryBudget::keep`]). The memory log
//! has its own bound and is not counted.
//!
//! Two thresholds apply before the budget is exceeded:
//!
//! * From `YIELD_FROM` on, holders of much memory without progress yield: clients that accept no
//!   bytes are disconnected, the one with the most unwritten bytes first; rings of feeds shrink;
//!   and stalled replays drop what they fetched (`Hub::relieve`).
//! * From `REFUSE_FROM` on, new streams get 503, and catching up waits before it reads more.
//!
//! * `machine`: how much memory there is.
//! * `stalled`: the clients that accept no bytes now.

mod machine;
mod stalled;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

pub use machine::default_budget;
pub use stalled::{StalledClient, StalledClients};

/// What memory is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Rendered frames of feeds, and the feeds.
    Feeds,
    /// Events fetched for subscribers that catch up.
    Replays,
    /// Bytes on their way to clients.
    Unwritten,
    /// Compressors.
    Compressors,
    /// What each stream costs.
    Streams,
}

impl Use {
    /// Every use, in the order of the variants.
    pub const ALL: [Self; 5] = [
        Self::Feeds,
        Self::Replays,
        Self::Unwritten,
        Self::Compressors,
        Self::Streams,
    ];

    /// Its label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Feeds => "feeds",
            Self::Replays => "replays",
            Self::Unwritten => "unwritten",
            Self::Compressors => "coders",
            Self::Streams => "streams",
        }
    }
}

/// The part of the budget, in sixteenths, from which holders yield.
const YIELD_FROM: usize = 14;

/// The part of the budget, in sixteenths, from which new streams are refused: later, so that
/// holders yield first.
const REFUSE_FROM: usize = 15;

/// The part of the budget, in sixteenths, that the rings of all feeds may have.
const FEEDS_SHARE: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct MemoryBudget {
    max: usize,
    feeds_max: usize,
    held: [AtomicUsize; Use::ALL.len()],
    /// The most bytes that found no room since holders last yielded.
    demand: AtomicUsize,
    stalled: StalledClients,
}

impl MemoryBudget {
    /// A budget of `max` bytes, all of them free.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Self::with_feeds(max, None)
    }

    /// The same, of which the rings of all feeds may have `feeds_max` bytes; `None` for half of it.
    #[must_use]
    pub fn with_feeds(max: usize, feeds_max: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            max,
            feeds_max: feeds_max.unwrap_or(max / 16 * FEEDS_SHARE),
            held: Default::default(),
            demand: AtomicUsize::new(0),
            stalled: StalledClients::default(),
        })
    }

    /// The size of the budget, in bytes.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// Bytes used for one purpose.
    #[must_use]
    pub fn held_for(&self, of: Use) -> usize {
        self.held[of as usize].load(Ordering::Relaxed)
    }

    /// Bytes used in total.
    #[must_use]
    pub fn held(&self) -> usize {
        Use::ALL.into_iter().map(|of| self.held_for(of)).sum()
    }

    /// Whether new streams must be refused, and catching up must wait.
    #[must_use]
    pub fn is_short(&self) -> bool {
        !self.has_room(0)
    }

    /// Whether there is room for `bytes` more. If not, holders soon yield as much.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let has_room = self.held().saturating_add(bytes) <= self.share(REFUSE_FROM);
        if !has_room {
            self.demand.fetch_max(bytes, Ordering::Relaxed);
        }
        has_room
    }

    /// Bytes that holders must yield; 0 while there is room.
    #[must_use]
    pub fn excess(&self) -> usize {
        let (held, demand) = (self.held(), self.demand.load(Ordering::Relaxed));
        let unmet = if demand > 0 {
            (held + demand).saturating_sub(self.share(REFUSE_FROM))
        } else {
            0
        };
        held.saturating_sub(self.share(YIELD_FROM)).max(unmet)
    }

    /// Holders have yielded: a caller that still finds no room asks again.
    pub fn reset_demand(&self) {
        self.demand.store(0, Ordering::Relaxed);
    }

    /// Bytes that each of `feeds` may keep, and each at most `most`.
    #[must_use]
    pub fn feed_share(&self, feeds: usize, most: usize) -> usize {
        most.min(self.feeds_max() / feeds.max(1))
    }

    /// Bytes that all feeds together may keep.
    #[must_use]
    pub fn feeds_max(&self) -> usize {
        self.feeds_max
    }

    /// Clients that accept no bytes now.
    #[must_use]
    pub fn stalled(&self) -> &StalledClients {
        &self.stalled
    }

    /// Counts `bytes` until the result is dropped. Never refused: the caller has checked before.
    #[must_use]
    pub fn hold(self: &Arc<Self>, of: Use, bytes: usize) -> Held {
        self.held[of as usize].fetch_add(bytes, Ordering::Relaxed);
        Held {
            budget: Arc::clone(self),
            of,
            bytes,
        }
    }

    /// The same bytes, counted once until the last of their holders drops them.
    #[must_use]
    pub fn keep(self: &Arc<Self>, of: Use, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let held = self.hold(of, bytes.len());
        Bytes::from_owner(Kept { bytes, _held: held })
    }

    fn share(&self, sixteenths: usize) -> usize {
        self.max / 16 * sixteenths
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<MemoryBudget>,
    of: Use,
    bytes: usize,
}

impl Held {
    /// The bytes that it counts now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `bytes` from now on.
    pub fn set(&mut self, bytes: usize) {
        let held = &self.budget.held[self.of as usize];
        if bytes >= self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

struct Kept {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bytes_count_once_until_the_last_is_gone() {
        let budget = MemoryBudget::new(1600);
        let bytes = budget.keep(Use::Unwritten, Bytes::from(vec![7; 100]));
        let part = bytes.slice(90..);
        assert_eq!(
            (budget.held(), budget.held_for(Use::Unwritten), &part[..]),
            (100, 100, &[7; 10][..])
        );
        drop(bytes);
        assert_eq!(budget.held(), 100, "a part of it keeps all of it");
        drop(part);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn held_bytes_may_change_and_are_released() {
        let budget = MemoryBudget::new(1600);
        let mut held = budget.hold(Use::Replays, 100);
        held.set(300);
        let other = budget.hold(Use::Compressors, 50);
        held.set(20);
        assert_eq!((budget.held_for(Use::Replays), budget.held()), (20, 70));
        drop((held, other));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn holders_yield_before_new_streams_are_refused() {
        let budget = MemoryBudget::new(1600);
        let mut held = budget.hold(Use::Feeds, 1400);
        assert_eq!((budget.excess(), budget.is_short()), (0, false));
        held.set(1500);
        assert_eq!((budget.excess(), budget.is_short()), (100, false));
        held.set(1501);
        assert!(budget.is_short());
    }

    #[test]
    fn holders_yield_what_found_no_room() {
        let budget = MemoryBudget::new(1600);
        let _held = budget.hold(Use::Feeds, 1300);
        assert!(budget.has_room(200) && budget.excess() == 0);
        assert!(!budget.has_room(250) && !budget.has_room(210));
        assert_eq!(budget.excess(), 50);
        budget.reset_demand();
        assert_eq!(budget.excess(), 0);
    }

    #[test]
    fn feeds_share_half_of_the_budget() {
        let budget = MemoryBudget::new(1600);
        assert_eq!(
            [0, 1, 2, 8, 80].map(|feeds| budget.feed_share(feeds, 500)),
            [500, 500, 400, 100, 10]
        );
    }
}
