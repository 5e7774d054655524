//! Bounds of memory and time that the operator sets.

use serde::Deserialize;

/// Bounds that the operator sets; each is checked against the bounds in the table of keys. Fields are named like their keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Limits {
    /// Bytes of recent events kept for those who come back.
    pub memory_log_bytes_max: usize,
    /// Bytes that everything may hold that clients cause; `None` for a part of what the container, else the machine, has.
    pub memory_bytes_max: Option<usize>,
    /// Bytes of rendered frames kept for each set of streams, format and filter.
    pub feed_bytes_max: usize,
    /// Bytes of the largest event delivered; larger ones are skipped.
    pub event_bytes_max: usize,
    /// Milliseconds between the first word of leaving (`/readyz` turns 503) and the first stream that ends.
    pub drain_delay_ms: u64,
    /// Milliseconds over which streams are ended at shutdown.
    pub drain_ms: u64,
    /// Milliseconds that live events may wait for more under load.
    pub batch_wait_max_ms: u64,
    /// Milliseconds that a client may not read before it is disconnected.
    pub write_timeout_ms: u64,
    /// Milliseconds that a client may take to send a request's head.
    pub request_head_timeout_ms: u64,
    /// Bytes of a request's head.
    pub request_head_bytes_max: usize,
    /// Simultaneous connections of all clients.
    pub connections_max: usize,
    /// Connections and HTTP/2 streams of one peer address.
    pub connections_per_address_max: Option<usize>,
    /// Simultaneous requests of one HTTP/2 connection.
    pub http2_streams_max: u32,
    /// Streams that one request may name.
    pub streams_per_request_max: usize,
}
