//! The streams that the samples speak in, their topics, and their configuration.

use serde_json::{Map, Value, json};

/// The datacenter prefixes, the one where edits are saved first.
pub(crate) const PREFIXES: [&str; 2] = ["eqiad.", "codfw."];

/// A stream of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stream {
    Recentchange,
    RevisionCreate,
    PageCreate,
    PageDelete,
    PageMove,
    PagePropertiesChange,
    PageChange,
    Test,
}

impl Stream {
    pub(crate) const ALL: [Stream; 8] = [
        Stream::Recentchange,
        Stream::RevisionCreate,
        Stream::PageCreate,
        Stream::PageDelete,
        Stream::PageMove,
        Stream::PagePropertiesChange,
        Stream::PageChange,
        Stream::Test,
    ];

    /// Its name, as clients ask for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stream::Recentchange => "mediawiki.recentchange",
            Stream::RevisionCreate => "mediawiki.revision-create",
            Stream::PageCreate => "mediawiki.page-create",
            Stream::PageDelete => "mediawiki.page-delete",
            Stream::PageMove => "mediawiki.page-move",
            Stream::PagePropertiesChange => "mediawiki.page-properties-change",
            Stream::PageChange => "mediawiki.page_change.v1",
            Stream::Test => "eventgate-main.test.event",
        }
    }

    /// The URI of its events' schema, version included: the value of their `$schema`.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Stream::Recentchange => "/mediawiki/recentchange/1.0.1",
            Stream::RevisionCreate | Stream::PageCreate => "/mediawiki/revision/create/2.0.0",
            Stream::PageDelete => "/mediawiki/page/delete/1.0.0",
            Stream::PageMove => "/mediawiki/page/move/1.0.0",
            Stream::PagePropertiesChange => "/mediawiki/page/properties-change/1.0.0",
            Stream::PageChange => "/mediawiki/page/change/1.2.0",
            Stream::Test => "/test/event/1.0.0",
        }
    }

    /// The title of its schema: the URI without the slash in front and the version.
    fn schema_title(self) -> &'static str {
        let uri = &self.schema()[1..];
        uri.rsplit_once('/').map_or(uri, |(title, _version)| title)
    }

    /// In how many partitions each of its topics lies. More than one for the streams that are read
    /// in parallel.
    pub(crate) fn partitions(self) -> i32 {
        match self {
            Stream::PageChange => 3,
            Stream::RevisionCreate => 2,
            _ => 1,
        }
    }

    fn alias(self) -> Option<&'static str> {
        match self {
            Stream::PageChange => None,
            Stream::Test => Some("test"),
            other => other.name().strip_prefix("mediawiki."),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Stream::Recentchange => {
                "Everything that the lists of recent changes of all wikis show: \
                 edits, new pages, log entries, categories."
            }
            Stream::RevisionCreate => "Every new revision of every page.",
            Stream::PageCreate => "Every page's first revision, in the schema of revision-create.",
            Stream::PageDelete => "Every page that was deleted.",
            Stream::PageMove => "Every page that got another title.",
            Stream::PagePropertiesChange => {
                "Changes of what pages are known by: picture, sort key, Wikidata item, \
                 number of statements."
            }
            Stream::PageChange => {
                "Every change of a page's state, in one schema: creation, edit, move, deletion."
            }
            Stream::Test => {
                "Events for trying things out, one every few hundred events of the other streams."
            }
        }
    }

    fn configuration(self) -> Value {
        let mut configuration = json!({
            "stream": self.name(),
            "description": self.description(),
            "schema_title": self.schema_title(),
            "topic_prefixes": PREFIXES,
            "topics": PREFIXES.map(|prefix| format!("{prefix}{}", self.name())),
            "canary_events_enabled": true,
            "destination_event_service": "eventgate-main",
        });
        if let Some(alias) = self.alias() {
            configuration["stream_aliases"] = json!([alias]);
        }
        if self == Stream::PageChange {
            configuration["message_key_fields"] =
                json!({ "wiki_id": "wiki_id", "page_id": "page.page_id" });
        }
        configuration
    }
}

/// All topics of the samples with their number of partitions: each stream under each datacenter
/// prefix.
pub fn topics() -> Vec<(String, i32)> {
    let topic =
        |prefix: &str, stream: Stream| (format!("{prefix}{}", stream.name()), stream.partitions());
    PREFIXES
        .iter()
        .flat_map(|prefix| Stream::ALL.map(|stream| topic(prefix, stream)))
        .collect()
}

/// The stream configuration document of the samples' streams, in the shape that `stream_config_uri`
/// answers (docs/protocol.md, "The configuration file"): `{"streams": {name: {stream, topics,
/// topic_prefixes, schema_title, stream_aliases, description, ...}}}`. `stream_config_object_path`
/// for it is `streams`.
pub fn stream_config() -> Value {
    let streams: Map<String, Value> = Stream::ALL
        .iter()
        .map(|stream| (stream.name().to_owned(), stream.configuration()))
        .collect();
    json!({ "streams": streams })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_a_topic_in_each_datacenter() {
        let topics = topics();
        assert_eq!(topics.len(), 16);
        assert!(topics.contains(&("eqiad.mediawiki.page_change.v1".to_owned(), 3)));
        assert!(topics.contains(&("codfw.mediawiki.revision-create".to_owned(), 2)));
        assert!(topics.contains(&("codfw.eventgate-main.test.event".to_owned(), 1)));
    }

    #[test]
    fn the_configuration_names_topics_schemas_and_aliases() {
        let streams = &stream_config()["streams"];
        assert_eq!(streams.as_object().map(Map::len), Some(8));
        let recentchange = &streams["mediawiki.recentchange"];
        assert_eq!(
            recentchange["topics"],
            json!([
                "eqiad.mediawiki.recentchange",
                "codfw.mediawiki.recentchange"
            ])
        );
        assert_eq!(recentchange["schema_title"], "mediawiki/recentchange");
        assert_eq!(recentchange["stream_aliases"], json!(["recentchange"]));
        assert_eq!(
            streams["eventgate-main.test.event"]["stream_aliases"],
            json!(["test"])
        );
        assert_eq!(
            streams["mediawiki.page-create"]["schema_title"],
            "mediawiki/revision/create"
        );
        assert_eq!(
            streams["mediawiki.page_change.v1"]["stream_aliases"],
            Value::Null
        );
    }
}
