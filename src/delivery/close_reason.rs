//! Why a stream ended.

use crate::fanout::BoundReached;

/// Why a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client closed its side, or the connection broke.
    ClientGone,
    /// The client took nothing for the write timeout.
    Stalled,
    /// The client took nothing while memory was short.
    MemoryShort,
    /// The replay queue was full.
    ReplayRefused,
    /// One of its streams is no longer public.
    StreamGone,
    /// Its streams have other topics now.
    StreamChanged,
    /// The server shut down.
    Shutdown,
    /// It has reached the end that its client asked for.
    Bound(BoundReached),
}

impl CloseReason {
    /// Its label in metrics and its name in the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Stalled => "stalled",
            Self::MemoryShort => "memory_short",
            Self::ReplayRefused => "replay_refused",
            Self::StreamGone => "stream_gone",
            Self::StreamChanged => "stream_changed",
            Self::Shutdown => "shutdown",
            Self::Bound(reached) => reached.as_str(),
        }
    }
}
