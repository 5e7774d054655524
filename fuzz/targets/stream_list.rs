//! Any path as a list of streams: what it names is public, each once, or everything that is wrong
//! is reported. What is configured but not allowed is never found.

#![no_main]

use std::sync::LazyLock;

use eventstreams::config::Config;
use eventstreams::http::requested_streams;
use eventstreams::problem::Problem;
use eventstreams::stream::Catalog;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const CONFIGURATION: &str = "
allowed_streams: [edits, moves, gone, mediawiki.page-create]
stream_config_defaults:
  edits: {topics: [eqiad.edits, codfw.edits], stream_aliases: [edit, e]}
  moves: {topics: [eqiad.moves], stream_aliases: [größer]}
  secret: {topics: [eqiad.secret], stream_aliases: [s]}
  /^mediawiki\\.page-.*/: {topics: [eqiad.page]}
";

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let config =
        Config::parse(CONFIGURATION, std::iter::empty()).unwrap_or_else(|error| panic!("{error}"));
    Catalog::build(&Value::Null, &config.streams).unwrap_or_else(|error| panic!("{error}"))
});

const MAX: usize = 20;

fuzz_target!(|path: &str| {
    let path = format!("/v2/stream/{path}");
    match requested_streams(&CATALOG, &path, MAX) {
        Ok(streams) => {
            assert!(!streams.is_empty() && streams.len() <= MAX);
            for (index, stream) in streams.iter().enumerate() {
                assert!(
                    ["edits", "moves", "mediawiki.page-create"].contains(&stream.name.as_str()),
                    "{path}: {stream:?}"
                );
                assert!(
                    streams[..index]
                        .iter()
                        .all(|other| other.name != stream.name),
                    "{path}: twice {stream:?}"
                );
            }
        }
        Err(Problem::StreamsPerRequestLimit { requested, max }) => {
            assert!(requested > max && max == MAX)
        }
        Err(Problem::StreamNotFound { names, hints }) => {
            assert!(!names.is_empty() && !hints.is_empty() && hints.len() < 10);
            // What is said of names speaks of nothing that is not public, unless it was asked for.
            let findings = hints.join(" ");
            assert!(
                path.contains("secret") || !findings.contains("secret"),
                "{path}: {findings}"
            );
            assert!(
                names
                    .iter()
                    .all(|name| CATALOG.resolve(name).is_none() && !CATALOG.is_unconfigured(name)),
                "{path}: {names:?}"
            );
        }
        Err(Problem::StreamGone(names)) => {
            assert_eq!(names.iter().find(|name| *name != "gone"), None)
        }
        Err(other) => panic!("{path}: {other}"),
    }
});
