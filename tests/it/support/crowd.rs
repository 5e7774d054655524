//! Many clients at once that come back by themselves, each with its last id. They keep nothing but what they need to see that nothing is
//! lost and nothing comes twice: the events of partition p of P are numbered p, p + P, p + 2 P, ... (see [`crowd_records`]).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::admin::NewRecord;
use super::deadline::eventually;
use super::wire::Request;

/// The records numbered `numbers` for a crowd that reads `partitions`: number, and when it was made.
pub fn crowd_records(
    topic: &str,
    partitions: usize,
    numbers: impl Iterator<Item = usize>,
) -> Vec<NewRecord> {
    let now = now_ms();
    let partition = |n: usize| i32::try_from(n % partitions).expect("few");
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

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_millis()).expect("not that far")
}

/// Clients that read and come back until this is dropped.
pub struct Crowd {
    /// What each has.
    pub clients: Vec<Arc<Client>>,
    tasks: JoinSet<()>,
}

/// What one client has, and what happened to it.
#[derive(Debug, Default)]
pub struct Client {
    /// Events that came in order.
    pub events: AtomicUsize,
    /// Comments, heartbeats among them.
    pub comments: AtomicUsize,
    /// Streams that were opened.
    pub opened: AtomicUsize,
    /// Requests that were answered with another status than 200.
    pub refused: AtomicUsize,
    /// Streams that ended with `retry:`.
    pub retry_frames: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_id: Option<String>,
    /// The number that each partition's next event must have.
    next: Vec<usize>,
    pause: Option<Duration>,
    /// Milliseconds from an event's making to here.
    delays: Vec<i64>,
    fault: Option<String>,
}

impl Crowd {
    /// `ids.len()` clients of `request`, each coming with its id, if it has one; the events of partition p that they get begin with `next[p]`.
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

    /// Waits until every client has so many events, and fails when one lost an event or got one twice, or when nothing comes any more.
    pub async fn wait_for_events(&self, events: usize) {
        let is_complete = || {
            self.clients
                .iter()
                .all(|client| client.events.load(Ordering::Relaxed) >= events)
        };
        let mut seen = usize::MAX;
        while !is_complete() {
            eventually(
                format!("more of {events} events for everybody, of which there are {seen}"),
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

    /// Waits until every client has opened so many streams.
    pub async fn wait_until_opened(&self, streams: usize) {
        eventually(
            format!("everybody to have opened {streams} streams"),
            async || {
                self.clients
                    .iter()
                    .all(|client| client.opened.load(Ordering::Relaxed) >= streams)
                    .then_some(())
            },
        )
        .await;
    }

    /// Fails when a client lost an event or got one twice.
    pub fn check(&self) {
        assert!(self.tasks.len() == self.clients.len(), "a client panicked");
        for client in &self.clients {
            if let Some(fault) = &client.state.lock().fault {
                panic!("{fault}");
            }
        }
    }

    /// The sum of what `count` says of each client.
    pub fn sum(&self, count: impl Fn(&Client) -> &AtomicUsize) -> usize {
        self.clients
            .iter()
            .map(|client| count(client).load(Ordering::Relaxed))
            .sum()
    }

    /// Median, 99th percentile and maximum of the milliseconds from an event's making to its client, and forgets them.
    pub fn delays(&self) -> (i64, i64, i64) {
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
        (at(50), at(99), at(100))
    }
}

/// Reads, and comes back whenever the connection ends: after the pause that the server asked for, else after a short one.
async fn follow(client: Arc<Client>, address: SocketAddr, request: Request) {
    loop {
        let id = client.state.lock().last_id.clone();
        let request = id.map_or_else(|| request.clone(), |id| request.clone().last_event_id(id));
        if let Ok(stream) = TcpStream::connect(address).await {
            // However it ends: the client comes back.
            let _ = read(&client, stream, &request.head()).await;
        }
        let asked = client.state.lock().pause.take();
        tokio::time::sleep(asked.unwrap_or(Duration::from_millis(rand::random_range(50..300))))
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
            // Refused: not ready, for example. The connection stays open for another request, which this client does not make.
            if line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.1 200 ") {
                client.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            client.take(line, &mut frame);
        }
        bytes.drain(..=end);
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Frame {
    id: Option<String>,
    /// Number, and when it was made.
    event: Option<(usize, i64)>,
}

impl Client {
    /// Takes a line of what comes. Chunks end with frames, so that their sizes are lines of their own, which are passed over.
    fn take(&self, line: &str, frame: &mut Frame) {
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
                    .get_or_insert(format!("told {line}"));
            }
        } else if line.is_empty()
            && let Some((number, made)) = frame.event.take()
        {
            self.take_event(number, made, frame.id.take());
        }
    }

    fn take_event(&self, number: usize, made: i64, id: Option<String>) {
        let mut state = self.state.lock();
        let partitions = state.next.len();
        let next = state.next[number % partitions];
        if next != number {
            let what = format!(
                "event {number} came where {next} was due; last id {:?}",
                state.last_id
            );
            state.fault.get_or_insert(what);
        }
        state.next[number % partitions] = number + partitions;
        state.last_id = id;
        let delay = now_ms() - made;
        // Of the past nobody measures a delay.
        if delay < 3_600_000 {
            state.delays.push(delay);
        }
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}
