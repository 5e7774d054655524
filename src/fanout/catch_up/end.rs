//! The end of a stream that has one. It is exact because the stream never becomes live: each event
//! goes through the merge, one at a time.

use super::{CatchUp, Step};
use crate::fanout::bound::{Bound, BoundReached};

/// What is left of a subscriber's [`Bound`].
#[derive(Debug)]
pub(super) struct End {
    events_left: Option<u64>,
}

impl End {
    /// `None` for a stream without an end.
    pub(super) fn new(bound: Bound) -> Option<Self> {
        bound.is_set().then_some(Self {
            events_left: bound.events,
        })
    }

    /// Counts an event that the subscriber gets.
    pub(super) fn count(&mut self) {
        if let Some(left) = &mut self.events_left {
            *left -= 1;
        }
    }

    /// Whether the subscriber has got all its events.
    pub(super) fn is_spent(&self) -> bool {
        self.events_left == Some(0)
    }

    fn bound(&self) -> Bound {
        Bound {
            events: self.events_left,
        }
    }
}

impl CatchUp {
    /// What is left of the bound.
    pub(in crate::fanout) fn bound(&self) -> Bound {
        self.end.as_ref().map(End::bound).unwrap_or_default()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.end.as_ref().is_some_and(End::is_spent)
    }

    /// Counts an event that is delivered.
    pub(super) fn count_event(&mut self) {
        if let Some(end) = &mut self.end {
            end.count();
        }
    }

    /// Ends the stream at the cursor.
    pub(super) fn end_step(&self, reached: BoundReached) -> Step {
        Step::End {
            reached,
            id: self.event_id.to_bytes(),
        }
    }
}
