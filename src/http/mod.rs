//! Routes, headers and limits of HTTP. Knows no Kafka.
//!
//! [`router`] has all public routes. Each endpoint has a file, and so has what they share:
//!
//! * `stream`: `GET /v2/stream/{streams}`. `stream_request`: such a request, parsed.
//!   `stream_names`: the streams of a path.
//! * `requested_bound`: where a stream ends.
//! * `requested_filter`: which events a stream request asks for. `requested_fields`: which of their
//!   members.
//! * `durable`: `GET /v1/stream/{streams}`, the read protocol of Durable Streams.
//! * `event`: `GET /v2/event/...`. `stream_list`: `GET /v2/streams`, with the `log_facts` in it.
//! * `cacheable`: responses that a cache may keep.
//! * `ui`: the page for people, with its files. `info`: the small routes.
//! * `spec`: the `OpenAPI` document and the page that shows it.
//! * `admin`: metrics, health and readiness, on a port of their own.
//! * `query`: query parameters. `negotiation`: media type and content coding.
//! * `id_bound`: whether the server would accept the ids of a subscription back.
//! * `client_address`: which client a request comes from. `request_rate`: how often it may request.
//! * `middleware`: what every public request passes. `printable`: text of a client for the log.
//! * `server`: connections, HTTP/1.1 and HTTP/2, and the takeover of sockets.

pub mod admin;
mod cacheable;
mod client_address;
mod durable;
mod event;
mod id_bound;
mod info;
mod log_facts;
mod middleware;
mod negotiation;
mod printable;
mod query;
mod request_rate;
mod requested_bound;
mod requested_fields;
mod requested_filter;
pub mod server;
mod spec;
mod stream;
mod stream_list;
mod stream_names;
mod stream_request;
mod ui;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use axum::routing::get;
use tokio::sync::watch;

pub use client_address::ClientAddresses;
pub use durable::WritableStreams;
pub(crate) use id_bound::warn_of_long_ids;
pub use request_rate::RequestRate;
pub use spec::Documents;
pub use stream_list::StreamList;
pub use stream_names::requested_streams;

use crate::config::{Config, NamedFilters};
use crate::delivery::{Delivery, FilterLimit, StreamLimit};
use crate::fanout::Hub;
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::stream::{Catalog, Topic};
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
    /// The topics that are read from Kafka.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// Streams that clients may create and write: in `eventstreams dev` only.
    pub writable: OnceLock<Arc<dyn WritableStreams>>,
    /// The operator's filters.
    pub filters: Arc<ArcSwap<NamedFilters>>,
    /// The source of subscriptions.
    pub hub: Arc<Hub>,
    /// Why Kafka cannot be read, if it cannot.
    pub kafka_health: Arc<KafkaHealth>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Finds the client of a request.
    pub addresses: ClientAddresses,
    /// Sends spans, if a collector is configured.
    pub traces: Option<Traces>,
    /// The limit on streams of each client.
    pub stream_limit: StreamLimit,
    /// The limit on stream requests of each client.
    pub request_rate: RequestRate,
    /// The limit on different filters.
    pub filter_limit: FilterLimit,
    /// What every stream shares.
    pub delivery: Arc<Delivery>,
    /// Documents that are rendered once for each catalog.
    pub documents: Documents,
    /// The list of the public streams.
    pub stream_list: StreamList,
    /// When it begins, streams end.
    pub shutdown: Shutdown,
}

impl App {
    /// The public streams as they are now.
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }
}

/// All public routes, behind the middleware.
pub fn router(app: &Arc<App>) -> Router {
    let routes = Router::new()
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
        .route(
            "/v1/stream/{*streams}",
            get(durable::read)
                .put(durable::create)
                .post(durable::append),
        )
        .route("/v2/streams", get(stream_list::streams))
        .route("/v2/streams/{name}", get(stream_list::stream))
        .route("/v2/event/{topic}/{partition}/{offset}", get(event::event))
        .route("/v2/ui", get(ui::folder))
        .route("/v2/ui/", get(ui::page))
        .route("/v2/ui/{file}", get(ui::file))
        .fallback(page_not_found)
        .method_not_allowed_fallback(method_not_allowed);
    middleware::wrap(routes, app).with_state(Arc::clone(app))
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
