//! Requests that are unusual or malformed: unknown parameters, missing hosts, half-closed
//! connections.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::admin::{Cluster, unique};
use crate::support::deadline::within;
use crate::support::numbered::{TIME, numbers, record};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, exchange};

async fn serve(cluster: &Cluster) -> (String, TestServer) {
    let topic = unique("eqiad.requests");
    cluster.create_topic(&topic, 1).await;
    let server =
        TestServer::start(cluster, &Settings::default().stream("requests", &[&topic])).await;
    (topic, server)
}

/// The whole response to a client that closes its side after the request.
async fn half_closed(address: SocketAddr, request: &Request) -> String {
    let mut stream = within("a connection", TcpStream::connect(address))
        .await
        .expect("the server accepts");
    stream
        .write_all(request.head().as_bytes())
        .await
        .expect("the request is written");
    stream.shutdown().await.expect("one side is closed");
    let mut response = Vec::new();
    // After a reset, the earlier bytes stay.
    let _ = within("the response", stream.read_to_end(&mut response)).await;
    String::from_utf8(response).expect("text")
}

on_both_brokers!(
    /// Real clients send `?hidebots=1` and `?format=json`, which the Node service ignores.
    async fn unknown_parameters_are_ignored_and_reported(cluster: Cluster) {
        let (topic, server) = serve(&cluster).await;
        let path = format!("/v2/stream/requests?hidebots=1&since={TIME}&format=json&a%0Ab");
        let ignored = "hidebots, format, a%0Ab";
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        let mut subscriber = Request::get(&path).subscribe(server.address).await;
        assert_eq!(
            subscriber.response.header("x-eventstreams-ignored"),
            Some(ignored)
        );
        assert!(
            subscriber
                .response
                .header("access-control-expose-headers")
                .is_some_and(|all| all.contains("x-eventstreams-ignored"))
        );
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
        assert_eq!(
            subscriber.comments,
            [
                "ok".to_owned(),
                format!(" ignored query parameters: {ignored}")
            ]
        );
        let lines = Request::get(&path).subscribe_ndjson(server.address).await;
        assert_eq!(
            lines.response.header("x-eventstreams-ignored"),
            Some(ignored)
        );
        let head = Request::new("HEAD", &path).send(server.address).await;
        assert_eq!(
            (head.status, head.header("x-eventstreams-ignored")),
            (200, Some(ignored))
        );
        let root = Request::get("/?utm_source=x").send(server.address).await;
        assert_eq!(
            (root.status, root.header("x-eventstreams-ignored")),
            (303, Some("utm_source"))
        );
        let plain = Request::get("/v2/stream/requests")
            .send(server.address)
            .await;
        assert_eq!(plain.header("x-eventstreams-ignored"), None);
    }

    async fn a_half_closed_request_gets_a_whole_response(cluster: Cluster) {
        let (_, server) = serve(&cluster).await;
        for _ in 0..5 {
            let requests = ["/robots.txt", "/_info", "/v2/stream/nope", "/?spec"].map(Request::get);
            let all = (0..40).map(|n| half_closed(server.address, &requests[n % requests.len()]));
            for (n, response) in join_all(all).await.into_iter().enumerate() {
                let Some((head, body)) = response.split_once("\r\n\r\n") else {
                    panic!("response {n} is {response:?}")
                };
                let length = head.to_ascii_lowercase();
                let length = length
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .expect("a length");
                assert_eq!(
                    body.len(),
                    length.parse::<usize>().expect("a number"),
                    "response {n}: {response:?}"
                );
            }
        }
        let head = half_closed(server.address, &Request::new("HEAD", "/v2/stream/requests")).await;
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
            "{head:?}"
        );
    }

    /// RFC 9112, section 3.2.
    async fn a_request_must_name_exactly_one_host(cluster: Cluster) {
        let (_, server) = serve(&cluster).await;
        for (hosts, version, status) in [
            ("", "1.1", 400),
            ("Host: a\r\nHost: b\r\n", "1.1", 400),
            ("Host: a\r\nHost: a\r\n", "1.1", 400),
            ("Host: a\r\n", "1.1", 200),
            ("", "1.0", 200),
        ] {
            for (method, path) in [("GET", "/robots.txt"), ("HEAD", "/v2/stream/requests")] {
                let request =
                    format!("{method} {path} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
                let response = exchange(server.address, &request).await;
                assert!(
                    response.starts_with(&format!("HTTP/{version} {status} ")),
                    "{request:?}: {response:?}"
                );
                assert!(
                    status == 200
                        || method == "HEAD"
                        || response.contains(r#""type":"invalid_host""#),
                    "{response:?}"
                );
            }
        }
    }
);
