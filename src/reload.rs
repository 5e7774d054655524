//! Reads configuration anew while running: at SIGHUP, when one of its files changes, and every `stream_config_ttl` seconds.
//!
//! What may change is the public streams and the redaction rules. One immutable snapshot takes the place of another; whatever
//! cannot be read or used changes nothing, and is said. What the operator's file says takes effect without its URL being asked, so
//! that a page can be redacted while that is slow or down.
//!
//! A file that is being written must not open what was closed. It is read only when two looks find it unchanged, and what
//! closes something may not just be absent from it: see `opens_by_absence`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::event::{RedactionPolicy, RedactionRules};
use crate::fanout::Hub;
use crate::kafka::EventPipeline;
use crate::limits;
use crate::shutdown::Shutdown;
use crate::stream::{Catalog, Loaded, Topic, is_fetched, load_catalog, source_file};
use crate::telemetry::metrics::{Metrics, ReasonLabel};

/// What the reloader changes.
#[derive(Debug)]
pub struct Reloaded {
    /// The public streams.
    pub catalog: Arc<watch::Sender<Arc<Catalog>>>,
    /// The topics that are read.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// The rules that events are redacted by.
    pub pipeline: Arc<EventPipeline>,
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
    /// The stream configuration that the catalog was made of.
    document: Value,
    /// Whether that is an older one, because a newer one could not be had.
    stale: bool,
    /// When the files were last changed, as far as looked at, and how many bytes they had.
    changed: FileTimes,
    last: Instant,
}

impl Reloader {
    /// For the configuration that the server was started with, which was read from `file` if it was, and the stream configuration that it began with:
    /// `stale` if that was an older one.
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
            changed: Vec::new(),
            last: Instant::now(),
        };
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
        tokio::select! {
            () = shutdown.begun() => {}
            () = self.watch(&mut hangup) => {}
        }
    }

    async fn watch(&mut self, hangup: &mut Signal) {
        loop {
            let why = tokio::select! {
                _ = hangup.recv() => Some(Why::Hangup),
                () = tokio::time::sleep(limits::RELOAD_POLL_INTERVAL) => self.due(),
            };
            let mut reasons: Vec<Why> = why.into_iter().collect();
            while let Some(why) = reasons.pop() {
                if self.reload(why).await == Reload::BrokenOff {
                    reasons.extend([why, Why::File]);
                    reasons.dedup();
                }
            }
        }
    }

    /// Why it is time to reload, if it is.
    fn due(&mut self) -> Option<Why> {
        if self.file_times() != self.changed {
            return Some(Why::File);
        }
        let ttl = Duration::from_secs(self.config.streams.ttl_s);
        let ttl = if self.stale && (ttl.is_zero() || ttl > limits::STALE_CONFIG_RETRY) {
            limits::STALE_CONFIG_RETRY
        } else {
            ttl
        };
        (!ttl.is_zero() && self.last.elapsed() >= ttl).then_some(Why::Ttl)
    }

    fn files(&self) -> Vec<PathBuf> {
        [self.file.clone(), source_file(&self.config.streams)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn file_times(&self) -> FileTimes {
        file_times(&self.files())
    }

    /// A file that changes meanwhile breaks it off: what that says does not wait for a URL.
    async fn reload(&mut self, why: Why) -> Reload {
        self.changed = settled(&self.files()).await;
        let changes = changes(self.files(), self.changed.clone());
        let result = tokio::select! {
            biased;
            result = self.read(why) => result,
            () = changes => {
                tracing::info!("a file changed: {} is put off until it was read", why.as_str());
                return Reload::BrokenOff;
            }
        };
        let result = match result {
            Ok(()) => "ok",
            Err(error) => {
                tracing::error!(
                    "configuration was not reloaded ({}): {error:#}",
                    why.as_str()
                );
                "failed"
            }
        };
        self.reloaded
            .metrics
            .config_reloads
            .get_or_create(&ReasonLabel { reason: result })
            .increment(1);
        Reload::Ended
    }

    async fn read(&mut self, why: Why) -> anyhow::Result<()> {
        let mut config = self.config.clone();
        if let Some(file) = &self.file {
            let text = tokio::fs::read_to_string(file).await?;
            anyhow::ensure!(
                self.file_times() == self.changed,
                "a file changed while it was read; it will be read again"
            );
            let new = Config::read(&text, file.parent(), std::env::vars()).usable()?;
            let opened = opens_by_absence(&self.config, &new);
            anyhow::ensure!(opened.is_empty(), "{}", opened.join("; "));
            (config.streams, config.redacted_pages) =
                (new.streams.clone(), new.redacted_pages.clone());
            if why != Why::Ttl && said_otherwise(&self.config, &new) {
                tracing::warn!(
                    "only streams and redacted pages are reloaded; what else has changed needs a restart"
                );
            }
        }
        let (old, new) = (&self.config.streams, &config.streams);
        let same_source = old.uri == new.uri && old.uri_options == new.uri_options;
        if why == Why::File && same_source && is_fetched(new) {
            let catalog = Catalog::build(&self.document, new)?;
            self.apply(config, catalog);
            return Ok(());
        }
        let loaded = load_catalog(new, &config.http.user_agent).await;
        self.last = Instant::now();
        let error = match loaded {
            Ok(Loaded {
                catalog,
                document,
                stale: None,
            }) => {
                (self.document, self.stale) = (document, false);
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

    fn apply(&mut self, config: Config, catalog: Catalog) {
        let Reloaded {
            catalog: current,
            topics,
            pipeline,
            hub,
            ..
        } = &self.reloaded;
        let redaction = RedactionPolicy::new(RedactionRules::new(&config.redacted_pages), &catalog);
        let redacts = pipeline.replace(redaction, |redaction| {
            hub.rewrite(|topic, event| redaction.redact_again(topic, event));
        });
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
        tracing::info!(
            streams,
            streams_changed = swapped,
            redaction_changed = redacts,
            "configuration reloaded"
        );
        self.config = config;
    }
}

/// When files were changed, and how many bytes they had.
type FileTimes = Vec<Option<(SystemTime, u64)>>;

fn file_times(files: &[PathBuf]) -> FileTimes {
    let time = |path: &Path| {
        path.metadata()
            .and_then(|metadata| Ok((metadata.modified()?, metadata.len())))
            .ok()
    };
    files.iter().map(|path| time(path)).collect()
}

/// Waits until two looks at the files agree: nobody writes them.
async fn settled(files: &[PathBuf]) -> FileTimes {
    let mut times = file_times(files);
    loop {
        tokio::time::sleep(limits::RELOAD_POLL_INTERVAL).await;
        let before = std::mem::replace(&mut times, file_times(files));
        if times == before {
            return times;
        }
    }
}

/// Waits until one of the files has changed since `before`.
async fn changes(files: Vec<PathBuf>, before: FileTimes) {
    while file_times(&files) == before {
        tokio::time::sleep(limits::RELOAD_POLL_INTERVAL).await;
    }
}

/// What `new` would make public only because something is absent from it, each with the way to confirm it. A file that was cut
/// off looks like this.
fn opens_by_absence(current: &Config, new: &Config) -> Vec<String> {
    let mut opened = Vec::new();
    if current.streams.allowed_streams.is_some()
        && new.streams.allowed_streams.is_none()
        && !new.opened.all_streams
    {
        opened.push("allowed_streams is gone; to make all configured streams public, write `allowed_streams: all`".to_owned());
    }
    let redacted = |config: &Config| {
        config
            .redacted_pages
            .values()
            .any(|titles| !titles.is_empty())
    };
    if redacted(current) && new.redacted_pages.is_empty() {
        if !new.opened.no_redaction {
            opened.push(
                "mediawiki_redacted_pages is gone; to redact nothing more, write `mediawiki_redacted_pages: {}`".to_owned(),
            );
        }
        return opened;
    }
    for (domain, titles) in &current.redacted_pages {
        if !titles.is_empty() && !new.redacted_pages.contains_key(domain) {
            opened.push(format!(
                "mediawiki_redacted_pages has no {domain} any more; to redact no page of it, write `{domain}: []` there"
            ));
        }
    }
    opened
}

/// What became of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    /// It was done, or failed.
    Ended,
    /// It is to be done again, after the file that has changed.
    BrokenOff,
}

/// Why configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// A file has changed.
    File,
    /// The operator said so.
    Hangup,
    /// `stream_config_ttl` is over.
    Ttl,
}

impl Why {
    fn as_str(self) -> &'static str {
        match self {
            Self::File => "a file changed",
            Self::Hangup => "SIGHUP",
            Self::Ttl => "stream_config_ttl",
        }
    }
}

/// Whether the file now says something else about what needs a restart. What command-line options go over does not count.
fn said_otherwise(current: &Config, new: &Config) -> bool {
    let mut new = new.clone();
    (new.streams, new.redacted_pages) = (current.streams.clone(), current.redacted_pages.clone());
    (new.http.port, new.http.admin_port) = (current.http.port, current.http.admin_port);
    (new.ignored_keys, new.env_overrides) =
        (current.ignored_keys.clone(), current.env_overrides.clone());
    new.opened = current.opened;
    if let Some(brokers) = current.kafka.brokers() {
        new.kafka.set_brokers(brokers);
    }
    new != *current
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock of these looks stands still while anybody has work.
    #[tokio::test(start_paused = true)]
    async fn a_file_that_grows_is_not_read_before_it_rests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.yaml");
        let write = |pieces: usize| {
            std::fs::write(&path, "# a piece\n".repeat(pieces)).expect("the file is written");
        };
        write(1);
        let files = [path.clone(), folder.path().join("never.yaml")];
        let writing = async {
            for pieces in 2..=20 {
                tokio::time::sleep(limits::RELOAD_POLL_INTERVAL * 4 / 5).await;
                write(pieces);
            }
        };
        let (times, ()) = tokio::join!(settled(&files), writing);
        assert_eq!(times[0].map(|(_, bytes)| bytes), Some(20 * 10), "all of it");
        assert_eq!(times[1], None);
    }

    fn config(text: &str) -> Config {
        Config::parse(text, std::iter::empty()).expect("a configuration")
    }

    #[test]
    fn what_opens_by_absence_is_named_with_the_way_to_confirm_it() {
        let current = config(
            "{allowed_streams: [a], mediawiki_redacted_pages: {x.org: [T], y.org: [T], z.org: []}}",
        );
        let opened = |text: &str| opens_by_absence(&current, &config(text));
        let all = opened("{}");
        assert!(
            all.len() == 2
                && all[0].contains("`allowed_streams: all`")
                && all[1].contains("`mediawiki_redacted_pages: {}`")
        );
        let one = opened("{allowed_streams: [b], mediawiki_redacted_pages: {y.org: [U]}}");
        assert!(one.len() == 1 && one[0].contains("`x.org: []`"), "{one:?}");
        for confirmed in [
            "{allowed_streams: all, mediawiki_redacted_pages: {}}",
            "{allowed_streams: [], mediawiki_redacted_pages: {x.org: [], y.org: [T]}}",
        ] {
            assert_eq!(opened(confirmed), Vec::<String>::new(), "{confirmed}");
        }
        let open = config("{}");
        assert_eq!(opens_by_absence(&open, &open), Vec::<String>::new());
    }
}
