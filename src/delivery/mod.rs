//! Delivery: takes a subscription and writes its stream to a client. Knows no routes and no Kafka.
//!
//! A stream is a [`StreamTask`]. It writes alone until its subscription is live. Then it joins a
//! write group, which reads, compresses and frames each batch once and writes the same bytes to
//! every member.
//!
//! * `stream_task`: the task of one stream, from its first byte to its last.
//! * `stream_output`: what a stream sends: opening, events, heartbeats, end.
//! * `payload`: the bytes for one batch, and what they contain.
//! * `heartbeat`: when a quiet stream sends a heartbeat.
//! * `stream_writer`: writes one stream and waits while its client makes progress.
//! * `sink`: where bytes go: a socket, or a body that hyper writes.
//! * `write_group`: streams at the same position of the same feed. `group_task`: the task that
//!   writes to them. `write_groups`: the groups of all feeds.
//! * `compression`: gzip and zstd in blocks that a stream can join.
//! * `counters`: counts the delivered events and bytes.
//! * `close_reason`: why a stream ended.
//! * `stream_guard`: a stream's metrics, its span, and its line in the log.
//! * `stream_limit`: how many streams each client has at once. `filter_limit`: how many different
//!   filters there are.

mod close_reason;
mod compression;
mod counters;
mod filter_limit;
mod group_task;
mod heartbeat;
mod payload;
mod sink;
mod stream_guard;
mod stream_limit;
mod stream_output;
mod stream_task;
mod stream_writer;
mod write_group;
mod write_groups;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use compression::ContentCoding;
pub use counters::{DeliveryTotals, count_delivered};
pub use filter_limit::{FilterLimit, FilterLimitError, FilterLimits, FilterPermit};
pub use sink::Sink;
pub use stream_guard::{StreamClient, StreamGuard};
pub use stream_limit::{StreamLimit, StreamLimitError, StreamPermit};
pub use stream_output::StreamOutput;
pub use stream_task::StreamTask;
pub use write_groups::WriteGroups;

use crate::memory::MemoryBudget;
use crate::shutdown::Shutdown;
use crate::stream::Catalog;
use crate::telemetry::metrics::Metrics;

/// What every stream shares. One for the whole server.
#[derive(Debug)]
pub struct Delivery {
    /// The public streams. When one changes or goes, its streams end.
    pub catalog: Arc<watch::Sender<Arc<Catalog>>>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The budget of the memory that clients cause.
    pub memory: Arc<MemoryBudget>,
    /// When it begins, streams end.
    pub shutdown: Shutdown,
    /// Streams that are written together.
    pub groups: WriteGroups,
    /// The time after which a quiet stream sends a heartbeat.
    pub heartbeat: Duration,
    /// How long a write may make no progress.
    pub write_timeout: Duration,
    /// How long a group may wait at most, so that one write carries more.
    pub batch_wait_max: Duration,
    /// Over how long the ends of streams are spread when the server shuts down.
    pub drain: Duration,
}
