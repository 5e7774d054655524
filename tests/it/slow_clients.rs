//! Clients that read slowly or not at all: they cost bounded memory for a bounded time and do not
//! affect others.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::net::TcpStream;

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, numbers, padded_record};
use crate::support::process::ServerProcess;
use crate::support::server::{Settings, TestServer, metric};
use crate::support::wire::{Request, Response};

const CONNECTED: &str = "eventstreams_connected_clients{stream=\"slow\"}";
const CLOSED_AS_STALLED: &str = "eventstreams_streams_closed_total{reason=\"stalled\"}";

/// The size of a send buffer in the kernel: twice the requested size (socket(7)).
const SEND_BUFFER_BYTES: u64 = 2 * 256 * 1024;

async fn slow_stream(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.slow");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("slow", &[&topic]);
    (topic, settings)
}

/// Opens the stream and reads only its head. The kernel of this side buffers very little.
async fn stalled(address: SocketAddr) -> Response {
    let response = Request::get("/v2/stream/slow")
        .try_send(address, 4096)
        .await
        .expect("a response");
    assert_eq!(response.status, 200);
    response
}

async fn wait_until_all_ended(admin: SocketAddr) {
    eventually("no stream to be left", async || {
        (metric(admin, CONNECTED).await == 0).then_some(())
    })
    .await;
}

/// The unsent or unacknowledged bytes of each socket of the port (proc(5), /proc/net/tcp).
fn queued_bytes(port: u16) -> Vec<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's sockets");
    let queued = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let own = fields.get(1)?.ends_with(&format!(":{port:04X}"));
        let queue = fields.get(4)?.split(':').next()?;
        own.then(|| u64::from_str_radix(queue, 16).expect("a number in base 16"))
    };
    table.lines().filter_map(queued).collect()
}

on_both_brokers!(
    async fn clients_that_stop_reading_cost_bounded_memory_and_end(cluster: Cluster) {
        const CLIENTS: usize = 500;
        let (topic, settings) = slow_stream(&cluster).await;
        let settings = settings
            .key("write_timeout_ms", "10000")
            .key("memory_log_bytes_max", "16777216");
        let server = ServerProcess::start(&cluster.brokers, &settings).await;
        let mut reading = Request::get("/v2/stream/slow")
            .subscribe(server.address)
            .await;
        let idle = server.resident_bytes();
        let open_files = server.open_files();
        let all = join_all((0..CLIENTS).map(|_| stalled(server.address))).await;
        let opened = server.resident_bytes();
        // Ten megabytes for each client: twenty times the size of its socket buffer.
        let producer = cluster.producer("lz4");
        let (mut most, mut queued, mut queued_most) = (0, 0, 0);
        for round in 0..10 {
            producer
                .produce_many(
                    (round * 100..round * 100 + 100)
                        .map(|n| padded_record(&topic, TIME, n, 10_000)),
                )
                .await;
            let expected: Vec<_> = (round * 100..round * 100 + 100).collect();
            assert_eq!(numbers(&reading.events(100).await), expected);
            most = most.max(server.resident_bytes());
            let sockets = queued_bytes(server.address.port());
            queued = queued.max(sockets.iter().sum::<u64>());
            queued_most = queued_most.max(sockets.into_iter().max().unwrap_or(0));
        }
        let megabytes = |bytes: u64| bytes / (1 << 20);
        println!(
            "{CLIENTS} stalled clients: process {} MiB before them, {} MiB with them, \
             {} MiB at most while they stall (memory log 16 MiB); \
             kernel {} MiB in all, {} KiB at most in one socket",
            megabytes(idle),
            megabytes(opened),
            megabytes(most),
            megabytes(queued),
            queued_most >> 10
        );
        assert!(
            queued_most <= SEND_BUFFER_BYTES,
            "{queued_most} bytes in one socket"
        );
        // A live subscriber gets up to a quarter of a megabyte at once, shared with others. 500
        // copies would exceed the bound.
        assert!(
            most - idle < 256 << 20,
            "{} MiB more",
            megabytes(most - idle)
        );
        eventually("all that do not read to be gone", async || {
            (server.metric(CONNECTED).await == 1).then_some(())
        })
        .await;
        assert_eq!(server.metric(CLOSED_AS_STALLED).await, CLIENTS as u64);
        // Connections to Kafka vary.
        eventually("their sockets to be closed", async || {
            (server.open_files() < open_files + 50).then_some(())
        })
        .await;
        drop(all);
        producer
            .produce_many([padded_record(&topic, TIME, 1000, 100)])
            .await;
        assert_eq!(numbers(&reading.events(1).await), [1000]);
    }

    /// All events fit into the buffer of the socket: no write ever waits, although the client does
    /// not read.
    async fn a_client_that_stops_reading_a_quiet_stream_ends_too(cluster: Cluster) {
        let (topic, settings) = slow_stream(&cluster).await;
        let settings = settings
            .key("write_timeout_ms", "2000")
            .key("heartbeat_ms", "500");
        let server = TestServer::start(&cluster, &settings).await;
        let stalled = stalled(server.address).await;
        let mut reading = Request::get("/v2/stream/slow")
            .subscribe(server.address)
            .await;
        cluster
            .produce_many(
                "none",
                (0..10).map(|n| padded_record(&topic, TIME, n, 10_000)),
            )
            .await;
        assert_eq!(
            numbers(&reading.events(10).await),
            (0..10).collect::<Vec<_>>()
        );
        eventually("it to be gone", async || {
            (server.metric(CONNECTED).await == 1).then_some(())
        })
        .await;
        drop(stalled);
        cluster
            .produce_many("none", [padded_record(&topic, TIME, 10, 100)])
            .await;
        assert_eq!(numbers(&reading.events(1).await), [10]);
    }

    async fn clients_that_read_a_byte_a_second_delay_no_other(cluster: Cluster) {
        let (topic, settings) = slow_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("write_timeout_ms", "3000")).await;
        let readers: Vec<_> = join_all((0..100).map(|_| drip_read(server.address))).await;
        let mut reading = Request::get("/v2/stream/slow")
            .subscribe(server.address)
            .await;
        for round in 0..30 {
            cluster
                .produce_many(
                    "lz4",
                    (round * 100..round * 100 + 100).map(|n| padded_record(&topic, TIME, n, 1000)),
                )
                .await;
            assert_eq!(
                numbers(&reading.events(100).await),
                (round * 100..round * 100 + 100).collect::<Vec<_>>()
            );
        }
        drop(reading);
        wait_until_all_ended(server.admin).await;
        readers.iter().for_each(tokio::task::JoinHandle::abort);
    }

    async fn heads_sent_byte_by_byte_time_out(cluster: Cluster) {
        let (_, settings) = slow_stream(&cluster).await;
        let server =
            TestServer::start(&cluster, &settings.key("request_head_timeout_ms", "1500")).await;
        let head = Request::get("/v2/stream/slow")
            .header("X", "x".repeat(2000))
            .head();
        let dripping = (0..100).map(async |_| {
            let mut stream = TcpStream::connect(server.address)
                .await
                .expect("a connection");
            // 100 ms a byte: the head takes minutes, and no pause is long.
            for byte in head.as_bytes() {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "it was answered");
        });
        within("the server to close all of them", join_all(dripping)).await;
        // As many connections that send nothing.
        let silent = join_all((0..100).map(|_| TcpStream::connect(server.address))).await;
        eventually("no connection to be left", async || {
            (server.metric("eventstreams_connections").await == 0).then_some(())
        })
        .await;
        drop(silent);
    }
);

/// A client that reads a byte a second until the connection ends.
async fn drip_read(address: SocketAddr) -> tokio::task::JoinHandle<()> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    let mut stream = within("a connection", socket.connect(address))
        .await
        .expect("the server accepts");
    stream
        .write_all(Request::get("/v2/stream/slow").head().as_bytes())
        .await
        .expect("the request is written");
    tokio::spawn(async move {
        while let Ok(1..) = stream.read(&mut [0]).await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}
