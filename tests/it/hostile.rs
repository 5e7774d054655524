//! Clients that misuse the server: empty, half-closed or too many connections, and requests after a
//! stream request. Heads, URLs, ids and query strings of absurd size are in [`super::problems`].

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

/// Connects and disconnects in one of several ways.
async fn connect_and_disconnect(address: SocketAddr, way: usize) {
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
        // A reset instead of a close.
        stream.set_zero_linger().expect("an option");
    }
}

on_both_brokers!(
    async fn ten_thousand_connections_leave_nothing_behind(cluster: Cluster) {
        let (topic, settings) = open(&cluster).await;
        let server = ServerProcess::start(&cluster.brokers, &settings).await;
        let mut subscriber = Request::get("/v2/stream/open")
            .subscribe(server.address)
            .await;
        let mut ways = 0..10_000;
        let mut running: FuturesUnordered<_> = ways
            .by_ref()
            .take(100)
            .map(|way| connect_and_disconnect(server.address, way))
            .collect();
        within("ten thousand connections", async {
            // The first hundred connections cover what the program allocates once.
            while running.next().await.is_some() {
                running.extend(
                    ways.next()
                        .map(|way| connect_and_disconnect(server.address, way)),
                );
            }
        })
        .await;
        // The connection of the request for metrics, and the subscriber.
        eventually("one stream and one connection to be left", async || {
            (server.metric(CONNECTED).await == 1 && server.metric(CONNECTIONS).await == 1)
                .then_some(())
        })
        .await;
        let files = server.open_files();
        println!(
            "10,000 connections: {files} open files and {} MiB afterwards",
            server.resident_bytes() >> 20
        );
        assert!(files < 100, "{files} open files");
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
    }

    /// It sends nothing more, as a vanished client does. The server cannot know that it still
    /// reads.
    async fn a_client_that_closes_its_side_counts_as_gone(cluster: Cluster) {
        let (_, settings) = open(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut halves = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(server.address)
                .await
                .expect("a connection");
            stream
                .write_all(Request::get("/v2/stream/open").head().as_bytes())
                .await
                .expect("the request is written");
            let mut first = [0; 16];
            within("a response", stream.read_exact(&mut first))
                .await
                .expect("a response");
            assert_eq!(&first[..15], b"HTTP/1.1 200 OK");
            halves.push(stream);
        }
        assert_eq!(server.metric(CONNECTED).await, 50);
        for stream in &mut halves {
            stream.shutdown().await.expect("half closed");
        }
        eventually("no stream to be left", async || {
            (server.metric(CONNECTED).await == 0 && server.metric(CONNECTIONS).await == 0)
                .then_some(())
        })
        .await;
    }

    /// A stream never ends, so no later request on the connection is due. The server must neither
    /// disturb the stream nor buffer them.
    async fn requests_after_a_stream_request_are_ignored(cluster: Cluster) {
        let (topic, settings) = open(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut stream = TcpStream::connect(server.address)
            .await
            .expect("a connection");
        let head = Request::get("/v2/stream/open").head();
        let behind = Request::get("/_info").head();
        stream
            .write_all(format!("{head}{behind}{head}").as_bytes())
            .await
            .expect("three requests are written");
        eventually("the stream to be open", async || {
            (server.metric(CONNECTED).await == 1).then_some(())
        })
        .await;
        let (mut reading, mut writing) = stream.into_split();
        // More than all buffers hold: the server stops reading.
        let flood = tokio::spawn(async move {
            let many = behind.repeat(1000);
            for _ in 0..1000 {
                if writing.write_all(many.as_bytes()).await.is_err() {
                    return false;
                }
            }
            true
        });
        cluster
            .produce_many("none", (0..10).map(|n| record(&topic, 0, TIME, n)))
            .await;
        let mut response = String::new();
        within("ten events", async {
            while !response.contains("\"n\":9") {
                let mut bytes = [0; 4096];
                let read = reading.read(&mut bytes).await.expect("the stream goes on");
                assert!(read > 0, "the stream ended: {response}");
                response.push_str(str::from_utf8(&bytes[..read]).expect("text"));
            }
        })
        .await;
        assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
        assert_eq!(response.matches("event: message").count(), 10, "{response}");
        assert!(
            !flood.is_finished(),
            "a hundred megabytes of requests were taken"
        );
        flood.abort();
        assert_eq!(
            server.metric(CONNECTED).await,
            1,
            "the second stream request opened no stream"
        );
    }

    async fn a_process_recovers_from_a_lack_of_file_descriptors(cluster: Cluster) {
        const CLIENTS: usize = 200;
        let (topic, settings) = open(&cluster).await;
        let mut server =
            ServerProcess::start_with_file_limit(&cluster.brokers, &settings, Some(128)).await;
        let mut early = Request::get("/v2/stream/open")
            .subscribe(server.address)
            .await;
        // The queue of the kernel holds connections that the server does not accept.
        let mut waiting = Vec::new();
        for _ in 0..CLIENTS {
            let mut stream = TcpStream::connect(server.address)
                .await
                .expect("the kernel accepts");
            stream
                .write_all(Request::get("/v2/stream/open").head().as_bytes())
                .await
                .expect("the request is written");
            waiting.push(stream);
        }
        eventually("no descriptor to be left", async || {
            (server.open_files() >= 128).then_some(())
        })
        .await;
        eventually("the log to report it", async || {
            server
                .log_text()
                .contains("Too many open files")
                .then_some(())
        })
        .await;
        // Connected clients stay served.
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&early.events(1).await), [0]);
        // The others are served when descriptors become free.
        let is_answered = async |stream: &mut TcpStream| {
            let mut first = [0; 15];
            matches!(
                tokio::time::timeout(Duration::from_millis(200), stream.read_exact(&mut first))
                    .await,
                Ok(Ok(_))
            )
        };
        let mut answered = 0;
        within("all to be answered", async {
            while !waiting.is_empty() {
                let mut unanswered = Vec::new();
                for mut stream in std::mem::take(&mut waiting) {
                    if is_answered(&mut stream).await {
                        answered += 1;
                    } else {
                        unanswered.push(stream);
                    }
                }
                waiting = unanswered;
            }
        })
        .await;
        assert_eq!(answered, CLIENTS);
        server.wait_until_ready().await;
        cluster.produce(record(&topic, 0, TIME, 1)).await;
        assert_eq!(numbers(&early.events(1).await), [1]);
        let mut late = Request::get("/v2/stream/open")
            .subscribe(server.address)
            .await;
        server.terminate();
        assert_eq!(late.rest().await.1, End::Complete);
        assert_eq!(server.wait_for_exit().await.code(), Some(0));
    }
);
