//! Bounds that several modules share or that need a reason. The operator does not set them. A bound
//! that concerns one file only stands there.

use std::num::NonZeroU32;
use std::time::Duration;

/// Entries that a read takes out of a partition's memory log while a subscriber catches up: enough
/// to make the cost of the lock small, few enough that a subscriber holds little more than a socket
/// buffer of events.
pub const MEMORY_READ_ENTRIES_MAX: usize = 64;

/// Bytes of event values that one replay fetches at once, shared among the partitions that it reads
/// from Kafka: large enough that the seeks (a few milliseconds each) do not matter, small enough
/// that no other replay waits long. A replay holds at most this, and one event of each partition.
pub const REPLAY_READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of frames in one write to a subscriber that catches up: about a socket buffer.
pub const CATCH_UP_WRITE_BYTES: usize = 128 * 1024;

/// Bytes of shared frames in one write to a live subscriber.
pub const LIVE_WRITE_BYTES: usize = 256 * 1024;

/// How long a subscriber keeps its permit for a replay while others wait. Then it joins the queue
/// again. Long compared with what it has to fetch again after that: a range of each partition.
pub const REPLAY_HOLD_MAX: Duration = Duration::from_secs(10);

/// How long a client may take nothing and keep its permit for a replay while others wait: longer
/// than a hiccup of the network.
pub const REPLAY_STALL: Duration = Duration::from_secs(1);

/// How often a client that waits for a replay is sent its position in the queue.
pub const QUEUE_NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a client may take nothing before it is disconnected when memory is short: longer than a
/// hiccup of the network.
pub const MEMORY_STALL: Duration = Duration::from_secs(1);

/// How many of the largest event fit into the memory budget, whatever the operator sets: an event
/// exists several times on its way, and must not wait forever.
pub const BUDGET_EVENTS_MIN: usize = 8;

/// How often the server checks whether memory is short.
pub const MEMORY_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Cost of a feed besides its frames, in bytes: its write group and its entries in tables.
pub const FEED_BYTES: usize = 8 * 1024;

/// Cost of a feed for each partition, in bytes: the slot, and its share of the id and of each
/// cursor.
pub const FEED_PARTITION_BYTES: usize = 512;

/// Bytes of the ring of one feed: a second of the busiest streams. With many feeds each has less,
/// because all of them together are bounded (`feeds_bytes_max`).
pub const FEED_RING_BYTES_MAX: usize = 1 << 20;

/// Cost of a view of a feed, in bytes: its filter, its entries and its progress frames. A high
/// estimate.
pub const VIEW_BYTES: usize = 8 * 1024;

/// The most events that a client can ask for with `tail`.
pub const TAIL_EVENTS_MAX: usize = 10_000;

/// Records that are looked at to find the last events of a client.
pub const TAIL_RECORDS_MAX: u64 = 100_000;

/// How long the last events of a client are looked for. It gets no byte before.
pub const TAIL_TIME_MAX: Duration = Duration::from_secs(5);

/// How often it is checked in which views a progress frame is due.
pub const PROGRESS_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Records after which a subscriber that catches up with a filter gets a progress frame, or after
/// [`PROGRESS_PAUSE_MAX`].
pub const PROGRESS_RECORDS: u64 = 10_000;

/// See [`PROGRESS_RECORDS`].
pub const PROGRESS_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Records that the subscribers of one client may look at in a second while they catch up with
/// filters: about a tenth of a core, besides what Kafka costs.
pub const FILTER_SCAN_RECORDS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100_000).expect("not 0");

/// Records that one merge looks at before the others have their turn: a few milliseconds.
pub const FILTER_SCAN_RECORDS_MAX: u64 = 2000;

/// How much later than `until` a record, or the clock at the end of a partition, must be for the
/// partition to have passed `until`: producers send records a little late, and not quite in order.
pub const UNTIL_GRACE: Duration = Duration::from_secs(10);

/// How often a stream that waits for `until` looks at the clock, which may be set.
pub const CLOCK_CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Bytes of the events of one page of the read protocol of Durable Streams: few requests for a long
/// history, and little memory for each.
pub const PAGE_BYTES: u64 = 512 * 1024;

/// Records that one page looks at for a filter: a second or two of reading.
pub const PAGE_RECORDS: u64 = 100_000;

/// How long a page may take.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// After how long a response of `live=sse` ends, so that a proxy can share the next one.
pub const PAGE_STREAM: Duration = Duration::from_mins(1);

/// Cost of one stream, in bytes: task, cursor, timers, and what the runtime and hyper keep. A high
/// estimate.
pub const STREAM_BYTES: usize = 8 * 1024;

/// Cost of a gzip compressor, in bytes. A high estimate.
pub const GZIP_COMPRESSOR_BYTES: usize = 384 * 1024;

/// Cost of a zstd compressor with its window, in bytes. A high estimate.
pub const ZSTD_COMPRESSOR_BYTES: usize = 896 * 1024;

/// Bytes that a replay reads of one partition at once at least, however many partitions it reads:
/// each read costs a seek.
pub const REPLAY_SHARE_BYTES_MIN: usize = 16 * 1024;

/// Pause before a replay that Kafka could not serve is requested again.
pub const REPLAY_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Requests of one kind that may wait for a Kafka consumer. Above it a look-up fails at once, and a
/// replay waits until there is room.
pub const UPSTREAM_QUEUE_MAX: usize = 4096;

/// How long one look-up (offsets, watermarks) may take before its request gets a 503.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the look-up of what follows a position may take for one partition.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a replay consumer waits for each record of a range before it gives up.
pub const REPLAY_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads for look-ups: each look-up is a round trip or two and must not wait behind replays.
pub const LOOKUP_THREADS: usize = 4;

/// Look-ups of one client that run at once: threads remain for others when a partition does not
/// respond.
pub const LOOKUPS_PER_CLIENT: usize = 2;

/// Look-ups of all clients that may wait, as a multiple of [`UPSTREAM_QUEUE_MAX`], the bound of one
/// client.
pub const LOOKUP_QUEUE_FACTOR: usize = 16;

/// Records that the live consumer publishes at once: every feed wakes up once for all of them under
/// load, and once for each when there are few.
pub const LIVE_BATCH_RECORDS_MAX: usize = 256;

/// Bytes of values that the live consumer publishes at once.
pub const LIVE_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the `detail` of a problem: all invalid names of a usual request fit.
pub const PROBLEM_DETAIL_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a request's head besides an id: the rest of the URL, and headers.
pub const HEAD_BYTES_BESIDE_ID: usize = 4096;

/// Bytes of a name that is compared with those of streams for a hint: a longer one resembles none.
pub const COMPARED_NAME_BYTES_MAX: usize = 128;

/// Ignored query parameters that a response names: enough to notice them.
pub const IGNORED_PARAMETERS_MAX: usize = 10;

/// Characters of the name of an ignored query parameter.
pub const IGNORED_PARAMETER_CHARS_MAX: usize = 32;

/// Bytes of a client's header (`User-Agent`, the header with its address) in a log line.
pub const LOGGED_HEADER_BYTES_MAX: usize = 256;

/// Clients whose request rate is remembered. Above it the quiet ones are forgotten.
pub const RATE_LIMITED_CLIENTS_MAX: usize = 100_000;

/// Pauses while a request waits for a topic or partition that is unknown here: another process may
/// have handed out an id that names it, or its stream was configured a moment ago. After all of
/// them, about two seconds, it does not exist.
pub const DISCOVERY_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// How much later than its first record a process may discover a new partition: the largest
/// `metadata_refresh_ms`.
pub const PARTITION_DISCOVERY_LAG_MS: i64 = 3_600_000;

/// The reconnection time, in milliseconds, in the last frame of a stream at shutdown. Random, so
/// that clients reconnect apart from each other, and long enough for the next process of a rolling
/// restart to listen.
pub const SHUTDOWN_RETRY_MS: std::ops::Range<u64> = 500..3000;

/// Bytes of a socket's send buffer, which the kernel doubles: a stalled client holds no more of the
/// kernel's memory than that.
pub const SOCKET_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Pause after an accept that failed because no file descriptor was left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may stay open after the last stream was ended: slow clients read what is in
/// their sockets.
pub const GRACE_AFTER_DRAIN: Duration = Duration::from_secs(5);

/// Bytes of stream configuration, from a file or a URL: more than twenty times the configuration of
/// 244 streams in production. A catalog takes many times these bytes: without this bound, 30 MB
/// took 4.2 GB.
pub const STREAM_CONFIG_BYTES_MAX: usize = 8 << 20;

/// Public streams with their aliases. Each adds to `/?spec`, to the metrics and to the cost of a
/// reload.
pub const STREAM_NAMES_MAX: usize = 10_000;

/// Topics of all public streams.
pub const STREAM_TOPICS_MAX: usize = 20_000;

/// How often the files of the configuration are checked: a change takes effect within a second.
pub const RELOAD_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// After how long a URL of stream configuration is tried again that could not be read, unless
/// `stream_config_ttl` is shorter.
pub const STALE_CONFIG_RETRY: Duration = Duration::from_mins(1);

/// Least time between two look-ups of topics, which list all topics of the cluster, however many
/// requests need one.
pub const DISCOVERY_PAUSE_MIN: Duration = Duration::from_millis(250);

/// Least time between two look-ups of topics that clients cause: an id may name partitions that
/// never existed. Shorter than the sum of [`DISCOVERY_PAUSES`], so that each request for something
/// new gets a look-up.
pub const CLIENT_DISCOVERY_PAUSE: Duration = Duration::from_secs(1);

/// How often each live stream observes the delay of a delivery: to observe all of them would cost
/// more than it is worth.
pub const DELIVERY_SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that the kernel queues until they are accepted: enough for all clients of a
/// restarted process to reconnect at once. A client beyond them tries again after a second.
pub const LISTEN_BACKLOG: u32 = 4096;

/// Bytes after a stream request that are read and ignored. Above it the socket is no longer read.
pub const IGNORED_BYTES_MAX: usize = 64 * 1024;

/// Group size at which a feed gets another write group, up to one per core: from here on, parallel
/// writes are worth one more wake-up.
pub const GROUP_SPLIT_STREAMS: usize = 256;

/// Write groups of one uncompressed feed.
pub fn groups_per_feed_max() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Writes of a write group before it yields to other tasks of its core: about a millisecond.
pub const GROUP_SLICE_WRITES: usize = 256;

/// A write group pauses only for at least this long. The timers count milliseconds.
pub const GROUP_PAUSE_MIN: Duration = Duration::from_millis(1);

/// A shared compressor restarts for a joining stream after this many events or after
/// [`COMPRESSOR_RESTART_PAUSE`]: each restart costs compression ratio.
pub const COMPRESSOR_RESTART_EVENTS: u64 = 64;

/// See [`COMPRESSOR_RESTART_EVENTS`].
pub const COMPRESSOR_RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Chunks of a body that hyper has not taken yet. They belong to the write group and have at most
/// `LIVE_WRITE_BYTES`, unless one event is larger.
pub const BODY_CHUNKS_MAX: usize = 8;

/// Bytes of request bodies that an HTTP/2 client may send on a connection without permission:
/// nothing reads them. HTTP/2 allows no less.
pub const HTTP2_RECEIVE_WINDOW_BYTES: u32 = 65_535;

/// Bytes that hyper may hold of an HTTP/2 stream whose client does not take them, besides one
/// chunk.
pub const HTTP2_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Least time between two log lines about skipped records.
pub const SKIP_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Least time between two log lines about a fault that clients, or their number, can repeat.
pub const FAULT_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How often the state of Kafka is checked for the log.
pub const KAFKA_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Kafka counts as lost when it has not responded for this long beyond `metadata_refresh_ms`:
/// several look-ups have failed by then.
pub const KAFKA_SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a fault of the Kafka client counts as lasting: librdkafka repeats a lasting one every
/// 30 seconds and a pause.
pub const KAFKA_FAULT_TTL: Duration = Duration::from_secs(45);

/// Brokers whose faults are remembered.
pub const KAFKA_FAULTS_MAX: usize = 16;

/// Bytes of a schema document. The largest real ones, with all that they refer to written out, have
/// a hundredth of this.
pub const SCHEMA_BYTES_MAX: usize = 4 * 1024 * 1024;
