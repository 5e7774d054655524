//! What the server is measured against: the least that can be done for every client.
//!
//! One thread and one epoll; a canned response head; frames prebuilt, but for the time in them; all
//! that is due in one write for each client. A client is a socket and how many bytes it was sent.

use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::bail;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::broker::{SENT, now_us};
use crate::commands::{Answer, BroadcasterCommand, answer, commands};

const LISTENER: Token = Token(usize::MAX);
const COMMANDS: Token = Token(usize::MAX - 1);

/// Frames in the ring: what a slow client may be behind before it gets newer frames instead.
const RING_FRAMES: usize = 128;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n:ok\n\n";

/// Serves until there are no more commands.
pub fn play() -> anyhow::Result<()> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), COMMANDS)?);
    let commands = commands::<BroadcasterCommand>(Some(waker));
    let Ok(BroadcasterCommand::Start { frame_bytes }) = commands.recv() else {
        bail!("the first command is Start")
    };
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    answer(&Answer::Listening(listener.local_addr()?))?;
    let ring = Ring::new(frame_bytes);
    Broadcaster {
        poll,
        listener,
        ring,
        clients: Vec::new(),
        due: None,
        past: 0,
    }
    .run(&commands)
}

struct Broadcaster {
    poll: Poll,
    listener: TcpListener,
    ring: Ring,
    /// By token; `None` has gone.
    clients: Vec<Option<Client>>,
    due: Option<(Instant, Duration)>,
    /// Bytes of frames that a new client gets at once.
    past: usize,
}

struct Client {
    socket: TcpStream,
    /// Bytes of frames sent, from the first frame of all on.
    sent: usize,
}

impl Broadcaster {
    fn run(mut self, commands: &Receiver<BroadcasterCommand>) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let wait = self
                .due
                .map(|(at, _)| at.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    COMMANDS => match commands.try_recv() {
                        Ok(BroadcasterCommand::Rate { events_per_s }) => {
                            let every =
                                |rate| (Instant::now(), Duration::from_secs_f64(1.0 / rate));
                            self.due = (events_per_s > 0.0).then(|| every(events_per_s));
                            answer(&Answer::Done)?;
                        }
                        Ok(BroadcasterCommand::Past { frames }) => {
                            self.past = frames as usize * self.ring.frame_bytes;
                            // What nobody was sent is in the ring all the same: it goes round.
                            self.ring.end = self.ring.end.max(self.past);
                            answer(&Answer::Done)?;
                        }
                        Ok(BroadcasterCommand::Start { .. }) => bail!("it runs already"),
                        Err(TryRecvError::Empty) => {}
                        Err(TryRecvError::Disconnected) => return Ok(()),
                    },
                    Token(number) => self.ring.send(&mut self.clients[number]),
                }
            }
            if self.take_due() {
                for client in &mut self.clients {
                    self.ring.send(client);
                }
            }
        }
    }

    /// Adds the frames whose time has come.
    fn take_due(&mut self) -> bool {
        let Some((at, interval)) = &mut self.due else {
            return false;
        };
        let mut any = false;
        while *at <= Instant::now() {
            self.ring.push();
            *at += *interval;
            any = true;
        }
        any
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            socket.set_nodelay(true)?;
            self.poll.registry().register(
                &mut socket,
                Token(self.clients.len()),
                Interest::WRITABLE,
            )?;
            // A new socket takes so little at once.
            socket.write_all(HEAD)?;
            self.clients.push(Some(Client {
                socket,
                sent: self.ring.end - self.past,
            }));
        }
    }
}

/// Frames one after the other; the newest overwrites the oldest.
struct Ring {
    bytes: Vec<u8>,
    frame_bytes: usize,
    /// Where the time stands in a frame.
    time_at: usize,
    /// Bytes of all frames so far.
    end: usize,
}

impl Ring {
    fn new(frame_bytes: usize) -> Self {
        let mut frame = [b"event: message\nid: []\ndata: {", SENT].concat();
        let time_at = frame.len();
        frame.extend_from_slice(b"0000000000000000,\"filler\":\"");
        let end = b"\"}\n\n";
        frame.resize(frame_bytes.max(frame.len() + end.len()) - end.len(), b'x');
        frame.extend_from_slice(end);
        Self {
            frame_bytes: frame.len(),
            bytes: frame.repeat(RING_FRAMES),
            time_at,
            end: 0,
        }
    }

    fn push(&mut self) {
        let at = self.end % self.bytes.len() + self.time_at;
        let now = now_us().to_string();
        self.bytes[at..at + now.len()].copy_from_slice(now.as_bytes());
        self.end += self.frame_bytes;
    }

    /// Sends what is due: one write, unless the ring's end lies in between.
    fn send(&self, slot: &mut Option<Client>) {
        let Some(client) = slot else { return };
        while client.sent < self.end {
            let from = client.sent % self.bytes.len();
            let until = self.bytes.len().min(from + self.end - client.sent);
            match client.socket.write(&self.bytes[from..until]) {
                Ok(count) => client.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    *slot = None;
                    return;
                }
            }
        }
    }
}
