//! The load generator's process: many clients on one thread.
//!
//! It rests between two looks for what has come. Were it woken by each event instead, every `write`
//! of a sender that is slower than it would pay for a wake-up across cores, and those of a faster
//! one would not: clients elsewhere cost neither. Where latency is the question it is woken.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::commands::{Answer, LoadCommand, LoadReport, answer, commands};
use crate::connection::{Connection, Counts, Turn};

const COMMANDS: Token = Token(usize::MAX);

/// Requests that wait for their response at once: fewer than any listener's queue holds.
const UNANSWERED_MAX: usize = 256;

/// Connections from one source address: fewer than the system has ports for them.
const CONNECTIONS_PER_ADDRESS: usize = 10_000;

/// Latencies are taken of every such connection.
const SAMPLED_EVERY: usize = 16;

/// Reads until there are no more commands.
pub fn play() -> anyhow::Result<()> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), COMMANDS)?);
    let commands = commands::<LoadCommand>(Some(waker));
    let Ok(LoadCommand::Start { rest_us }) = commands.recv() else {
        bail!("the first command is Start")
    };
    answer(&Answer::Done)?;
    let load = Load {
        poll,
        rest: (rest_us > 0).then_some(Duration::from_micros(rest_us)),
        connections: Vec::new(),
        waiting: VecDeque::new(),
        unanswered: 0,
        lost: 0,
        counts: Counts::default(),
        buffer: vec![0; 256 << 10],
    };
    load.run(&commands)
}

struct Load {
    poll: Poll,
    rest: Option<Duration>,
    /// By token; `None` is closed.
    connections: Vec<Option<Connection>>,
    /// Requests to be made.
    waiting: VecDeque<Request>,
    unanswered: usize,
    lost: usize,
    counts: Counts,
    buffer: Vec<u8>,
}

struct Request {
    target: SocketAddr,
    head: Arc<str>,
    stalled: bool,
}

impl Load {
    fn run(mut self, commands: &Receiver<LoadCommand>) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            // While it sleeps here it is not registered as waiting: nobody has to wake it.
            let timeout = self.rest.map(|rest| {
                sleep(rest);
                Duration::ZERO
            });
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token() {
                    COMMANDS => match commands.try_recv() {
                        Ok(command) => self.obey(command)?,
                        Err(TryRecvError::Empty) => {}
                        Err(TryRecvError::Disconnected) => return Ok(()),
                    },
                    Token(number) => self.turn(number)?,
                }
            }
        }
    }

    fn obey(&mut self, command: LoadCommand) -> anyhow::Result<()> {
        match command {
            LoadCommand::Start { .. } => bail!("it runs already"),
            LoadCommand::Connect {
                target,
                count,
                paths,
                headers,
                stalled,
            } => {
                let heads: Vec<Arc<str>> = paths
                    .iter()
                    .map(|path| {
                        format!(
                            "GET {path} HTTP/1.1\r\nhost: localhost\r\n\
                             user-agent: bench\r\n{headers}\r\n"
                        )
                        .into()
                    })
                    .collect();
                let heads = heads.iter().cycle().take(count);
                self.waiting.extend(heads.map(|head| Request {
                    target,
                    head: Arc::clone(head),
                    stalled,
                }));
                self.connect_some()?;
            }
            LoadCommand::Report => answer(&self.report())?,
        }
        Ok(())
    }

    /// Makes requests that wait; answers when all have their response.
    fn connect_some(&mut self) -> anyhow::Result<()> {
        while self.unanswered < UNANSWERED_MAX {
            let Some(request) = self.waiting.pop_front() else {
                break;
            };
            let number = self.connections.len();
            let mut socket = request.open(number)?;
            let interest = if request.stalled {
                Interest::WRITABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            self.poll
                .registry()
                .register(&mut socket, Token(number), interest)?;
            self.unanswered += usize::from(!request.stalled);
            self.connections.push(Some(Connection::new(
                socket,
                request.head,
                request.stalled,
                number.is_multiple_of(SAMPLED_EVERY),
            )));
        }
        if self.unanswered == 0 && self.waiting.is_empty() {
            answer(&self.report())?;
        }
        Ok(())
    }

    fn turn(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(Some(connection)) = self.connections.get_mut(number) else {
            return Ok(());
        };
        let was_waiting = !connection.responded;
        let turn = connection.turn(&mut self.buffer, &mut self.counts);
        let responded = connection.responded;
        if turn == Turn::Lost {
            self.connections[number] = None;
            self.lost += 1;
        }
        if was_waiting && (responded || turn == Turn::Lost) {
            self.unanswered -= 1;
            self.connect_some()?;
        }
        Ok(())
    }

    fn report(&mut self) -> LoadReport {
        let open = self.connections.iter().flatten();
        LoadReport {
            open: open.clone().count(),
            lost: self.lost,
            events_min: open.map(|connection| connection.events).min().unwrap_or(0),
            ..std::mem::take(&mut self.counts).report()
        }
    }
}

impl Request {
    /// Begins to connect from a loopback address that has ports left.
    fn open(&self, number: usize) -> anyhow::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if self.stalled {
            socket.set_recv_buffer_size(4096)?;
        }
        let address = u8::try_from(number / CONNECTIONS_PER_ADDRESS + 2)
            .context("so many connections are not for one machine")?;
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, address), 0)).into())?;
        socket.set_nonblocking(true)?;
        // Ends with a reset: thousands of ports that wait for their time make the next case look
        // for free ones.
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error)
                    .with_context(|| format!("connection {number} to {}", self.target));
            }
            _ => {}
        }
        let socket = std::net::TcpStream::from(socket);
        Ok(TcpStream::from_std(socket))
    }
}
