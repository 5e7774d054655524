//! Errors before the first byte of a stream (docs/protocol.md): status, type, headers and members.

use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpStream;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::{eventually, within};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, exchange, exchange_on};

mod ids;
mod malformed;
mod names;
mod queries;
mod rows;

use rows::{
    INVALID_ID, INVALID_QUERY, INVALID_TIMESTAMP, METHOD_NOT_ALLOWED, MISSING_CLIENT_IP,
    PAGE_NOT_FOUND, ProblemKind, Row, STREAM_LIST, STREAM_NOT_FOUND, STREAM_UNAVAILABLE,
    TOO_MANY_REQUESTS, TOO_MANY_STREAMS, TOPIC_NOT_AVAILABLE, UNAVAILABLE, USER_AGENT_REQUIRED,
    check_all, get,
};

/// The stream `known` of a topic that exists in Kafka.
async fn known(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.known");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("known", &[&topic]);
    (topic, settings)
}

/// Opens the stream again until it succeeds: the server frees a slot when it notices that a client
/// has gone.
async fn wait_until_opened(request: &Request, address: SocketAddr) {
    eventually("a place for the stream", async || {
        (request.send(address).await.status == 200).then_some(())
    })
    .await;
}

on_both_brokers!(
    async fn a_stream_without_topics_in_kafka_is_unavailable(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let (eqiad, codfw) = (unique("eqiad.absent"), unique("codfw.absent"));
        let settings = settings
            .stream("absent", &[&eqiad, &codfw])
            .stream("half", &[&topic, &codfw])
            .stream_with(
                "elsewhere",
                &format!("{{topics: [{eqiad}], topics_allowed: [{topic}]}}"),
            );
        let server = TestServer::start(&cluster, &settings).await;
        check_all(
            &server,
            [
                get("/v2/stream/absent", STREAM_UNAVAILABLE, &["absent"]),
                get("/v2/stream/absent?since=0", STREAM_UNAVAILABLE, &["absent"]),
                get(
                    "/v2/stream/known,absent,elsewhere",
                    STREAM_UNAVAILABLE,
                    &["absent (", "elsewhere ("],
                ),
                // A new subscriber reads `topics`. The topic of another datacenter helps only an id
                // that names it.
                get("/v2/stream/elsewhere", STREAM_UNAVAILABLE, &["elsewhere"]),
            ],
        )
        .await;
        let named = Request::get("/v2/stream/elsewhere").last_event_id(format!(r#"["{topic}"]"#));
        assert_eq!(named.send(server.address).await.status, 200);
        // The topic of one datacenter is enough.
        let mut half = Request::get("/v2/stream/half")
            .subscribe(server.address)
            .await;
        cluster.produce(NewRecord::new(&topic, 0, 1, "{}")).await;
        assert_eq!(half.event().await.record(), (topic, 0, 0));
        // A topic that appears later is served without a restart.
        cluster.create_topic(&eqiad, 1).await;
        wait_until_opened(&Request::get("/v2/stream/absent"), server.address).await;
    }

    async fn streams_of_one_client_address_are_limited(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server =
            TestServer::start(&cluster, &settings.key("client_ip_connection_limit", "2")).await;
        let from = |address: &str| Request::get("/v2/stream/known").header("X-Client-IP", address);
        let refused = || {
            get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"])
                .header("X-Client-IP", "192.0.2.1")
        };
        let first = from("192.0.2.1").subscribe(server.address).await;
        // Neither a request that is refused for another reason nor one without a stream takes a
        // slot.
        get("/v2/stream/known?since=x", INVALID_TIMESTAMP, &[])
            .header("X-Client-IP", "192.0.2.1")
            .check(&server)
            .await;
        let _second = from("192.0.2.1").subscribe_ndjson(server.address).await;
        refused().check(&server).await;
        refused().check(&server).await;
        let _other = from("192.0.2.2").subscribe(server.address).await;
        assert_eq!(
            Request::get("/robots.txt")
                .header("X-Client-IP", "192.0.2.1")
                .send(server.address)
                .await
                .status,
            200
        );
        check_all(
            &server,
            [
                get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"]),
                get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"])
                    .header("X-Client-IP", ""),
                get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"])
                    .header("X-Client-IP", "192.0.2.3")
                    .header("X-Client-IP", "192.0.2.4"),
            ],
        )
        .await;
        // Forms of the same address, one of them inside another.
        for address in [
            "192.0.2.1:4711",
            "192.0.2.1, 10.0.0.1",
            "[::ffff:192.0.2.1]:80",
            "64:ff9b::192.0.2.1",
        ] {
            get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"])
                .header("X-Client-IP", address)
                .check(&server)
                .await;
        }
        // An unreadable address counts for the peer, as one client for all.
        let _peers = [
            from("localhost").subscribe(server.address).await,
            from("unknown").subscribe(server.address).await,
        ];
        get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"])
            .header("X-Client-IP", "_hidden")
            .check(&server)
            .await;
        drop(first);
        wait_until_opened(&from("192.0.2.1"), server.address).await;
    }

    async fn clients_without_a_user_agent_are_refused(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("require_user_agent", "true")).await;
        for blank in ["", "  "] {
            let row = get(
                "/v2/stream/known",
                USER_AGENT_REQUIRED,
                &["User-Agent", "example.org"],
            );
            row.header("User-Agent", blank).check(&server).await;
        }
        let nameless =
            "GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = exchange(server.address, nameless).await;
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("user_agent_required"),
            "{answer}"
        );
        assert_eq!(
            Request::get("/v2/stream/known")
                .header("User-Agent", "curl/8")
                .send(server.address)
                .await
                .status,
            200
        );
        assert_eq!(
            Request::get("/robots.txt")
                .header("User-Agent", "")
                .send(server.address)
                .await
                .status,
            200
        );
    }

    async fn a_draining_server_refuses_streams(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        // A request is half sent when the shutdown begins.
        let request = Request::get("/v2/stream/known")
            .header("Connection", "close")
            .head();
        let (first_part, rest) = request.split_at(20);
        let stream = within("a connection", TcpStream::connect(server.address))
            .await
            .expect("the server accepts");
        within("half a request", async {
            stream.writable().await.expect("writable");
            assert_eq!(
                stream.try_write(first_part.as_bytes()).expect("written"),
                first_part.len()
            );
        })
        .await;
        let open = "eventstreams_connections";
        eventually("the connection to be accepted", async || {
            (server.metric(open).await == 1).then_some(())
        })
        .await;
        server.begin_shutdown();
        let reason = eventually("the server to be draining", async || {
            let mut ready = Request::get("/readyz").send(server.admin).await;
            (ready.status == 503).then_some(ready.json().await["reason"].clone())
        });
        assert_eq!(reason.await, "draining");
        let answer = exchange_on(stream, rest).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(
            answer
                .to_ascii_lowercase()
                .contains("\r\nretry-after: 5\r\n"),
            "{answer}"
        );
        assert!(answer.contains(r#""type":"unavailable""#), "{answer}");
        server.stop().await;
    }

    async fn a_replay_without_a_free_permit_is_refused(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        let value = format!(r#"{{"text":"{}"}}"#, "x".repeat(8000));
        cluster
            .produce_many(
                "lz4",
                (0..4000).map(|n| NewRecord::new(&topic, 0, 1_700_000_000_000 + n, value.clone())),
            )
            .await;
        let settings = Settings::default().stream("past", &[&topic]);
        let settings = settings
            .key("memory_log_bytes_max", "1048576")
            .key("replay_places_max", "1")
            .key("replay_queue_max", "0");
        let server = TestServer::start(&cluster, &settings).await;
        let past = "/v2/stream/past?since=1700000000000";
        // The client does not read, and the replay exceeds its socket: it keeps the only permit.
        let stalled = Request::get(past).send(server.address).await;
        eventually("the place to be taken", async || {
            (server.metric("eventstreams_replays_running").await == 1).then_some(())
        })
        .await;
        get(
            past,
            UNAVAILABLE,
            &["Too many clients are replaying history"],
        )
        .check(&server)
        .await;
        assert_eq!(
            Request::get("/v2/stream/past")
                .send(server.address)
                .await
                .status,
            200,
            "live needs no place"
        );
        drop(stalled);
        wait_until_opened(&Request::get(past), server.address).await;
    }
);

#[tokio::test]
async fn an_unreachable_kafka_makes_streams_unavailable() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let settings = Settings::default().stream("known", &["eqiad.known", "codfw.known"]);
    let server = TestServer::start_without_waiting(&closed.to_string(), &settings);
    check_all(
        &server,
        [
            get("/v2/stream/known", UNAVAILABLE, &[]),
            get("/v2/stream/known?since=0", UNAVAILABLE, &[]),
            get("/v2/stream/known", UNAVAILABLE, &[]).header("Last-Event-ID", r#"["eqiad.known"]"#),
            get("/_info", UNAVAILABLE, &[]),
            // Faults of the client are reported all the same.
            get("/v2/stream/nope", STREAM_NOT_FOUND, &[]).detail("nope"),
            get("/v2/stream/known", INVALID_ID, &[]).header("Last-Event-ID", "x"),
        ],
    )
    .await;
    let mut refused = Request::get("/v2/stream/known").send(server.address).await;
    let body = refused.text().await;
    assert!(
        !body.contains("127.0.0.1") && !body.to_lowercase().contains("broker"),
        "no inner cause: {body}"
    );
    let mut ready = Request::get("/readyz").send(server.admin).await;
    assert_eq!(
        (ready.status, ready.json().await["status"].as_str()),
        (503, Some("not ready"))
    );
    assert_eq!(
        Request::get("/healthz").send(server.admin).await.status,
        200
    );
    assert_eq!(
        Request::get("/_info/name")
            .send(server.address)
            .await
            .status,
        200
    );
    server.stop().await;
}
