//! Where a stream ends whose client asks for an end.

/// The end that a client asks for. Without one, the stream goes on for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The number of events after which the stream ends.
    pub events: Option<u64>,
}

/// Which part of a [`Bound`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundReached {
    /// [`Bound::events`].
    Limit,
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
        }
    }
}
