//! Every bound in the program that is not the operator's to set, with its reason.

use std::time::Duration;

/// Entries that one turn takes out of a partition's memory log while catching up: enough to make the lock's cost small,
/// few enough that a subscriber never holds much more than a socket buffer's worth of events alive.
///
/// Tiny in the unit tests, as the two bounds below are: their runs of a hundred events must meet every boundary.
pub const MEMORY_READ_ENTRIES_MAX: usize = if cfg!(test) { 3 } else { 64 };

/// Bytes of event values that one replay fetches at once, shared out among the partitions that it reads from Kafka: large
/// enough that the seeks (a few milliseconds each) do not count, small enough that nobody waits long. What is fetched for one
/// client is this and one event of each partition at the most.
pub const REPLAY_READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of frames that a subscriber is handed at once while catching up: about a socket buffer.
pub const CATCH_UP_WRITE_BYTES: usize = if cfg!(test) { 1024 } else { 128 * 1024 };

/// Bytes of shared frames that a live subscriber is handed at once.
pub const LIVE_WRITE_BYTES: usize = if cfg!(test) { 1024 } else { 256 * 1024 };

/// How long a subscriber keeps its replay place while others wait: then it queues again. Long beside what is fetched anew
/// after that, a range of each partition.
pub const REPLAY_HOLD_MAX: Duration = Duration::from_secs(10);

/// How long a client may take nothing and keep its replay place while others wait: longer than the network's hiccups.
pub const REPLAY_STALL: Duration = Duration::from_secs(1);

/// How often a client that waits for a replay place is told its place in the queue.
pub const QUEUE_NOTICE_INTERVAL: Duration = Duration::from_secs(10);

/// How long a client may take nothing before it has to go when memory is short: longer than the network's hiccups.
pub const MEMORY_STALL: Duration = Duration::from_secs(1);

/// So many of the largest event fit into the budget of memory, whatever the operator says: each is there several times on its way,
/// and must not wait for ever.
pub const BUDGET_EVENTS_MIN: usize = 8;

/// How often it is looked at whether memory is short.
pub const MEMORY_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// What a feed costs beside its frames, in bytes: its convoy and its place in the tables.
pub const FEED_BYTES: usize = 8 * 1024;

/// What a feed costs for each partition, in bytes: the slot, its part of the id, its part of each cursor.
pub const FEED_PARTITION_BYTES: usize = 512;

/// What a stream costs by itself, in bytes: task, cursor, timers, what the runtime and hyper keep. An estimate on the safe side.
pub const STREAM_BYTES: usize = 8 * 1024;

/// What a compressor of gzip costs, in bytes. An estimate on the safe side.
pub const GZIP_COMPRESSOR_BYTES: usize = 384 * 1024;

/// What a compressor of zstd costs, in bytes, with its window. An estimate on the safe side.
pub const ZSTD_COMPRESSOR_BYTES: usize = 896 * 1024;

/// The least that a replay reads of one partition at once, however many it follows: each read costs a seek.
pub const REPLAY_SHARE_BYTES_MIN: usize = 16 * 1024;

/// Pause before Kafka is asked again for a replay that it could not serve.
pub const REPLAY_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Requests of one kind that may wait for a Kafka consumer: above it the asker is told "not now".
pub const UPSTREAM_QUEUE_MAX: usize = 4096;

/// How long one look-up (offsets, watermarks) may take before the asker gets 503.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one partition may take to say what lies behind a position.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a replay consumer waits for each record of a range before it gives up for this time.
pub const REPLAY_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that look offsets up: each look-up is a round trip or two, and they must not wait behind replays.
pub const LOOKUP_THREADS: usize = 4;

/// Look-ups of one client that are under way at once: threads are left for the others when a partition of the one does not
/// answer.
pub const LOOKUPS_PER_CLIENT: usize = 2;

/// Look-ups of all clients that may wait, in so many times [`UPSTREAM_QUEUE_MAX`], which bounds those of one client.
pub const LOOKUP_QUEUE_FACTOR: usize = 16;

/// Records that the live consumer publishes at once at the most: one wake-up of every feed for so many events when there
/// is much, one each when there is little.
pub const LIVE_BATCH_RECORDS_MAX: usize = 256;

/// Bytes of values that the live consumer publishes at once at the most.
pub const LIVE_BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Named streams, titles and the like in one problem's `detail`: the client gets all of its bad names, not a book.
pub const PROBLEM_DETAIL_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a request's head besides an id: the rest of the URL, and headers.
pub const HEAD_BYTES_BESIDE_ID: usize = 4096;

/// Bytes of a name that is compared with those of streams, to offer the nearest: longer ones are near to none.
pub const COMPARED_NAME_BYTES_MAX: usize = 128;

/// Ignored query parameters that an answer names: their sender sees that there are some.
pub const IGNORED_PARAMETERS_MAX: usize = 10;

/// Characters of the name of each.
pub const IGNORED_PARAMETER_CHARS_MAX: usize = 32;

/// Bytes of a client's header (User-Agent, the header of its address) that a line of the log may hold.
pub const LOGGED_HEADER_BYTES_MAX: usize = 256;

/// Clients whose request rate is remembered; above it those that have been quiet are forgotten.
pub const RATE_LIMITED_CLIENTS_MAX: usize = 100_000;

/// Pauses while a request waits for a topic or partition that is not known here: a process that refreshed its metadata
/// earlier may have handed out the id that names it, or its stream was configured this moment. Together about two seconds,
/// then it does not exist.
pub const DISCOVERY_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// How much later than its first record a process may find a new partition: the largest `metadata_refresh_ms`.
pub const PARTITION_DISCOVERY_LAG_MS: i64 = 3_600_000;

/// What streams that end because the server leaves tell their clients to wait before they come back: apart from each other,
/// and long enough for a rolling restart's next process to listen.
pub const SHUTDOWN_RETRY_MS: std::ops::Range<u64> = 500..3000;

/// Bytes of a socket's send buffer: a stalled client holds no more of the kernel's memory than this (the kernel doubles it).
pub const SOCKET_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Pause after an accept that failed because no file descriptor was left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may stay open after the last stream was told to end: what a slow client still has in its socket.
pub const GRACE_AFTER_DRAIN: Duration = Duration::from_secs(5);

/// Bytes of stream configuration that are read, from a file or a URL: more than twenty times what 244 streams take in production.
/// A catalog costs many times the bytes that it is made of: without this bound, 30 MB took 4.2 GB.
pub const STREAM_CONFIG_BYTES_MAX: usize = 8 << 20;

/// Public streams with their other names. Each has its part of `/?spec`, its series of metrics and its cost at each reload.
pub const STREAM_NAMES_MAX: usize = 10_000;

/// Topics of all public streams.
pub const STREAM_TOPICS_MAX: usize = 20_000;

/// How often the configuration's files are looked at: a change takes effect within a second.
pub const RELOAD_POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long until a URL of stream configuration is asked again that could not be read, if `stream_config_ttl` is not sooner.
pub const STALE_CONFIG_RETRY: Duration = Duration::from_mins(1);

/// The least time between two looks for topics, however many requests ask for one: it lists all topics of the cluster.
pub const DISCOVERY_PAUSE_MIN: Duration = Duration::from_millis(250);

/// The least time between two such looks that clients cause: an id may name partitions that never were. Shorter than
/// [`DISCOVERY_PAUSES`] together, so that everybody who asks for something new gets a look.
pub const CLIENT_DISCOVERY_PAUSE: Duration = Duration::from_secs(1);

/// How often each live stream looks at the time that a delivery takes: a histogram of all deliveries would cost more than
/// it tells.
pub const DELIVERY_SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that the kernel keeps until they are accepted: enough for all clients of a process that was restarted to come
/// back at once. A connection over it waits a second before its client's kernel tries again.
pub const LISTEN_BACKLOG: u32 = 4096;

/// Bytes that a client may send behind its stream request; they are ignored. Above it its socket is read no more.
pub const IGNORED_BYTES_MAX: usize = 64 * 1024;

/// Streams of a convoy from which on another one is made, up to one for each core: two that write at once are worth a wake-up more.
pub const GROUP_SPLIT_STREAMS: usize = 256;

/// Convoys of one feed.
pub fn groups_per_feed_max() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Writes of a convoy before other tasks of the same core have their turn: about a millisecond.
pub const GROUP_SLICE_WRITES: usize = 256;

/// A round of writes that took less is followed by the next at once. The timers count milliseconds.
pub const GROUP_PAUSE_MIN: Duration = Duration::from_millis(1);

/// A convoy's coder begins anew for newcomers when so many events were coded since it last did,
pub const COMPRESSOR_RESTART_EVENTS: u64 = 64;

/// or so much time has passed: each beginning costs what the coder knew.
pub const COMPRESSOR_RESTART_PAUSE: Duration = Duration::from_millis(100);

/// Chunks that a convoy may be ahead of what hyper has taken of a body. They are the convoy's, of `LIVE_WRITE_BYTES` at the most but for an
/// event that is larger.
pub const BODY_CHUNKS_MAX: usize = 8;

/// Bytes of a request's body that an HTTP/2 client may send unasked, for each connection: nobody reads them. HTTP/2's own least.
pub const HTTP2_RECEIVE_WINDOW_BYTES: u32 = 65_535;

/// Bytes that hyper may hold of an HTTP/2 stream for a client that does not take them, besides one chunk.
pub const HTTP2_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// How often Kafka's state is looked at for the log.
pub const KAFKA_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Kafka counts as lost when it has not answered for this long beyond `metadata_refresh_ms`: several look-ups fail meanwhile.
pub const KAFKA_SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a fault of Kafka's client counts as lasting: librdkafka repeats one that lasts every 30 seconds and a pause.
pub const KAFKA_FAULT_TTL: Duration = Duration::from_secs(45);

/// Brokers whose faults are kept.
pub const KAFKA_FAULTS_MAX: usize = 16;
