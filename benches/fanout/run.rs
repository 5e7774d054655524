//! What cases have in common: options, starting the parts, medians.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use crate::Role;
use crate::commands::{
    Answer, BroadcasterCommand, BrokerCommand, ConsumerCommand, LoadCommand, LoadReport,
};
use crate::processes::{Cores, Part};
use crate::server::{Server, Settings, topics};

/// What the command line says about all cases.
#[derive(Clone, Debug)]
pub struct Options {
    /// Windows of each side.
    pub windows: u32,
    /// Length of a window.
    pub window: Duration,
    /// The server and the broadcaster have the first core, all else the others.
    pub is_pinned: bool,
    /// The server's program.
    pub server: PathBuf,
    /// Brokers of a real Kafka.
    pub brokers: Option<String>,
}

impl Options {
    /// The cores of what is measured.
    pub fn measured(&self) -> Cores {
        if self.is_pinned {
            Cores::First
        } else {
            Cores::All
        }
    }

    /// The cores of all else.
    pub fn beside(&self) -> Cores {
        if self.is_pinned {
            Cores::Others
        } else {
            Cores::All
        }
    }

    /// Starts a broker with so many topics.
    pub fn broker(
        &self,
        topics: usize,
        retention_bytes: u64,
        event_bytes: usize,
    ) -> anyhow::Result<Broker> {
        let mut part = Part::start(Role::Broker, self.beside())?;
        let address = listening(&part.ask(&BrokerCommand::Start {
            topics,
            retention_bytes,
            event_bytes,
        })?)?;
        Ok(Broker { part, address })
    }

    /// Starts a server on that broker, and waits until it serves streams.
    pub fn server(&self, broker: &Broker, settings: Settings) -> anyhow::Result<Server> {
        Server::start(&self.server, broker.address, settings, self.measured())
    }

    /// Starts a load generator, which looks for what has come at such intervals; none: it is woken.
    pub fn load(&self, rest: Duration) -> anyhow::Result<Load> {
        let mut part = Part::start(Role::Load, self.beside())?;
        let rest_us = rest.as_micros() as u64;
        let _: Answer = part.ask(&LoadCommand::Start { rest_us })?;
        Ok(Load { part })
    }

    /// Starts the load generator of HTTP/2.
    pub fn http2_load(&self) -> anyhow::Result<Load> {
        let mut part = Part::start(Role::Http2Load, self.beside())?;
        let _: Answer = part.ask(&LoadCommand::Start { rest_us: 0 })?;
        Ok(Load { part })
    }

    /// Starts a plain consumer of the first topic, on the server's cores.
    pub fn consumer(&self, broker: &Broker, from_start: bool) -> anyhow::Result<Consumer> {
        let mut part = Part::start(Role::Consumer, self.measured())?;
        let topic = topics(1).concat();
        let _: Answer = part.ask(&ConsumerCommand::Start {
            brokers: broker.address,
            topic,
            from_start,
        })?;
        Ok(Consumer { part })
    }

    /// Starts a broadcaster of frames of that size.
    pub fn broadcaster(&self, frame_bytes: usize) -> anyhow::Result<Broadcaster> {
        let mut part = Part::start(Role::Broadcaster, self.measured())?;
        let address = listening(&part.ask(&BroadcasterCommand::Start { frame_bytes })?)?;
        Ok(Broadcaster { part, address })
    }
}

fn listening(answer: &Answer) -> anyhow::Result<SocketAddr> {
    match answer {
        Answer::Listening(address) => Ok(*address),
        Answer::Done => bail!("it says nothing about where it listens"),
    }
}

/// The broker's process.
#[derive(Debug)]
pub struct Broker {
    part: Part,
    address: SocketAddr,
}

impl Broker {
    /// Lets so many events a second come, in turn to `topics` topics from `first` on.
    pub fn rate(&mut self, events_per_s: f64, first: usize, topics: usize) -> anyhow::Result<()> {
        let _: Answer = self.part.ask(&BrokerCommand::Rate {
            events_per_s,
            first,
            topics,
        })?;
        Ok(())
    }

    /// Appends events to the first topic, spread over the past.
    pub fn fill(&mut self, events: u64, past_ms: i64) -> anyhow::Result<()> {
        let _: Answer = self.part.ask(&BrokerCommand::Fill { events, past_ms })?;
        Ok(())
    }
}

/// The broadcaster's process.
#[derive(Debug)]
pub struct Broadcaster {
    part: Part,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Broadcaster {
    /// Lets so many events a second come.
    pub fn rate(&mut self, events_per_s: f64) -> anyhow::Result<()> {
        let _: Answer = self.part.ask(&BroadcasterCommand::Rate { events_per_s })?;
        Ok(())
    }

    /// Sends so many frames at once to whoever comes from now on.
    pub fn past(&mut self, frames: u64) -> anyhow::Result<()> {
        let _: Answer = self.part.ask(&BroadcasterCommand::Past { frames })?;
        Ok(())
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.part.id()
    }
}

/// A plain consumer's process.
#[derive(Debug)]
pub struct Consumer {
    part: Part,
}

impl Consumer {
    /// What came since the last report.
    pub fn report(&mut self) -> anyhow::Result<LoadReport> {
        self.part.ask(&ConsumerCommand::Report)
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.part.id()
    }
}

/// A load generator's process.
#[derive(Debug)]
pub struct Load {
    part: Part,
}

impl Load {
    /// Opens so many connections more, and waits for their responses. Gives what came meanwhile.
    pub fn connect(
        &mut self,
        target: SocketAddr,
        count: usize,
        paths: &[String],
    ) -> anyhow::Result<LoadReport> {
        self.connect_with(target, count, paths, "", false)
    }

    /// The same with further header lines; stalled ones never read.
    pub fn connect_with(
        &mut self,
        target: SocketAddr,
        count: usize,
        paths: &[String],
        headers: &str,
        stalled: bool,
    ) -> anyhow::Result<LoadReport> {
        let headers = headers.to_owned();
        let report: LoadReport = self.part.ask(&LoadCommand::Connect {
            target,
            count,
            paths: paths.to_vec(),
            headers,
            stalled,
        })?;
        if report.lost > 0 {
            bail!("{} of {count} connections were refused", report.lost);
        }
        Ok(report)
    }

    /// What came since the last report.
    pub fn report(&mut self) -> anyhow::Result<LoadReport> {
        self.part.ask(&LoadCommand::Report)
    }
}

/// The middle one; of an even number the lower of the two.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0.0)
}
