//! Reads configuration anew while running: at SIGHUP, when one of its files changes, and every `stream_config_ttl` seconds.
//!
//! What may change is the public streams and the redaction rules. One immutable snapshot takes the place of another; whatever
//! cannot be read or used changes nothing, and is said.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::event::RedactionRules;
use crate::fanout::Hub;
use crate::kafka::{Preparation, Redaction};
use crate::limits;
use crate::metrics::{Metrics, ReasonLabel};
use crate::shutdown::Shutdown;
use crate::stream::{Catalog, Topic, load_catalog, source_file};

/// What the reloader changes.
#[derive(Debug)]
pub struct Reloaded {
    /// The public streams.
    pub catalog: Arc<watch::Sender<Arc<Catalog>>>,
    /// The topics that are read.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// The rules that events are redacted by.
    pub preparation: Arc<Preparation>,
    /// Where events are kept that were redacted by other rules.
    pub hub: Arc<Hub>,
    /// Where reloads are counted.
    pub metrics: Arc<Metrics>,
}

/// See the module.
#[derive(Debug)]
pub struct Reloader {
    file: Option<PathBuf>,
    config: Config,
    reloaded: Reloaded,
    /// When the files were last changed, as far as looked at.
    changed: Vec<Option<SystemTime>>,
    last: Instant,
}

impl Reloader {
    /// For the configuration that the server was started with, which was read from `file` if it was.
    #[must_use]
    pub fn new(file: Option<PathBuf>, config: Config, reloaded: Reloaded) -> Self {
        let mut this = Self { file, config, reloaded, changed: Vec::new(), last: Instant::now() };
        this.changed = this.file_times();
        this
    }

    /// Watches and reloads until `shutdown`.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "no reloads: SIGHUP cannot be listened to");
                return;
            }
        };
        loop {
            let why = tokio::select! {
                () = shutdown.begun() => return,
                _ = hangup.recv() => Some("SIGHUP"),
                () = tokio::time::sleep(limits::RELOAD_LOOK) => self.due(),
            };
            if let Some(why) = why {
                self.reload(why).await;
            }
        }
    }

    /// Why it is time to reload, if it is.
    fn due(&mut self) -> Option<&'static str> {
        let times = self.file_times();
        if times != self.changed {
            self.changed = times;
            return Some("a file changed");
        }
        let ttl = Duration::from_secs(self.config.streams.ttl_s);
        (!ttl.is_zero() && self.last.elapsed() >= ttl).then_some("stream_config_ttl")
    }

    fn file_times(&self) -> Vec<Option<SystemTime>> {
        let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        [self.file.clone(), source_file(&self.config.streams)].iter().flatten().map(|path| time(path)).collect()
    }

    async fn reload(&mut self, why: &'static str) {
        let result = match self.read().await {
            Ok(()) => "ok",
            Err(error) => {
                tracing::error!("configuration was not reloaded ({why}): {error:#}");
                "failed"
            }
        };
        self.last = Instant::now();
        self.reloaded.metrics.config_reloads.get_or_create(&ReasonLabel { reason: result }).inc();
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        let mut config = self.config.clone();
        if let Some(file) = &self.file {
            let text = tokio::fs::read_to_string(file).await?;
            let new = Config::parse(&text, std::env::vars())?;
            (config.streams, config.redacted_pages) = (new.streams.clone(), new.redacted_pages.clone());
            if said_otherwise(&self.config, &new) {
                tracing::warn!("only streams and redacted pages are reloaded; what else has changed needs a restart");
            }
        }
        let loaded = load_catalog(&config.streams, &config.http.user_agent).await?;
        if let Some(error) = loaded.stale {
            return Err(error.into());
        }
        self.apply(&config, loaded.catalog);
        self.config = config;
        Ok(())
    }

    fn apply(&self, config: &Config, catalog: Catalog) {
        let Reloaded { catalog: current, topics, preparation, hub, .. } = &self.reloaded;
        let redaction = Redaction::new(RedactionRules::new(&config.redacted_pages), &catalog);
        let redacts =
            preparation.replace(redaction, |redaction| hub.rewrite(|topic, event| redaction.redact_again(topic, event)));
        topics.store(Arc::new(catalog.topics()));
        hub.rediscover();
        for warning in catalog.warnings() {
            tracing::warn!("{warning}");
        }
        let streams = catalog.streams().count();
        self.reloaded.metrics.describe_streams(&catalog);
        let swapped = current.send_if_modified(|current| {
            let differs = **current != catalog;
            *current = Arc::new(catalog);
            differs
        });
        tracing::info!(streams, streams_changed = swapped, redaction_changed = redacts, "configuration reloaded");
    }
}

/// Whether the file now says something else about what needs a restart. Command-line overrides do not count.
fn said_otherwise(current: &Config, new: &Config) -> bool {
    current.limits != new.limits
        || current.schemas != new.schemas
        || current.kafka.live_reach_back_ms != new.kafka.live_reach_back_ms
        || current.http.cors != new.http.cors
        || current.http.client_ip_connection_limit != new.http.client_ip_connection_limit
}
