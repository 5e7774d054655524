//! HTTP/2 in clear text, with prior knowledge, as proxies speak it to what is behind them.

use std::net::SocketAddr;

use h2::RecvStream;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::admin::unique;
use crate::support::deadline::within;
use crate::support::numbered::{TIME, record};
use crate::support::server::{Settings, TestServer};

/// A connection, and the task that drives it.
async fn connect(address: SocketAddr) -> SendRequest<bytes::Bytes> {
    let socket = TcpStream::connect(address).await.expect("it accepts");
    let (requests, connection) = h2::client::handshake(socket).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    requests
}

async fn get(requests: &mut SendRequest<bytes::Bytes>, path: &str) -> http::Response<RecvStream> {
    let request = http::Request::get(format!("http://localhost{path}")).body(()).expect("a request");
    let (response, _) = requests.send_request(request, true).expect("it is sent");
    within("the head", response).await.expect("a response")
}

/// What comes until it holds `expected`.
async fn read_until(body: &mut RecvStream, expected: &str) -> String {
    let mut text = String::new();
    while !text.contains(expected) {
        let bytes = within(format!("{expected:?}"), body.data()).await.expect("the stream goes on").expect("no error");
        body.flow_control().release_capacity(bytes.len()).expect("it was taken");
        text.push_str(str::from_utf8(&bytes).expect("UTF-8"));
    }
    text
}

on_both_brokers! {
    async fn streams_of_one_connection_are_served_at_once_and_end_in_order(cluster: Cluster) {
        let topic = unique("eqiad.two");
        cluster.create_topic(&topic, 1).await;
        let server = TestServer::start(&cluster, &Settings::default().stream("two", &[&topic])).await;
        let mut requests = connect(server.address).await;
        let info = get(&mut requests, "/_info").await;
        assert_eq!((info.status().as_u16(), info.version()), (200, http::Version::HTTP_2));
        assert_eq!(get(&mut requests, "/v2/stream/nothing").await.status(), 400);
        let (one, other) = (get(&mut requests, "/v2/stream/two").await, get(&mut requests, "/v2/stream/two").await);
        assert_eq!(one.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert!(one.headers().get("connection").is_none(), "HTTP/2 has no such header");
        let (mut one, mut other) = (one.into_body(), other.into_body());
        read_until(&mut one, ":ok\n\n").await;
        read_until(&mut other, ":ok\n\n").await;
        cluster.produce_many("none", (0..3).map(|n| record(&topic, 0, TIME, n))).await;
        for body in [&mut one, &mut other] {
            let text = read_until(body, "\"n\":2").await;
            assert_eq!(text.matches("event: message\n").count(), 3);
        }
        let mut last = String::new();
        let leaving = async {
            while let Some(bytes) = within("the end", one.data()).await {
                last.push_str(str::from_utf8(&bytes.expect("no error")).expect("UTF-8"));
            }
        };
        tokio::join!(leaving, server.stop());
        assert!(last.starts_with("retry: ") && last.ends_with("\n\n"), "{last:?}");
    }

    /// Its first bytes are those of HTTP/2's preface, and then they are not.
    async fn a_request_that_comes_a_byte_at_a_time_is_no_http_2(cluster: Cluster) {
        let server = TestServer::start(&cluster, &Settings::default().stream("two", &["eqiad.two"])).await;
        let mut socket = TcpStream::connect(server.address).await.expect("it accepts");
        for byte in b"PRINT /v2/stream/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" {
            socket.write_all(&[*byte]).await.expect("it is taken");
            tokio::task::yield_now().await;
        }
        let mut answer = String::new();
        within("the answer", socket.read_to_string(&mut answer)).await.expect("it ends");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }

    async fn what_goes_on_with_no_frames_of_http_2_is_closed(cluster: Cluster) {
        let server = TestServer::start(&cluster, &Settings::default().stream("two", &["eqiad.two"])).await;
        let mut socket = TcpStream::connect(server.address).await.expect("it accepts");
        let garbage = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}", "x".repeat(100));
        socket.write_all(garbage.as_bytes()).await.expect("it is taken");
        let mut answer = Vec::new();
        within("the end", socket.read_to_end(&mut answer)).await.expect("it is closed");
        assert_eq!(get(&mut connect(server.address).await, "/_info").await.status(), 200, "the process lives");
    }
}
