//! One server: build, bind, spawn, drain. The only file that wires the parts together.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use metrics::{Counter, Gauge};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};

use crate::config::Config;
use crate::delivery::{Delivery, StreamLimit, WriteGroups};
use crate::event::{RedactionPolicy, RedactionRules};
use crate::fanout::upstream::upstream;
use crate::fanout::{Hub, HubLimits};
use crate::http::server::{ConnectionSlots, ListenerLimits, serve};
use crate::http::{self, App, ClientAddresses, Documents, RequestRate};
use crate::kafka::{EventPipeline, KafkaClient, KafkaReader, KafkaThreads};
use crate::limits;
use crate::memory;
use crate::reload::{Reloaded, Reloader};
use crate::shutdown::Shutdown;
use crate::stream::load_catalog;
use crate::telemetry::kafka_health::KafkaHealth;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// The sockets of a server, bound already.
#[derive(Debug)]
pub struct Listeners {
    /// For the public.
    pub public: Vec<TcpListener>,
    /// For metrics and health.
    pub admin: Vec<TcpListener>,
}

impl Listeners {
    /// Binds what the configuration names.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            public: bind(&config.http.listen())?,
            admin: bind(&config.http.admin_listen())?,
        })
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::LISTEN_BACKLOG)
}

/// Binds the first address; further ones (IPv4 beside IPv6 on all interfaces) are welcome, not needed: many systems answer
/// both on one socket. Where they do not, the address that another program holds is named in the log.
fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut failed = Vec::new();
    for address in addresses {
        match listen(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed.push((address, error)),
        }
    }
    if listeners.is_empty()
        && let Some((address, error)) = failed.pop()
    {
        return Err(error).with_context(|| {
            format!("cannot listen on {address}; choose another port, or end what holds this one")
        });
    }
    let answers_both = listeners.iter().any(answers_both_families);
    for (address, error) in failed
        .iter()
        .filter(|(_, error)| error.kind() == ErrorKind::AddrInUse && !answers_both)
    {
        tracing::warn!(
            %address,
            %error,
            "another program holds this port for one address family: its clients do not reach this server; \
             choose another port, or end what holds this one"
        );
    }
    Ok(listeners)
}

/// Whether a listener of all IPv6 addresses takes IPv4 too.
fn answers_both_families(listener: &TcpListener) -> bool {
    let is_v6 = listener.local_addr().is_ok_and(|address| address.is_ipv6());
    is_v6 && SockRef::from(listener).only_v6().is_ok_and(|only| !only)
}

/// A server that reads Kafka; [`Server::serve`] opens its doors.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    threads: KafkaThreads,
}

impl Server {
    /// Builds the parts and begins to read. `file` is where the configuration was read from; when it changes, it is read
    /// again. `shutdown` ends everything.
    ///
    /// # Errors
    /// Stream configuration that cannot be read, properties that librdkafka refuses.
    pub async fn start(
        config: Config,
        file: Option<PathBuf>,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let loaded = load_catalog(&config.streams, &config.http.user_agent).await?;
        if let Some(error) = &loaded.stale {
            tracing::warn!(%error, "stream configuration is the last good one");
        }
        for warning in loaded.catalog.warnings() {
            tracing::warn!("{warning}");
        }
        if !config.ignored_keys.is_empty() {
            tracing::info!(
                keys = config.ignored_keys.join(", "),
                "keys of the configuration that mean nothing here"
            );
        }
        let (document, stale) = (loaded.document, loaded.stale.is_some());
        let metrics = Arc::new(Metrics::default());
        metrics.describe_streams(&loaded.catalog);
        let (to_kafka, requests) = upstream(
            limits::UPSTREAM_QUEUE_MAX,
            config.kafka.replay_consumers_max,
        );
        let hub = Hub::new(hub_limits(&config), to_kafka, Arc::clone(&metrics));
        let redaction =
            RedactionPolicy::new(RedactionRules::new(&config.redacted_pages), &loaded.catalog);
        let reloaded = Reloaded {
            topics: Arc::new(ArcSwap::from_pointee(loaded.catalog.topics())),
            catalog: Arc::new(watch::Sender::new(Arc::new(loaded.catalog))),
            pipeline: Arc::new(EventPipeline::new(
                redaction,
                config.limits.event_bytes_max,
                Arc::clone(&metrics),
            )),
            hub: Arc::clone(&hub),
            metrics: Arc::clone(&metrics),
        };
        let traces = Traces::start(config.otlp_endpoint.as_deref(), &config.service_name)
            .context("traces")?;
        let refresh = Duration::from_millis(config.kafka.metadata_refresh_ms);
        let kafka_health = Arc::new(KafkaHealth::new(Arc::clone(&metrics), refresh));
        tokio::spawn(Arc::clone(&kafka_health).log(shutdown.clone()));
        let threads =
            kafka_reader(&config, &reloaded, Arc::clone(&kafka_health)).start(&hub, requests)?;
        let http = &config.http;
        let addresses =
            ClientAddresses::new(http.client_ip_header.clone(), http.trusted_proxies.clone());
        tokio::spawn(watch_memory(Arc::downgrade(&hub)));
        let delivery = delivery(&config, &reloaded, shutdown.clone());
        let app = Arc::new(App {
            catalog: Arc::clone(&reloaded.catalog),
            hub,
            kafka_health,
            metrics,
            traces,
            stream_limit: StreamLimit::new(http.client_ip_connection_limit, http.streams_max),
            request_rate: RequestRate::new(http.request_rate_limit),
            addresses,
            delivery,
            documents: Documents::default(),
            shutdown: shutdown.clone(),
            config: config.clone(),
        });
        tokio::spawn(http::warn_when_ready(Arc::clone(&app)));
        tokio::spawn(Reloader::new(file, config, reloaded, document, stale).run(shutdown));
        Ok(Self { app, threads })
    }

    /// Something to wait on until streams are served.
    #[must_use]
    pub fn watch_ready(&self) -> watch::Receiver<bool> {
        self.app.hub.watch_ready()
    }

    /// Serves until the shutdown, and returns when the last stream has ended.
    ///
    /// # Errors
    /// When a Kafka thread cannot be ended.
    pub async fn serve(self, listeners: Listeners) -> anyhow::Result<()> {
        let shutdown = self.app.shutdown.clone();
        serve_until(&self.app, listeners, &shutdown).await;
        let traces = self.app.traces.clone();
        let stop = move || {
            self.threads.stop();
            traces.as_ref().inspect(|traces| traces.stop());
        };
        match tokio::task::spawn_blocking(stop).await {
            Err(error) if error.is_panic() => Err(error).context("the Kafka threads"),
            // A runtime that ends by itself need not wait for them.
            _ => Ok(()),
        }
    }
}

async fn serve_until(app: &Arc<App>, listeners: Listeners, shutdown: &Shutdown) {
    let limits = &app.config.limits;
    let bounds = ListenerLimits {
        request_head_timeout: Duration::from_millis(limits.request_head_timeout_ms),
        request_head_bytes_max: limits.request_head_bytes_max,
        http2_streams_max: limits.http2_streams_max,
        write_timeout: Duration::from_millis(limits.write_timeout_ms),
    };
    let grace = Duration::from_millis(limits.drain_ms) + limits::GRACE_AFTER_DRAIN;
    // The admin port answers until the last stream has ended: that the server drains is worth knowing.
    let admin_stop = Shutdown::default();
    let router = http::admin::router(app);
    let stop = admin_stop.clone();
    let slots = ConnectionSlots::new(
        limits.connections_max,
        None,
        Vec::new(),
        Gauge::noop(),
        Counter::noop(),
    );
    let admin = on_own_thread(listeners.admin, move |listeners| async move {
        let serve = |listener| {
            serve(
                listener,
                router.clone(),
                bounds,
                slots.clone(),
                stop.clone(),
                grace,
            )
        };
        futures_util::future::join_all(listeners.into_iter().map(serve)).await;
    });
    let (router, slots) = (http::router(app), public_slots(app));
    let serve = |listener| {
        serve(
            listener,
            router.clone(),
            bounds,
            slots.clone(),
            shutdown.clone(),
            grace,
        )
    };
    let public = futures_util::future::join_all(listeners.public.into_iter().map(serve));
    tokio::join!(public, begin_after_announcement(app, shutdown));
    admin_stop.begin();
    match admin {
        Ok(admin) => admin.ended().await,
        Err(error) => tracing::error!(%error, "admin port"),
    }
}

fn public_slots(app: &App) -> ConnectionSlots {
    let (limits, metrics) = (&app.config.limits, &app.metrics);
    ConnectionSlots::new(
        limits.connections_max,
        limits.connections_per_address_max,
        app.config.http.trusted_proxies.clone(),
        metrics.connections.clone(),
        metrics.connections_refused.clone(),
    )
}

/// A thread that serves; dropped, it ends at once.
struct OwnThread {
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
}

impl OwnThread {
    /// Waits until it has ended by itself.
    async fn ended(mut self) {
        // An error: it panicked, which it has logged.
        let _ = (&mut self.ended).await;
        drop(self.stop.take());
    }
}

/// Serves on a thread and a runtime of its own: health and metrics do not wait behind streams, however many there are.
fn on_own_thread<F: Future<Output = ()>>(
    listeners: Vec<TcpListener>,
    serve: impl FnOnce(Vec<TcpListener>) -> F + Send + 'static,
) -> std::io::Result<OwnThread> {
    let listeners: Vec<_> = listeners
        .into_iter()
        .map(TcpListener::into_std)
        .collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let run = move || {
        runtime.block_on(async move {
            let Ok(listeners) = listeners.into_iter().map(TcpListener::from_std).collect() else {
                return;
            };
            tokio::select! {
                () = serve(listeners) => {}
                _ = stopped => {}
            }
        });
        let _ = end.send(());
    };
    std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(run)?;
    Ok(OwnThread {
        stop: Some(stop),
        ended,
    })
}

/// Gives those who send clients here `drain_delay_ms` to see that they should not. A server that was not ready has no clients.
async fn begin_after_announcement(app: &App, shutdown: &Shutdown) {
    shutdown.announced().await;
    if app.hub.is_ready() {
        let delay = Duration::from_millis(app.config.limits.drain_delay_ms);
        // Its end and a beginning before it come to the same.
        let _ = tokio::time::timeout(delay, shutdown.begun()).await;
    }
    shutdown.begin();
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

/// Makes room when memory is short, as long as there is a hub.
async fn watch_memory(hub: Weak<Hub>) {
    while let Some(hub) = hub.upgrade() {
        hub.relieve();
        drop(hub);
        tokio::time::sleep(limits::MEMORY_POLL_INTERVAL).await;
    }
}

/// What the operator allows, else a part of what there is; never so little that the largest event does not fit.
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
        feed_bytes_max: config.limits.feed_bytes_max,
        memory_bytes_max: memory_bytes_max(config),
        replay_places_max: config.kafka.replay_places_max,
        replay_places_per_client_max: config
            .kafka
            .replay_places_per_client_max
            .and_then(|max| max.try_into().ok()),
        replay_queue_max: config.kafka.replay_queue_max,
    }
}
