//! Reads one stream from its settings: topics, aliases, topics that an id may name.

use std::collections::HashSet;
use std::hash::Hash;

use serde_json::{Map, Value};

use super::{StreamName, Topic};

/// A public stream. It never changes; a reload makes new ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Its name, case-sensitive.
    pub name: StreamName,
    /// The topics that new subscribers read: at least one, without duplicates, in configured order.
    pub topics: Vec<Topic>,
    /// The topics that a Last-Event-ID may name: `topics`, then the configured `topics_allowed`
    /// (docs/protocol.md, "The configuration file").
    pub topics_allowed: Vec<Topic>,
    /// Other names of the stream.
    pub aliases: Vec<String>,
    /// Its description in the documentation.
    pub description: Option<String>,
    /// The title of the schema of its events: `mediawiki/recentchange`.
    pub schema_title: Option<String>,
    /// All merged settings, even those that have no effect here; `stream` is the name.
    pub settings: Map<String, Value>,
}

/// A stream whose configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream {stream}: {problem}")]
pub struct StreamError {
    /// The stream or pattern, as configured.
    pub stream: String,
    /// What is wrong with it.
    pub problem: StreamProblem,
}

/// What is wrong with a stream's configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamProblem {
    /// The name cannot be part of a URL, in which commas separate names.
    #[error(
        "the name of a public stream must not be empty or contain `,`, `/`, spaces or control \
         characters"
    )]
    Name,
    /// A setting has a value of the wrong type.
    #[error("{setting} must be {expected}")]
    WrongType {
        /// The setting's name.
        setting: &'static str,
        /// The type that it must have.
        expected: &'static str,
    },
    /// `topics` is an empty list.
    #[error(
        "topics is an empty list; name topics, or remove the setting to read each of \
         topic_prefixes followed by the name"
    )]
    NoTopics,
    /// A topic name that Kafka does not accept.
    #[error("{0:?} is not a valid Kafka topic name (1 to 249 characters of a-z A-Z 0-9 . _ -)")]
    TopicName(String),
    /// The regular expression of a pattern is not valid here.
    #[error("the pattern cannot be used: {0}; look-around and back-references are not supported")]
    Pattern(String),
    /// The settings are not a map.
    #[error("its settings are not a map")]
    NotAMap,
    /// An alias is also the name of a public stream.
    #[error("its alias {alias} is also the name of a stream")]
    AliasIsStream {
        /// The alias.
        alias: String,
    },
    /// An alias belongs to two public streams.
    #[error("its alias {alias} is also an alias of stream {other}")]
    AliasTwice {
        /// The alias.
        alias: String,
        /// The first of the two streams.
        other: StreamName,
    },
    /// An alias that cannot be part of a URL.
    #[error(
        "its alias {alias:?} must not be empty or contain `,`, `/`, spaces or control characters"
    )]
    AliasName {
        /// The alias.
        alias: String,
    },
}

impl Stream {
    /// Reads the stream `name` from its merged settings. If they come from a pattern, topics that
    /// are patterns do not count.
    pub(super) fn read(
        name: &StreamName,
        mut settings: Map<String, Value>,
        from_pattern: bool,
    ) -> Result<Self, StreamProblem> {
        if !is_valid_in_url(name.as_str()) {
            return Err(StreamProblem::Name);
        }
        let topics = match topics_in(&settings, "topics", from_pattern)? {
            Some(topics) if topics.is_empty() => return Err(StreamProblem::NoTopics),
            Some(topics) => topics,
            None => topics_of_prefixes(name, &settings)?,
        };
        let mut topics_allowed = topics.clone();
        topics_allowed
            .extend(topics_in(&settings, "topics_allowed", from_pattern)?.unwrap_or_default());
        let mut aliases = names(&settings, "stream_aliases")?.unwrap_or_default();
        aliases.retain(|alias| alias != name.as_str());
        settings.insert("stream".to_owned(), Value::String(name.as_str().to_owned()));
        Ok(Self {
            name: name.clone(),
            topics: without_duplicates(topics),
            topics_allowed: without_duplicates(topics_allowed),
            aliases: without_duplicates(aliases),
            description: text(&settings, "description")?,
            schema_title: text(&settings, "schema_title")?,
            settings,
        })
    }
}

/// Whether the name can be part of the list of streams in a URL.
pub(super) fn is_valid_in_url(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c == ',' || c == '/' || c.is_whitespace() || c.is_control())
}

/// The setting as topics. The topics of a pattern are patterns too and are dropped; `None` if no
/// others are left.
fn topics_in(
    settings: &Map<String, Value>,
    setting: &'static str,
    from_pattern: bool,
) -> Result<Option<Vec<Topic>>, StreamProblem> {
    let Some(mut given) = names(settings, setting)? else {
        return Ok(None);
    };
    if from_pattern {
        given.retain(|topic| !topic.starts_with('/'));
        if given.is_empty() {
            return Ok(None);
        }
    }
    given
        .into_iter()
        .map(parse_topic)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Each prefix followed by the name, or the name alone if there are no prefixes
/// (docs/protocol.md, "The configuration file").
fn topics_of_prefixes(
    name: &StreamName,
    settings: &Map<String, Value>,
) -> Result<Vec<Topic>, StreamProblem> {
    let prefixes = names(settings, "topic_prefixes")?.unwrap_or_default();
    if prefixes.is_empty() {
        return Ok(vec![parse_topic(name.as_str().to_owned())?]);
    }
    prefixes
        .into_iter()
        .map(|prefix| parse_topic(prefix + name.as_str()))
        .collect()
}

/// Kafka's own rule (org.apache.kafka.common.internals.Topic).
fn parse_topic(name: String) -> Result<Topic, StreamProblem> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=249).contains(&name.len()) && name.bytes().all(is_legal) && name != "." && name != ".."
    {
        Ok(Topic::from(name))
    } else {
        Err(StreamProblem::TopicName(name))
    }
}

fn names(
    settings: &Map<String, Value>,
    setting: &'static str,
) -> Result<Option<Vec<String>>, StreamProblem> {
    let wrong = StreamProblem::WrongType {
        setting,
        expected: "a list of names",
    };
    match settings.get(setting) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(names)) => {
            let names: Option<Vec<_>> = names
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            names.map(Some).ok_or(wrong)
        }
        Some(_) => Err(wrong),
    }
}

fn text(
    settings: &Map<String, Value>,
    setting: &'static str,
) -> Result<Option<String>, StreamProblem> {
    match settings.get(setting) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(StreamProblem::WrongType {
            setting,
            expected: "text",
        }),
    }
}

fn without_duplicates<T: Eq + Hash + Clone>(mut names: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(names.len());
    names.retain(|name| seen.insert(name.clone()));
    names
}
