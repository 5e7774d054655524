//! Where the configuration of streams and their schemas comes from; the names of stream settings.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::spelling::misspelling_of;

/// Where the configuration of streams comes from, and which of them are public.
#[derive(Clone, Default, PartialEq, Deserialize)]
pub struct StreamsConfig {
    /// The public allowlist, names of streams. `None` for all configured streams except patterns.
    pub allowed_streams: Option<Vec<String>>,
    /// A file path, a `file:` URL or an http(s) URL. `None` if only defaults and overrides
    /// configure streams.
    #[serde(rename = "stream_config_uri")]
    pub uri: Option<String>,
    /// Options of requests to the URL.
    #[serde(rename = "stream_config_uri_options")]
    pub uri_options: UriOptions,
    /// The dotted path of the map of streams in the document. `None` if the document is the map.
    #[serde(rename = "stream_config_object_path")]
    pub object_path: Option<String>,
    /// Seconds between reloads; 0 for none.
    #[serde(rename = "stream_config_ttl")]
    pub ttl_s: u64,
    /// The path of a file that caches the last good response of the URL.
    #[serde(rename = "stream_config_cache_file")]
    pub cache_file: Option<String>,
    /// Stream settings by stream, merged deeply under the document.
    #[serde(rename = "stream_config_defaults")]
    pub defaults: Map<String, Value>,
    /// Stream settings by stream, merged deeply over the document.
    #[serde(rename = "stream_config_overrides")]
    pub overrides: Map<String, Value>,
}

impl fmt::Debug for StreamsConfig {
    /// Without the URI, which may hold a password or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamsConfig")
            .field("allowed_streams", &self.allowed_streams)
            .field("uri_options", &self.uri_options)
            .field("defaults", &self.defaults)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

/// Options of requests to a URL.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct UriOptions {
    /// Headers of the request, which may include `Host`; names and values are valid.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds that one attempt may take; `None` for the default.
    #[serde(default, rename = "timeout")]
    pub timeout_ms: Option<u64>,
}

impl fmt::Debug for UriOptions {
    /// Only the names of the headers: one may be `Authorization`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UriOptions")
            .field("headers", &self.headers.keys())
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

/// Where the schemas of streams are read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SchemasConfig {
    /// Base URLs or folders, tried in order.
    #[serde(rename = "schema_base_uris")]
    pub base_uris: Vec<String>,
    /// The version of a schema that is read.
    #[serde(rename = "schema_latest_version")]
    pub latest_version: String,
    /// Options of requests to those URLs.
    #[serde(rename = "schema_uri_options")]
    pub uri_options: UriOptions,
}

/// Stream settings that decide which topics are read and which names resolve. A misspelt one in the
/// operator's own file is an error.
const ESSENTIAL_SETTINGS: &[&str] = &[
    "topics",
    "topics_allowed",
    "topic_prefixes",
    "stream_aliases",
];

/// The other stream settings that have an effect. Any further ones are kept as they are.
const OTHER_SETTINGS: &[&str] = &[
    "stream",
    "schema_title",
    "description",
    "owner",
    "canary_events_enabled",
    "silence_max_seconds",
    "events_per_second_max",
];

/// The stream setting that `name` is a misspelling of.
#[must_use]
pub fn misspelt_setting(name: &str) -> Option<&'static str> {
    let settings = ESSENTIAL_SETTINGS.iter().chain(OTHER_SETTINGS);
    misspelling_of(name, settings.copied())
}

/// The essential stream setting that `name` is a misspelling of.
pub(super) fn misspelt_essential_setting(name: &str) -> Option<&'static str> {
    misspelt_setting(name).filter(|setting| ESSENTIAL_SETTINGS.contains(setting))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_settings_are_found_and_unknown_ones_are_not() {
        for (name, near) in [
            ("topcs", "topics"),
            ("Topics", "topics"),
            ("topic", "topics"),
            ("topics_alowed", "topics_allowed"),
            ("topic_prefixs", "topic_prefixes"),
            ("stream-aliases", "stream_aliases"),
            ("stream_alias", "stream_aliases"),
            ("desciption", "description"),
        ] {
            assert_eq!(misspelt_setting(name), Some(near), "{name}");
        }
        for own in [
            "topics",
            "stream",
            "consumers",
            "producers",
            "sample",
            "destination_event_service",
            "message_key_fields",
            "x",
            "topics_of_mine",
        ] {
            assert_eq!(misspelt_setting(own), None, "{own}");
        }
        assert_eq!(misspelt_essential_setting("desciption"), None);
    }
}
