//! Connections: how long one may stay without a request, and how many one address may have. Only
//! tests of streams need a broker.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::admin::unique;
use crate::support::deadline::{TIMEOUT, eventually, within};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// A server without Kafka: it responds, but has no streams.
fn server(keys: &[(&str, &str)]) -> TestServer {
    let settings = Settings::default().stream("s", &["s"]);
    let settings = keys
        .iter()
        .fold(settings, |settings, (key, value)| settings.key(key, value));
    TestServer::start_without_waiting("127.0.0.1:1", &settings)
}

/// A SETTINGS frame without settings (RFC 9113, section 6.5).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The first bytes of a HEADERS frame of 100 bytes on stream 1.
const PARTIAL_HEADERS: &[u8] = &[0, 0, 100, 1, 5, 0, 0, 0, 1, 0x82];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_without_a_whole_request_is_closed() {
    let server = server(&[
        ("request_head_timeout_ms", "200"),
        ("write_timeout_ms", "3600000"),
    ]);
    let half = [PREFACE, SETTINGS, PARTIAL_HEADERS].concat();
    let whole_preface = [PREFACE, SETTINGS].concat();
    for sent in [
        &b""[..],
        b"P",
        b"PRI ",
        b"G",
        b"GET / HTTP/1.1\r\nHost:",
        &PREFACE[..20],
        PREFACE,
        &whole_preface,
        &half,
    ] {
        let mut socket = TcpStream::connect(server.address)
            .await
            .expect("it accepts");
        socket.write_all(sent).await.expect("it is written");
        let mut response = Vec::new();
        let what = String::from_utf8_lossy(sent);
        // A reset ends a connection too.
        let _ = within(
            format!("the end of a connection that sent {what:?}"),
            socket.read_to_end(&mut response),
        )
        .await;
    }
    assert_eq!(server.metric("eventstreams_connections").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_http2_connection_ends_with_goaway() {
    let server = server(&[("request_head_timeout_ms", "200")]);
    let socket = TcpStream::connect(server.address)
        .await
        .expect("it accepts");
    let (mut requests, connection) = h2::client::handshake(socket)
        .await
        .expect("an HTTP/2 handshake");
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://localhost/_info/name")
        .body(())
        .expect("a request");
    let (response, _) = requests.send_request(request, true).expect("it is sent");
    assert_eq!(
        within("the response", response)
            .await
            .expect("a response")
            .status(),
        200
    );
    // A regular end: GOAWAY without an error.
    within("the end", connection)
        .await
        .expect("no panic")
        .expect("no error");
}

async fn connect_from(source: &str, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(format!("{source}:0").parse().expect("an address"))
        .expect("an address of loopback");
    within("a connection", socket.connect(address))
        .await
        .expect("it accepts")
}

/// The response on an open connection.
async fn request_on(socket: &mut TcpStream) -> String {
    let _ = socket
        .write_all(Request::get("/_info/name").head().as_bytes())
        .await;
    let mut response = Vec::new();
    loop {
        let read = within("a response", socket.read_buf(&mut response))
            .await
            .expect("a response");
        let text = String::from_utf8_lossy(&response);
        if read == 0 || text.ends_with('}') {
            return text.into_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_cannot_take_all_connections() {
    let server = server(&[("connections_per_address_max", "2")]);
    let mut held = [
        connect_from("127.0.0.2", server.address).await,
        connect_from("127.0.0.2", server.address).await,
    ];
    eventually("two connections", async || {
        (server.metric("eventstreams_connections").await == 2).then_some(())
    })
    .await;
    let mut refused = connect_from("127.0.0.2", server.address).await;
    let mut response = Vec::new();
    within("the refusal", refused.read_to_end(&mut response))
        .await
        .expect("an end in order");
    let response = String::from_utf8(response).expect("text");
    assert!(
        response.starts_with("HTTP/1.1 429 ") && response.contains("\r\nretry-after: 5\r\n"),
        "{response}"
    );
    assert!(response.contains("at most 2 are allowed"), "{response}");
    assert!(
        request_on(&mut connect_from("127.0.0.3", server.address).await)
            .await
            .starts_with("HTTP/1.1 200"),
        "another address"
    );
    assert_eq!(
        server
            .metric("eventstreams_connections_refused_total")
            .await,
        1
    );

    let [gone, kept] = &mut held;
    assert!(
        request_on(kept).await.starts_with("HTTP/1.1 200"),
        "a connection that was there before"
    );
    gone.shutdown().await.expect("it is closed");
    eventually("a free connection slot", async || {
        let response = request_on(&mut connect_from("127.0.0.2", server.address).await).await;
        response.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_has_no_connection_limit() {
    let server = server(&[
        ("connections_per_address_max", "1"),
        ("trusted_proxies", "[127.0.0.2]"),
    ]);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut socket = connect_from("127.0.0.2", server.address).await;
        assert!(request_on(&mut socket).await.starts_with("HTTP/1.1 200"));
        held.push(socket);
    }
}

on_both_brokers!(
    async fn streams_of_an_http2_connection_are_limited(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("s", &[&topic])
            .key("http2_streams_max", "3")
            .key("connections_per_address_max", "3");
        let server = TestServer::start(&cluster, &settings).await;
        let socket = connect_from("127.0.0.2", server.address).await;
        let (mut requests, connection) = h2::client::handshake(socket)
            .await
            .expect("an HTTP/2 handshake");
        tokio::spawn(connection);
        let mut bodies = Vec::new();
        // The connection counts as one of the three.
        for status in [200, 200, 429] {
            let request = http::Request::get("http://localhost/v2/stream/s")
                .body(())
                .expect("a request");
            let (response, _) = requests.send_request(request, true).expect("it is sent");
            let response = within("a response", response).await.expect("a response");
            assert_eq!(response.status(), status);
            bodies.push(response.into_body());
        }
        assert_eq!(requests.current_max_send_streams(), 3);
    }
);

/// Streams may occupy all threads of the runtime: health has its own thread.
#[test]
fn health_responds_while_all_stream_threads_are_busy() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.block_on(async {
        let server = server(&[]);
        // The server is up.
        assert_eq!(
            Request::get("/healthz").send(server.admin).await.status,
            200
        );
        server
    });
    let (release, released) = mpsc::channel::<()>();
    let (busy, is_busy) = mpsc::channel();
    runtime.spawn(async move {
        busy.send(()).expect("the test waits");
        let _ = released.recv();
    });
    is_busy.recv().expect("the thread is busy");
    let mut socket = std::net::TcpStream::connect(server.admin).expect("it accepts");
    socket.set_read_timeout(Some(TIMEOUT)).expect("an option");
    socket
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("an option");
    socket
        .write_all(Request::get("/healthz").head().as_bytes())
        .expect("it is written");
    let mut response = [0; 15];
    socket.read_exact(&mut response).expect("a response");
    assert_eq!(&response, b"HTTP/1.1 200 OK");
    drop(release);
}
