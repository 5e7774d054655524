//! The layers (ARCHITECTURE.md, "Layers"): `http -> delivery -> fanout <- kafka`, all of them on
//! the pure folders `event`, `cursor`, `stream`. Cargo itself holds the crates in `crates/`: none
//! of them depends on the program.

use crate::source::{NamedPath, Source};

/// "Only these places may name it", for crates (`["rdkafka"]`) and for the crate's own modules
/// (`["crate", "kafka"]`).
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
    Only {
        what: &[&["rdkafka"], &["kafka_topic_ids"]],
        places: &["kafka"],
    },
    // The tests of `stream` and `schema` answer their requests themselves.
    Only {
        what: &[&["axum"], &["hyper"], &["hyper_util"]],
        places: &["http", "problem", "stream::**::tests", "schema::**::tests"],
    },
    Only {
        what: &[&["dev_broker"], &["sample_events"]],
        places: &["cli::dev", "kafka::**::tests"],
    },
];

const NEVER: &[Never] = &[
    Never {
        places: &["event", "cursor", "stream", "filter", "schema"],
        what: &[
            &["tokio"],
            &["tokio_stream"],
            &["tokio_util"],
            &["crate", "kafka"],
            &["crate", "fanout"],
            &["crate", "problem"],
            &["crate", "delivery"],
            &["crate", "http"],
        ],
    },
    Never {
        places: &["fanout"],
        what: &[
            &["crate", "problem"],
            &["crate", "delivery"],
            &["crate", "http"],
            &["crate", "kafka"],
        ],
    },
    Never {
        places: &["kafka"],
        what: &[
            &["crate", "problem"],
            &["crate", "delivery"],
            &["crate", "http"],
        ],
    },
    Never {
        places: &["problem"],
        what: &[
            &["crate", "delivery"],
            &["crate", "http"],
            &["crate", "kafka"],
        ],
    },
    Never {
        places: &["delivery"],
        what: &[&["crate", "http"], &["crate", "kafka"]],
    },
    Never {
        places: &["http"],
        what: &[&["crate", "kafka"]],
    },
    // It knows the server as any other client does.
    Never {
        places: &["client"],
        what: &[
            &["crate", "fanout"],
            &["crate", "delivery"],
            &["crate", "http"],
            &["crate", "kafka"],
            &["crate", "problem"],
        ],
    },
];

/// Stream configuration and schemas are read from files and URLs here: the places of the pure
/// folders that do I/O.
const NOT_PURE: &[&str] = &["stream::source", "stream::fetch", "schema::loader"];

/// Reports every name in the file that its place may not use.
pub fn check(source: &Source) -> Vec<String> {
    if !source.file.starts_with("src/") {
        return Vec::new();
    }
    source
        .paths()
        .iter()
        .filter(|path| !is_allowed(path))
        .map(|path| finding(source, path))
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

/// `http` matches `http` and all below it. `stream::**::tests` matches modules named `tests`
/// anywhere below `stream`.
fn is_in(module: &[String], place: &str) -> bool {
    match place.split_once("::**::") {
        Some((above, name)) => is_in(module, above) && module.iter().any(|segment| segment == name),
        None => starts_with(module, &place.split("::").collect::<Vec<_>>()),
    }
}

fn finding(source: &Source, path: &NamedPath) -> String {
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
        let findings = check(&Source::new(file, text));
        assert_eq!(findings.len(), 1, "{file}: {text}: {findings:?}");
    }

    #[test]
    fn only_kafka_names_rdkafka() {
        accepts(
            "src/kafka/replay.rs",
            "use rdkafka::consumer::{BaseConsumer, Consumer};",
        );
        refuses("src/fanout/hub.rs", "fn f() -> rdkafka::Offset { g() }");
        refuses("src/server/mod.rs", "use rdkafka as client;");
        refuses(
            "src/fanout/hub.rs",
            "use kafka_topic_ids::TopicDescription;",
        );
        accepts(
            "src/server/mod.rs",
            "//! Not `rdkafka::Offset`.\nconst NAME: &str = \"rdkafka::x\";",
        );
    }

    #[test]
    fn only_http_and_problem_name_the_web_stack() {
        accepts("src/http/stream.rs", "use axum::response::Response;");
        accepts("src/problem.rs", "use axum::response::Response;");
        accepts("src/stream/source.rs", "mod tests { use axum::Router; }");
        refuses("src/stream/source.rs", "use axum::Router;");
        refuses("src/delivery/sink.rs", "use axum::body::Body;");
        refuses("src/server/mod.rs", "use hyper_util::rt::TokioIo;");
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
        accepts("src/schema/loader/bases.rs", "use tokio::fs;");
        refuses("src/schema/validate/mod.rs", "use tokio::fs;");
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
        refuses("src/fanout/hub.rs", "use crate::problem::Problem;");
        refuses("src/fanout/hub.rs", "use crate::delivery::Sink;");
        refuses("src/kafka/mod.rs", "use crate::delivery::Sink;");
        refuses("src/problem.rs", "use crate::delivery::Sink;");
        refuses("src/delivery/sink.rs", "use crate::http::App;");
        refuses("src/delivery/sink.rs", "use crate::kafka::Replay;");
        accepts(
            "src/delivery/sink.rs",
            "use crate::{fanout::Batch, problem::Problem};",
        );
        accepts(
            "src/http/stream.rs",
            "use crate::problem::Problem; use http::StatusCode; use self::http::x; \
             use crate::delivery::Sink; use crate::fanout::Hub;",
        );
        accepts("src/kafka/mod.rs", "mod tests { use super::http; }");
    }

    #[test]
    fn only_the_command_line_names_the_embedded_broker() {
        accepts("src/cli/dev.rs", "use dev_broker::DevBroker;");
        refuses("src/server/mod.rs", "use dev_broker::DevBroker;");
        refuses("src/kafka/mod.rs", "use sample_events::Samples;");
        accepts("src/main.rs", "fn main() { eventstreams::cli::run() }");
    }
}
