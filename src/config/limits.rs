//! The bounds of memory, time and connections that the operator sets.

use serde::Deserialize;

/// The bounds that the operator sets. Fields are named after their keys; the table of keys holds
/// their ranges.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Limits {
    /// Bytes of recent events in memory, for clients that resume.
    pub memory_log_bytes_max: usize,
    /// Bytes of all memory that clients cause; `None` for a share of what the container, or the
    /// machine, has.
    pub memory_bytes_max: Option<usize>,
    /// Bytes of rendered frames kept for all sets of streams and formats together; `None` for half
    /// of the memory that clients cause.
    pub feeds_bytes_max: Option<usize>,
    /// Bytes of the largest event delivered; larger ones are skipped.
    pub event_bytes_max: usize,
    /// Milliseconds between the announcement of a shutdown (`/readyz` turns 503) and the end of the
    /// first stream.
    pub drain_delay_ms: u64,
    /// Milliseconds over which the ends of streams are spread at shutdown.
    pub drain_ms: u64,
    /// Milliseconds that live events may wait for others under load.
    pub batch_wait_max_ms: u64,
    /// Milliseconds without progress after which a client is disconnected.
    pub write_timeout_ms: u64,
    /// Milliseconds that a client may take to send the head of a request.
    pub request_head_timeout_ms: u64,
    /// Bytes of the head of a request.
    pub request_head_bytes_max: usize,
    /// Simultaneous connections of all clients.
    pub connections_max: usize,
    /// Connections and HTTP/2 streams of one peer address; `None` for no bound.
    pub connections_per_address_max: Option<usize>,
    /// Simultaneous requests of one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// Streams that one request may name.
    pub streams_per_request_max: usize,
}
