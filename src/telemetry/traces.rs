//! Traces by OTLP (http/protobuf): one span for each public request. The span of a stream lasts
//! until the stream ends.
//!
//! Traces are on when `otlp_endpoint` or OpenTelemetry's own environment names a collector.
//! Otherwise they cost nothing. OpenTelemetry's own variables set sampling, batches, headers and
//! further attributes (`OTEL_TRACES_SAMPLER`, `OTEL_BSP_...`, `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_RESOURCE_ATTRIBUTES`). No span contains a client's address or the contents of an event.
//!
//! Each server has its own tracer, with its own collector. `tracing-opentelemetry` would need one
//! for the whole process, because `tracing` has one subscriber.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::limits;

/// The variables of OpenTelemetry's own environment that name a collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// The path below a collector's URL, from OpenTelemetry's specification of OTLP/HTTP.
const PATH: &str = "/v1/traces";

/// The time limit for sending the last spans at shutdown.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// The sender of spans.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of a request. It ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct RequestSpan(Context);

/// How a stream ended.
#[derive(Clone, Copy, Debug)]
pub struct StreamSummary<'a> {
    /// The names of its streams.
    pub streams: &'a [&'a str],
    /// Why it ended.
    pub reason: &'static str,
    /// Events that were sent.
    pub events: u64,
    /// Bytes of these.
    pub bytes: u64,
}

impl Traces {
    /// Starts to send spans to `endpoint`, the base URL of a collector, or to the collector that
    /// the environment names. `None` without either.
    ///
    /// # Errors
    /// A URL or a variable of the environment that cannot be used.
    pub fn start(
        endpoint: Option<&str>,
        service_name: &str,
    ) -> Result<Option<Self>, ExporterBuildError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let disabled =
            set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if disabled || (endpoint.is_none() && ENDPOINTS.iter().all(|name| set(name).is_none())) {
            return Ok(None);
        }
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary);
        if let Some(endpoint) = endpoint {
            exporter = exporter.with_endpoint(traces_url(endpoint));
        }
        let resource = Resource::builder().with_service_name(service_name.to_owned());
        let resource =
            resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build()?)
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("eventstreams");
        Ok(Some(Self { provider, tracer }))
    }

    /// The span of a request. It continues the trace that its `traceparent` header names.
    #[must_use]
    pub fn request(
        &self,
        method: &Method,
        uri: &Uri,
        route: Option<&str>,
        headers: &HeaderMap,
    ) -> RequestSpan {
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        let name = route.map_or_else(|| method.to_string(), |route| format!("{method} {route}"));
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_string()),
            KeyValue::new("url.path", uri.path().to_owned()),
        ];
        attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        let user_agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
        let user_agent =
            user_agent.map(|name| &name[..name.len().min(limits::LOGGED_HEADER_BYTES_MAX)]);
        attributes.extend(user_agent.map(|name| {
            KeyValue::new(
                "user_agent.original",
                String::from_utf8_lossy(name).into_owned(),
            )
        }));
        let builder = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        RequestSpan(Context::new().with_span(span))
    }

    /// Sends the remaining spans. Blocks for up to two seconds.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_SPANS) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl RequestSpan {
    /// Records the status of the response, and the problem's type if it is a problem.
    pub fn record_response(&self, status: StatusCode, problem: Option<&'static str>) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status.as_u16()),
        ));
        if let Some(problem) = problem {
            span.set_attribute(KeyValue::new("error.type", problem));
        }
        if status.is_server_error() {
            span.set_status(Status::error(problem.unwrap_or_default()));
        }
    }

    /// Records how the stream ended.
    pub fn record_stream(&self, summary: StreamSummary<'_>) {
        let streams: Vec<StringValue> = summary
            .streams
            .iter()
            .map(|name| (*name).to_owned().into())
            .collect();
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.0.span().set_attributes([
            KeyValue::new("eventstreams.streams", Value::Array(Array::String(streams))),
            KeyValue::new("eventstreams.reason", summary.reason),
            KeyValue::new("eventstreams.events", count(summary.events)),
            KeyValue::new("eventstreams.bytes", count(summary.bytes)),
        ]);
    }
}

fn traces_url(endpoint: &str) -> String {
    let base = endpoint.trim_end_matches('/');
    if base.ends_with(PATH) {
        base.to_owned()
    } else {
        format!("{base}{PATH}")
    }
}

/// Headers as OpenTelemetry reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Traces, traces_url};

    #[test]
    fn the_url_is_a_collectors_base_or_the_whole() {
        for given in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
            assert_eq!(traces_url(given), "http://c:4318/v1/traces");
        }
        assert_eq!(traces_url("https://c/otlp"), "https://c/otlp/v1/traces");
    }

    #[test]
    fn without_a_collector_there_is_nothing() {
        assert!(
            Traces::start(None, "eventstreams")
                .expect("nothing to go wrong")
                .is_none()
        );
    }
}
