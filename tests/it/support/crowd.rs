//! Many clients that reconnect with their last id. They keep only what shows that no event is lost
//! or repeated: the events of partition p of P are numbered p, p + P, p + 2 P, ... (see
//! [`crowd_records`]).

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::admin::NewRecord;
use super::deadline::eventually;
use super::numbered::now_ms;
use super::wire::Request;

/// Records with these numbers for a crowd that reads `partitions` partitions. Each holds its number
/// and its time.
pub fn crowd_records(
    topic: &str,
    partitions: usize,
    numbers: impl Iterator<Item = usize>,
) -> Vec<NewRecord> {
    let now = now_ms();
    let partition = |n: usize| i32::try_from(n % partitions).expect("a partition number");
    numbers
        .map(|n| {
            NewRecord::new(
                topic,
                partition(n),
                now,
                format!(r#"{{"n":{n},"ms":{now}}}"#),
            )
        })
        .collect()
}

/// Clients that read and reconnect until this is dropped.
pub struct Crowd {
    /// The state of each client.
    pub clients: Vec<Arc<Client>>,
    tasks: JoinSet<()>,
}

/// What one client received and experienced.
#[derive(Debug, Default)]
pub struct Client {
    /// Events received in order.
    pub events: AtomicUsize,
    /// Comments, including heartbeats.
    pub comments: AtomicUsize,
    /// Opened streams.
    pub opened: AtomicUsize,
    /// Responses with a status other than 200.
    pub refused: AtomicUsize,
    /// Streams that ended with `retry:`.
    pub retry_frames: AtomicUsize,
    state: Mutex<State>,
}

/// Delays of events, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Half of the events took at most this long.
    pub median: i64,
    /// 99 of 100 events took at most this long.
    pub p99: i64,
    /// The longest delay.
    pub max: i64,
}

impl Display for Delays {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { median, p99, max } = self;
        write!(f, "median {median} ms, p99 {p99} ms, maximum {max} ms")
    }
}

#[derive(Debug, Default)]
struct State {
    last_id: Option<String>,
    /// The expected number of the next event of each partition.
    next: Vec<usize>,
    pause: Option<Duration>,
    /// Milliseconds between the time of an event and its arrival.
    delays: Vec<i64>,
    fault: Option<String>,
}

impl Crowd {
    /// Starts `ids.len()` clients of `request`, each with its `Last-Event-ID`, if any. The first
    /// event of partition p must have the number `next[p]`.
    pub fn start(
        address: SocketAddr,
        request: &Request,
        ids: Vec<Option<String>>,
        next: &[usize],
    ) -> Self {
        let mut tasks = JoinSet::new();
        let follow = |last_id| {
            let state = Mutex::new(State {
                last_id,
                next: next.to_vec(),
                ..State::default()
            });
            let client = Arc::new(Client {
                state,
                ..Client::default()
            });
            tasks.spawn(follow(Arc::clone(&client), address, request.clone()));
            client
        };
        let clients = ids.into_iter().map(follow).collect();
        Self { clients, tasks }
    }

    /// Waits until every client has this number of events. Fails when a client loses or repeats
    /// one, or when no more events arrive.
    pub async fn wait_for_events(&self, events: usize) {
        let is_complete = || {
            self.clients
                .iter()
                .all(|client| client.events.load(Ordering::Relaxed) >= events)
        };
        let mut seen = usize::MAX;
        while !is_complete() {
            eventually(
                format!("more than {seen} of {events} events for each client"),
                async || {
                    self.check();
                    (is_complete() || self.sum(|client| &client.events) != seen).then_some(())
                },
            )
            .await;
            seen = self.sum(|client| &client.events);
        }
        self.check();
        assert!(
            self.clients
                .iter()
                .all(|client| client.events.load(Ordering::Relaxed) == events),
            "more than {events} events"
        );
    }

    /// Waits until every client has opened this number of streams.
    pub async fn wait_until_opened(&self, streams: usize) {
        eventually(
            format!("every client to have opened {streams} streams"),
            async || {
                self.clients
                    .iter()
                    .all(|client| client.opened.load(Ordering::Relaxed) >= streams)
                    .then_some(())
            },
        )
        .await;
    }

    /// Fails when a client lost or repeated an event.
    pub fn check(&self) {
        assert!(self.tasks.len() == self.clients.len(), "a client panicked");
        for client in &self.clients {
            if let Some(fault) = &client.state.lock().fault {
                panic!("{fault}");
            }
        }
    }

    /// The sum of a counter over all clients.
    pub fn sum(&self, count: impl Fn(&Client) -> &AtomicUsize) -> usize {
        self.clients
            .iter()
            .map(|client| count(client).load(Ordering::Relaxed))
            .sum()
    }

    /// The delays since the last call, in milliseconds.
    pub fn delays(&self) -> Delays {
        let mut all: Vec<i64> = self
            .clients
            .iter()
            .flat_map(|client| std::mem::take(&mut client.state.lock().delays))
            .collect();
        all.sort_unstable();
        let at = |percent: usize| {
            all.get((all.len() * percent / 100).min(all.len().saturating_sub(1)))
                .copied()
                .unwrap_or(0)
        };
        Delays {
            median: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

/// Reads, and reconnects when the connection ends: after the pause that the server requested, or a
/// short one.
async fn follow(client: Arc<Client>, address: SocketAddr, request: Request) {
    loop {
        let id = client.state.lock().last_id.clone();
        let request = id.map_or_else(|| request.clone(), |id| request.clone().last_event_id(id));
        if let Ok(stream) = TcpStream::connect(address).await {
            // However it ends, the client reconnects.
            let _ = read(&client, stream, &request.head()).await;
        }
        let pause = client.state.lock().pause.take();
        tokio::time::sleep(pause.unwrap_or(Duration::from_millis(rand::random_range(50..300))))
            .await;
    }
}

async fn read(client: &Client, mut stream: TcpStream, head: &str) -> std::io::Result<()> {
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    let mut frame = Frame::default();
    while stream.read_buf(&mut bytes).await? > 0 {
        let Some(end) = memchr::memrchr(b'\n', &bytes) else {
            continue;
        };
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            let line = str::from_utf8(line).expect("text");
            // A refusal, for example because the server is not ready. The connection stays open for
            // requests that this client does not make.
            if line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.1 200 ") {
                client.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            client.handle_line(line, &mut frame);
        }
        bytes.drain(..=end);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Frame {
    id: Option<String>,
    /// Number and time.
    event: Option<(usize, i64)>,
}

impl Client {
    /// Handles one line. Chunks end with frames, so a chunk size is a line of its own, which is
    /// ignored.
    fn handle_line(&self, line: &str, frame: &mut Frame) {
        if let Some(id) = line.strip_prefix("id: ") {
            frame.id = Some(id.to_owned());
        } else if let Some(data) = line.strip_prefix("data: ") {
            let number = |name: &str| {
                let digits = data.split_once(name).expect("an event of crowd_records").1;
                digits
                    .split(|byte: char| !byte.is_ascii_digit())
                    .next()
                    .unwrap_or_default()
            };
            frame.event = Some((
                number("\"n\":").parse().expect("a number"),
                number("\"ms\":").parse().expect("a time"),
            ));
        } else if let Some(pause) = line.strip_prefix("retry: ") {
            self.retry_frames.fetch_add(1, Ordering::Relaxed);
            self.state.lock().pause =
                Some(Duration::from_millis(pause.parse().expect("milliseconds")));
        } else if line.starts_with(":ok") {
            self.opened.fetch_add(1, Ordering::Relaxed);
        } else if line.starts_with(':') {
            self.comments.fetch_add(1, Ordering::Relaxed);
            if line.contains("moved") {
                self.state
                    .lock()
                    .fault
                    .get_or_insert(format!("moved: {line}"));
            }
        } else if line.is_empty()
            && let Some((number, timestamp)) = frame.event.take()
        {
            self.handle_event(number, timestamp, frame.id.take());
        }
    }

    fn handle_event(&self, number: usize, timestamp: i64, id: Option<String>) {
        let mut state = self.state.lock();
        let partitions = state.next.len();
        let next = state.next[number % partitions];
        if next != number {
            let what = format!(
                "event {number} arrived instead of {next}; last id {:?}",
                state.last_id
            );
            state.fault.get_or_insert(what);
        }
        state.next[number % partitions] = number + partitions;
        state.last_id = id;
        let delay = now_ms() - timestamp;
        // A delay makes no sense for events of the past.
        if delay < 3_600_000 {
            state.delays.push(delay);
        }
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}
