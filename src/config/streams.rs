//! Where the configuration of streams and their schemas comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the configuration of streams comes from, and which of them are public.
#[derive(Clone, Default, PartialEq, Deserialize)]
pub struct StreamsConfig {
    /// The public allowlist: names of streams. `None`: all that are configured, patterns aside.
    pub allowed_streams: Option<Vec<String>>,
    /// File path, `file:` URL or http(s) URL. `None`: only what defaults and overrides say.
    #[serde(rename = "stream_config_uri")]
    pub uri: Option<String>,
    /// How the URL is asked.
    #[serde(rename = "stream_config_uri_options")]
    pub uri_options: UriOptions,
    /// Dotted path to the map of streams inside what the URI returned. `None`: it is the map.
    #[serde(rename = "stream_config_object_path")]
    pub object_path: Option<String>,
    /// Seconds between reloads; 0: only at start.
    #[serde(rename = "stream_config_ttl")]
    pub ttl_s: u64,
    /// Path of a file that keeps the last good answer of the URL.
    #[serde(rename = "stream_config_cache_file")]
    pub cache_file: Option<String>,
    /// Stream settings, by stream, merged deep UNDER what the URI returned.
    #[serde(rename = "stream_config_defaults")]
    pub defaults: Map<String, Value>,
    /// Stream settings, by stream, merged deep OVER what the URI returned.
    #[serde(rename = "stream_config_overrides")]
    pub overrides: Map<String, Value>,
}

impl fmt::Debug for StreamsConfig {
    /// Not the URI: it may hold a password or a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StreamsConfig");
        shown
            .field("allowed_streams", &self.allowed_streams)
            .field("uri_options", &self.uri_options);
        shown
            .field("defaults", &self.defaults)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

/// How a URL is asked.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct UriOptions {
    /// Headers of the request, `Host` among them; valid names and values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Milliseconds that one attempt may take; `None`: the client's own default.
    #[serde(default, rename = "timeout")]
    pub timeout_ms: Option<u64>,
}

impl fmt::Debug for UriOptions {
    /// Only the names of the headers: `Authorization` may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UriOptions")
            .field("headers", &self.headers.keys())
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

/// Where the schemas of streams are read for the documentation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SchemasConfig {
    /// Base URLs or folders, tried in order.
    #[serde(rename = "schema_base_uris")]
    pub base_uris: Vec<String>,
    /// The version read for a stream's `schema_title`.
    #[serde(rename = "schema_latest_version")]
    pub latest_version: String,
    /// How those URLs are asked.
    #[serde(rename = "schema_uri_options")]
    pub uri_options: UriOptions,
}

/// Settings of a stream without which other topics are read, or names do not resolve: a misspelt one in the operator's own
/// file is an error.
const ESSENTIAL_SETTINGS: &[&str] = &[
    "topics",
    "topics_allowed",
    "topic_prefixes",
    "stream_aliases",
];

/// The other settings that mean something here. Any further one is kept as it is.
const OTHER_SETTINGS: &[&str] = &[
    "stream",
    "schema_title",
    "description",
    "owner",
    "canary_events_enabled",
    "silence_max_seconds",
    "events_per_second_max",
];

/// The setting that `name` nearly is: one edit away, or two where it is long.
#[must_use]
pub fn misspelt_setting(name: &str) -> Option<&'static str> {
    misspelt(name, ESSENTIAL_SETTINGS.iter().chain(OTHER_SETTINGS))
}

/// The same for those that are worth an error.
pub(super) fn misspelt_essential_setting(name: &str) -> Option<&'static str> {
    if OTHER_SETTINGS.contains(&name) {
        None
    } else {
        misspelt(name, ESSENTIAL_SETTINGS.iter())
    }
}

fn misspelt<'a>(
    name: &str,
    settings: impl Iterator<Item = &'a &'static str> + Clone,
) -> Option<&'static str> {
    // The distance takes time by both lengths, and what is longer than all settings by so much is none of them.
    if name.len() > 64 || settings.clone().any(|setting| *setting == name) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let is_near = |setting: &&'static str| {
        strsim::osa_distance(&lower, setting) <= if setting.len() >= 8 { 2 } else { 1 }
    };
    settings.copied().find(is_near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_misspelt_and_settings_of_others_are_not() {
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
