//! Where the configuration of streams and their schemas comes from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the configuration of streams comes from, and which of them are public.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
        f.debug_struct("UriOptions").field("headers", &self.headers.keys()).field("timeout_ms", &self.timeout_ms).finish()
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
