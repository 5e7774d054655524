//! Routes, headers, problems, and the body that carries a subscription to its socket. Knows no Kafka.
//!
//! All routes are in [`router`]. One file per endpoint, then what they share:
//!
//! * `stream`: `GET /v2/stream/{streams}`: from the request to a subscription.
//! * `query`: query parameters. `requested`: the streams that a path names. `asked`: where a client wants to begin.
//! * `negotiation`: the form of a stream: `Accept`, and who gets it compressed.
//! * `id_bound`: whether the ids of a subscription would be accepted back.
//! * `info`: the small routes.
//! * `spec`: the `OpenAPI` document and the page that shows it.
//! * `admin`: metrics, health and readiness, on a port of their own.
//! * `voice`: what a stream says: opening, events, heartbeats, the end.
//! * `handover`: a stream that is written on its socket itself; `body`: one that hyper writes.
//! * `stream_task`: what writes a stream, alone or through a convoy; `line`: its way to its client; `sink`: a socket, or a body.
//! * `convoy`: streams at the same place, which are written together.
//! * `coding`: gzip and zstd.
//! * `audience`: what is counted of what is written; `stream_end`: a stream's metrics and its line in the log.
//! * `problem`: every error before the first byte.
//! * `client_address`: whose request it is.
//! * `connection_limit`: streams and requests for each client.
//! * `common`: headers that every answer carries, CORS, request ids, spans.
//! * `connection_places`: connections of each peer address, and of all; `requests`: the clock of a connection.
//! * `listener`: accepts connections, up to `connections_max`; HTTP/1.1 and HTTP/2. `http2`: resets a stream that stalls.
//! * `socket`: bounds of a socket and its writes.

pub mod admin;
mod asked;
mod audience;
mod body;
mod client_address;
mod coding;
mod common;
mod connection_limit;
mod connection_places;
mod convoy;
mod handover;
mod http2;
mod id_bound;
mod info;
mod line;
pub mod listener;
mod negotiation;
mod problem;
mod query;
mod requested;
mod requests;
mod sink;
mod socket;
mod spec;
mod stream;
mod stream_end;
mod stream_task;
mod voice;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;

pub use client_address::ClientAddresses;
pub use connection_limit::{ConnectionLimit, RequestRate};
pub use connection_places::ConnectionPlaces;
pub use convoy::Convoys;
pub(crate) use id_bound::warn_when_ready;
pub use problem::Problem;
pub use requested::requested_streams;
pub use spec::Documents;

use crate::config::Config;
use crate::fanout::Hub;
use crate::health::KafkaHealth;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::stream::Catalog;
use crate::traces::Traces;

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
    pub connection_limit: ConnectionLimit,
    /// Stream requests of each client.
    pub request_rate: RequestRate,
    /// Streams that are written together.
    pub convoys: Convoys,
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

    /// The time after which a silent stream sends a heartbeat.
    fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.config.http.heartbeat_ms)
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
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            common::common,
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
