//! Where a stream ends whose client asks for an end.

use crate::cursor::TimestampMs;

/// The end that a client asks for. Without one, the stream goes on for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The number of events after which the stream ends.
    pub events: Option<u64>,
    /// The time before which the events are. The stream ends when every partition has passed it.
    pub until: Option<TimestampMs>,
}

/// Which part of a [`Bound`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundReached {
    /// [`Bound::events`].
    Limit,
    /// [`Bound::until`].
    Until,
}

impl Bound {
    /// Whether the stream has an end.
    #[must_use]
    pub fn is_set(self) -> bool {
        self != Self::default()
    }
}

impl BoundReached {
    /// Its name for clients: that of the query parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Until => "until",
        }
    }
}
