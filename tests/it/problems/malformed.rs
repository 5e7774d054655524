//! Requests that are malformed or absurdly large.

use super::{Row, TOO_MANY_STREAMS, get, known};
use crate::support::server::TestServer;
use crate::support::wire::{Request, exchange};

on_both_brokers!(
    async fn absurd_requests_do_no_harm(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        // A head of the largest default size without its end: all of it is read, then refused.
        let mut head = String::from("GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nX: ");
        head.push_str(&"x".repeat(65_536 - head.len()));
        assert_status(&exchange(server.address, head).await, 431);
        let many = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            "a: b\r\n".repeat(1000)
        );
        assert_status(&exchange(server.address, many).await, 431);
        for (garbage, status) in [
            ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
            ("GET /v2/stream/known\r\n\r\n", 400),
            ("GET  /v2/stream/known HTTP/1.1\r\n\r\n", 400),
            ("GET /v2/stream/known HTTP/1.1\r\nbad header\r\n\r\n", 400),
            (
                "GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                400,
            ),
            (
                "GET /v2/stream/known HTTP/1.1\r\nHost: a\r\n\
                 Transfer-Encoding: x\r\nContent-Length: 1\r\n\r\n",
                400,
            ),
        ] {
            assert_status(&exchange(server.address, garbage).await, status);
        }
        // Megabytes: the server refuses them or closes the connection.
        let answer = exchange(server.address, "x".repeat(5_000_000)).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
        let body = "POST /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Length: 99999999999\r\n\r\nx";
        assert_status(&exchange(server.address, body).await, 405);
        get(
            format!("/v2/stream/{}", ",".repeat(60_000)),
            TOO_MANY_STREAMS,
            &["60001 streams"],
        )
        .without_uri(&server)
        .await;
        assert_eq!(
            Request::get("/v2/stream/known")
                .send(server.address)
                .await
                .status,
            200,
            "the process lives"
        );
    }

    async fn a_large_head_limit_does_not_allow_an_endless_url(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start_without_waiting(
            &cluster.brokers,
            &settings.key("request_head_bytes_max", "1048576"),
        );
        let request = Request::get(format!("/v2/stream/{}", "x".repeat(200_000)))
            .header("Connection", "close");
        assert_status(&exchange(server.address, request.head()).await, 414);
        assert_eq!(
            Request::get("/healthz").send(server.admin).await.status,
            200,
            "the process lives"
        );
    }
);

impl Row {
    /// [`Row::check`] for a target so long that the problem shortens it.
    async fn without_uri(self, server: &TestServer) {
        let mut response = self.request.send(server.address).await;
        let body = response.json().await;
        assert_eq!(
            (response.status, &body["type"]),
            (self.kind.status, &self.kind.name.into())
        );
        assert!(
            self.detail.iter().all(|text| body["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(text))),
            "{body}"
        );
        let uri = body["uri"].as_str().expect("a path");
        assert!(
            uri.len() < 9 * 1024 && uri.ends_with('…'),
            "{} bytes of the path",
            uri.len()
        );
    }
}

fn assert_status(answer: &str, status: u16) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "not {status}: {answer:?}"
    );
}
