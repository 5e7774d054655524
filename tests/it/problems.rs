//! Every row of protocol section 3's table: errors before the first byte of a stream, by status, type, headers and members.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::admin::{Cluster, NewRecord, unique};
use crate::support::deadline::{eventually, within};
use crate::support::server::{Settings, TestServer};
use crate::support::wire::{Request, exchange, exchange_on};

/// What a row of the table promises.
struct Row {
    request: Request,
    method: &'static str,
    uri: String,
    answer: (u16, &'static str, &'static str),
    /// What the detail says; a single `=text` is the whole of it.
    says: Vec<String>,
}

/// Where a problem points to.
const LIST: &str = "The streams are listed at /?doc, for programs at /?spec.";

const STREAM_NOT_FOUND: (u16, &str, &str) = (400, "not_found", "Stream Not Found");
const INVALID_TIMESTAMP: (u16, &str, &str) = (400, "invalid_timestamp", "Invalid Timestamp");
const INVALID_ID: (u16, &str, &str) = (400, "invalid_last_event_id", "Invalid Last-Event-ID");
const TOPIC_NOT_AVAILABLE: (u16, &str, &str) = (404, "topic_not_available", "Topic Not Available");
const INVALID_QUERY: (u16, &str, &str) = (400, "invalid_query", "Invalid Query");
const TOO_MANY_STREAMS: (u16, &str, &str) = (429, "too_many_streams", "Too Many Streams");
const TOO_MANY_REQUESTS: (u16, &str, &str) = (429, "too_many_requests", "Too Many Requests");
const MISSING_CLIENT_IP: (u16, &str, &str) = (400, "missing_client_ip", "Missing Client IP");
const USER_AGENT_REQUIRED: (u16, &str, &str) = (403, "user_agent_required", "User-Agent Required");
const UNAVAILABLE: (u16, &str, &str) = (503, "unavailable", "Service Unavailable");
const STREAM_UNAVAILABLE: (u16, &str, &str) = (503, "stream_unavailable", "Stream Unavailable");
const PAGE_NOT_FOUND: (u16, &str, &str) = (404, "not_found", "Not Found");
const METHOD_NOT_ALLOWED: (u16, &str, &str) = (405, "method_not_allowed", "Method Not Allowed");

/// A GET of `target` that is answered like this.
fn get(target: impl Into<String>, answer: (u16, &'static str, &'static str), says: &[&str]) -> Row {
    let target = target.into();
    let uri = target.split('?').next().unwrap_or_default().to_owned();
    let says = says.iter().map(|&text| text.to_owned()).collect();
    Row {
        request: Request::get(target),
        method: "GET",
        uri,
        answer,
        says,
    }
}

impl Row {
    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    fn says(mut self, text: &str) -> Self {
        self.says.push(text.to_owned());
        self
    }

    async fn check(self, server: &TestServer) {
        let (status, kind, title) = self.answer;
        let mut response = self.request.send(server.address).await;
        assert_eq!(response.status, status, "{} {}", self.method, self.uri);
        let body = response.text().await;
        let row = format!("{} {} answered {body}", self.method, self.uri);
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json"),
            "{row}"
        );
        assert_eq!(
            response.header("access-control-allow-origin"),
            Some("*"),
            "{row}"
        );
        assert_eq!(response.header("cache-control"), Some("no-cache"), "{row}");
        let retry_after = response
            .header("retry-after")
            .map(|value| value.parse::<u32>().expect("seconds"));
        assert_eq!(
            retry_after.is_some_and(|seconds| seconds > 0),
            matches!(status, 429 | 503),
            "{row}"
        );
        let body: Value = serde_json::from_str(&body).expect("a body of JSON");
        let members: Vec<_> = body
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            members,
            ["status", "type", "title", "detail", "method", "uri"],
            "{row}"
        );
        assert_eq!(
            (&body["status"], &body["type"], &body["title"]),
            (&status.into(), &kind.into(), &title.into()),
            "{row}"
        );
        assert_eq!(
            (&body["method"], &body["uri"]),
            (&self.method.into(), &self.uri.into()),
            "{row}"
        );
        let detail = body["detail"].as_str().expect("a detail of text");
        assert!(!detail.is_empty(), "{row}");
        for text in &self.says {
            match text.strip_prefix('=') {
                Some(whole) => assert_eq!(detail, whole, "{row}"),
                None => assert!(detail.contains(text), "no {text:?} in: {row}"),
            }
        }
    }
}

async fn check_all(server: &TestServer, rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        row.check(server).await;
    }
}

/// A stream of one topic that Kafka has, by the name `known`.
async fn known(cluster: &Cluster) -> (String, Settings) {
    let topic = unique("eqiad.known");
    cluster.create_topic(&topic, 1).await;
    let settings = Settings::default().stream("known", &[&topic]);
    (topic, settings)
}

/// Opens the stream again until it is not refused: places are given back when the server sees that a client has gone.
async fn opens_at_last(request: &Request, address: SocketAddr) {
    eventually("a place for the stream", async || {
        (request.send(address).await.status == 200).then_some(())
    })
    .await;
}

on_both_brokers! {
    async fn stream_names_and_pages(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let hidden = unique("zzz.hidden");
        let settings = settings
            .stream("private", &[&topic, &hidden])
            .stream_with("mediawiki.aliased", &format!("{{topics: [{topic}], stream_aliases: [aliased]}}"))
            .key("allowed_streams", "[known, mediawiki.aliased]")
            .key("streams_per_request_max", "5");
        let server = TestServer::start(&cluster, &settings).await;
        check_all(&server, [
            get("/v2/stream/nope", STREAM_NOT_FOUND, &[&format!("=Invalid streams: nope. {LIST}")]),
            get("/v2/stream/nope,known,nada%2Cnope", STREAM_NOT_FOUND, &[&format!("=Invalid streams: nope,nada. {LIST}")]),
            get("/v2/stream/known,private,nope/", STREAM_NOT_FOUND, &[&format!("=Invalid streams: private,nope. {LIST}")]),
            get("/v2/stream/known,", STREAM_NOT_FOUND, &["Invalid streams: .", "A name is empty", "comma", LIST]),
            get("/v2/stream/,", STREAM_NOT_FOUND, &["A name is empty", LIST]),
            get("/v2/stream/known/other", STREAM_NOT_FOUND, &["Invalid streams: known/other.", "did you mean known?"]),
            // The nearest of what is public, and nothing else: what is not allowed is told apart from nothing.
            get("/v2/stream/KNOWN", STREAM_NOT_FOUND, &["Invalid streams: KNOWN.", "did you mean known?", LIST]),
            get("/v2/stream/alaised", STREAM_NOT_FOUND, &["did you mean aliased?"]),
            get("/v2/stream/mediawiki.aliasd", STREAM_NOT_FOUND, &["did you mean mediawiki.aliased?"]),
            get("/v2/stream/privat", STREAM_NOT_FOUND, &[&format!("=Invalid streams: privat. {LIST}")]),
            get(format!("/v2/stream/{topic}"), STREAM_NOT_FOUND, &[&format!("{topic} is a topic of known"), LIST]),
            get(format!("/v2/stream/{hidden}"), STREAM_NOT_FOUND, &[&format!("=Invalid streams: {hidden}. {LIST}")]),
            get("/v2/stream/%FF%00%0D%0A%3Cscript%3E", STREAM_NOT_FOUND, &["Invalid streams: "]),
            get("/v2/stream/a,b,c,d,e", STREAM_NOT_FOUND, &[&format!("=Invalid streams: a,b,c,d,e. {LIST}")]),
            get("/v2/stream/a,b,c,d,e,f", TOO_MANY_STREAMS, &["6 streams", "at most 5"]),
            get("/v2/stream/", PAGE_NOT_FOUND, &["name of a stream is missing", LIST]),
            get("/v2/stream", PAGE_NOT_FOUND, &["name of a stream is missing", LIST]),
            get("/v1/stream/known?x=y", PAGE_NOT_FOUND, &["/?doc"]),
            get("/..%2f..%2fetc%2fpasswd", PAGE_NOT_FOUND, &[]),
        ]).await;
        for (uri, answer) in [("/v2/stream/known", METHOD_NOT_ALLOWED), ("/robots.txt", METHOD_NOT_ALLOWED)] {
            let row = Row { request: Request::new("DELETE", uri), method: "DELETE", ..get(uri, answer, &["GET, HEAD"]) };
            row.check(&server).await;
        }
        let counted = async |kind: &str| server.metric(&format!("eventstreams_problems_total{{reason=\"{kind}\"}}")).await;
        assert_eq!(counted("not_found").await, 18);
        assert_eq!(counted("too_many_streams").await, 1);
        assert_eq!(counted("method_not_allowed").await, 2);
        assert_eq!(server.metric("eventstreams_connected_clients{stream=\"known\"}").await, 0);
    }

    async fn queries_and_times(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        let valid = "Valid query parameters here: since, lastEventId, compression";
        check_all(&server, [
            get("/v2/stream/known?since=yesterday", INVALID_TIMESTAMP, &["ISO 8601", "milliseconds"]),
            get("/v2/stream/known?since=", INVALID_TIMESTAMP, &["empty"]),
            get("/v2/stream/known?since=-1", INVALID_TIMESTAMP, &[]),
            get("/v2/stream/known?since=2026-02-30", INVALID_TIMESTAMP, &[]),
            get("/v2/stream/known?since=1700000000", INVALID_TIMESTAMP, &["milliseconds", "1700000000000"]),
            get(format!("/v2/stream/known?since={}", "1".repeat(50_000)), INVALID_TIMESTAMP, &["50000 bytes"]),
            get("/v2/stream/known?sinc=1", INVALID_QUERY, &["'sinc'", valid]),
            get("/v2/stream/known?Since=1", INVALID_QUERY, &["'Since'", valid]),
            get("/v2/stream/known?since=1&since=1", INVALID_QUERY, &["'since' is given twice", valid]),
            get("/v2/stream/known?last_event_id=[]", INVALID_QUERY, &["'last_event_id'", "did you mean 'lastEventId'?", valid]),
            get("/v2/stream/known?format=json&compresion=gzip", INVALID_QUERY, &["did you mean 'compression'?", valid]),
            get("/v2/stream/known?compression=br", INVALID_QUERY, &["gzip, zstd or none"]),
            get("/v2/stream/known?compression=", INVALID_QUERY, &["gzip, zstd or none"]),
            get("/?spek", INVALID_QUERY, &["'spek'", "spec, doc"]),
            // The first thing that is wrong is told, and nothing of a broken query reaches Kafka.
            get("/v2/stream/nope?sinc=1", INVALID_QUERY, &["'sinc'"]),
        ]).await;
        let absurd = Request::get(format!("/v2/stream/nope?{}", "x".repeat(50_000))).send(server.address).await.text().await;
        assert!(absurd.len() < 9 * 1024, "a problem is no echo of {} bytes", absurd.len());
        let absurd = Request::get(format!("/v2/stream/{}", "x".repeat(50_000))).send(server.address).await.text().await;
        assert!(absurd.len() < 18 * 1024, "a problem is no echo of {} bytes", absurd.len());
    }

    async fn ids_that_mean_nothing(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let other = unique("eqiad.other");
        let settings = settings.stream("other", &[&other]).key("request_head_bytes_max", "262144");
        let server = TestServer::start(&cluster, &settings).await;
        let entry = |members: &str| format!(r#"[{{"topic":"{topic}"{members}}}]"#);
        for (id, says) in [
            ("last week".to_owned(), "not JSON"),
            ("[".to_owned(), "not JSON"),
            ("{}".to_owned(), "not a JSON array"),
            ("[]".to_owned(), "empty array"),
            (" [ ] ".to_owned(), "empty array"),
            ("42".to_owned(), "not a JSON array"),
            ("[42]".to_owned(), "entry 0"),
            (r#"["",""]"#.to_owned(), "`topic`"),
            (r#"[{"partition":0}]"#.to_owned(), "`topic`"),
            (entry(r#","offset":1"#), "`partition`"),
            (entry(r#","partition":-1,"offset":1"#), "must not be negative"),
            (entry(r#","partition":"0","offset":1"#), "must be an integer"),
            (entry(r#","partition":0,"offset":-3"#), "-2 for the earliest"),
            (entry(r#","partition":0,"offset":1.5"#), "must be an integer"),
            (entry(r#","partition":0,"timestamp":-1"#), "1970"),
            (entry(r#","partition":0,"timestamp":18446744073709551616"#), "must be an integer"),
            (format!(r#"[{{"topic":"{topic}","partition":0,"offset":1}},{{"topic":"{topic}","partition":0,"offset":2}}]"#), "entry 1"),
            (format!("[{}]", "[".repeat(60_000)), "not JSON"),
            (format!("[{}\"\"]", "\"x\",".repeat(16_000)), "4096"),
            (format!("[\"{}\"]", "x".repeat(65_533)), "at most 65536"),
        ] {
            get("/v2/stream/known", INVALID_ID, &[says]).header("Last-Event-ID", id).check(&server).await;
        }
        get("/v2/stream/known?lastEventId=%7B%7D", INVALID_ID, &["not a JSON array"]).check(&server).await;
        get("/v2/stream/known?lastEventId=[]", INVALID_ID, &["empty array"]).check(&server).await;
        // The header wins, so that what is wrong with it is told even beside a query parameter that is right.
        get("/v2/stream/known?lastEventId=[]", INVALID_ID, &["not JSON"]).header("Last-Event-ID", "x").check(&server).await;
        get("/v2/stream/known", INVALID_ID, &[&topic, "no partition 7"])
            .header("Last-Event-ID", entry(r#","partition":7,"offset":1"#))
            .check(&server)
            .await;
        // All of them are named, each once.
        let secret = |partition: u32| format!(r#"{{"topic":"eqiad.secret","partition":{partition},"offset":1}}"#);
        let ids = format!(r#"[{},"{other}","{topic}",{}]"#, secret(0), secret(1));
        get("/v2/stream/known", TOPIC_NOT_AVAILABLE, &[&format!(" {other},eqiad.secret")])
            .header("Last-Event-ID", ids)
            .check(&server)
            .await;
        // Topics of a stream that is not asked for stay away, whether Kafka has them or not.
        get("/v2/stream/known", TOPIC_NOT_AVAILABLE, &[&other])
            .header("Last-Event-ID", format!(r#"["{other}"]"#))
            .check(&server)
            .await;
    }

    async fn a_stream_without_topics_in_kafka(cluster: Cluster) {
        let (topic, settings) = known(&cluster).await;
        let (eqiad, codfw) = (unique("eqiad.absent"), unique("codfw.absent"));
        let settings = settings
            .stream("absent", &[&eqiad, &codfw])
            .stream("half", &[&topic, &codfw])
            .stream_with("elsewhere", &format!("{{topics: [{eqiad}], topics_allowed: [{topic}]}}"));
        let server = TestServer::start(&cluster, &settings).await;
        check_all(&server, [
            get("/v2/stream/absent", STREAM_UNAVAILABLE, &["absent"]),
            get("/v2/stream/absent?since=0", STREAM_UNAVAILABLE, &["absent"]),
            get("/v2/stream/known,absent,elsewhere", STREAM_UNAVAILABLE, &["absent (", "elsewhere ("]),
            // A new subscriber reads `topics`: that another datacenter's topic is there helps only an id that names it.
            get("/v2/stream/elsewhere", STREAM_UNAVAILABLE, &["elsewhere"]),
        ]).await;
        let named = Request::get("/v2/stream/elsewhere").last_event_id(format!(r#"["{topic}"]"#));
        assert_eq!(named.send(server.address).await.status, 200);
        // One datacenter's topic is enough.
        let mut half = Request::get("/v2/stream/half").subscribe(server.address).await;
        cluster.produce(NewRecord::new(&topic, 0, 1, "{}")).await;
        assert_eq!(half.event().await.record(), (topic, 0, 0));
        // And a topic that appears later is served without a restart.
        cluster.create_topic(&eqiad, 1).await;
        opens_at_last(&Request::get("/v2/stream/absent"), server.address).await;
    }

    async fn streams_of_one_client_address(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("client_ip_connection_limit", "2")).await;
        let from = |address: &str| Request::get("/v2/stream/known").header("X-Client-IP", address);
        let refused = || get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"]).header("X-Client-IP", "192.0.2.1");
        let first = from("192.0.2.1").subscribe(server.address).await;
        // A request that is refused for another reason, and one that has no stream, hold no place.
        get("/v2/stream/known?since=x", INVALID_TIMESTAMP, &[]).header("X-Client-IP", "192.0.2.1").check(&server).await;
        let _second = from("192.0.2.1").subscribe_ndjson(server.address).await;
        refused().check(&server).await;
        refused().check(&server).await;
        let _other = from("192.0.2.2").subscribe(server.address).await;
        assert_eq!(Request::get("/robots.txt").header("X-Client-IP", "192.0.2.1").send(server.address).await.status, 200);
        check_all(&server, [
            get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"]),
            get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"]).header("X-Client-IP", ""),
            get("/v2/stream/known", MISSING_CLIENT_IP, &["x-client-ip"]).header("X-Client-IP", "192.0.2.3").header("X-Client-IP", "192.0.2.4"),
        ]).await;
        // Ways to write the same address, and one inside another.
        for address in ["192.0.2.1:4711", "192.0.2.1, 10.0.0.1", "[::ffff:192.0.2.1]:80", "64:ff9b::192.0.2.1"] {
            get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"]).header("X-Client-IP", address).check(&server).await;
        }
        // What cannot be read counts for the peer, which is one client for all of them.
        let _peers = [from("localhost").subscribe(server.address).await, from("unknown").subscribe(server.address).await];
        get("/v2/stream/known", TOO_MANY_REQUESTS, &["at most 2"]).header("X-Client-IP", "_hidden").check(&server).await;
        drop(first);
        opens_at_last(&from("192.0.2.1"), server.address).await;
    }

    async fn clients_without_a_name(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings.key("require_user_agent", "true")).await;
        for blank in ["", "  "] {
            let row = get("/v2/stream/known", USER_AGENT_REQUIRED, &["User-Agent", "example.org"]);
            row.header("User-Agent", blank).check(&server).await;
        }
        let nameless = "GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = exchange(server.address, nameless).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("user_agent_required"), "{answer}");
        assert_eq!(Request::get("/v2/stream/known").header("User-Agent", "curl/8").send(server.address).await.status, 200);
        assert_eq!(Request::get("/robots.txt").header("User-Agent", "").send(server.address).await.status, 200);
    }

    async fn a_server_that_drains(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        // A request that is on its way when the server begins to leave.
        let request = Request::get("/v2/stream/known").header("Connection", "close").head();
        let (begun, rest) = request.split_at(20);
        let stream = within("a connection", TcpStream::connect(server.address)).await.expect("the server accepts");
        within("half a request", async {
            stream.writable().await.expect("writable");
            assert_eq!(stream.try_write(begun.as_bytes()).expect("written"), begun.len());
        })
        .await;
        let open = "eventstreams_connections";
        eventually("the connection to be accepted", async || (server.metric(open).await == 1).then_some(())).await;
        server.begin_shutdown();
        let reason = eventually("the server to be draining", async || {
            let mut ready = Request::get("/readyz").send(server.admin).await;
            (ready.status == 503).then_some(ready.json().await["reason"].clone())
        });
        assert_eq!(reason.await, "draining");
        let answer = exchange_on(stream, rest).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: 5\r\n"), "{answer}");
        assert!(answer.contains(r#""type":"unavailable""#), "{answer}");
        server.stop().await;
    }

    async fn replay_capacity_that_is_used_up(cluster: Cluster) {
        let topic = unique("eqiad.past");
        cluster.create_topic(&topic, 1).await;
        let value = format!(r#"{{"text":"{}"}}"#, "x".repeat(8000));
        cluster.produce_many("lz4", (0..4000).map(|n| NewRecord::new(&topic, 0, 1_700_000_000_000 + n, value.clone()))).await;
        let settings = Settings::default().stream("past", &[&topic]);
        let settings = settings.key("memory_log_bytes_max", "1048576").key("replay_places_max", "1").key("replay_queue_max", "0");
        let server = TestServer::start(&cluster, &settings).await;
        let past = "/v2/stream/past?since=1700000000000";
        // More than its socket takes, and it does not read: it keeps the only place.
        let stalled = Request::get(past).send(server.address).await;
        eventually("the place to be taken", async || (server.metric("eventstreams_replays_running").await == 1).then_some(())).await;
        get(past, UNAVAILABLE, &["Too many clients are replaying history"]).check(&server).await;
        assert_eq!(Request::get("/v2/stream/past").send(server.address).await.status, 200, "live needs no place");
        drop(stalled);
        opens_at_last(&Request::get(past), server.address).await;
    }

    async fn absurd_requests_do_no_harm(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start(&cluster, &settings).await;
        // The default bound of a head, filled to the byte and not ended: all of it is read before it is refused.
        let mut head = String::from("GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nX: ");
        head.push_str(&"x".repeat(65_536 - head.len()));
        assert_status(&exchange(server.address, head).await, 431);
        let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "a: b\r\n".repeat(1000));
        assert_status(&exchange(server.address, many).await, 431);
        for (garbage, status) in [
            ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
            ("GET /v2/stream/known\r\n\r\n", 400),
            ("GET  /v2/stream/known HTTP/1.1\r\n\r\n", 400),
            ("GET /v2/stream/known HTTP/1.1\r\nbad header\r\n\r\n", 400),
            ("GET /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
            ("GET /v2/stream/known HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", 400),
        ] {
            assert_status(&exchange(server.address, garbage).await, status);
        }
        // Megabytes: refused, at the latest by a connection that is closed.
        let answer = exchange(server.address, "x".repeat(5_000_000)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        let body = "POST /v2/stream/known HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\nx";
        assert_status(&exchange(server.address, body).await, 405);
        get(format!("/v2/stream/{}", ",".repeat(60_000)), TOO_MANY_STREAMS, &["60001 streams"])
            .without_uri(&server)
            .await;
        assert_eq!(Request::get("/v2/stream/known").send(server.address).await.status, 200, "the process lives");
    }

    async fn a_head_that_is_allowed_to_be_large_may_still_have_no_endless_url(cluster: Cluster) {
        let (_, settings) = known(&cluster).await;
        let server = TestServer::start_without_waiting(&cluster.brokers, &settings.key("request_head_bytes_max", "1048576"));
        let request = Request::get(format!("/v2/stream/{}", "x".repeat(200_000))).header("Connection", "close");
        assert_status(&exchange(server.address, request.head()).await, 414);
        assert_eq!(Request::get("/healthz").send(server.admin).await.status, 200, "the process lives");
    }
}

impl Row {
    /// [`Row::check`] for a target so long that the problem cuts it.
    async fn without_uri(self, server: &TestServer) {
        let mut response = self.request.send(server.address).await;
        let body = response.json().await;
        assert_eq!(
            (response.status, &body["type"]),
            (self.answer.0, &self.answer.1.into())
        );
        assert!(
            self.says.iter().all(|text| body["detail"]
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

#[tokio::test]
async fn a_kafka_that_is_not_reachable() {
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
            // What is the client's own mistake is told all the same.
            get("/v2/stream/nope", STREAM_NOT_FOUND, &[]).says("nope"),
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
