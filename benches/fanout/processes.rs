//! Processes that end with the benchmark.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Role;

/// How long an answer may take: every command is done in seconds on any machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Which cores a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The first: for what is measured.
    First,
    /// All but the first.
    Others,
    /// Every one.
    All,
}

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it on those cores.
    pub fn start(command: &mut Command, cores: Cores) -> anyhow::Result<Self> {
        // A process begins on the cores of the thread that starts it.
        let before = sched_getaffinity(None)?;
        sched_setaffinity(None, &cores.among(&before))?;
        let child = command.spawn();
        sched_setaffinity(None, &before)?;
        let child =
            child.with_context(|| format!("{} did not start", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cores {
    fn among(self, all: &CpuSet) -> CpuSet {
        let available: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|&core| all.is_set(core))
            .collect();
        let [first, others @ ..] = available.as_slice() else {
            return *all;
        };
        let mut set = CpuSet::new();
        match self {
            Self::First => set.set(*first),
            Self::Others if !others.is_empty() => others.iter().for_each(|&core| set.set(core)),
            Self::Others | Self::All => return *all,
        }
        set
    }
}

/// A process of the benchmark's own that takes commands.
#[derive(Debug)]
pub struct Part {
    process: Process,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl Part {
    /// Starts this program in another role.
    pub fn start(role: Role, cores: Cores) -> anyhow::Result<Self> {
        let name = role.to_possible_value().context("roles have names")?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--role", name.get_name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command, cores)?;
        let commands = process.child.stdin.take().context("a pipe")?;
        let out = BufReader::new(process.child.stdout.take().context("a pipe")?);
        let (sender, answers) = channel();
        thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Ok(Self {
            process,
            commands,
            answers,
        })
    }

    /// Gives a command and waits for its answer.
    pub fn ask<A: DeserializeOwned>(&mut self, command: &impl Serialize) -> anyhow::Result<A> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        self.commands
            .write_all(&line)
            .context("a process of the benchmark has ended")?;
        let answer = self.answers.recv_timeout(PATIENCE);
        let answer = answer
            .map_err(|error| anyhow!("no answer to {}: {error}", String::from_utf8_lossy(&line)))?;
        serde_json::from_str(&answer).with_context(|| format!("the answer {answer:?}"))
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Lets this process and those it starts open as many files as the system allows. Gives that
/// number.
pub fn raise_open_files(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let maximum = now.maximum.unwrap_or(u64::MAX);
    // Root may go beyond the hard limit.
    let beyond = Rlimit {
        current: Some(wanted),
        maximum: Some(wanted.max(maximum)),
    };
    let within = Rlimit {
        current: Some(wanted.min(maximum)),
        maximum: now.maximum,
    };
    if setrlimit(Resource::Nofile, beyond).is_err() && setrlimit(Resource::Nofile, within).is_err()
    {
        eprintln!("the limit of open files stays as it is");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
