//! What a delivery over HTTP/2 costs, plain and coded, beside one over HTTP/1.1 of the same server;
//! and the clients of that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;

use crate::commands::{Answer, LoadCommand, LoadReport, answer, commands};
use crate::compression::{EVENTS_PER_S, REST, SUBSCRIBERS, Window, take_turns};
use crate::run::{Options, median};
use crate::server::{Settings, path};
use crate::table::Row;

/// A stream for each side: only one at a time has events.
const SIDES: [(&str, &str); 3] = [
    ("HTTP/1.1", "identity"),
    ("HTTP/2", "identity"),
    ("HTTP/2 with zstd", "zstd"),
];

/// Streams of one connection: a proxy sends many clients over one.
const STREAMS_PER_CONNECTION: usize = 100;

/// What a client lets come unread: more than ever waits.
const WINDOW_BYTES: u32 = 64 << 20;

/// In turns.
pub fn http2(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut broker = options.broker(2 * SIDES.len(), 64 << 20, 0)?;
    let server = options.server(
        &broker,
        Settings {
            streams: SIDES.len(),
            memory_log_bytes_max: 16 << 20,
            ..Settings::default()
        },
    )?;
    let mut loads = Vec::new();
    for (number, (side, coding)) in SIDES.iter().enumerate() {
        let mut load = if *side == "HTTP/1.1" {
            options.load(REST)?
        } else {
            options.http2_load()?
        };
        load.connect_with(
            server.public,
            SUBSCRIBERS,
            &[path([number])],
            &format!("accept-encoding: {coding}\r\n"),
            false,
        )?;
        loads.push(load);
    }
    let [one, two, coded] = take_turns(
        options,
        &mut broker,
        &server,
        &mut loads,
        SIDES.map(|(side, _)| side),
    )?;
    let details = serde_json::json!({
        "subscribers": SUBSCRIBERS,
        "streams_per_connection": STREAMS_PER_CONNECTION,
        "events_per_s": EVENTS_PER_S,
        "http1": one, "http2": two, "http2_zstd": coded,
    });
    let row = |what, unit, side: &[Window], of: fn(&Window) -> f64| {
        Row::new("http2", what, unit, median(side.iter().map(of)))
            .beside(median(one.iter().map(of)))
    };
    Ok(vec![
        row("HTTP/2: CPU per delivery", "us", &two, |window| {
            window.cpu_us_per_delivery
        })
        .with_details(details),
        row(
            "HTTP/2 with zstd: CPU per delivery",
            "us",
            &coded,
            |window| window.cpu_us_per_delivery,
        ),
        row("HTTP/2: deliveries per second", "", &two, |window| {
            window.deliveries_per_s
        }),
        row(
            "HTTP/2 with zstd: deliveries per second",
            "",
            &coded,
            |window| window.deliveries_per_s,
        ),
        row("HTTP/2 with zstd: bytes per event", "B", &coded, |window| {
            window.bytes_per_event
        }),
    ])
}

/// What the clients count.
#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    lost: AtomicUsize,
    bytes: AtomicU64,
}

/// Reads until there are no more commands: the load generator of HTTP/2. Frames are not counted,
/// only bytes.
pub fn play() -> anyhow::Result<()> {
    let commands = commands::<LoadCommand>(None);
    let Ok(LoadCommand::Start { .. }) = commands.recv() else {
        bail!("the first command is Start")
    };
    answer(&Answer::Done)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(obey(&commands))
}

async fn obey(commands: &Receiver<LoadCommand>) -> anyhow::Result<()> {
    let counts = Arc::new(Counts::default());
    while let Ok(command) = commands.recv() {
        if let LoadCommand::Connect {
            target,
            count,
            paths,
            headers,
            ..
        } = command
        {
            connect(
                target,
                count,
                paths.first().context("a path")?,
                &headers,
                &counts,
            )
            .await?;
        }
        answer(&LoadReport {
            open: counts.open.load(Ordering::Relaxed),
            lost: counts.lost.load(Ordering::Relaxed),
            bytes: counts.bytes.swap(0, Ordering::Relaxed),
            ..LoadReport::default()
        })?;
    }
    Ok(())
}

async fn connect(
    target: SocketAddr,
    count: usize,
    path: &str,
    headers: &str,
    counts: &Arc<Counts>,
) -> anyhow::Result<()> {
    let mut requests = Vec::new();
    for number in 0..count {
        if number.is_multiple_of(STREAMS_PER_CONNECTION) {
            let socket = TcpStream::connect(target).await?;
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(WINDOW_BYTES)
                .initial_connection_window_size(WINDOW_BYTES);
            let (sender, connection) = builder.handshake(socket).await?;
            tokio::spawn(connection);
            requests.push(sender);
        }
        let body = begin(requests.last_mut().context("a connection")?, path, headers).await?;
        counts.open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(read(body, Arc::clone(counts)));
    }
    // Requests end with the last handle on their connection.
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(requests);
    });
    Ok(())
}

async fn begin(
    requests: &mut SendRequest<Bytes>,
    path: &str,
    headers: &str,
) -> anyhow::Result<RecvStream> {
    let mut request = Request::get(format!("http://localhost{path}"));
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").context("a header")?;
        request = request.header(name, value);
    }
    std::future::poll_fn(|cx| requests.poll_ready(cx)).await?;
    let response = requests.send_request(request.body(())?, true)?.0.await?;
    ensure!(response.status() == 200, "answered {}", response.status());
    Ok(response.into_body())
}

async fn read(mut body: RecvStream, counts: Arc<Counts>) {
    while let Some(Ok(bytes)) = body.data().await {
        counts
            .bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if body.flow_control().release_capacity(bytes.len()).is_err() {
            break;
        }
    }
    counts.open.fetch_sub(1, Ordering::Relaxed);
    counts.lost.fetch_add(1, Ordering::Relaxed);
}
