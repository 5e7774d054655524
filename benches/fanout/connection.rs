//! One client of the load generator.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use memchr::memmem;
use mio::net::TcpStream;

use crate::broker::{SENT, now_us};
use crate::commands::LoadReport;

/// A response is asked for, or comes.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says a thing of its own; no two of them make a state"
)]
pub struct Connection {
    socket: TcpStream,
    /// The request, until it was sent.
    request: Option<Arc<str>>,
    /// It never reads.
    is_stalled: bool,
    /// Whether the opening of its body was seen.
    pub responded: bool,
    /// Frames since it was opened.
    pub events: u64,
    /// Whether latencies are taken of it.
    is_sampled: bool,
    /// The last read ended in a line feed: the end of a frame can lie between two reads.
    after_line_feed: bool,
}

/// What a turn of reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All that was there is read.
    Open,
    /// Closed by the other side, or no stream.
    Lost,
}

/// What reading adds up.
#[derive(Debug, Default)]
pub struct Counts {
    /// Frames.
    pub events: u64,
    /// Bytes.
    pub bytes: u64,
    /// Reads that gave bytes.
    pub reads: u64,
    /// Sampled microseconds from an event's creation to its arrival.
    pub latencies_us: Vec<u64>,
}

/// Latencies that are kept of one window.
const LATENCIES_MAX: usize = 1 << 20;

impl Connection {
    /// A connection that is being made; `socket` is non-blocking.
    pub fn new(socket: TcpStream, request: Arc<str>, is_stalled: bool, is_sampled: bool) -> Self {
        Self {
            socket,
            request: Some(request),
            is_stalled,
            responded: false,
            events: 0,
            is_sampled,
            after_line_feed: false,
        }
    }

    /// Sends the request as soon as it is connected; then reads what is there.
    pub fn turn(&mut self, buffer: &mut [u8], counts: &mut Counts) -> Turn {
        if let Some(request) = &self.request {
            // A new socket takes so little at once, or nothing.
            match self.socket.write(request.as_bytes()) {
                Ok(count) if count == request.len() => self.request = None,
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::NotConnected
                    ) =>
                {
                    return Turn::Open;
                }
                _ => return Turn::Lost,
            }
        }
        if self.is_stalled {
            Turn::Open
        } else {
            self.read(buffer, counts)
        }
    }

    fn read(&mut self, buffer: &mut [u8], counts: &mut Counts) -> Turn {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Turn::Lost,
                Ok(count) => {
                    if !self.take(&buffer[..count], counts) {
                        return Turn::Lost;
                    }
                    // What did not fill the buffer was all there is (epoll(7)).
                    if count < buffer.len() {
                        return Turn::Open;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Turn::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Turn::Lost,
            }
        }
    }

    /// Counts what came; `false` when it is no stream.
    fn take(&mut self, bytes: &[u8], counts: &mut Counts) -> bool {
        if self.events == 0
            && !self.responded
            && bytes.starts_with(b"HTTP/1.1 ")
            && !bytes.starts_with(b"HTTP/1.1 200")
        {
            return false;
        }
        if !self.responded && memmem::find(bytes, b"\r\ncontent-encoding: ").is_some() {
            // Frames of a coded stream are not seen here.
            self.responded = true;
        }
        let across = u64::from(self.after_line_feed && bytes[0] == b'\n');
        let mut frames =
            across + memmem::find_iter(&bytes[usize::from(across == 1)..], b"\n\n").count() as u64;
        self.after_line_feed = bytes.ends_with(b"\n") && !bytes.ends_with(b"\n\n");
        counts.bytes += bytes.len() as u64;
        counts.reads += 1;
        if frames > 0 && !self.responded {
            // `:ok`, the opening.
            self.responded = true;
            frames -= 1;
        }
        self.events += frames;
        counts.events += frames;
        if self.is_sampled {
            counts.sample(latency_us(bytes));
        }
        true
    }
}

impl Counts {
    /// Keeps a latency, up to a bound.
    pub fn sample(&mut self, latency_us: Option<u64>) {
        if self.latencies_us.len() < LATENCIES_MAX {
            self.latencies_us.extend(latency_us);
        }
    }

    /// What is to be told of them; of connections nothing is known here.
    pub fn report(mut self) -> LoadReport {
        self.latencies_us.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies_us.len().saturating_sub(1);
            self.latencies_us
                .get((last as f64 * share) as usize)
                .copied()
                .unwrap_or(0)
        };
        let (p50_us, p99_us) = (at(0.50), at(0.99));
        LoadReport {
            events: self.events,
            bytes: self.bytes,
            reads: self.reads,
            p50_us,
            p99_us,
            ..LoadReport::default()
        }
    }
}

/// How long ago the first event in these bytes was made.
pub fn latency_us(bytes: &[u8]) -> Option<u64> {
    let at = memmem::find(bytes, SENT)? + SENT.len();
    let digits = bytes.get(at..at + 16)?;
    let sent: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    u64::try_from(now_us() - sent).ok()
}
