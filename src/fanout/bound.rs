//! Where a stream ends whose client asks for an end.

use crate::cursor::TimestampMs;

/// The end that a client asks for. Without one, the stream goes on for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The number of events after which the stream ends.
    pub events: Option<u64>,
    /// The time before which the events are. The stream ends when every partition has passed it.
    pub until: Option<TimestampMs>,
    /// The size of a page, for a client that reads page by page.
    pub page: Option<PageBound>,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBound {
    /// Bytes of frames after which the page ends. The event that reaches them is in the page.
    pub bytes: u64,
    /// Records that are looked at, whether or not they match.
    pub records: u64,
    /// What happens where nothing more is to be read.
    pub at_tail: AtTail,
}

/// What happens to a page where nothing more is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtTail {
    /// The page ends.
    End,
    /// The page ends if it has an event. Otherwise it waits for one.
    WaitForEvent,
}

/// Which part of a [`Bound`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundReached {
    /// [`Bound::events`].
    Limit,
    /// [`Bound::until`].
    Until,
    /// [`PageBound::bytes`] or [`PageBound::records`].
    PageFull,
    /// The end of what there is to read: see [`PageBound::at_tail`].
    Tail,
}

impl Bound {
    /// Whether the stream has an end.
    #[must_use]
    pub fn is_set(self) -> bool {
        self != Self::default()
    }

    /// The end of one page.
    #[must_use]
    pub fn page(page: PageBound) -> Self {
        Self {
            page: Some(page),
            ..Self::default()
        }
    }
}

impl BoundReached {
    /// Its name for clients: that of the query parameter, where there is one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Until => "until",
            Self::PageFull => "page_full",
            Self::Tail => "tail",
        }
    }
}
