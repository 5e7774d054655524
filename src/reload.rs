//! Reloads configuration while the server runs: at SIGHUP, when a file changes, and every
//! `stream_config_ttl` seconds.
//!
//! A reload can change the public streams, the redaction rules and the filters with names. It
//! replaces one immutable snapshot with another. Configuration that cannot be read or used changes
//! nothing, and the log says why. A change of the operator's file takes effect without a request to
//! its URL, so that a page can be redacted while the URL is slow or down.
//!
//! A file that is half written must not open what was closed. It is read only after two polls find
//! it unchanged, and what closes something may not be merely absent from it.
//!
//! * `files`: watches the files.
//! * `changes`: compares the new configuration with the current one.

mod changes;
mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{IntervalStream, SignalStream};

use self::changes::{needs_restart, opens_by_absence};
use self::files::{FileStates, changed, file_states, settled};
use crate::config::{Config, NamedFilters};
use crate::event::{RedactionPolicy, RedactionRules};
use crate::fanout::Hub;
use crate::kafka::EventPipeline;
use crate::limits;
use crate::shutdown::Shutdown;
use crate::stream::{Catalog, Loaded, Topic, is_fetched, load_catalog, source_file};
use crate::telemetry::metrics::{Metrics, ReasonLabel};

/// What a reload changes.
#[derive(Debug)]
pub struct Reloaded {
    /// The public streams.
    pub catalog: Arc<watch::Sender<Arc<Catalog>>>,
    /// The topics that are read.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// The operator's filters, for new streams.
    pub filters: Arc<ArcSwap<NamedFilters>>,
    /// The redaction rules.
    pub pipeline: Arc<EventPipeline>,
    /// The events in memory, which may have been redacted by other rules.
    pub hub: Arc<Hub>,
    /// The metrics that count reloads.
    pub metrics: Arc<Metrics>,
}

/// Reloads configuration; see the module.
#[derive(Debug)]
pub struct Reloader {
    file: Option<PathBuf>,
    config: Config,
    reloaded: Reloaded,
    /// The document of stream configuration that the catalog was built from.
    document: Value,
    /// Whether a newer document could not be loaded.
    stale: bool,
    /// The states of the files at the last reload.
    states: FileStates,
    last_load: Instant,
}

impl Reloader {
    /// Starts from the configuration of the server, which was read from `file` if there is one, and
    /// from its document of stream configuration, which is `stale` if it came from the cache.
    #[must_use]
    pub fn new(
        file: Option<PathBuf>,
        config: Config,
        reloaded: Reloaded,
        document: Value,
        stale: bool,
    ) -> Self {
        let mut this = Self {
            file,
            config,
            reloaded,
            document,
            stale,
            states: Vec::new(),
            last_load: Instant::now(),
        };
        this.states = file_states(&this.files());
        this
    }

    /// Watches and reloads until `shutdown` begins.
    pub async fn run(mut self, shutdown: Shutdown) {
        let hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "cannot listen for SIGHUP: configuration is not reloaded");
                return;
            }
        };
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.watch(hangup) => {}
        }
    }

    async fn watch(&mut self, hangup: Signal) {
        let hangups = SignalStream::new(hangup).map(|()| Some(Trigger::Hangup));
        let mut interval = tokio::time::interval(limits::RELOAD_POLL_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let polls = IntervalStream::new(interval).map(|_| None);
        let mut triggers = hangups.merge(polls);
        while let Some(trigger) = triggers.next().await {
            if let Some(trigger) = trigger.or_else(|| self.due_trigger()) {
                self.reload_to_the_end(trigger).await;
            }
        }
    }

    /// Reloads, and first for a changed file if that interrupts the reload.
    async fn reload_to_the_end(&mut self, trigger: Trigger) {
        let mut triggers = vec![trigger];
        while let Some(trigger) = triggers.pop() {
            if self.reload(trigger).await == Reload::Interrupted {
                triggers.extend([trigger, Trigger::FileChanged]);
                triggers.dedup();
            }
        }
    }

    /// What makes a reload due, apart from signals.
    fn due_trigger(&self) -> Option<Trigger> {
        if file_states(&self.files()) != self.states {
            return Some(Trigger::FileChanged);
        }
        let ttl = Duration::from_secs(self.config.streams.ttl_s);
        let ttl = if self.stale && (ttl.is_zero() || ttl > limits::STALE_CONFIG_RETRY) {
            limits::STALE_CONFIG_RETRY
        } else {
            ttl
        };
        (!ttl.is_zero() && self.last_load.elapsed() >= ttl).then_some(Trigger::TtlExpired)
    }

    fn files(&self) -> Vec<PathBuf> {
        [self.file.clone(), source_file(&self.config.streams)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Reloads once. A file that changes meanwhile interrupts this: it does not wait for a URL.
    async fn reload(&mut self, trigger: Trigger) -> Reload {
        self.states = settled(&self.files()).await;
        let changed = changed(self.files(), self.states.clone());
        let result = tokio::select! {
            biased;
            result = self.read(trigger) => result,
            () = changed => {
                let trigger = trigger.as_str();
                tracing::info!("a file changed: the reload ({trigger}) waits until it is read");
                return Reload::Interrupted;
            }
        };
        let result = match result {
            Ok(()) => ReloadResult::Ok,
            Err(error) => {
                let trigger = trigger.as_str();
                tracing::error!("configuration was not reloaded ({trigger}): {error:#}");
                ReloadResult::Failed
            }
        };
        let reason = result.as_str();
        let reloads = &self.reloaded.metrics.config_reloads;
        reloads.get_or_create(&ReasonLabel { reason }).increment(1);
        Reload::Ended
    }

    async fn read(&mut self, trigger: Trigger) -> anyhow::Result<()> {
        let config = self.read_config(trigger).await?;
        let (old, new) = (&self.config.streams, &config.streams);
        let same_source = old.uri == new.uri && old.uri_options == new.uri_options;
        if trigger == Trigger::FileChanged && same_source && is_fetched(new) {
            let catalog = Catalog::build(&self.document, new)?;
            self.apply(config, catalog);
            return Ok(());
        }
        let loaded = load_catalog(new, &config.http.user_agent).await;
        self.last_load = Instant::now();
        let error = match loaded {
            Ok(Loaded {
                catalog,
                document,
                stale: None,
            }) => {
                self.document = document;
                self.stale = false;
                self.apply(config, catalog);
                return Ok(());
            }
            Ok(Loaded {
                stale: Some(error), ..
            })
            | Err(error) => error,
        };
        self.stale = true;
        if same_source && let Ok(catalog) = Catalog::build(&self.document, new) {
            self.apply(config, catalog);
        }
        Err(error.into())
    }

    /// The current configuration with what a reload may change, as the file has it now.
    async fn read_config(&self, trigger: Trigger) -> anyhow::Result<Config> {
        let mut config = self.config.clone();
        let Some(file) = &self.file else {
            return Ok(config);
        };
        let text = tokio::fs::read_to_string(file).await?;
        anyhow::ensure!(
            file_states(&self.files()) == self.states,
            "a file changed while it was read; it will be read again"
        );
        let new = Config::read(&text, file.parent(), std::env::vars()).into_result()?;
        let opened = opens_by_absence(&self.config, &new);
        anyhow::ensure!(opened.is_empty(), "{}", opened.join("; "));
        if trigger != Trigger::TtlExpired && needs_restart(&self.config, &new) {
            tracing::warn!(
                "only streams, redacted pages and filters are reloaded; \
                 other changes need a restart"
            );
        }
        config.streams = new.streams;
        config.redacted_pages = new.redacted_pages;
        config.filters.named = new.filters.named;
        Ok(config)
    }

    fn apply(&mut self, config: Config, catalog: Catalog) {
        let Reloaded {
            catalog: current,
            topics,
            filters,
            pipeline,
            hub,
            metrics,
        } = &self.reloaded;
        let redaction = RedactionPolicy::new(RedactionRules::new(&config.redacted_pages), &catalog);
        let redaction_changed = pipeline.replace(redaction, |redaction| {
            hub.rewrite(|topic, event| redaction.redact_again(topic, event));
        });
        topics.store(Arc::new(catalog.topics()));
        filters.store(Arc::new(config.filters.named.clone()));
        hub.rediscover();
        for warning in catalog.warnings() {
            tracing::warn!("{warning}");
        }
        let streams = catalog.streams().count();
        metrics.describe_streams(&catalog);
        let streams_changed = current.send_if_modified(|current| {
            let differs = **current != catalog;
            *current = Arc::new(catalog);
            differs
        });
        tracing::info!(
            streams,
            streams_changed,
            redaction_changed,
            "configuration reloaded"
        );
        self.config = config;
    }
}

/// How a reload left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    /// It succeeded or failed.
    Ended,
    /// A file changed; the reload must be repeated after that.
    Interrupted,
}

/// The result of a reload, as a metric counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReloadResult {
    Ok,
    Failed,
}

impl ReloadResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }
}

/// What causes a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    FileChanged,
    Hangup,
    /// `stream_config_ttl` has passed.
    TtlExpired,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::FileChanged => "a file changed",
            Self::Hangup => "SIGHUP",
            Self::TtlExpired => "stream_config_ttl",
        }
    }
}
