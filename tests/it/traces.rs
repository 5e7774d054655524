//! Spans as a collector receives them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::support::admin::{NewRecord, unique};
use crate::support::deadline::eventually;
use crate::support::program::Program;
use crate::support::server::{Settings, TestServer};
use crate::support::wire::Request;

/// An OpenTelemetry collector. It keeps the spans that it receives, each with its service's name.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
}

impl Collector {
    async fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = Arc::clone(&spans);
        let handler = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
            for resource in request.resource_spans {
                let service = attribute(
                    &resource.resource.expect("a resource").attributes,
                    "service.name",
                );
                let spans = resource
                    .scope_spans
                    .into_iter()
                    .flat_map(|scope| scope.spans);
                kept.lock()
                    .expect("no panic")
                    .extend(spans.map(|span| (service.clone(), span)));
            }
        };
        let router = Router::new().route("/v1/traces", post(handler));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, spans }
    }

    /// Waits for the span with this name and status. Spans are sent in batches.
    async fn span(&self, name: &str, status: &str) -> (String, Span) {
        eventually(format!("a span {name} with status {status}"), async || {
            let spans = self.spans.lock().expect("no panic");
            let wanted = |span: &Span| {
                span.name == name
                    && attribute(&span.attributes, "http.response.status_code") == status
            };
            spans.iter().find(|(_, span)| wanted(span)).cloned()
        })
        .await
    }
}

/// An attribute as text; empty if there is none.
fn attribute(
    attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue],
    name: &str,
) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let value = found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    value.map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(array) => array
            .values
            .iter()
            .filter_map(|value| value.value.as_ref())
            .map(text)
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    }
}

const STREAM: &str = "GET /v2/stream/{*streams}";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID: &str = "b7ad6b7169203331";

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

on_both_brokers! {
    async fn a_stream_is_one_span_of_its_clients_trace(cluster: Cluster) {
        let collector = Collector::start().await;
        let (one, two) = (unique("eqiad.one"), unique("eqiad.two"));
        cluster.create_topic(&one, 1).await;
        cluster.create_topic(&two, 1).await;
        let settings = Settings::default()
            .stream("one", &[&one])
            .stream("two", &[&two])
            .key("otlp_endpoint", &collector.url)
            .key("heartbeat_ms", "3600000")
            .key("service_name", "traced");
        let server = TestServer::start(&cluster, &settings).await;
        let request = Request::get("/v2/stream/one,two")
            .header("traceparent", format!("00-{TRACE_ID}-{PARENT_ID}-01"));
        let mut subscriber = request.subscribe(server.address).await;
        let records = [NewRecord::new(&one, 0, 1, "{}"), NewRecord::new(&two, 0, 2, "{}")];
        cluster.produce_many("none", records).await;
        let bytes = subscriber.events(2).await[1].end - ":ok\n\n".len();
        let is_open = collector.spans.lock().expect("no panic").is_empty();
        assert!(is_open, "a span ends with its stream");
        drop(subscriber);

        let (service, span) = collector.span(STREAM, "200").await;
        assert_eq!(service, "traced");
        assert_eq!(span.kind, SpanKind::Server as i32);
        assert_eq!(hex(&span.trace_id), TRACE_ID);
        assert_eq!(hex(&span.parent_span_id), PARENT_ID);
        let of = |name: &str| attribute(&span.attributes, name);
        assert_eq!(of("http.request.method"), "GET");
        assert_eq!(of("url.path"), "/v2/stream/one,two");
        assert_eq!(of("eventstreams.streams"), "one two");
        assert_eq!(of("eventstreams.reason"), "client_gone");
        assert_eq!(of("eventstreams.events"), "2");
        assert_eq!(of("eventstreams.bytes"), bytes.to_string());
        assert!(of("user_agent.original").starts_with("eventstreams-tests"));
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        let all = format!("{:?}", span.attributes);
        assert!(!all.contains("127.0.0.1"), "no client's address: {all}");
    }

    async fn a_refused_request_is_a_span_with_its_problem(cluster: Cluster) {
        let collector = Collector::start().await;
        let topic = unique("eqiad.known");
        cluster.create_topic(&topic, 1).await;
        let settings = Settings::default()
            .stream("known", &[&topic])
            .key("otlp_endpoint", &collector.url);
        let server = TestServer::start(&cluster, &settings).await;
        let response = Request::get("/v2/stream/nope").send(server.address).await;
        assert_eq!(response.status, 400);
        // The server sends the last spans before it ends.
        server.stop().await;
        let (service, span) = collector.span(STREAM, "400").await;
        assert_eq!(service, "eventstreams");
        assert_eq!(attribute(&span.attributes, "error.type"), "not_found");
        assert_eq!(attribute(&span.attributes, "eventstreams.reason"), "");
    }

    async fn opentelemetrys_own_environment_names_a_collector(cluster: Cluster) {
        let collector = Collector::start().await;
        let topic = unique("eqiad.known");
        cluster.create_topic(&topic, 1).await;
        let file = format!(
            "kafka: {{metadata.broker.list: '{}'}}\n\
             stream_config_defaults: {{s: {{topics: [{topic}]}}}}\n",
            cluster.brokers
        );
        let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url)];
        let process = Program::start(&file, &environment).await;
        process.wait_until_ready().await;
        let subscriber = Request::get("/v2/stream/s").subscribe(process.address).await;
        assert!(process.stop().await.success());
        let (_, span) = collector.span(STREAM, "200").await;
        assert_eq!(attribute(&span.attributes, "eventstreams.reason"), "shutdown");
        drop(subscriber);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_collector_a_server_loses_only_spans() {
    let file = "kafka: {metadata.broker.list: '127.0.0.1:9'}\n\
                stream_config_defaults: {s: {}}\n\
                otlp_endpoint: http://127.0.0.1:9\n";
    let mut process = Program::start(file, &[]).await;
    for _ in 0..100 {
        assert_eq!(
            Request::get("/robots.txt")
                .send(process.address)
                .await
                .status,
            200
        );
    }
    assert!(process.is_running());
    assert!(process.stop().await.success());
}
