//! The server's process: the `eventstreams` binary with a generated configuration.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use tempfile::TempDir;

use crate::processes::{Cores, Process};

/// The server that cargo builds for this benchmark.
pub const BINARY: &str = env!("CARGO_BIN_EXE_eventstreams");

/// How long a server may take until it serves streams.
const PATIENCE: Duration = Duration::from_mins(1);

/// What differs between servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Streams `bench.s0`, `bench.s1` and so on, of two topics each.
    pub streams: usize,
    /// Of these, the server has those from here on.
    pub first_stream: usize,
    /// Any number of filters may be in use. Servers before there were filters do not know these
    /// keys.
    pub any_filters: bool,
    /// Bytes of the memory log.
    pub memory_log_bytes_max: u64,
}

/// The topics of streams, in the order in which the broker has them: two of each.
pub fn topics(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{}.bench.s{}", ["eqiad", "codfw"][number % 2], number / 2))
        .collect()
}

/// The path of a subscription to those streams.
pub fn path(streams: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<_> = streams
        .into_iter()
        .map(|stream| format!("bench.s{stream}"))
        .collect();
    format!("/v2/stream/{}", names.join(","))
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// The public port.
    pub public: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Server {
    /// Starts `binary` on `brokers`, and waits until it serves streams.
    pub fn start(
        binary: &Path,
        brokers: SocketAddr,
        settings: Settings,
        cores: Cores,
    ) -> anyhow::Result<Self> {
        let (public, admin) = (free_port()?, free_port()?);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, settings.yaml(brokers, public.port(), admin.port())?)?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = Process::start(&mut command, cores)?;
        let mut server = Self {
            process,
            public,
            admin,
            _folder: folder,
        };
        server.wait_ready()?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !get(self.admin, "/readyz").is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
        {
            if !self.process.runs() || begun.elapsed() > PATIENCE {
                bail!("the server does not serve streams: it says why above");
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Where the admin port is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The sum of a metric over its labels; 0 when it is not there yet.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = get(self.admin, "/metrics")?;
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        Ok(samples
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }
}

impl Settings {
    fn yaml(self, brokers: SocketAddr, public: u16, admin: u16) -> anyhow::Result<String> {
        let mut yaml = format!(
            "port: {public}\ninterface: 127.0.0.1\n\
             admin_port: {admin}\nadmin_interface: 127.0.0.1\nlogging: {{level: warn}}\n\
             connections_max: 100000\ntrusted_proxies: [127.0.0.0/8]\ndrain_ms: 0\n\
             memory_log_bytes_max: {}\nkafka: {{metadata.broker.list: '{brokers}'}}\n",
            self.memory_log_bytes_max
        );
        if self.any_filters {
            yaml += "filters_max: 100000\nfilters_per_client_max: off\n\
                     unindexed_filters_max: 10000\n";
        }
        yaml += "stream_config_defaults:\n";
        let topics = topics(self.streams * 2);
        for (stream, topics) in topics.chunks(2).enumerate().skip(self.first_stream) {
            writeln!(
                yaml,
                "  bench.s{stream}: {{topics: [{}]}}",
                topics.join(", ")
            )?;
        }
        Ok(yaml)
    }
}

/// The whole answer to a request.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A port that is free. It is not one that the system gives to clients: one that asks for a server
/// that does not listen yet could be given the server's own port.
pub fn free_port() -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 10_000;
    for _ in 0..10_000 {
        let number = (first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 10_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + number as u16));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("loopback has no free port from 20000 to 29999")
}
