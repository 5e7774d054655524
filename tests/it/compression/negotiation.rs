//! Which clients get which coding.

use super::{compressed_stream, request, subscribe};
use crate::support::numbered::{TIME, numbers, record};
use crate::support::server::TestServer;
use crate::support::wire::Request;

/// Values of `Accept-Encoding`, and the coding that a server chooses from them alone.
const ACCEPT_ENCODINGS: [(&str, Option<&str>); 12] = [
    ("", None),
    ("identity", None),
    ("br, deflate", None),
    ("gzip", Some("gzip")),
    ("zstd", Some("zstd")),
    ("gzip, deflate, br, zstd", Some("zstd")),
    ("gzip;q=1.0, zstd;q=0.5", Some("gzip")),
    ("gzip;q=0.2, zstd;q=0.3, *;q=0.1", Some("zstd")),
    ("gzip;Q=0, *;Q=0", None),
    ("zstd;q=0, *", Some("gzip")),
    ("gzip;q=0.5, identity;q=0.6", None),
    ("*;q=0", None),
];

on_both_brokers!(
    async fn a_client_gets_the_coding_with_the_highest_weight(cluster: Cluster) {
        let (_, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("compression", "always")).await;
        for (asked, expected) in ACCEPT_ENCODINGS {
            for method in ["GET", "HEAD"] {
                let request =
                    Request::new(method, "/v2/stream/compressed").header("Accept-Encoding", asked);
                let mut response = request.send(server.address).await;
                assert_eq!(
                    (response.status, response.header("content-encoding")),
                    (200, expected),
                    "{method} {asked:?}"
                );
                assert_eq!(
                    response.header("vary"),
                    Some("accept, accept-encoding"),
                    "{method} {asked:?}"
                );
                while method == "GET" && response.body.len() < 5 {
                    assert!(response.read_more("the opening").await);
                }
                assert_eq!(
                    response.body,
                    if method == "GET" {
                        b":ok\n\n".as_slice()
                    } else {
                        b""
                    },
                    "{method} {asked:?}"
                );
            }
        }
        let in_two = Request::get("/v2/stream/compressed")
            .header("Accept-Encoding", "br")
            .header("Accept-Encoding", "gzip");
        subscribe(&server, "gzip", &in_two).await;
        let response = Request::get("/v2/stream/compressed")
            .send(server.address)
            .await;
        assert_eq!(
            (response.header("content-encoding"), response.header("vary")),
            (None, Some("accept, accept-encoding"))
        );
    }

    /// Many libraries request codings through their HTTP client but read the raw socket.
    async fn only_clients_that_surely_decode_get_a_coding(cluster: Cluster) {
        let (_, settings) = compressed_stream(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let all = "gzip, deflate, br, zstd";
        let asked = |coding: &str| request(coding, "");
        for (what, request, expected) in [
            (
                "requests and sseclient",
                asked("gzip, deflate").header("User-Agent", "python-requests/2.32"),
                None,
            ),
            ("httpx and aiohttp", asked(all), None),
            ("a client that accepts any coding", asked("*"), None),
            (
                "Ruby",
                asked("gzip;q=1.0,deflate;q=0.6,identity;q=0.3"),
                None,
            ),
            (
                "a client without Accept-Encoding",
                Request::get("/v2/stream/compressed"),
                None,
            ),
            (
                "a browser",
                asked(all).header("Sec-Fetch-Mode", "cors"),
                Some("zstd"),
            ),
            (
                "an older browser",
                asked("gzip, deflate, br").header("Sec-Fetch-Dest", "empty"),
                Some("gzip"),
            ),
            (
                "curl",
                asked("deflate, gzip, br, zstd").header("User-Agent", "curl/8.5.0"),
                Some("zstd"),
            ),
            (
                "curl without --compressed",
                Request::get("/v2/stream/compressed").header("User-Agent", "curl/8.5.0"),
                None,
            ),
            ("Go and OkHttp", asked("gzip"), Some("gzip")),
            ("by hand", asked("zstd"), Some("zstd")),
            ("the query", request(all, "?compression=gzip"), Some("gzip")),
            (
                "the query alone",
                Request::get("/v2/stream/compressed?compression=zstd"),
                Some("zstd"),
            ),
            (
                "the query against it",
                request("zstd", "?compression=none"),
                None,
            ),
        ] {
            let response = request.send(server.address).await;
            assert_eq!(
                (response.status, response.header("content-encoding")),
                (200, expected),
                "{what}"
            );
            let vary = response.header("vary").expect("vary");
            for header in ["accept", "accept-encoding", "sec-fetch-mode", "user-agent"] {
                assert!(vary.split(", ").any(|named| named == header), "{vary}");
            }
        }
    }

    async fn an_operator_can_disable_compression(cluster: Cluster) {
        let (topic, settings) = compressed_stream(&cluster).await;
        for off in ["false", "off"] {
            let server =
                TestServer::start(&cluster, &settings.clone().key("compression", off)).await;
            let response = request("gzip", "?compression=gzip")
                .send(server.address)
                .await;
            assert_eq!(
                (response.status, response.header("content-encoding")),
                (200, None)
            );
        }
        let server = TestServer::start(&cluster, &settings.key("compression", "false")).await;
        let mut subscriber = request("gzip, zstd", "").subscribe(server.address).await;
        assert_eq!(
            (
                subscriber.response.header("content-encoding"),
                subscriber.response.header("vary")
            ),
            (None, Some("accept"))
        );
        cluster.produce(record(&topic, 0, TIME, 0)).await;
        assert_eq!(numbers(&subscriber.events(1).await), [0]);
    }
);
