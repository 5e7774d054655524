//! What `eventstreams dev --from` reads: streams of another server, and where it stopped.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use dev_broker::TopicSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::client::{RemoteStream, RemoteTopic, StreamRequest, list_streams};

pub(super) const USER_AGENT: &str = concat!("eventstreams/", env!("CARGO_PKG_VERSION"));

/// The file in the folder of the broker.
const FILE: &str = "source.json";

/// Streams of another server.
pub(super) struct RemoteSource {
    pub(super) request: StreamRequest,
    streams: Vec<RemoteStream>,
}

impl RemoteSource {
    /// The streams of a URL: those that it names, else all of its server.
    ///
    /// # Errors
    /// The URL is not one, the server does not answer, or it lacks a stream.
    pub(super) async fn of_url(url: &str) -> Result<Self, CliError> {
        let request = StreamRequest::of_url(url);
        let mut request = request.map_err(|error| CliError::Config(error.into()))?;
        let listed = list_streams(&request, USER_AGENT).await;
        let listed = listed.with_context(|| format!("--from {url}"))?;
        let streams = chosen(&request, listed).map_err(|error| anyhow!("--from {url}: {error}"))?;
        let names: Vec<_> = streams.iter().map(|stream| stream.name.clone()).collect();
        request.set_streams(names.iter().map(String::as_str));
        Ok(Self { request, streams })
    }

    /// The topics that the broker needs. One that the server cannot read now may have events later.
    pub(super) fn topics(&self) -> Vec<TopicSpec> {
        let topics = self.streams.iter().flat_map(|stream| &stream.topics);
        let topics: BTreeMap<_, _> = topics
            .map(|topic| (topic.name.clone(), topic.partitions.max(1)))
            .collect();
        topics
            .into_iter()
            .map(|(name, partitions)| TopicSpec { name, partitions })
            .collect()
    }

    /// Stream configuration for them.
    pub(super) fn settings(&self) -> Map<String, Value> {
        let settings = |stream: &RemoteStream| {
            let topics = stream.topics.iter().map(|topic| topic.name.as_str());
            let mut settings = json!({
                "topics": topics.collect::<Vec<_>>(),
                "stream_aliases": stream.aliases,
            });
            for (key, value) in [
                ("description", &stream.description),
                ("schema_title", &stream.schema_title),
            ] {
                if let Some(value) = value {
                    settings[key] = value.as_str().into();
                }
            }
            (stream.name.clone(), settings)
        };
        self.streams.iter().map(settings).collect()
    }
}

/// The streams that a request names out of those that the server lists. Of a server without a list,
/// each stream is one topic of its own name.
fn chosen(
    request: &StreamRequest,
    listed: Option<Vec<RemoteStream>>,
) -> Result<Vec<RemoteStream>, String> {
    let mut names = request.streams().peekable();
    match listed {
        Some(listed) if names.peek().is_none() => Ok(listed),
        Some(listed) => {
            let mut chosen: Vec<RemoteStream> = Vec::new();
            for name in names {
                let is_named = |stream: &&RemoteStream| {
                    stream.name == name || stream.aliases.iter().any(|alias| alias == name)
                };
                let found = listed.iter().find(is_named);
                let found = found.ok_or_else(|| format!("the server has no stream {name}"))?;
                if !chosen.contains(found) {
                    chosen.push(found.clone());
                }
            }
            Ok(chosen)
        }
        None if names.peek().is_none() => Err(
            "the server does not list its streams; name them: https://server/v2/stream/a,b"
                .to_owned(),
        ),
        None => Ok(names.map(stream_of_one_topic).collect()),
    }
}

fn stream_of_one_topic(name: &str) -> RemoteStream {
    let topic = RemoteTopic {
        name: name.to_owned(),
        partitions: 1,
    };
    RemoteStream {
        name: name.to_owned(),
        aliases: Vec::new(),
        description: None,
        schema_title: None,
        topics: vec![topic],
    }
}

/// Where reading stopped: the id, and how far each partition of the broker was then. Records beyond
/// that are the first ones after the id.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Position {
    /// The streams that were read.
    pub(super) streams: Vec<String>,
    pub(super) last_event_id: Option<String>,
    /// The end of each partition, by `topic/partition`.
    pub(super) ends: BTreeMap<String, i64>,
}

impl Position {
    /// The position in the folder of a broker; `None` in a new folder.
    ///
    /// # Errors
    /// There is one that cannot be read, or it is of other streams.
    pub(super) fn load(folder: &Path, streams: &[String]) -> Result<Option<Self>, CliError> {
        let path = folder.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(anyhow!(error).context(path.display().to_string()).into()),
        };
        let position: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} cannot be understood", path.display()))
            .map_err(CliError::Config)?;
        if position.streams != streams {
            return Err(CliError::Config(anyhow!(
                "{} is of other streams ({}); use another folder",
                path.display(),
                position.streams.join(", ")
            )));
        }
        Ok(Some(position))
    }

    /// Writes it, whole or not at all.
    pub(super) fn store(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        let new: PathBuf = folder.join(format!("{FILE}.new"));
        let written = std::fs::write(&new, serde_json::to_vec(self)?)
            .and_then(|()| std::fs::rename(&new, &path));
        written.with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> StreamRequest {
        StreamRequest::of_url(url).expect("a URL")
    }

    fn listed() -> Vec<RemoteStream> {
        let mut stream = stream_of_one_topic("mediawiki.recentchange");
        stream.aliases.push("recentchange".to_owned());
        vec![stream, stream_of_one_topic("b")]
    }

    #[test]
    fn streams_are_chosen_by_name_and_alias() {
        let names = |url: &str, listed| {
            let chosen = chosen(&request(url), listed)?;
            Ok(chosen
                .into_iter()
                .map(|stream| stream.name)
                .collect::<Vec<_>>())
        };
        let all = names("http://s", Some(listed()));
        assert_eq!(
            all,
            Ok(vec!["mediawiki.recentchange".to_owned(), "b".to_owned()])
        );
        let url = "http://s/v2/stream/recentchange,mediawiki.recentchange";
        assert_eq!(
            names(url, Some(listed())),
            Ok(vec!["mediawiki.recentchange".to_owned()])
        );
        assert_eq!(
            names("http://s/v2/stream/x", None),
            Ok(vec!["x".to_owned()])
        );
        for (url, listed, part) in [
            (
                "http://s/v2/stream/nope",
                Some(listed()),
                "has no stream nope",
            ),
            ("http://s", None, "name them"),
        ] {
            let error: String = names(url, listed).expect_err(url);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_position_is_that_of_its_streams() {
        let folder = tempfile::tempdir().expect("a folder");
        let streams = ["a".to_owned()];
        let load = |streams: &[String]| Position::load(folder.path(), streams);
        assert!(load(&streams).expect("none yet").is_none());
        let position = Position {
            streams: streams.to_vec(),
            last_event_id: Some("[]".to_owned()),
            ends: [("t/0".to_owned(), 5)].into(),
        };
        position.store(folder.path()).expect("it is written");
        assert_eq!(load(&streams).expect("a position"), Some(position));
        let error = load(&["b".to_owned()])
            .expect_err("other streams")
            .describe();
        assert!(
            error.contains("is of other streams (a); use another folder"),
            "{error}"
        );
    }
}
