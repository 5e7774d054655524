//! The parameters of a stream request in the `OpenAPI` document.

use serde_json::{Value, json};

use crate::filter::FILTER_BYTES_MAX;

/// A parameter of a stream request.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    location: &'static str,
    kind: Kind,
    description: &'static str,
}

/// The values of a parameter.
enum Kind {
    Text,
    /// The text of a filter.
    Filter,
    /// Texts, separated by commas.
    Texts,
    Flag,
    Bytes,
    Count,
    OneOf(&'static [&'static str]),
}

/// All of them.
pub(super) const PARAMETERS: &[Parameter] = &[
    query(
        "since",
        Kind::Text,
        "Start with events of this time: ISO 8601, a date as JavaScript or HTTP writes it, or \
         milliseconds since 1970.",
    ),
    Parameter {
        name: "Last-Event-ID",
        location: "header",
        kind: Kind::Text,
        description: "The id of the last received event: continue right after it.",
    },
    query(
        "lastEventId",
        Kind::Text,
        "The same for clients that cannot set the header.",
    ),
    query(
        "tail",
        Kind::Count,
        "Start with this number of the last events, at most 10,000, in order of time. Not together \
         with `since`. A request with an id goes on from that id.",
    ),
    query(
        "until",
        Kind::Text,
        "Only events before this time, in the forms of `since`. The stream ends behind them.",
    ),
    query(
        "limit",
        Kind::Count,
        "End the stream after this number of events. Server-Sent Events end with an event named \
         `end`, in which the client must close its EventSource.",
    ),
    query(
        "filter",
        Kind::Filter,
        "Only events that match this expression, in a subset of the Common Expression Language: \
         event.wiki == \"enwiki\" && !event.bot. @name is a filter that the operator has named.",
    ),
    query(
        "wiki",
        Kind::Texts,
        "Only events of these wikis. Here and in the other lists, `*` at one end of a value \
         stands for any text: *wiktionary.",
    ),
    query("domain", Kind::Texts, "Only events of these domains."),
    query("namespace", Kind::Texts, "Only pages in these namespaces."),
    query("type", Kind::Texts, "Only these types of change."),
    query("user", Kind::Texts, "Only events of these users."),
    query("title", Kind::Texts, "Only pages with these titles."),
    query("bot", Kind::Flag, "Only events of bots, or of others."),
    query("minor", Kind::Flag, "Only minor edits, or others."),
    query("patrolled", Kind::Flag, "Only patrolled edits, or others."),
    query(
        "canary",
        Kind::Flag,
        "Whether canary events are sent. The operator sets the default.",
    ),
    query(
        "max_event_bytes",
        Kind::Bytes,
        "Only events whose JSON has at most this number of bytes.",
    ),
    query(
        "fields",
        Kind::Texts,
        "Only these members of each event, and always `meta` with stream, topic, partition, \
         offset, dt and id. Dots separate the names of members inside each other: \
         title,length.new.",
    ),
    query(
        "ids",
        Kind::OneOf(&["compact"]),
        "Ids as one short opaque text instead of JSON. It is accepted wherever an id is. Streams \
         whose ids would be long as JSON have it without this parameter.",
    ),
    query(
        "compression",
        Kind::OneOf(&["gzip", "zstd", "none"]),
        "For clients that cannot set Accept-Encoding.",
    ),
];

const fn query(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter {
        name,
        location: "query",
        kind,
        description,
    }
}

impl Parameter {
    /// Its object in the document.
    pub(super) fn definition(&self) -> Value {
        let mut definition = json!({
            "name": self.name,
            "in": self.location,
            "required": false,
            "description": self.description,
            "schema": self.kind.schema(),
        });
        if let Kind::Texts = self.kind {
            // One parameter with commas, not one for each value.
            definition["style"] = "form".into();
            definition["explode"] = false.into();
        }
        definition
    }
}

impl Kind {
    fn schema(&self) -> Value {
        match self {
            Self::Text => json!({"type": "string"}),
            Self::Filter => json!({"type": "string", "maxLength": FILTER_BYTES_MAX}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Bytes | Self::Count => json!({"type": "integer", "minimum": 1}),
            Self::OneOf(values) => json!({"type": "string", "enum": values}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::query::STREAM_PARAMETERS;
    use super::*;

    #[test]
    fn every_query_parameter_is_in_the_document() {
        let in_query = PARAMETERS
            .iter()
            .filter(|parameter| parameter.location == "query");
        let names: Vec<_> = in_query.map(|parameter| parameter.name).collect();
        assert_eq!(names, STREAM_PARAMETERS.names());
    }

    #[test]
    fn a_parameter_has_the_schema_of_its_values() {
        let definition = |name| {
            let parameter = PARAMETERS.iter().find(|parameter| parameter.name == name);
            parameter.expect(name).definition()
        };
        let wiki = definition("wiki");
        assert_eq!(
            (&wiki["schema"]["type"], &wiki["explode"]),
            (&json!("array"), &json!(false))
        );
        for (name, schema) in [
            ("bot", json!({"type": "boolean"})),
            ("limit", json!({"type": "integer", "minimum": 1})),
            ("max_event_bytes", json!({"type": "integer", "minimum": 1})),
            ("ids", json!({"type": "string", "enum": ["compact"]})),
            ("filter", json!({"type": "string", "maxLength": 1024})),
        ] {
            assert_eq!(definition(name)["schema"], schema, "{name}");
        }
    }
}
