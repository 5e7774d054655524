//! The case of the beginning: from starting a process to the first event at a client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::ensure;
use memchr::memmem;

use crate::broker::now_us;
use crate::processes::Process;
use crate::run::{Options, median};
use crate::server::free_port;
use crate::table::Row;

const PAUSE: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_mins(1);

/// `eventstreams dev`: the embedded broker, ten minutes of past, about 30 events a second. With
/// `--brokers` the same on Kafka, whose topics must be there and filled already.
pub fn start(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = rows("start", &[], options)?;
    if let Some(brokers) = &options.brokers {
        rows.extend(self::rows(
            "start (Kafka)",
            &["--brokers", brokers],
            options,
        )?);
    }
    Ok(rows)
}

fn rows(case: &'static str, arguments: &[&str], options: &Options) -> anyhow::Result<Vec<Row>> {
    let minute_ago = format!("/v2/stream/recentchange?since={}", now_us() / 1000 - 60_000);
    let row = |what, path: &str| -> anyhow::Result<Row> {
        let times = (0..options.windows)
            .map(|_| first_event(arguments, path, options))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let details = serde_json::json!({"ms": times});
        Ok(Row::new(case, what, "ms", median(times)).with_details(details))
    };
    Ok(vec![
        row(
            "process start to first event, since a minute ago",
            &minute_ago,
        )?,
        row(
            "process start to first event, live",
            "/v2/stream/recentchange",
        )?,
    ])
}

/// Milliseconds.
fn first_event(arguments: &[&str], path: &str, options: &Options) -> anyhow::Result<f64> {
    let (public, admin) = (free_port()?, free_port()?);
    let mut command = Command::new(&options.server);
    command
        .args([
            "dev",
            "--port",
            &public.port().to_string(),
            "--admin-port",
            &admin.port().to_string(),
        ])
        .args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut process = Process::start(&mut command, options.beside())?;
    while !has_event(public, path) {
        ensure!(
            process.runs() && begun.elapsed() < PATIENCE,
            "no event came: the server says why above"
        );
        sleep(PAUSE);
    }
    Ok(begun.elapsed().as_secs_f64() * 1000.0)
}

/// Whether a request is answered with an event; waits for it on an open stream.
fn has_event(address: SocketAddr, path: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    if socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .is_err()
        || socket.write_all(request.as_bytes()).is_err()
    {
        return false;
    }
    let mut response = Vec::new();
    let mut buffer = [0; 16 << 10];
    while memmem::find(&response, b"\ndata: {").is_none() {
        match socket.read(&mut buffer) {
            Ok(count @ 1..) => response.extend_from_slice(&buffer[..count]),
            _ => return false,
        }
    }
    true
}
