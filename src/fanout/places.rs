//! Places for subscribers that are replayed from Kafka: a bounded number, a bounded, fair queue before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module.
#[derive(Debug)]
pub struct ReplayPlaces {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queue_max: usize,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct ReplayPlace {
    _permit: OwnedSemaphorePermit,
}

/// A place in the queue before the places, given back when dropped.
#[derive(Debug)]
pub struct ReplayTicket {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl ReplayPlaces {
    pub(super) fn new(places: usize, queue_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), waiting: Arc::default(), queue_max }
    }

    /// A place if one is free at once.
    #[must_use]
    pub fn take(&self) -> Option<ReplayPlace> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(ReplayPlace { _permit: permit })
    }

    /// A place in the queue; `None` when the queue is full.
    #[must_use]
    pub fn queue(&self) -> Option<ReplayTicket> {
        let ticket = ReplayTicket { free: Arc::clone(&self.free), waiting: Arc::clone(&self.waiting) };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        // A ticket over the bound is dropped here and takes its count back with it.
        (before < self.queue_max).then_some(ticket)
    }

    /// Whether somebody who needs a place now would be refused.
    #[must_use]
    pub fn are_exhausted(&self) -> bool {
        self.free() == 0 && self.waiting() >= self.queue_max
    }

    /// How many places are free now.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// How many wait for a place now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl ReplayTicket {
    /// Waits for its turn.
    pub async fn redeem(&self) -> ReplayPlace {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        ReplayPlace { _permit: permit }
    }
}

impl Drop for ReplayTicket {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_and_the_queue_before_them_too() {
        let places = ReplayPlaces::new(1, 1);
        let place = places.take().expect("one is free");
        assert!(places.take().is_none());
        let ticket = places.queue().expect("one may wait");
        assert!(places.queue().is_none());
        assert_eq!(places.waiting(), 1);
        drop(place);
        let _place = ticket.redeem().await;
        drop(ticket);
        assert_eq!(places.waiting(), 0);
    }
}
