//! The snapshot of all public streams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::allowlist::{Configured, is_pattern};
use super::{Stream, StreamError, StreamName, Topic, aliases};
use crate::config::{StreamsConfig, misspelt_setting};
use crate::limits;

/// All public streams at one moment: immutable, replaced as a whole by a reload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    streams: BTreeMap<StreamName, Arc<Stream>>,
    aliases: BTreeMap<String, Arc<Stream>>,
    by_topic: BTreeMap<Topic, Vec<StreamName>>,
    unconfigured: BTreeSet<StreamName>,
    warnings: Vec<Warning>,
}

/// Stream configuration from which no catalog can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no map of streams where the operator said it is.
    #[error("stream configuration: {0}")]
    Document(String),
    /// Streams that are configured in a way that cannot be used: all of them.
    #[error("{}", lines(.0))]
    Streams(Vec<StreamError>),
    /// Streams are allowed, and not one of them is configured.
    #[error(
        "none of the {allowed} streams in allowed_streams is configured; look at stream_config_uri and stream_config_object_path"
    )]
    NothingConfigured {
        /// How many are allowed.
        allowed: usize,
    },
    /// More than the program is made for.
    #[error(
        "{count} {what} are configured, at most {max} are served; leave out of allowed_streams what is not needed here"
    )]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// There is no configuration of any stream.
    #[error(
        "no stream is configured; set stream_config_uri, or name streams in stream_config_defaults"
    )]
    NoStreams,
}

fn lines(errors: &[StreamError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Something that an operator should know and that does not keep the service from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The stream is in `allowed_streams` and configured nowhere: it is left out.
    Unconfigured(StreamName),
    /// The stream is known only from defaults or overrides, and not from the document they are for.
    OnlyInDefaults(StreamName),
    /// The stream's configuration says it is another stream; the key counts.
    NamedOtherwise(StreamName, String),
    /// `allowed_streams` names a pattern: it takes names only, so nothing becomes public.
    PatternAllowed(String),
    /// `allowed_streams` is an empty list: nothing is public.
    NothingAllowed,
    /// A setting of the stream without meaning here, that nearly is one with meaning.
    Misspelt {
        /// The stream.
        stream: StreamName,
        /// The setting as configured.
        setting: String,
        /// What it may be meant to be.
        near: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfigured(name) => write!(
                f,
                "stream {name} is in allowed_streams and not configured: it is not served"
            ),
            Self::OnlyInDefaults(name) => {
                write!(
                    f,
                    "stream {name} is not in what stream_config_uri returned, only in defaults or overrides"
                )
            }
            Self::NamedOtherwise(name, other) => {
                write!(
                    f,
                    "the configuration of stream {name} names itself {other}; {name} counts"
                )
            }
            Self::PatternAllowed(pattern) => {
                write!(
                    f,
                    "allowed_streams names the pattern {pattern}: name the streams that it matches"
                )
            }
            Self::Misspelt {
                stream,
                setting,
                near,
            } => {
                write!(
                    f,
                    "stream {stream} has a setting {setting}, which means nothing here; {near} does"
                )
            }
            Self::NothingAllowed => {
                f.write_str("allowed_streams is an empty list: no stream is public")
            }
        }
    }
}

impl Catalog {
    /// Makes the snapshot out of what the operator's URI returned ([`Value::Null`] without one) and of what his file says.
    ///
    /// # Errors
    /// No map of streams at `object_path`, or public streams that cannot be served as they are configured (all named). Streams that are not public
    /// are not looked at.
    pub fn build(document: &Value, config: &StreamsConfig) -> Result<Self, CatalogError> {
        let empty = Map::new();
        let document = if document.is_null() {
            &empty
        } else {
            streams_in(document, config.object_path.as_deref())?
        };
        let configured = Configured {
            document,
            defaults: &config.defaults,
            overrides: &config.overrides,
        };
        let names: BTreeSet<&str> = match &config.allowed_streams {
            Some(allowed) => allowed.iter().map(String::as_str).collect(),
            None => configured
                .names()
                .map(String::as_str)
                .filter(|name| !is_pattern(name))
                .collect(),
        };
        at_most(limits::STREAM_NAMES_MAX, "public streams", names.len())?;
        let mut building = Self::default();
        let mut errors = Vec::new();
        for name in &names {
            building.add(name, &configured, &mut errors);
        }
        building.aliases = aliases::collect(&building.streams, &mut errors);
        if !errors.is_empty() {
            return Err(CatalogError::Streams(errors));
        }
        let all_names = building.streams.len() + building.aliases.len();
        at_most(
            limits::STREAM_NAMES_MAX,
            "public streams and aliases",
            all_names,
        )?;
        at_most(
            limits::STREAM_TOPICS_MAX,
            "topics of public streams",
            building.by_topic.len(),
        )?;
        match &config.allowed_streams {
            Some(_) if names.is_empty() => building.warnings.push(Warning::NothingAllowed),
            Some(_) if building.streams.is_empty() => {
                return Err(CatalogError::NothingConfigured {
                    allowed: names.len(),
                });
            }
            None if building.streams.is_empty() => return Err(CatalogError::NoStreams),
            _ => {}
        }
        Ok(building)
    }

    fn add(&mut self, name: &str, configured: &Configured<'_>, errors: &mut Vec<StreamError>) {
        if is_pattern(name) {
            return self.warnings.push(Warning::PatternAllowed(name.to_owned()));
        }
        let allowed = match configured.find(name) {
            Ok(Some(allowed)) => allowed,
            Ok(None) => {
                self.unconfigured.insert(name.into());
                return self.warnings.push(Warning::Unconfigured(name.into()));
            }
            Err(error) => return errors.push(error),
        };
        if !configured.document.is_empty()
            && !configured.document.contains_key(name)
            && !allowed.of_pattern
        {
            self.warnings.push(Warning::OnlyInDefaults(name.into()));
        }
        if let Some(other) = allowed
            .settings
            .get("stream")
            .and_then(Value::as_str)
            .filter(|other| *other != name && !allowed.of_pattern)
        {
            self.warnings
                .push(Warning::NamedOtherwise(name.into(), other.to_owned()));
        }
        for setting in allowed.settings.keys() {
            if let Some(near) = misspelt_setting(setting) {
                let (stream, setting) = (StreamName::from(name), setting.clone());
                self.warnings.push(Warning::Misspelt {
                    stream,
                    setting,
                    near,
                });
            }
        }
        match Stream::read(&allowed.name, allowed.settings, allowed.of_pattern) {
            Ok(stream) => {
                for topic in &stream.topics_allowed {
                    self.by_topic
                        .entry(topic.clone())
                        .or_default()
                        .push(stream.name.clone());
                }
                self.streams.insert(stream.name.clone(), Arc::new(stream));
            }
            Err(problem) => errors.push(StreamError {
                stream: name.to_owned(),
                problem,
            }),
        }
    }

    /// The public stream of this name or alias. THE gate: what it does not answer does not exist for a client.
    pub fn resolve(&self, name_or_alias: &str) -> Option<&Arc<Stream>> {
        self.streams
            .get(name_or_alias)
            .or_else(|| self.aliases.get(name_or_alias))
    }

    /// All public streams, sorted by name.
    pub fn streams(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.streams.values()
    }

    /// Every alias with its stream, sorted.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &Arc<Stream>)> {
        self.aliases
            .iter()
            .map(|(alias, stream)| (alias.as_str(), stream))
    }

    /// The `topics` and `topics_allowed` of all public streams: what the live consumer reads.
    pub fn topics(&self) -> BTreeSet<Topic> {
        self.by_topic.keys().cloned().collect()
    }

    /// The public streams that have `topic` among their `topics` or `topics_allowed`, sorted by name.
    pub fn streams_of_topic(&self, topic: &Topic) -> &[StreamName] {
        self.by_topic.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Whether this name is in `allowed_streams` and configured nowhere: planned, or decommissioned, but not unknown.
    pub fn is_unconfigured(&self, name: &str) -> bool {
        self.unconfigured.contains(name)
    }

    /// What an operator should know; told once for each snapshot.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn at_most(max: usize, what: &'static str, count: usize) -> Result<(), CatalogError> {
    if count > max {
        Err(CatalogError::TooMany { what, count, max })
    } else {
        Ok(())
    }
}

/// The map of streams at the dotted path `object_path` of the document.
fn streams_in<'a>(
    document: &'a Value,
    object_path: Option<&str>,
) -> Result<&'a Map<String, Value>, CatalogError> {
    let mut at = document;
    for step in object_path.into_iter().flat_map(|path| path.split('.')) {
        at = at.get(step).ok_or_else(|| {
            let keys = at.as_object().map(|map| {
                map.keys()
                    .take(5)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ")
            });
            let there = keys.map_or_else(
                || "there is no map".to_owned(),
                |keys| format!("there are: {keys}"),
            );
            let path = object_path.unwrap_or_default();
            CatalogError::Document(format!(
                "stream_config_object_path {path} does not exist, at `{step}` {there}"
            ))
        })?;
    }
    at.as_object().ok_or_else(|| {
        let place = object_path.map_or_else(
            || "the document".to_owned(),
            |path| format!("what is at stream_config_object_path {path}"),
        );
        CatalogError::Document(format!("{place} is no map of streams"))
    })
}
