//! One server: builds it, starts it, and shuts it down. The only folder that wires the parts.
//!
//! * `listeners`: binds the sockets.
//! * `admin_thread`: the thread of the admin port.

mod admin_thread;
mod listeners;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use metrics::{Counter, Gauge};
use opentelemetry_otlp::ExporterBuildError;
use tokio::sync::watch;

use self::admin_thread::AdminThread;
pub use self::listeners::Listeners;
use crate::config::{Config, FiltersConfig};
use crate::delivery::{Delivery, FilterLimit, FilterLimits, StreamLimit, WriteGroups};
use crate::event::{RedactionPolicy, RedactionRules};
use crate::fanout::upstream::upstream;
use crate::fanout::{Hub, HubLimits, StepLimits};
use crate::http::server::{ConnectionLimits, ConnectionSlots, Port};
use crate::http::{
    self, App, ClientAddresses, Documents, RequestRate, StreamList, WritableStreams,
};
use crate::kafka::{EventPipeline, KafkaClient, KafkaClientError, KafkaReader, KafkaThreads};
use crate::limits;
use crate::memory;
use crate::reload::{Reloaded, Reloader};
use crate::shutdown::Shutdown;
use crate::stream::{Catalog, LoadError, load_catalog};
use crate::telemetry::kafka_health::KafkaHealth;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No stream configuration can be used.
    #[error(transparent)]
    Streams(#[from] LoadError),
    /// librdkafka refuses the operator's properties.
    #[error(transparent)]
    Kafka(#[from] KafkaClientError),
    /// The exporter of traces does not start.
    #[error("traces")]
    Traces(#[from] ExporterBuildError),
}

impl StartError {
    /// Whether the next start would fail in the same way.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Streams(error) => error.is_permanent(),
            Self::Kafka(_) => true,
            Self::Traces(_) => false,
        }
    }
}

/// A server that reads Kafka. [`Server::serve`] serves clients.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    threads: KafkaThreads,
}

impl Server {
    /// Builds the parts and starts to read Kafka. `file` is the configuration's file, which is read
    /// again when it changes. `shutdown` ends everything.
    ///
    /// # Errors
    /// Stream configuration that cannot be read, or properties that librdkafka refuses.
    pub async fn start(
        config: Config,
        file: Option<PathBuf>,
        shutdown: Shutdown,
    ) -> Result<Self, StartError> {
        let loaded = load_catalog(&config.streams, &config.http.user_agent).await?;
        if let Some(error) = &loaded.stale {
            tracing::warn!(%error, "stream configuration is the last good one");
        }
        log_configuration(&config, &loaded.catalog);
        let metrics = Arc::new(Metrics::default());
        metrics.describe_streams(&loaded.catalog);
        let (to_kafka, requests) = upstream(
            limits::UPSTREAM_QUEUE_MAX,
            config.kafka.replay_consumers_max,
        );
        let hub = Hub::new(hub_limits(&config), to_kafka, Arc::clone(&metrics));
        tokio::spawn(watch_memory(Arc::downgrade(&hub)));
        let heartbeat = Duration::from_millis(config.http.heartbeat_ms);
        tokio::spawn(report_progress(Arc::downgrade(&hub), heartbeat));
        let reloaded = reloaded(&config, loaded.catalog, Arc::clone(&hub), metrics);
        let app = app(&config, &reloaded, &shutdown)?;
        tokio::spawn(Arc::clone(&app.kafka_health).log(shutdown.clone()));
        let reader = kafka_reader(&config, &reloaded, Arc::clone(&app.kafka_health));
        let threads = reader.start(&hub, requests)?;
        tokio::spawn(http::warn_of_long_ids(Arc::clone(&app)));
        let is_stale = loaded.stale.is_some();
        let task = Reloader::new(file, config, reloaded, loaded.document, is_stale).run(shutdown);
        tokio::spawn(task);
        Ok(Self { app, threads })
    }

    /// A receiver that is `true` once streams are served.
    #[must_use]
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.app.hub.watch_ready()
    }

    /// Lets clients create and write streams.
    pub fn set_writable(&self, streams: Arc<dyn WritableStreams>) {
        // The first one counts.
        let _ = self.app.writable.set(streams);
    }

    /// Serves until the shutdown, and returns when the last stream has ended.
    ///
    /// # Errors
    /// When a Kafka thread panicked.
    pub async fn serve(self, listeners: Listeners) -> anyhow::Result<()> {
        serve_until_shutdown(&self.app, listeners).await;
        let traces = self.app.traces.clone();
        let stop = move || {
            self.threads.stop();
            traces.as_ref().inspect(|traces| traces.stop());
        };
        match tokio::task::spawn_blocking(stop).await {
            Err(error) if error.is_panic() => Err(error).context("the Kafka threads"),
            // The runtime shuts down and does not wait for them.
            _ => Ok(()),
        }
    }
}

fn log_configuration(config: &Config, catalog: &Catalog) {
    for warning in catalog.warnings() {
        tracing::warn!("{warning}");
    }
    if !config.ignored_keys.is_empty() {
        tracing::info!(
            keys = config.ignored_keys.join(", "),
            "ignored keys of the configuration"
        );
    }
}

/// Serves both ports. The admin port serves until the last stream has ended, so that it shows the
/// drain.
async fn serve_until_shutdown(app: &Arc<App>, listeners: Listeners) {
    let admin = AdminThread::start(admin_port(app), listeners.admin);
    let public = public_port(app);
    tokio::join!(public.serve(listeners.public), begin_after_notice(app));
    match admin {
        Ok(admin) => admin.stop().await,
        Err(error) => tracing::error!(%error, "admin port"),
    }
}

fn public_port(app: &Arc<App>) -> Port {
    let limits = &app.config.limits;
    Port {
        router: http::router(app),
        limits: ConnectionLimits::from(limits),
        slots: ConnectionSlots::new(
            limits.connections_max,
            limits.connections_per_address_max,
            app.config.http.trusted_proxies.clone(),
            app.metrics.connections.clone(),
            app.metrics.connections_refused.clone(),
        ),
        shutdown: app.shutdown.clone(),
        grace: grace(&app.config),
    }
}

/// Its shutdown is its own. Its connections are not counted.
fn admin_port(app: &Arc<App>) -> Port {
    let limits = &app.config.limits;
    Port {
        router: http::admin::router(app),
        limits: ConnectionLimits::from(limits),
        slots: ConnectionSlots::new(
            limits.connections_max,
            None,
            Vec::new(),
            Gauge::noop(),
            Counter::noop(),
        ),
        shutdown: Shutdown::default(),
        grace: grace(&app.config),
    }
}

fn grace(config: &Config) -> Duration {
    Duration::from_millis(config.limits.drain_ms) + limits::GRACE_AFTER_DRAIN
}

/// Begins the shutdown `drain_delay_ms` after its announcement, so that load balancers can take
/// the server out. A server that was not ready has no clients.
async fn begin_after_notice(app: &App) {
    app.shutdown.announced().await;
    if app.hub.is_ready() {
        let delay = Duration::from_millis(app.config.limits.drain_delay_ms);
        // A second signal ends the notice period.
        let _ = tokio::time::timeout(delay, app.shutdown.begun()).await;
    }
    app.shutdown.begin();
}

fn reloaded(config: &Config, catalog: Catalog, hub: Arc<Hub>, metrics: Arc<Metrics>) -> Reloaded {
    let redaction = RedactionPolicy::new(RedactionRules::new(&config.redacted_pages), &catalog);
    let event_bytes_max = config.limits.event_bytes_max;
    let pipeline = EventPipeline::new(redaction, event_bytes_max, Arc::clone(&metrics));
    Reloaded {
        topics: Arc::new(ArcSwap::from_pointee(catalog.topics())),
        catalog: Arc::new(watch::Sender::new(Arc::new(catalog))),
        filters: Arc::new(ArcSwap::from_pointee(config.filters.named.clone())),
        pipeline: Arc::new(pipeline),
        hub,
        metrics,
    }
}

fn app(
    config: &Config,
    reloaded: &Reloaded,
    shutdown: &Shutdown,
) -> Result<Arc<App>, ExporterBuildError> {
    let http = &config.http;
    let metrics = &reloaded.metrics;
    let traces = Traces::start(config.otlp_endpoint.as_deref(), &config.service_name);
    let refresh = Duration::from_millis(config.kafka.metadata_refresh_ms);
    Ok(Arc::new(App {
        catalog: Arc::clone(&reloaded.catalog),
        topics: Arc::clone(&reloaded.topics),
        writable: OnceLock::new(),
        filters: Arc::clone(&reloaded.filters),
        hub: Arc::clone(&reloaded.hub),
        kafka_health: Arc::new(KafkaHealth::new(Arc::clone(metrics), refresh)),
        metrics: Arc::clone(metrics),
        traces: traces?,
        stream_limit: StreamLimit::new(http.client_ip_connection_limit, http.streams_max),
        request_rate: RequestRate::new(http.request_rate_limit),
        filter_limit: FilterLimit::new(filter_limits(&config.filters), Arc::clone(metrics)),
        addresses: ClientAddresses::new(
            http.client_ip_header.clone(),
            http.trusted_proxies.clone(),
        ),
        delivery: delivery(config, reloaded, shutdown.clone()),
        documents: Documents::default(),
        stream_list: StreamList::default(),
        shutdown: shutdown.clone(),
        config: config.clone(),
    }))
}

fn filter_limits(config: &FiltersConfig) -> FilterLimits {
    FilterLimits {
        filters: config.filters_max,
        per_client: config.filters_per_client_max,
        unindexed: config.unindexed_filters_max,
    }
}

fn delivery(config: &Config, reloaded: &Reloaded, shutdown: Shutdown) -> Arc<Delivery> {
    let limits = &config.limits;
    Arc::new(Delivery {
        catalog: Arc::clone(&reloaded.catalog),
        metrics: Arc::clone(&reloaded.metrics),
        memory: Arc::clone(reloaded.hub.memory()),
        shutdown,
        groups: WriteGroups::default(),
        heartbeat: Duration::from_millis(config.http.heartbeat_ms),
        write_timeout: Duration::from_millis(limits.write_timeout_ms),
        batch_wait_max: Duration::from_millis(limits.batch_wait_max_ms),
        drain: Duration::from_millis(limits.drain_ms),
    })
}

fn kafka_reader(config: &Config, reloaded: &Reloaded, health: Arc<KafkaHealth>) -> KafkaReader {
    KafkaReader {
        client: KafkaClient::new(
            &config.kafka.properties,
            Arc::clone(&reloaded.metrics),
            health,
        ),
        topics: Arc::clone(&reloaded.topics),
        reach_back: Duration::from_millis(config.kafka.live_reach_back_ms),
        metadata_refresh: Duration::from_millis(config.kafka.metadata_refresh_ms),
        pipeline: Arc::clone(&reloaded.pipeline),
    }
}

/// Frees memory when it is short, as long as the hub exists.
async fn watch_memory(hub: Weak<Hub>) {
    while let Some(hub) = hub.upgrade() {
        hub.relieve();
        drop(hub);
        tokio::time::sleep(limits::MEMORY_POLL_INTERVAL).await;
    }
}

/// Sends progress to filtered streams, as often as heartbeats, as long as the hub exists.
async fn report_progress(hub: Weak<Hub>, heartbeat: Duration) {
    while let Some(hub) = hub.upgrade() {
        hub.report_progress(heartbeat);
        drop(hub);
        tokio::time::sleep(limits::PROGRESS_POLL_INTERVAL.min(heartbeat)).await;
    }
}

/// The operator's budget, or a part of the machine's memory. The largest event always fits into it
/// several times.
fn memory_bytes_max(config: &Config) -> usize {
    let limits = &config.limits;
    let bytes = limits
        .memory_bytes_max
        .unwrap_or_else(|| memory::default_budget(limits.memory_log_bytes_max));
    bytes.max(
        limits
            .event_bytes_max
            .saturating_mul(limits::BUDGET_EVENTS_MIN),
    )
}

fn hub_limits(config: &Config) -> HubLimits {
    HubLimits {
        memory_log_bytes_max: config.limits.memory_log_bytes_max,
        feed_bytes_max: limits::FEED_RING_BYTES_MAX,
        feeds_bytes_max: config.limits.feeds_bytes_max,
        memory_bytes_max: memory_bytes_max(config),
        replays_max: config.kafka.replay_places_max,
        replays_per_client_max: config
            .kafka
            .replay_places_per_client_max
            .and_then(|max| max.try_into().ok()),
        replay_queue_max: config.kafka.replay_queue_max,
        step: StepLimits::default(),
    }
}
