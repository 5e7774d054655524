//! Stream configuration from a file or a URL, and the cache of the last good response.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::fetch::{FetchError, fetch};
use super::{Catalog, CatalogError};
use crate::config::{Diagnostic, StreamsConfig, parse_yaml};
use crate::limits;

/// Why the document of stream configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("stream configuration {}: {cause}", path.display())]
    File {
        /// Its path as given.
        path: PathBuf,
        /// The error of the system.
        cause: std::io::Error,
    },
    /// The file is too large.
    #[error(
        "stream configuration {}: larger than {} bytes; keep only the streams that this service \
         serves",
        path.display(),
        limits::STREAM_CONFIG_BYTES_MAX
    )]
    TooLarge {
        /// Its path as given.
        path: PathBuf,
    },
    /// The URL gives no document.
    #[error("stream configuration {url}: {cause}")]
    Url {
        /// The URL without secrets; see [`redacted_uri`].
        url: String,
        /// The error of the last attempt.
        cause: FetchError,
    },
    /// The document is neither JSON nor YAML.
    #[error("stream configuration {uri}: neither JSON nor YAML: {message}")]
    Syntax {
        /// The file or the URL, without secrets.
        uri: String,
        /// What is wrong, with the line.
        message: String,
    },
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The document cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The document cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl LoadError {
    /// Whether the next start would fail in the same way: true except for a URL that does not
    /// answer.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Source(SourceError::Url { .. }))
    }

    /// Whether keys of the operator's file that are wrong, and were left out, may be the cause.
    #[must_use]
    pub fn may_be_a_consequence(&self) -> bool {
        matches!(
            self,
            Self::Catalog(CatalogError::NoStreams | CatalogError::NothingConfigured { .. })
        )
    }

    /// Everything that is wrong, each under the key of the operator's file that it belongs to, or
    /// an empty path.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let key = match self {
            Self::Source(_) => "stream_config_uri",
            Self::Catalog(CatalogError::Document(_)) => "stream_config_object_path",
            Self::Catalog(
                CatalogError::NothingConfigured { .. } | CatalogError::TooMany { .. },
            ) => "allowed_streams",
            Self::Catalog(CatalogError::NoStreams) => "",
            Self::Catalog(CatalogError::Streams(errors)) => {
                return errors
                    .iter()
                    .map(|error| Diagnostic::new("", error.to_string()))
                    .collect();
            }
        };
        vec![Diagnostic::new(key, self.to_string())]
    }
}

/// A catalog, and how fresh it is.
#[derive(Debug)]
pub struct Loaded {
    /// The public streams.
    pub catalog: Catalog,
    /// The document of the catalog; a change of the operator's file makes another catalog from it.
    pub document: Value,
    /// Why the document comes from `stream_config_cache_file`; `None` if it is fresh.
    pub stale: Option<LoadError>,
}

/// Reads stream configuration and builds the catalog, at startup and at a reload.
///
/// With `stream_config_cache_file`, this caches each response of the URL from which a catalog can
/// be built, and uses the cached one if the URL gives none. `user_agent` is the name of this
/// program in requests.
///
/// # Errors
/// There is no usable document, and no cached one either.
pub async fn load_catalog(config: &StreamsConfig, user_agent: &str) -> Result<Loaded, LoadError> {
    let error = match load_fresh(config, user_agent).await {
        Ok(loaded) => return Ok(loaded),
        Err(error) => error,
    };
    match load_cached(config).await {
        Some((document, catalog)) => Ok(Loaded {
            catalog,
            document,
            stale: Some(error),
        }),
        None => Err(error),
    }
}

async fn load_fresh(config: &StreamsConfig, user_agent: &str) -> Result<Loaded, LoadError> {
    let document = load(config, user_agent).await?;
    let catalog = Catalog::build(&document, config)?;
    store_cache(config, &document).await;
    Ok(Loaded {
        catalog,
        document,
        stale: None,
    })
}

async fn load_cached(config: &StreamsConfig) -> Option<(Value, Catalog)> {
    let document = load_cache(config).await?;
    let catalog = Catalog::build(&document, config).ok()?;
    Some((document, catalog))
}

/// The document of stream configuration; [`Value::Null`] without a URI.
///
/// [`crate::config::Config::read`] has resolved relative paths.
pub async fn load(config: &StreamsConfig, user_agent: &str) -> Result<Value, SourceError> {
    let Some(uri) = config.uri.as_deref() else {
        return Ok(Value::Null);
    };
    if !is_url(uri) {
        let path = file_path(uri);
        return decode(&read_file(path).await?, uri);
    }
    let url = redacted_uri(uri);
    match fetch(uri, &config.uri_options, user_agent).await {
        Ok(bytes) => decode(&bytes, &url),
        Err(cause) => Err(SourceError::Url { url, cause }),
    }
}

async fn read_file(path: PathBuf) -> Result<Vec<u8>, SourceError> {
    match read_bounded(&path).await {
        Ok(bytes) if bytes.len() > limits::STREAM_CONFIG_BYTES_MAX => {
            Err(SourceError::TooLarge { path })
        }
        Ok(bytes) => Ok(bytes),
        Err(cause) => Err(SourceError::File { path, cause }),
    }
}

/// The bytes of a file, up to one more than the limit.
async fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bytes_max = limits::STREAM_CONFIG_BYTES_MAX as u64 + 1;
    tokio::fs::File::open(path)
        .await?
        .take(bytes_max)
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}

/// The file of stream configuration, if it is a file: a reload watches it.
pub fn source_file(config: &StreamsConfig) -> Option<PathBuf> {
    config
        .uri
        .as_deref()
        .filter(|uri| !is_url(uri))
        .map(file_path)
}

/// A URL for display, without user, password and query, which may be secrets; a path as it is.
#[must_use]
pub fn redacted_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://").filter(|_| is_url(uri)) else {
        return uri.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// Whether stream configuration comes from a URL.
pub fn is_fetched(config: &StreamsConfig) -> bool {
    config.uri.as_deref().is_some_and(is_url)
}

fn is_url(uri: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        uri.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// `file:///path` (RFC 8089) and `file:path` are paths too.
fn file_path(uri: &str) -> PathBuf {
    let on_localhost = uri
        .strip_prefix("file://localhost/")
        .map(|path| format!("/{path}"));
    let encoded = on_localhost
        .as_deref()
        .or_else(|| uri.strip_prefix("file://"))
        .or_else(|| uri.strip_prefix("file:"));
    match encoded {
        Some(path) => percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned()
            .into(),
        None => PathBuf::from(uri),
    }
}

/// Reads JSON, or YAML if the document is not JSON.
fn decode(bytes: &[u8], uri: &str) -> Result<Value, SourceError> {
    // JSON is YAML too, but its own parser is faster and has no limit of nodes.
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok(document);
    }
    let syntax_error = |message: String| SourceError::Syntax {
        uri: uri.to_owned(),
        message,
    };
    let text = std::str::from_utf8(bytes).map_err(|error| syntax_error(error.to_string()))?;
    parse_yaml(text).map_err(|error| syntax_error(error.to_string()))
}

/// Caches the document of a URL. If the file cannot be written, a warning is enough: the service
/// has its document.
async fn store_cache(config: &StreamsConfig, document: &Value) {
    let Some(file) = cache_file(config) else {
        return;
    };
    let written = write_atomically(Path::new(file), document.to_string().as_bytes()).await;
    if let Err(error) = written {
        tracing::warn!(file, %error, "cannot write stream_config_cache_file");
    }
}

async fn load_cache(config: &StreamsConfig) -> Option<Value> {
    let bytes = tokio::fs::read(cache_file(config)?).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Only what comes from a URL is cached.
fn cache_file(config: &StreamsConfig) -> Option<&str> {
    config.cache_file.as_deref().filter(|_| is_fetched(config))
}

/// Writes beside the file and renames, so that no start finds half a file.
async fn write_atomically(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, file).await
}

#[cfg(test)]
mod tests;
