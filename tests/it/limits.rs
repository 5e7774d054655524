//! Limits with ten thousand streams: clients over a limit are refused, and every slot is freed
//! however its stream ends.

use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::admin::unique;
use crate::support::deadline::{eventually, within};
use crate::support::program::{Program, stream_yaml};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// Concurrent streams, fewer where the system grants the test too few file descriptors.
const STREAMS: u64 = 10_000;
/// Streams of each client.
const STREAMS_PER_CLIENT: u64 = 2;
/// Concurrent connection attempts.
const CONCURRENT_ATTEMPTS: u64 = 100;
/// File descriptors for everything else in the process of the test.
const OTHER_FILES: u64 = 2_000;

/// A response whose connection stays open.
struct Opened {
    socket: TcpStream,
    head: String,
    body: String,
}

impl Opened {
    fn status(&self) -> &str {
        &self.head["HTTP/1.1 ".len()..][..3]
    }
}

/// Opens the stream as the `attempt`-th host of a client. Every third client is an IPv6 network
/// with several hosts.
async fn open(address: SocketAddr, client: u64, attempt: u64) -> Opened {
    let client = match client % 3 {
        0 => format!(
            "2001:db8:{:x}:{:x}::{attempt:x}",
            client >> 16,
            client & 0xffff
        ),
        1 => format!("::ffff:10.1.{}.{}", client >> 8, client & 0xff),
        _ => format!("10.2.{}.{}", client >> 8, client & 0xff),
    };
    let head = Request::get("/v2/stream/s")
        .header("X-Client-IP", client)
        .head();
    let mut socket = within("a connection", TcpStream::connect(address))
        .await
        .expect("the server accepts");
    socket
        .write_all(head.as_bytes())
        .await
        .expect("the request is written");
    let mut bytes = Vec::new();
    let (head, body) = loop {
        within("an answer", socket.read_buf(&mut bytes))
            .await
            .expect("an answer");
        let text = str::from_utf8(&bytes).expect("text");
        // The first bytes of a stream, or a whole problem.
        if let Some((head, body)) = text
            .split_once("\r\n\r\n")
            .filter(|(_, body)| body.contains(":ok") || body.ends_with('}'))
        {
            break (head.to_owned(), body.to_owned());
        }
    };
    Opened { socket, head, body }
}

/// Opens `attempts` streams for each client. Returns the open connections and the bodies of the
/// refusals.
async fn open_all(
    address: SocketAddr,
    clients: std::ops::Range<u64>,
    attempts: u64,
) -> (Vec<TcpStream>, Vec<String>) {
    let (mut open_sockets, mut refusals) = (Vec::new(), Vec::new());
    let mut attempts_running = JoinSet::new();
    let mut take = |opened: Opened| match opened.status() {
        "200" => open_sockets.push(opened.socket),
        "429" => {
            assert!(opened.head.contains("retry-after: "), "{}", opened.head);
            refusals.push(opened.body);
        }
        _ => panic!("{} {}", opened.head, opened.body),
    };
    for (client, attempt) in
        clients.flat_map(|client| (0..attempts).map(move |attempt| (client, attempt)))
    {
        attempts_running.spawn(open(address, client, attempt));
        if attempts_running.len() as u64 >= CONCURRENT_ATTEMPTS {
            take(
                attempts_running
                    .join_next()
                    .await
                    .expect("an attempt is running")
                    .expect("no panic"),
            );
        }
    }
    while let Some(opened) = attempts_running.join_next().await {
        take(opened.expect("no panic"));
    }
    (open_sockets, refusals)
}

/// Ends each connection in one of three ways: a close, a reset, a half-close.
async fn close(sockets: Vec<TcpStream>) {
    for (number, mut socket) in sockets.into_iter().enumerate() {
        match number % 3 {
            0 => drop(socket),
            1 => SockRef::from(&socket)
                .set_linger(Some(std::time::Duration::ZERO))
                .expect("a socket's option"),
            _ => socket.shutdown().await.expect("the half is closed"),
        }
    }
}

/// How many streams this process can hold open. Raises its limit of file descriptors.
fn possible_streams() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .expect("up to the maximum");
    STREAMS.min(
        limit
            .maximum
            .map_or(STREAMS, |files| files.saturating_sub(OTHER_FILES)),
    )
}

async fn connected(process: &Program) -> u64 {
    process
        .metric("eventstreams_connected_clients{stream=\"s\"}")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_respect_limits_and_free_their_slots() {
    let streams = possible_streams() / STREAMS_PER_CLIENT * STREAMS_PER_CLIENT;
    let clients = streams / STREAMS_PER_CLIENT;
    let mut brokers = crate::support::brokers::Brokers::embedded();
    let cluster = brokers.next_cluster().await.expect("an embedded broker");
    let topic = unique("eqiad.s");
    cluster.create_topic(&topic, 1).await;
    let file = format!(
        "{}client_ip_connection_limit: {STREAMS_PER_CLIENT}\nstreams_max: {streams}\n\
         trusted_proxies: [127.0.0.1]\nheartbeat_ms: 3600000\n",
        stream_yaml(&cluster, &topic)
    );
    let process = Program::start(&file, &[]).await;
    process.wait_until_ready().await;

    for round in 0..2 {
        let (held, refusals) = open_all(process.address, 0..clients, STREAMS_PER_CLIENT + 1).await;
        assert_eq!(
            (held.len() as u64, refusals.len() as u64),
            (streams, clients),
            "round {round}"
        );
        assert!(
            refusals
                .iter()
                .all(|body| body.contains("at most 2 are allowed")),
            "{}",
            refusals[0]
        );
        assert_eq!(connected(&process).await, streams);
        let (none, refusals) = open_all(process.address, clients..clients + 10, 1).await;
        assert!(
            none.is_empty()
                && refusals
                    .iter()
                    .all(|body| body.contains(&format!("limit of {streams} concurrent streams"))),
            "{refusals:?}"
        );
        close(held).await;
        eventually("all streams to end", async || {
            (connected(&process).await == 0).then_some(())
        })
        .await;
    }
    let ended = process
        .metric("eventstreams_streams_closed_total{reason=\"client_gone\"}")
        .await;
    assert_eq!(ended, 2 * streams);
    assert!(process.stop().await.success());
}

on_both_brokers!(
    async fn only_trusted_proxies_may_name_the_client_address(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("s", &[&topic])
            .key("client_ip_connection_limit", "1")
            .key("client_ip_header", "X-Real-IP");
        let from = |address: &str| Request::get("/v2/stream/s").header("X-Real-IP", address);

        let trusting = TestServer::start(
            &cluster,
            &settings.clone().key("trusted_proxies", "[127.0.0.0/8]"),
        )
        .await;
        let _one = from("2001:db8::1").subscribe(trusting.address).await;
        assert_eq!(
            from("2001:db8::ffff").send(trusting.address).await.status,
            429,
            "a network of 64 bits is one client"
        );
        assert_eq!(
            from("2001:db8:0:1::1").send(trusting.address).await.status,
            200
        );
        assert_eq!(
            Request::get("/v2/stream/s")
                .header("X-Client-IP", "192.0.2.1")
                .send(trusting.address)
                .await
                .status,
            400
        );

        let distrusting =
            TestServer::start(&cluster, &settings.key("trusted_proxies", "[10.0.0.0/8]")).await;
        let _one = from("192.0.2.1").subscribe(distrusting.address).await;
        let mut refused = from("192.0.2.2").send(distrusting.address).await;
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, Some("5")),
            "both are the peer itself"
        );
        assert!(
            refused.json().await["detail"]
                .as_str()
                .expect("a detail")
                .contains("at most 1")
        );
    }

    async fn requests_over_the_rate_limit_are_refused(cluster: Cluster) {
        let topic = unique("eqiad.s");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("s", &[&topic])
            .key("request_rate_limit", "1");
        let server = TestServer::start(&cluster, &settings).await;
        let from =
            |address: &str| Request::new("HEAD", "/v2/stream/s").header("X-Client-IP", address);
        let refused = eventually("a request that comes too soon", async || {
            let response = Request::get("/v2/stream/s")
                .header("X-Client-IP", "192.0.2.1")
                .send(server.address)
                .await;
            (response.status == 429).then_some(response)
        });
        let mut refused = refused.await;
        assert_eq!(refused.header("retry-after"), Some("5"));
        assert!(
            refused.json().await["detail"]
                .as_str()
                .expect("a detail")
                .contains("at most 1 per second")
        );
        assert_eq!(
            from("192.0.2.2").send(server.address).await.status,
            200,
            "another client"
        );
    }
);
