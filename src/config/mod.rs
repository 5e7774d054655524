//! What the operator typed, turned into what the program needs.
//!
//! [`Config::parse`] takes the text of a file and the environment and answers with a complete, checked [`Config`] or with every problem at once.
//! The file is the one that the Node service's Helm chart renders, unchanged, or a plain map of `conf`'s keys (protocol §6). On its way it is
//! read as YAML, brought to one flat layout, overlaid by the environment, checked key by key against ONE table, and then read into the types.
//! Nothing here opens a file, a socket or a clock.
//!
//! * `keys`: the one table of keys: kind, bounds, default, documentation.
//! * `yaml`: text to a tree, and from a path back to its line.
//! * `layout`: the two forms of the file brought to one.
//! * `env`: `EVENTSTREAMS__...` variables over the file.
//! * `paths`: relative paths of the file.
//! * `check`, `maps`: values against the table.
//! * `http`, `kafka`, `streams`, `limits`, `telemetry`: the typed result.
//! * `error`: what is wrong and where.
//!
//! Quirks, each with the test that locks it:
//!
//! * A variable's name has no dots: after `EVENTSTREAMS__KAFKA__` each `_` stands for a dot, which is unambiguous because no librdkafka property
//!   that can be written in a file has an underscore (`underscores_of_a_kafka_variable_are_dots`). Other maps are set as a whole, in JSON or YAML.
//! * A value for a librdkafka property that must stay ours is ignored and named, not refused
//!   (`kafka_properties_that_are_ours_are_named_and_not_taken`).
//! * `null` and an empty value mean the default (`an_empty_value_is_the_default`), 0 and `off` mean no limit (`zero_and_off_are_no_limit`).
//! * A page title that YAML reads as a fraction or as nothing is an error: it would silently not be redacted
//!   (`a_page_title_that_yaml_would_change_is_an_error`). One that it reads as a whole number is what is written
//!   (`a_page_title_of_digits_is_redacted_under_its_written_name`).

mod check;
mod env;
mod error;
mod http;
mod kafka;
mod keys;
mod layout;
mod limits;
mod maps;
mod paths;
mod streams;
mod telemetry;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use error::Findings;
pub use error::{ConfigError, Problem};
pub use http::{Compression, HttpConfig};
pub(crate) use kafka::redacted_value;
pub use kafka::{BROKERS, KafkaConfig, OWN_PROPERTIES};
pub use keys::{KEYS, Key, Kind, Place, find};
use layout::Layout;
pub use limits::Limits;
pub use paths::PATH_PROPERTIES;
pub use streams::{SchemasConfig, StreamsConfig, UriOptions, misspelt_setting};
pub use telemetry::{Level, LogFormat, Logging};
pub(crate) use yaml::parse as parse_yaml;

/// Page titles as the operator wrote them, by domain (`ru.wikipedia.org`). Normalising them is the redaction's business.
pub type RedactedPages = BTreeMap<String, Vec<String>>;

/// Everything that the program needs to know from its operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The service's name in logs, metrics and `/_info`.
    pub service_name: String,
    /// How the program logs.
    pub logging: Logging,
    /// URL of an OpenTelemetry collector, when traces are wanted.
    pub otlp_endpoint: Option<String>,
    /// Listening, headers, who may connect.
    pub http: HttpConfig,
    /// How Kafka is reached and read.
    pub kafka: KafkaConfig,
    /// Where the configuration of streams comes from, and which of them are public.
    pub streams: StreamsConfig,
    /// Where the schemas of streams are read.
    pub schemas: SchemasConfig,
    /// Pages whose editors are not shown (protocol §4).
    pub redacted_pages: RedactedPages,
    /// Bounds of memory and time.
    pub limits: Limits,
    /// Paths of keys that were given and mean nothing here, in the order of the file: named once at start.
    pub ignored_keys: Vec<String>,
    /// Names of the environment variables that were laid over the file, sorted.
    pub env_overrides: Vec<String>,
    /// What is open on purpose.
    pub opened: Opened,
}

/// What the operator opens in so many words. What is absent at a reload may have been cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// `allowed_streams: all`
    pub all_streams: bool,
    /// `mediawiki_redacted_pages: {}`
    pub no_redaction: bool,
}

/// A file that was read: what is wrong with it, and what it says as far as it can be understood.
#[derive(Debug)]
pub struct Reading {
    /// With defaults in the place of what is wrong; `None` when nothing can be understood.
    pub config: Option<Config>,
    /// In the order of the file, those of the environment last.
    pub problems: Vec<Problem>,
}

/// What is left when each part has its own.
#[derive(Deserialize)]
struct Rest {
    service_name: String,
    otlp_endpoint: Option<String>,
    mediawiki_redacted_pages: RedactedPages,
}

impl Config {
    /// Reads the operator's file and lays the environment over it. Relative paths are left as they are; see [`Config::read`].
    ///
    /// # Errors
    /// Every problem of file and environment together; only a text that is no YAML is told alone.
    pub fn parse(
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::read(text, None, env).usable()
    }

    /// Reads the operator's file, which is in `folder`, and lays the environment over it.
    ///
    /// `text` is YAML or JSON in one of the two forms; an empty text is a file of defaults. Of `env`, only variables that begin with
    /// `EVENTSTREAMS__` are looked at; of two with one name, the last wins, so that command line options can be chained behind the real ones.
    pub fn read(
        text: &str,
        folder: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Reading {
        let (mut document, syntax) = match yaml::parse(text) {
            Ok(document) => (document, None),
            Err(problem) => (Value::Null, Some(problem)),
        };
        maps::keep_titles_of_file(&mut document, text);
        let mut findings = Findings::default();
        let mut layout = Layout::read(document, &mut findings);
        if let Some(folder) = folder {
            paths::resolve(&mut layout, folder);
        }
        let env_overrides = env::apply(env, &mut layout, &mut findings);
        let mut checked = check::check(&layout, &mut findings);
        take_admin_port_from_metrics(&layout, &mut checked);
        let mut config = Self::from_checked(&checked, &layout, &mut findings);
        if let Some(config) = &mut config {
            config.ignored_keys = findings.ignored;
            config.env_overrides = env_overrides;
        }
        match syntax {
            Some(problem) => Reading {
                config,
                problems: vec![problem],
            },
            None => Reading {
                config,
                problems: placed(findings.problems, text),
            },
        }
    }

    fn from_checked(
        checked: &Map<String, Value>,
        layout: &Layout,
        findings: &mut Findings,
    ) -> Option<Self> {
        let rest: Rest = typed(checked, findings)?;
        let http: HttpConfig = typed(checked, findings)?;
        if http.admin_port == Some(http.port) && http.port != 0 {
            let path = layout.path(if layout.values.contains_key("admin_port") {
                "admin_port"
            } else {
                "port"
            });
            findings.problem(
                path,
                format!(
                    "port and admin_port are both {}; give one of them another",
                    http.port
                ),
            );
        }
        let mut kafka: KafkaConfig = typed(checked, findings)?;
        kafka.set_defaults(&rest.service_name, &http.user_agent);
        Some(Self {
            service_name: rest.service_name,
            logging: typed(checked, findings)?,
            otlp_endpoint: rest.otlp_endpoint,
            http,
            kafka,
            streams: typed(checked, findings)?,
            schemas: typed(checked, findings)?,
            redacted_pages: rest.mediawiki_redacted_pages,
            limits: typed(checked, findings)?,
            ignored_keys: Vec::new(),
            env_overrides: Vec::new(),
            opened: Opened {
                all_streams: layout
                    .values
                    .get("allowed_streams")
                    .is_some_and(|value| value == "all"),
                no_redaction: layout
                    .values
                    .get("mediawiki_redacted_pages")
                    .is_some_and(is_empty_map),
            },
        })
    }
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

impl Reading {
    /// The configuration, if nothing is wrong with the file.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn usable(self) -> Result<Config, ConfigError> {
        match self.config {
            Some(config) if self.problems.is_empty() => Ok(config),
            _ => Err(ConfigError {
                problems: self.problems,
            }),
        }
    }
}

/// Problems that were found later, each under a key (`kafka.ssl.ca.location`), placed in the operator's file.
#[must_use]
pub fn place_problems(text: &str, problems: Vec<(String, String)>) -> Vec<Problem> {
    let lines = yaml::lines(text);
    let place = |(name, what): (String, String)| {
        let is_it = |path: &str| {
            path.strip_suffix(&name)
                .is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        match lines
            .iter()
            .find(|(path, _)| !name.is_empty() && is_it(path))
        {
            Some((path, line)) => Problem {
                path: path.clone(),
                line: Some(*line),
                what,
            },
            None => Problem {
                path: name,
                line: None,
                what,
            },
        }
    };
    sorted(problems.into_iter().map(place).collect())
}

/// The service runner's metrics port is the admin port, unless `admin_port` is given too.
fn take_admin_port_from_metrics(layout: &Layout, checked: &mut Map<String, Value>) {
    let has_port = |metrics: &Value| metrics.as_u64().is_some();
    if !layout.values.contains_key("admin_port") && checked.get("metrics").is_some_and(has_port) {
        let port = checked["metrics"].clone();
        checked.insert("admin_port".to_owned(), port);
    }
}

/// One part of the configuration, from the checked keys that it names.
fn typed<T: DeserializeOwned>(checked: &Map<String, Value>, findings: &mut Findings) -> Option<T> {
    // The table has checked kinds and bounds; what fails here is a table that does not fit its types, and is told like any problem.
    T::deserialize(checked)
        .map_err(|error| findings.problem("", error.to_string()))
        .ok()
}

fn placed(mut problems: Vec<Problem>, text: &str) -> Vec<Problem> {
    let lines = yaml::lines(text);
    for problem in &mut problems {
        problem.line = problem.line.or_else(|| lines.get(&problem.path).copied());
    }
    sorted(problems)
}

/// In the order of the file; those of the environment, which have no line, come last.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.line.unwrap_or(u64::MAX));
    problems
}
