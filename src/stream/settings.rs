//! One stream out of its settings: topics, aliases, what is allowed inside an id.

use std::collections::HashSet;
use std::hash::Hash;

use serde_json::{Map, Value};

use super::{StreamName, Topic};

/// A public stream. Immutable; a reload makes new ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Its name, case-sensitive.
    pub name: StreamName,
    /// What new subscribers read: at least one, each once, in the configuration's order.
    pub topics: Vec<Topic>,
    /// What a Last-Event-ID may name: `topics`, and the configured `topics_allowed` behind them (protocol §6).
    pub topics_allowed: Vec<Topic>,
    /// Other names that clients may ask for it by.
    pub aliases: Vec<String>,
    /// For the documentation.
    pub description: Option<String>,
    /// The title of its events' schema: `mediawiki/recentchange`.
    pub schema_title: Option<String>,
    /// All settings as configured and merged, those without meaning to us too; `stream` is the name.
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
    /// Clients ask for streams in a URL, separated by commas.
    #[error(
        "a public stream's name must not be empty or hold `,`, `/`, spaces or control characters"
    )]
    Name,
    /// A setting has another shape than it should.
    #[error("{setting} must be {expected}")]
    Shape {
        /// The setting's name.
        setting: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// `topics` is there and empty.
    #[error(
        "topics is an empty list; name topics, or leave it out for each of topic_prefixes + name"
    )]
    NoTopics,
    /// A topic that Kafka cannot have.
    #[error("{0:?} is no name of a Kafka topic (1 to 249 of a-z A-Z 0-9 . _ -)")]
    TopicName(String),
    /// A pattern's regular expression is not one of ours.
    #[error(
        "the pattern cannot be used: {0}; look-around and back-references of JavaScript are not supported"
    )]
    Pattern(String),
    /// The map of settings is no map.
    #[error("its settings are no map")]
    NoMap,
    /// An alias is also a public stream's name.
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
        /// The stream that has it first.
        other: StreamName,
    },
    /// An alias that no client could ask for.
    #[error("its alias {alias:?} must not be empty or hold `,`, `/`, spaces or control characters")]
    AliasName {
        /// The alias.
        alias: String,
    },
}

impl Stream {
    /// Reads the stream `name` out of its merged settings. A stream that a pattern matched (`of_pattern`) has topics of its own.
    pub(super) fn read(
        name: &StreamName,
        mut settings: Map<String, Value>,
        of_pattern: bool,
    ) -> Result<Self, StreamProblem> {
        if !can_be_asked_for(name.as_str()) {
            return Err(StreamProblem::Name);
        }
        let topics = match topics(&settings, "topics", of_pattern)? {
            Some(topics) if topics.is_empty() => return Err(StreamProblem::NoTopics),
            Some(topics) => topics,
            None => prefixed(name, &settings)?,
        };
        let mut topics_allowed = topics.clone();
        topics_allowed.extend(topics_of(&settings, of_pattern)?);
        let mut aliases = names(&settings, "stream_aliases")?.unwrap_or_default();
        aliases.retain(|alias| alias != name.as_str());
        settings.insert("stream".to_owned(), Value::String(name.as_str().to_owned()));
        Ok(Self {
            name: name.clone(),
            topics: once(topics),
            topics_allowed: once(topics_allowed),
            aliases: once(aliases),
            description: text(&settings, "description")?,
            schema_title: text(&settings, "schema_title")?,
            settings,
        })
    }
}

/// A name that stands in a URL's list of streams as it is.
pub(super) fn can_be_asked_for(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c == ',' || c == '/' || c.is_whitespace() || c.is_control())
}

fn topics_of(settings: &Map<String, Value>, of_pattern: bool) -> Result<Vec<Topic>, StreamProblem> {
    Ok(topics(settings, "topics_allowed", of_pattern)?.unwrap_or_default())
}

/// The setting as topics. Those of a pattern are patterns themselves and say nothing about the one stream: `None` when there are only such.
fn topics(
    settings: &Map<String, Value>,
    setting: &'static str,
    of_pattern: bool,
) -> Result<Option<Vec<Topic>>, StreamProblem> {
    let Some(mut given) = names(settings, setting)? else {
        return Ok(None);
    };
    if of_pattern {
        given.retain(|topic| !topic.starts_with('/'));
        if given.is_empty() {
            return Ok(None);
        }
    }
    given
        .into_iter()
        .map(topic)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Each prefix + name, or the name alone without prefixes (protocol §6).
fn prefixed(name: &StreamName, settings: &Map<String, Value>) -> Result<Vec<Topic>, StreamProblem> {
    let prefixes = names(settings, "topic_prefixes")?.unwrap_or_default();
    if prefixes.is_empty() {
        return Ok(vec![topic(name.as_str().to_owned())?]);
    }
    prefixes
        .into_iter()
        .map(|prefix| topic(prefix + name.as_str()))
        .collect()
}

/// Kafka's own rule (org.apache.kafka.common.internals.Topic).
fn topic(name: String) -> Result<Topic, StreamProblem> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=249).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".." {
        Ok(Topic::from(name))
    } else {
        Err(StreamProblem::TopicName(name))
    }
}

fn names(
    settings: &Map<String, Value>,
    setting: &'static str,
) -> Result<Option<Vec<String>>, StreamProblem> {
    let wrong = StreamProblem::Shape {
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
        Some(_) => Err(StreamProblem::Shape {
            setting,
            expected: "text",
        }),
    }
}

fn once<T: Eq + Hash + Clone>(mut names: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::with_capacity(names.len());
    names.retain(|name| seen.insert(name.clone()));
    names
}
