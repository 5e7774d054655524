//! The catalog: a snapshot of all public streams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::allowlist::{Configured, is_pattern};
use super::{Stream, StreamError, StreamName, Topic, aliases};
use crate::config::{StreamsConfig, misspelt_setting};
use crate::limits;

/// All public streams. A catalog never changes; a reload replaces it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    streams: BTreeMap<StreamName, Arc<Stream>>,
    aliases: BTreeMap<String, Arc<Stream>>,
    by_topic: BTreeMap<Topic, Vec<StreamName>>,
    unconfigured: BTreeSet<StreamName>,
    warnings: Vec<Warning>,
}

/// Why no catalog can be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// There is no map of streams at `stream_config_object_path`.
    #[error("stream configuration: {0}")]
    Document(String),
    /// The configurations of these streams, all that are wrong, cannot be used.
    #[error("{}", lines(.0))]
    Streams(Vec<StreamError>),
    /// None of the allowed streams is configured.
    #[error(
        "none of the {allowed} streams in allowed_streams is configured; \
         check stream_config_uri and stream_config_object_path"
    )]
    NothingConfigured {
        /// The number of allowed streams.
        allowed: usize,
    },
    /// There are more streams, names or topics than the program supports.
    #[error(
        "{count} {what} are configured, but at most {max} can be served; remove those that are not \
         needed from allowed_streams"
    )]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// Their number.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// No stream is configured.
    #[error(
        "no stream is configured; set stream_config_uri, or add streams to stream_config_defaults"
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

/// A mistake in the configuration that does not keep the service from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The stream is in `allowed_streams` but is not configured; it is left out.
    Unconfigured(StreamName),
    /// The stream is in defaults or overrides, but not in the document.
    OnlyInDefaults(StreamName),
    /// The setting `stream` of the stream is another name; the key of the stream counts.
    OtherName(StreamName, String),
    /// `allowed_streams` contains a pattern, which makes no stream public.
    AllowedPattern(String),
    /// `allowed_streams` is an empty list: no stream is public.
    NothingAllowed,
    /// A setting of the stream is a misspelling of one that has an effect.
    Misspelt {
        /// The stream.
        stream: StreamName,
        /// The setting as written.
        setting: String,
        /// The setting that is probably meant.
        near: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfigured(name) => write!(
                f,
                "stream {name} is in allowed_streams but is not configured: it is not served"
            ),
            Self::OnlyInDefaults(name) => {
                write!(
                    f,
                    "stream {name} is only in stream_config_defaults or stream_config_overrides, \
                     not in the document of stream_config_uri"
                )
            }
            Self::OtherName(name, other) => {
                write!(
                    f,
                    "the setting `stream` of stream {name} is {other}: it is ignored"
                )
            }
            Self::AllowedPattern(pattern) => {
                write!(
                    f,
                    "allowed_streams contains the pattern {pattern}: \
                     name the streams that it matches instead"
                )
            }
            Self::Misspelt {
                stream,
                setting,
                near,
            } => {
                write!(
                    f,
                    "stream {stream} has an unknown setting {setting}; did you mean {near}?"
                )
            }
            Self::NothingAllowed => {
                f.write_str("allowed_streams is an empty list: no stream is public")
            }
        }
    }
}

impl Catalog {
    /// Builds the catalog from the document of `stream_config_uri` ([`Value::Null`] without one)
    /// and the operator's file.
    ///
    /// # Errors
    /// There is no map of streams at `object_path`, or public streams cannot be served as
    /// configured; the error names all of them. Streams that are not public are ignored.
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
        let mut catalog = Self::default();
        let mut errors = Vec::new();
        for name in &names {
            catalog.add_stream(name, &configured, &mut errors);
        }
        catalog.aliases = aliases::collect(&catalog.streams, &mut errors);
        if !errors.is_empty() {
            return Err(CatalogError::Streams(errors));
        }
        let all_names = catalog.streams.len() + catalog.aliases.len();
        at_most(
            limits::STREAM_NAMES_MAX,
            "public streams and aliases",
            all_names,
        )?;
        at_most(
            limits::STREAM_TOPICS_MAX,
            "topics of public streams",
            catalog.by_topic.len(),
        )?;
        match &config.allowed_streams {
            Some(_) if names.is_empty() => catalog.warnings.push(Warning::NothingAllowed),
            Some(_) if catalog.streams.is_empty() => {
                return Err(CatalogError::NothingConfigured {
                    allowed: names.len(),
                });
            }
            None if catalog.streams.is_empty() => return Err(CatalogError::NoStreams),
            _ => {}
        }
        Ok(catalog)
    }

    fn add_stream(
        &mut self,
        name: &str,
        configured: &Configured<'_>,
        errors: &mut Vec<StreamError>,
    ) {
        if is_pattern(name) {
            return self.warnings.push(Warning::AllowedPattern(name.to_owned()));
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
            && !allowed.from_pattern
        {
            self.warnings.push(Warning::OnlyInDefaults(name.into()));
        }
        if let Some(other) = allowed
            .settings
            .get("stream")
            .and_then(Value::as_str)
            .filter(|other| *other != name && !allowed.from_pattern)
        {
            self.warnings
                .push(Warning::OtherName(name.into(), other.to_owned()));
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
        match Stream::read(&allowed.name, allowed.settings, allowed.from_pattern) {
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

    /// This catalog, and a stream that has the topic of its own name.
    ///
    /// # Errors
    /// The name cannot be that of a stream and of a topic.
    pub fn with_stream_of_topic(&self, name: &str) -> Result<Self, StreamError> {
        let stream = StreamName::from(name);
        let stream = Stream::read(&stream, Map::new(), false).map_err(|problem| StreamError {
            stream: name.to_owned(),
            problem,
        })?;
        let mut catalog = self.clone();
        for topic in &stream.topics_allowed {
            let names = catalog.by_topic.entry(topic.clone()).or_default();
            names.push(stream.name.clone());
        }
        catalog
            .streams
            .insert(stream.name.clone(), Arc::new(stream));
        Ok(catalog)
    }

    /// The public stream of this name or alias. A stream that this does not return does not exist
    /// for clients; nothing else decides that.
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

    /// The `topics` and `topics_allowed` of all public streams, which the live consumer reads.
    pub fn topics(&self) -> BTreeSet<Topic> {
        self.by_topic.keys().cloned().collect()
    }

    /// The public streams with `topic` in their `topics` or `topics_allowed`, sorted by name.
    pub fn streams_of_topic(&self, topic: &Topic) -> &[StreamName] {
        self.by_topic.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Whether this name is in `allowed_streams` but is not configured: a stream that is planned or
    /// decommissioned, but not unknown.
    pub fn is_unconfigured(&self, name: &str) -> bool {
        self.unconfigured.contains(name)
    }

    /// Mistakes in the configuration; logged once for each catalog.
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
    let Some(object_path) = object_path else {
        return document.as_object().ok_or_else(|| {
            CatalogError::Document("the document is not a map of streams".to_owned())
        });
    };
    let mut value = document;
    for step in object_path.split('.') {
        value = value.get(step).ok_or_else(|| {
            CatalogError::Document(format!(
                "stream_config_object_path {object_path} does not exist: there is no `{step}`, {}",
                describe_keys(value)
            ))
        })?;
    }
    value.as_object().ok_or_else(|| {
        CatalogError::Document(format!(
            "the value at stream_config_object_path {object_path} is not a map of streams"
        ))
    })
}

fn describe_keys(value: &Value) -> String {
    match value.as_object() {
        Some(map) => {
            let keys: Vec<&str> = map.keys().take(5).map(String::as_str).collect();
            format!("only {}", keys.join(", "))
        }
        None => "its parent is not a map".to_owned(),
    }
}
