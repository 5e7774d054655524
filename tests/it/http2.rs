//! HTTP/2 in clear text with prior knowledge, as proxies use it for their upstreams.

use std::net::SocketAddr;

use h2::RecvStream;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::admin::{Cluster, unique};
use crate::support::content_coding::Decoder;
use crate::support::deadline::{eventually, within};
use crate::support::numbered::{TIME, numbers, padded_record, record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// A topic and the stream `two` of it.
async fn two(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.two");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("two", &[&topic]);
    (topic, settings)
}

/// A connection; a task drives it.
pub async fn connect(address: SocketAddr) -> SendRequest<bytes::Bytes> {
    connect_as(address, &h2::client::Builder::new()).await
}

async fn connect_as(
    address: SocketAddr,
    builder: &h2::client::Builder,
) -> SendRequest<bytes::Bytes> {
    let socket = TcpStream::connect(address).await.expect("it accepts");
    let (requests, connection) = builder
        .handshake(socket)
        .await
        .expect("an HTTP/2 handshake");
    tokio::spawn(connection);
    requests
}

pub async fn get(
    requests: &mut SendRequest<bytes::Bytes>,
    path: &str,
) -> http::Response<RecvStream> {
    get_with_coding(requests, path, "identity").await
}

async fn get_with_coding(
    requests: &mut SendRequest<bytes::Bytes>,
    path: &str,
    coding: &str,
) -> http::Response<RecvStream> {
    let request =
        http::Request::get(format!("http://localhost{path}")).header("accept-encoding", coding);
    let request = request.body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("it is sent");
    within("the head", response).await.expect("a response")
}

/// Reads the body until it contains `expected`, and on to the end of that frame of SSE.
pub async fn read_until(body: &mut RecvStream, expected: &str) -> String {
    let mut read = Vec::new();
    // A piece may end in the middle of a character.
    while !(read.ends_with(b"\n\n") && String::from_utf8_lossy(&read).contains(expected)) {
        let bytes = within(format!("{expected:?}"), body.data())
            .await
            .expect("the stream goes on")
            .expect("no error");
        body.flow_control()
            .release_capacity(bytes.len())
            .expect("the capacity is released");
        read.extend_from_slice(&bytes);
    }
    String::from_utf8(read).expect("UTF-8")
}

/// A body that is decoded piece by piece.
struct DecodedBody {
    body: RecvStream,
    decoder: Option<Decoder>,
    read: Vec<u8>,
}

impl DecodedBody {
    fn new(coding: &str, body: RecvStream) -> Self {
        Self {
            body,
            decoder: (coding != "identity").then(|| Decoder::new(coding)),
            read: Vec::new(),
        }
    }

    /// Reads more. Returns false at the end.
    async fn read_more(&mut self) -> bool {
        let Some(bytes) = within("more, or the end", self.body.data()).await else {
            return false;
        };
        let bytes = bytes.expect("no error");
        self.body
            .flow_control()
            .release_capacity(bytes.len())
            .expect("the capacity is released");
        match &mut self.decoder {
            Some(decoder) => decoder
                .feed(&bytes, &mut self.read)
                .expect("valid compressed data"),
            None => self.read.extend_from_slice(&bytes),
        }
        true
    }

    fn check_complete(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.check_complete().expect("the coding ends in order");
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.read.clone()).expect("UTF-8")
    }
}

/// The numbers of the events in a text.
fn numbers_in(text: &str) -> Vec<usize> {
    let number = |after: &str| after[..after.find(['}', ','])?].parse().ok();
    text.split("\"n\":").skip(1).filter_map(number).collect()
}

on_both_brokers!(
    async fn streams_of_one_connection_run_together_and_end_completely(cluster: Cluster) {
        let (topic, settings) = two(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let mut requests = connect(server.address).await;
        let info = get(&mut requests, "/_info").await;
        assert_eq!(
            (info.status().as_u16(), info.version()),
            (200, http::Version::HTTP_2)
        );
        assert_eq!(get(&mut requests, "/v2/stream/nothing").await.status(), 400);
        let (one, other) = (
            get(&mut requests, "/v2/stream/two").await,
            get(&mut requests, "/v2/stream/two").await,
        );
        assert_eq!(
            one.headers()["content-type"],
            "text/event-stream; charset=utf-8"
        );
        assert!(
            one.headers().get("connection").is_none(),
            "HTTP/2 has no such header"
        );
        let (mut one, mut other) = (one.into_body(), other.into_body());
        read_until(&mut one, ":ok\n\n").await;
        read_until(&mut other, ":ok\n\n").await;
        cluster
            .produce_many("none", (0..3).map(|n| record(&topic, 0, TIME, n)))
            .await;
        for body in [&mut one, &mut other] {
            let text = read_until(body, "\"n\":2").await;
            assert_eq!(text.matches("event: message\n").count(), 3);
        }
        let mut last = String::new();
        let rest = async {
            while let Some(bytes) = within("the end", one.data()).await {
                last.push_str(str::from_utf8(&bytes.expect("no error")).expect("UTF-8"));
            }
        };
        tokio::join!(rest, server.stop());
        assert!(
            last.starts_with("retry: ") && last.ends_with("\n\n"),
            "{last:?}"
        );
    }

    /// Also streams that open later, and streams of HTTP/1.1 beside them.
    async fn compressed_streams_end_completely(cluster: Cluster) {
        let (topic, settings) = two(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let producer = cluster.producer("none");
        let mut beside = Request::get("/v2/stream/two")
            .header("Accept-Encoding", "zstd")
            .subscribe(server.address)
            .await;
        let mut requests = connect(server.address).await;
        let mut bodies = Vec::new();
        for n in 0..12 {
            let coding = ["gzip", "zstd", "identity"][n % 3];
            let response = get_with_coding(&mut requests, "/v2/stream/two", coding).await;
            let encoding = response
                .headers()
                .get("content-encoding")
                .map(|value| value.to_str().expect("ASCII"));
            assert_eq!(encoding, (coding != "identity").then_some(coding));
            bodies.push((n, DecodedBody::new(coding, response.into_body())));
            producer.produce_many([record(&topic, 0, TIME, n)]).await;
            assert_eq!(numbers(&beside.events(1).await), [n]);
        }
        for (_, body) in &mut bodies {
            while !numbers_in(&body.text()).contains(&11) {
                assert!(body.read_more().await);
            }
        }
        let read = async {
            for (first, body) in &mut bodies {
                while body.read_more().await {}
                body.check_complete();
                let text = body.text();
                assert_eq!(
                    numbers_in(&text),
                    (*first..12).collect::<Vec<_>>(),
                    "{text}"
                );
                assert!(
                    text.rsplit("\n\n")
                        .nth(1)
                        .is_some_and(|last| last.starts_with("retry: ")),
                    "{text}"
                );
            }
        };
        tokio::join!(read, server.stop());
    }

    /// Far more than its window and the buffers of the server; the client of another connection
    /// keeps reading.
    async fn a_paused_client_loses_no_events(cluster: Cluster) {
        const EVENTS: usize = 1000;
        let (topic, settings) = two(&cluster).await;
        let settings = settings.key("memory_log_bytes_max", "1048576");
        let server = TestServer::start(&cluster, &settings).await;
        let mut slow = get(&mut connect(server.address).await, "/v2/stream/two")
            .await
            .into_body();
        let mut reading = get(&mut connect(server.address).await, "/v2/stream/two")
            .await
            .into_body();
        let producer = cluster.producer("none");
        for first in (0..EVENTS).step_by(50) {
            producer
                .produce_many((first..first + 50).map(|n| padded_record(&topic, TIME, n, 5000)))
                .await;
            let text = read_until(&mut reading, &format!("\"n\":{},", first + 49)).await;
            assert_eq!(numbers_in(&text), (first..first + 50).collect::<Vec<_>>());
        }
        let text = read_until(&mut slow, &format!("\"n\":{},", EVENTS - 1)).await;
        assert_eq!(numbers_in(&text), (0..EVENTS).collect::<Vec<_>>());
    }

    /// Its connection stays usable.
    async fn a_stream_of_a_client_that_never_reads_is_reset(cluster: Cluster) {
        let (topic, settings) = two(&cluster).await;
        let settings = settings.key("write_timeout_ms", "2000");
        let server = TestServer::start(&cluster, &settings).await;
        let mut builder = h2::client::Builder::new();
        let mut requests = connect_as(
            server.address,
            builder.initial_connection_window_size(1 << 20),
        )
        .await;
        let mut stalled = get(&mut requests, "/v2/stream/two").await.into_body();
        cluster
            .produce_many(
                "none",
                (0..1000).map(|n| padded_record(&topic, TIME, n, 5000)),
            )
            .await;
        // The client reads the pieces but never releases their capacity, so the window stays full.
        let mut bytes = 0;
        let end = loop {
            match within("its reset", stalled.data()).await {
                Some(Ok(piece)) => bytes += piece.len(),
                other => {
                    break other.map(|result| result.map(|_| ()).map_err(|error| error.reason()));
                }
            }
        };
        assert_eq!(
            end,
            Some(Err(Some(h2::Reason::CANCEL))),
            "after {bytes} bytes"
        );
        assert!(bytes <= 65_535, "{bytes}");
        let closed = async || {
            server
                .metric("eventstreams_streams_closed_total{reason=\"stalled\"}")
                .await
        };
        eventually("it to be counted", async || {
            (closed().await == 1).then_some(())
        })
        .await;
        assert_eq!(
            server
                .metric("eventstreams_connected_clients{stream=\"two\"}")
                .await,
            0
        );
        assert_eq!(get(&mut requests, "/_info").await.status(), 200);
    }

    /// The backlog takes longer than the write timeout, but a chunk of it does not.
    async fn a_stream_of_a_slow_client_continues(cluster: Cluster) {
        const EVENTS: usize = 16;
        let (topic, settings) = two(&cluster).await;
        let settings = settings.key("write_timeout_ms", "2000");
        let server = TestServer::start(&cluster, &settings).await;
        let mut slow = get(&mut connect(server.address).await, "/v2/stream/two")
            .await
            .into_body();
        let mut beside = Request::get("/v2/stream/two")
            .subscribe(server.address)
            .await;
        let producer = cluster.producer("none");
        for n in 0..EVENTS {
            producer
                .produce_many([padded_record(&topic, TIME, n, 400_000)])
                .await;
            assert_eq!(numbers(&beside.events(1).await), [n], "a chunk for each");
        }
        let mut text = String::new();
        while numbers_in(&text).len() < EVENTS {
            let bytes = within("more", slow.data())
                .await
                .expect("the stream goes on")
                .expect("no error");
            slow.flow_control()
                .release_capacity(bytes.len())
                .expect("the capacity is released");
            // Drop the padding.
            text.extend(
                str::from_utf8(&bytes)
                    .expect("UTF-8")
                    .chars()
                    .filter(|char| *char != 'x'),
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(numbers_in(&text), (0..EVENTS).collect::<Vec<_>>());
    }

    /// The first bytes match the preface of HTTP/2, later ones do not.
    async fn a_request_sent_byte_by_byte_is_not_taken_for_http_2(cluster: Cluster) {
        let server =
            TestServer::start(&cluster, &Settings::default().stream("two", &["eqiad.two"])).await;
        let mut socket = TcpStream::connect(server.address)
            .await
            .expect("it accepts");
        for byte in b"PRINT /v2/stream/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
            socket.write_all(&[*byte]).await.expect("it is taken");
            tokio::task::yield_now().await;
        }
        let mut response = String::new();
        within("the response", socket.read_to_string(&mut response))
            .await
            .expect("it ends");
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    }

    async fn garbage_after_the_http_2_preface_closes_the_connection(cluster: Cluster) {
        let server =
            TestServer::start(&cluster, &Settings::default().stream("two", &["eqiad.two"])).await;
        let mut socket = TcpStream::connect(server.address)
            .await
            .expect("it accepts");
        let garbage = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", "x".repeat(100));
        socket
            .write_all(garbage.as_bytes())
            .await
            .expect("it is taken");
        let mut response = Vec::new();
        within("the end", socket.read_to_end(&mut response))
            .await
            .expect("it is closed");
        assert_eq!(
            get(&mut connect(server.address).await, "/_info")
                .await
                .status(),
            200,
            "the process lives"
        );
    }
);
