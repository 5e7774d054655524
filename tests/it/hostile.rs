//! Clients that do what no honest client does: connections for nothing, half closed, too many, with requests behind a stream request.
//! Heads, URLs, ids and query strings of absurd size are in [`super::problems`].

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, numbers, record};
use crate::support::process::ServerProcess;
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{End, Request};

const CONNECTED: &str = "eventstreams_connected_clients{stream=\"open\"}";
const CONNECTIONS: &str = "eventstreams_connections";

async fn open(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.open");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("open", &[&topic]);
    (topic, settings)
}

/// Connects and goes away, in one of the ways in which that can be done.
async fn come_and_go(address: SocketAddr, way: usize) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let head = Request::get("/v2/stream/open").head();
    let sent = match way % 5 {
        0 => "",
        1 => &head[..head.len() / 2],
        _ => &head,
    };
    let _ = stream.write_all(sent.as_bytes()).await;
    if way % 5 > 2 {
        let _ = stream.read(&mut [0; 64]).await;
    }
    if way.is_multiple_of(2) {
        // Reset instead of closed.
        stream.set_zero_linger().expect("an option");
    }
}

on_both_brokers! {
    async fn ten_thousand_connections_that_open_and_close_leave_nothing_behind(cluster: Cluster) {
        let (topic, settings) = open(&cluster).await;
        let server = ServerProcess::start(&cluster.brokers, &settings).await;
        let mut subscriber = Request::get("/v2/stream/open").subscribe(server.address).await;
        let mut ways = 0..10_000;
        let mut running: FuturesUnordered<_> = ways.by_ref().take(100).map(|way| come_and_go(server.address, way)).collect();
        within("ten thousand connections", async {
            // The first hundred of them settle what the program allocates once.
            while running.next().await.is_some() {
                running.extend(ways.next().map(|way| come_and_go(server.address, way)));
            }
        })
        .await;
        // The one that is asking, and the subscriber.
        eventually("one stream and one connection to be left", async || {
            (server.metric(CONNECTED).await == 1 && server.metric(CONNECTIONS).await == 1).then_some(())
        })
        .await;
        let files = server.open_files();
        println!("10,000 connections: {files} open files and {} MiB afterwards", server.resident_bytes() >> 20);
        assert!(files < 100, "{files} open files");
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
    }

    /// It sends no more, as a client that has gone does; that it may still read cannot be known.
    async fn a_client_that_closes_its_side_is_gone(cluster: Cluster) {
        let (_, settings) = open(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut halves = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(server.address).await.expect("a connection");
            stream.write_all(Request::get("/v2/stream/open").head().as_bytes()).await.expect("the request is written");
            let mut first = [0; 16];
            within("an answer", stream.read_exact(&mut first)).await.expect("an answer");
            assert_eq!(&first[..15], b"HTTP/1.1 200 OK");
            halves.push(stream);
        }
        assert_eq!(server.metric(CONNECTED).await, 50);
        for stream in &mut halves {
            stream.shutdown().await.expect("half closed");
        }
        eventually("no stream to be left", async || {
            (server.metric(CONNECTED).await == 0 && server.metric(CONNECTIONS).await == 0).then_some(())
        })
        .await;
    }

    /// A stream never ends, so that nothing behind it is due; it must not be disturbed, and not be kept in memory.
    async fn requests_behind_a_stream_request_are_not_answered_and_not_kept(cluster: Cluster) {
        let (topic, settings) = open(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        let head = Request::get("/v2/stream/open").head();
        let behind = Request::get("/_info").head();
        stream.write_all(format!("{head}{behind}{head}").as_bytes()).await.expect("three requests are written");
        eventually("the stream to be open", async || (server.metric(CONNECTED).await == 1).then_some(())).await;
        let (mut reading, mut writing) = stream.into_split();
        // More than all buffers take: the server does not read on without end.
        let flood = tokio::spawn(async move {
            let many = behind.repeat(1000);
            for _ in 0..1000 {
                if writing.write_all(many.as_bytes()).await.is_err() {
                    return false;
                }
            }
            true
        });
        cluster.produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n))).await;
        let mut answer = String::new();
        within("ten events", async {
            while !answer.contains("\"n\":9") {
                let mut bytes = [0; 4096];
                let read = reading.read(&mut bytes).await.expect("the stream goes on");
                assert!(read > 0, "the stream ended: {answer}");
                answer.push_str(str::from_utf8(&bytes[..read]).expect("text"));
            }
        })
        .await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert_eq!(answer.matches("event: message").count(), 10, "{answer}");
        assert!(!flood.is_finished(), "a hundred megabytes of requests were taken");
        flood.abort();
        assert_eq!(server.metric(CONNECTED).await, 1, "the second stream request has opened none");
    }

    async fn a_process_without_file_descriptors_lives_and_serves_again(cluster: Cluster) {
        const CLIENTS: usize = 200;
        let (topic, settings) = open(&cluster).await;
        let mut server = ServerProcess::start_with_file_limit(&cluster.brokers, &settings, Some(128)).await;
        let mut early = Request::get("/v2/stream/open").subscribe(server.address).await;
        // Those that are not accepted wait in the kernel's queue.
        let mut waiting = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(server.address).await.expect("the kernel accepts");
            stream.write_all(Request::get("/v2/stream/open").head().as_bytes()).await.expect("the request is written");
            waiting.push(stream);
        }
        eventually("no descriptor to be left", async || (server.open_files() >= 128).then_some(())).await;
        eventually("that to be said", async || server.log_text().contains("Too many open files").then_some(())).await;
        // Whoever is connected is served on.
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&early.events(1).await), [0]);
        // The rest is served when others go.
        let is_answered = async |stream: &mut TcpStream| {
            let mut first = [0; 15];
            matches!(tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut first)).await, Ok(Ok(_)))
        };
        let mut answered = 0;
        within("all to be answered", async {
            while !waiting.is_empty() {
                let mut unanswered = Vec::new();
                for mut stream in std::mem::take(&mut waiting) {
                    if is_answered(&mut stream).await { answered += 1 } else { unanswered.push(stream) }
                }
                waiting = unanswered;
            }
        })
        .await;
        assert_eq!(answered, CLIENTS);
        server.wait_until_ready().await;
        cluster.produce(record(&topic, 0, TIME, 1)).await;
        assert_eq!(numbers(&early.events(1).await), [1]);
        let mut late = Request::get("/v2/stream/open").subscribe(server.address).await;
        server.terminate();
        assert_eq!(late.rest().await.1, End::Complete);
        assert_eq!(server.wait_for_exit().await.code(), Some(0));
    }
}
