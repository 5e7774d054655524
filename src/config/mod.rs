//! Turns the operator's file and environment into what the program needs.
//!
//! [`Config::parse`] takes the text of a file and the environment. It returns a complete, checked
//! [`Config`], or everything that is wrong at once. The file is the one that the Node service's
//! Helm chart renders, unchanged, or a plain map of its keys (docs/protocol.md, "The configuration
//! file"). It is read as YAML, flattened, overlaid by the environment, checked key by key against
//! one table, and deserialized. Nothing here opens a file or a socket, or reads a clock.
//!
//! * `keys`: the table of keys: kinds, ranges, defaults, documentation.
//! * `yaml`: reads YAML into a tree, and finds the line of a path.
//! * `flat`: brings the two forms of the file to one.
//! * `env`: lays `EVENTSTREAMS__...` variables over the file.
//! * `paths`: resolves relative paths.
//! * `check`, `nested`, `value`: check values against the table: keys, maps, single values.
//! * `http`, `kafka`, `streams`, `filters`, `limits`, `telemetry`: the typed result.
//! * `error`, `locate`: what is wrong, and where.
//!
//! Special rules, each with the test that guards it:
//!
//! * The name of a variable has no dots: after `EVENTSTREAMS__KAFKA__`, each `_` stands for a dot.
//!   This is unambiguous because no librdkafka property that a file can set has an underscore
//!   (`underscores_of_a_kafka_variable_are_dots`). Other maps are set as a whole, in JSON or YAML.
//! * A librdkafka property that the program decides is ignored and named, not refused
//!   (`own_kafka_properties_are_named_and_ignored`).
//! * `null` and an empty value mean the default (`an_empty_value_is_the_default`); 0 and `off` mean
//!   no limit (`zero_and_off_are_no_limit`).
//! * A page title that YAML reads as a fraction or as null is an error: the page would silently not
//!   be redacted (`a_page_title_that_yaml_would_change_is_an_error`). A title that YAML reads as a
//!   whole number is taken as it is written
//!   (`a_page_title_of_digits_is_redacted_under_its_written_name`).

mod check;
mod env;
mod error;
mod filters;
mod flat;
mod http;
mod kafka;
mod keys;
mod limits;
mod locate;
mod nested;
mod paths;
mod streams;
mod telemetry;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use error::Diagnostics;
pub use error::{ConfigError, Diagnostic};
pub use filters::{FiltersConfig, NamedFilters};
use flat::FlatConfig;
pub use http::{Compression, HttpConfig};
pub(crate) use kafka::redacted_value;
pub use kafka::{BROKERS, KafkaConfig, OWN_PROPERTIES, OwnProperty};
pub use keys::{KEYS, Key, Section, ValueKind, find};
pub use limits::Limits;
pub use locate::locate;
pub use paths::PATH_PROPERTIES;
pub use streams::{SchemasConfig, StreamsConfig, UriOptions, misspelt_setting};
pub use telemetry::{Level, LogFormat, Logging};
pub(crate) use yaml::parse as parse_yaml;

/// Page titles as the operator wrote them, by domain (`ru.wikipedia.org`). Redaction normalizes
/// them.
pub type RedactedPages = BTreeMap<String, Vec<String>>;

/// Everything that the operator decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The name of the service in logs, metrics and `/_info`.
    pub service_name: String,
    /// What is logged, and in which form.
    pub logging: Logging,
    /// The URL of an OpenTelemetry collector; `None` for no traces.
    pub otlp_endpoint: Option<String>,
    /// The HTTP settings.
    pub http: HttpConfig,
    /// The Kafka settings.
    pub kafka: KafkaConfig,
    /// Where the configuration of streams comes from, and which streams are public.
    pub streams: StreamsConfig,
    /// Where the schemas of streams are read.
    pub schemas: SchemasConfig,
    /// Pages whose editors are not shown (docs/protocol.md, "The JSON of an event").
    pub redacted_pages: RedactedPages,
    /// The settings of filters.
    pub filters: FiltersConfig,
    /// Bounds of memory, time and connections.
    pub limits: Limits,
    /// The paths of keys in the file that have no effect, in its order: named once at startup.
    pub ignored_keys: Vec<String>,
    /// The names of the environment variables that took effect, sorted.
    pub env_overrides: Vec<String>,
    /// What the file opens explicitly.
    pub opened: Opened,
}

/// What the operator opens explicitly. At a reload, what is merely absent may have been cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// `allowed_streams: all`
    pub all_streams: bool,
    /// `mediawiki_redacted_pages: {}`
    pub no_redaction: bool,
}

/// A file as far as it could be read, and what is wrong with it.
#[derive(Debug)]
pub struct ParsedConfig {
    /// With defaults in place of what is wrong; `None` if nothing can be read.
    pub config: Option<Config>,
    /// What is wrong, in no particular order.
    pub diagnostics: Vec<Diagnostic>,
}

/// The keys that belong to no other part.
#[derive(Deserialize)]
struct OtherKeys {
    service_name: String,
    otlp_endpoint: Option<String>,
    mediawiki_redacted_pages: RedactedPages,
}

impl Config {
    /// Reads the operator's file and lays the environment over it. Relative paths stay as they are;
    /// [`Config::read`] resolves them.
    ///
    /// # Errors
    /// Everything that is wrong with the file and the environment; for text that is not YAML, only
    /// that.
    pub fn parse(
        text: &str,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::read(text, None, env).into_result()
    }

    /// Reads the operator's file, which is in `folder`, and lays the environment over it.
    ///
    /// `text` is YAML or JSON in one of the two forms; empty text means all defaults. Of `env`,
    /// only variables that begin with `EVENTSTREAMS__` count. Of two with one name, the last wins.
    pub fn read(
        text: &str,
        folder: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> ParsedConfig {
        let (mut document, syntax_error) = match yaml::parse(text) {
            Ok(document) => (document, None),
            Err(error) => (Value::Null, Some(error)),
        };
        nested::restore_titles_of_file(&mut document, text);
        let mut diagnostics = Diagnostics::default();
        let mut flat = FlatConfig::read(document, &mut diagnostics);
        if let Some(folder) = folder {
            paths::resolve(&mut flat, folder);
        }
        let env_overrides = env::apply(env, &mut flat, &mut diagnostics);
        let mut checked = check::check(&flat, &mut diagnostics);
        take_admin_port_from_metrics(&flat, &mut checked);
        let mut config = Self::from_checked(&checked, &flat, &mut diagnostics);
        if let Some(config) = &mut config {
            config.ignored_keys = diagnostics.ignored_keys;
            config.env_overrides = env_overrides;
        }
        let diagnostics = match syntax_error {
            Some(error) => vec![error],
            None => locate::with_lines(text, diagnostics.errors),
        };
        ParsedConfig {
            config,
            diagnostics,
        }
    }

    fn from_checked(
        checked: &Map<String, Value>,
        flat: &FlatConfig,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let other: OtherKeys = deserialize(checked, diagnostics)?;
        let http: HttpConfig = deserialize(checked, diagnostics)?;
        check_ports_differ(&http, flat, diagnostics);
        let mut kafka: KafkaConfig = deserialize(checked, diagnostics)?;
        kafka.set_defaults(&other.service_name, &http.user_agent);
        Some(Self {
            service_name: other.service_name,
            logging: deserialize(checked, diagnostics)?,
            otlp_endpoint: other.otlp_endpoint,
            http,
            kafka,
            streams: deserialize(checked, diagnostics)?,
            schemas: deserialize(checked, diagnostics)?,
            redacted_pages: other.mediawiki_redacted_pages,
            filters: deserialize(checked, diagnostics)?,
            limits: deserialize(checked, diagnostics)?,
            ignored_keys: Vec::new(),
            env_overrides: Vec::new(),
            opened: Opened::read(flat),
        })
    }
}

impl Opened {
    fn read(flat: &FlatConfig) -> Self {
        let streams = flat.values.get("allowed_streams");
        let pages = flat.values.get("mediawiki_redacted_pages");
        Self {
            all_streams: streams.is_some_and(|value| value == "all"),
            no_redaction: pages.and_then(Value::as_object).is_some_and(Map::is_empty),
        }
    }
}

impl ParsedConfig {
    /// The configuration, if nothing is wrong with the file.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn into_result(self) -> Result<Config, ConfigError> {
        match self.config {
            Some(config) if self.diagnostics.is_empty() => Ok(config),
            _ => Err(ConfigError::new(self.diagnostics)),
        }
    }
}

fn check_ports_differ(http: &HttpConfig, flat: &FlatConfig, diagnostics: &mut Diagnostics) {
    if http.admin_port != Some(http.port) || http.port == 0 {
        return;
    }
    let key = if flat.values.contains_key("admin_port") {
        "admin_port"
    } else {
        "port"
    };
    let message = format!(
        "port and admin_port are both {}; change one of them",
        http.port
    );
    diagnostics.error(flat.path(key), message);
}

/// The port in the `metrics` of service-runner is the admin port, unless `admin_port` is set too.
fn take_admin_port_from_metrics(flat: &FlatConfig, checked: &mut Map<String, Value>) {
    if !flat.values.contains_key("admin_port")
        && let Some(port) = checked.get("metrics").filter(|port| port.is_u64())
    {
        let port = port.clone();
        checked.insert("admin_port".to_owned(), port);
    }
}

/// One part of the configuration, from the checked keys that it names.
fn deserialize<T: DeserializeOwned>(
    checked: &Map<String, Value>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    // The values have passed the table. What fails here is a table that does not match the types.
    T::deserialize(checked)
        .map_err(|error| diagnostics.error("", error.to_string()))
        .ok()
}
