//! Who may name whom (ARCHITECTURE.md, layers): `http -> fanout <- kafka`, all three on the pure folders `event`, `cursor`, `stream`.

use crate::source::{NamedPath, Source};

/// "Only these places may name it", for crates (`["rdkafka"]`) and for the crate's own modules (`["crate", "kafka"]`).
struct Only {
    what: &'static [&'static [&'static str]],
    places: &'static [&'static str],
}

/// "These places may not name it."
struct Never {
    places: &'static [&'static str],
    what: &'static [&'static [&'static str]],
}

const ONLY: &[Only] = &[
    // In tests of the embedded broker librdkafka is the client to please.
    Only {
        what: &[&["rdkafka"], &["kafka_topic_ids"]],
        places: &["kafka", "dev_broker::**::tests"],
    },
    // Tests of what is fetched from a URL answer it themselves.
    Only {
        what: &[&["axum"], &["hyper"], &["hyper_util"]],
        places: &["http", "server", "stream::**::tests"],
    },
    Only {
        what: &[&["crate", "dev_broker"]],
        places: &["dev_broker", "cli", "dev", "main"],
    },
];

const NEVER: &[Never] = &[
    Never {
        places: &["event", "cursor", "stream"],
        what: &[
            &["tokio"],
            &["tokio_stream"],
            &["tokio_util"],
            &["crate", "kafka"],
            &["crate", "fanout"],
            &["crate", "http"],
        ],
    },
    Never {
        places: &["fanout"],
        what: &[&["crate", "http"], &["crate", "kafka"]],
    },
    Never {
        places: &["kafka"],
        what: &[&["crate", "http"]],
    },
    Never {
        places: &["http"],
        what: &[&["crate", "kafka"]],
    },
];

/// Stream configuration is read from files and URLs here: the one place of the pure folders that does I/O.
const NOT_PURE: &[&str] = &["stream::source", "stream::fetch"];

/// Says every name in the file that its place may not use.
pub fn check(source: &Source) -> Vec<String> {
    if !source.file.starts_with("src/") {
        return Vec::new();
    }
    source
        .paths()
        .iter()
        .filter(|path| !is_allowed(path))
        .map(|path| told(source, path))
        .collect()
}

fn is_allowed(path: &NamedPath) -> bool {
    let named = |what: &[&[&str]]| {
        what.iter()
            .any(|prefix| starts_with(&path.segments, prefix))
    };
    let at = |places: &[&str]| places.iter().any(|place| is_in(&path.module, place));
    let only = ONLY.iter().all(|rule| !named(rule.what) || at(rule.places));
    let never = at(NOT_PURE)
        || NEVER
            .iter()
            .all(|rule| !named(rule.what) || !at(rule.places));
    only && never
}

fn starts_with(segments: &[String], prefix: &[&str]) -> bool {
    segments.len() >= prefix.len()
        && segments
            .iter()
            .zip(prefix)
            .all(|(segment, wanted)| segment == wanted)
}

/// `http` holds `http` and all below it; `dev_broker::**::tests` holds modules named `tests` anywhere below `dev_broker`.
fn is_in(module: &[String], place: &str) -> bool {
    match place.split_once("::**::") {
        Some((above, name)) => is_in(module, above) && module.iter().any(|segment| segment == name),
        None => starts_with(module, &place.split("::").collect::<Vec<_>>()),
    }
}

fn told(source: &Source, path: &NamedPath) -> String {
    format!(
        "{}:{}: {} may not be named here",
        source.file,
        path.line,
        path.segments.join("::")
    )
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::source::Source;

    fn accepts(file: &str, text: &str) {
        assert_eq!(check(&Source::new(file, text)), Vec::<String>::new());
    }

    fn refuses(file: &str, text: &str) {
        let told = check(&Source::new(file, text));
        assert_eq!(told.len(), 1, "{file}: {text}: {told:?}");
    }

    #[test]
    fn rdkafka_is_named_in_kafka_alone() {
        accepts(
            "src/kafka/replay.rs",
            "use rdkafka::consumer::{BaseConsumer, Consumer};",
        );
        accepts("src/dev_broker/tests.rs", "use rdkafka::ClientConfig;");
        accepts(
            "src/dev_broker/log.rs",
            "mod tests { use rdkafka::ClientConfig; }",
        );
        refuses("src/dev_broker/log.rs", "use rdkafka::ClientConfig;");
        refuses("src/fanout/hub.rs", "fn f() -> rdkafka::Offset { g() }");
        refuses("src/server.rs", "use rdkafka as client;");
        refuses(
            "src/fanout/hub.rs",
            "use kafka_topic_ids::TopicDescription;",
        );
        accepts(
            "src/server.rs",
            "//! Not `rdkafka::Offset`.\nconst NAME: &str = \"rdkafka::x\";",
        );
    }

    #[test]
    fn the_web_stack_is_named_in_http_and_server_alone() {
        accepts("src/http/stream.rs", "use axum::response::Response;");
        accepts("src/server.rs", "use hyper_util::rt::TokioIo;");
        accepts("src/stream/source.rs", "mod tests { use axum::Router; }");
        refuses("src/stream/source.rs", "use axum::Router;");
        refuses("src/fanout/feed.rs", "type Body = axum::body::Body;");
        refuses("src/cli.rs", "fn f() { ::hyper::body::Incoming::new() }");
    }

    #[test]
    fn the_pure_folders_name_no_runtime() {
        refuses("src/event/frame.rs", "use tokio::sync::Notify;");
        refuses(
            "src/cursor/since.rs",
            "#[cfg(test)] mod tests { #[tokio::test] async fn f() {} }",
        );
        refuses(
            "src/stream/catalog.rs",
            "use crate::{config::Conf, fanout::Hub, event};",
        );
        accepts("src/stream/source.rs", "use tokio::fs;");
        refuses("src/stream/source.rs", "use rdkafka::ClientConfig;");
        accepts(
            "src/event/frame.rs",
            "use std::fmt; use crate::cursor::Offset; use super::record::Record;",
        );
    }

    #[test]
    fn layers_do_not_see_each_other() {
        refuses("src/fanout/hub.rs", "use crate::kafka::Replay;");
        refuses("src/kafka/mod.rs", "use super::http::Problem;");
        refuses(
            "src/kafka/replay.rs",
            "mod tests { use super::super::super::http::Problem; }",
        );
        refuses(
            "src/http/stream.rs",
            "fn f() { crate::kafka::offsets::look_up() }",
        );
        accepts(
            "src/http/stream.rs",
            "use super::problem::Problem; use http::StatusCode; use self::http::x; use crate::fanout::Hub;",
        );
        accepts("src/kafka/mod.rs", "mod tests { use super::http; }");
    }

    #[test]
    fn the_embedded_broker_is_named_by_the_dev_command_alone() {
        accepts("src/cli/dev.rs", "use crate::dev_broker::DevBroker;");
        accepts("src/lib.rs", "pub mod dev_broker;");
        refuses("src/server.rs", "use crate::dev_broker::DevBroker;");
        accepts("src/main.rs", "fn main() { eventstreams::cli::run() }");
        refuses(
            "src/telemetry.rs",
            "use eventstreams::dev_broker::DevBroker;",
        );
    }
}
