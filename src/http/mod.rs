//! Routes, headers and limits of HTTP. Knows no Kafka.
//!
//! All public routes are in [`router`]. A file for each endpoint, then what they share:
//!
//! * `stream`: `GET /v2/stream/{streams}`. `stream_request`: such a request, parsed. `stream_names`: the streams of a path.
//! * `info`: the small routes. `spec`: the `OpenAPI` document and the page that shows it.
//! * `admin`: metrics, health and readiness, on a port of their own.
//! * `query`: query parameters. `negotiation`: media type and content coding.
//! * `id_bound`: whether the server would accept the ids of a subscription back.
//! * `client_address`: which client a request comes from. `request_rate`: how often it may request.
//! * `middleware`: what every request passes: request ids, CORS, headers, spans.
//! * `server`: connections, HTTP/1.1 and HTTP/2, and the takeover of sockets.

pub mod admin;
mod client_address;
mod id_bound;
mod info;
mod middleware;
mod negotiation;
mod query;
mod request_rate;
pub mod server;
mod spec;
mod stream;
mod stream_names;
mod stream_request;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;

pub use client_address::ClientAddresses;
pub(crate) use id_bound::warn_when_ready;
pub use request_rate::RequestRate;
pub use spec::Documents;
pub use stream_names::requested_streams;

use crate::config::Config;
use crate::delivery::{Delivery, StreamLimit};
use crate::fanout::Hub;
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::stream::Catalog;
use crate::telemetry::kafka_health::KafkaHealth;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// The home page of the service.
const HOME: &str = "https://wikitech.wikimedia.org/wiki/Event_Platform/EventStreams_HTTP_Service";

/// What the endpoints need. One for the whole server, shared.
#[derive(Debug)]
pub struct App {
    /// The operator's settings.
    pub config: Config,
    /// The public streams.
    pub catalog: Arc<watch::Sender<Arc<Catalog>>>,
    /// Where subscriptions come from.
    pub hub: Arc<Hub>,
    /// Why Kafka cannot be read, if it cannot.
    pub kafka_health: Arc<KafkaHealth>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Whose requests these are.
    pub addresses: ClientAddresses,
    /// Where spans are sent, if anywhere.
    pub traces: Option<Traces>,
    /// Streams of each client.
    pub stream_limit: StreamLimit,
    /// Stream requests of each client.
    pub request_rate: RequestRate,
    /// What every stream shares.
    pub delivery: Arc<Delivery>,
    /// What is made once for each configuration of streams.
    pub documents: Documents,
    /// When it begins, streams end.
    pub shutdown: Shutdown,
}

impl App {
    /// The public streams as they are now.
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }
}

/// All public routes, and what every request passes through, outermost last.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/", get(info::root))
        .route("/doc.css", get(info::doc_style))
        .route("/rc", get(info::recent_changes))
        .route("/robots.txt", get(info::robots))
        .route("/_info", get(info::info))
        .route("/_info/name", get(info::name))
        .route("/_info/version", get(info::version))
        .route("/_info/home", get(info::home))
        .route("/v2/stream/{*streams}", get(stream::stream))
        .route("/v2/stream", get(stream_missing))
        .route("/v2/stream/", get(stream_missing))
        .fallback(page_not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(app),
            middleware::middleware,
        ))
        .with_state(Arc::clone(app))
}

async fn page_not_found(request: Request) -> Response {
    Problem::PageNotFound.response(request.method(), request.uri())
}

async fn stream_missing(request: Request) -> Response {
    Problem::StreamMissing.response(request.method(), request.uri())
}

async fn method_not_allowed(method: Method, request: Request) -> Response {
    Problem::MethodNotAllowed.response(&method, request.uri())
}
