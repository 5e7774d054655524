//! Stream configuration read from where the operator said it is: a file, a URL, or nowhere (all is in his own file).

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use super::fetch::{FetchError, fetch};
use super::{Catalog, CatalogError};
use crate::config::{StreamsConfig, parse_yaml};
use crate::limits;

/// Why there is no document of stream configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("stream configuration {}: {cause}", path.display())]
    File {
        /// Its path as given.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is too large.
    #[error(
        "stream configuration {}: has more than {} bytes; leave in it the streams that are served here",
        path.display(),
        limits::STREAM_CONFIG_BYTES_MAX
    )]
    TooLarge {
        /// Its path as given.
        path: PathBuf,
    },
    /// The URL gave no document.
    #[error("stream configuration {url}: {cause}")]
    Url {
        /// The URL as it may be shown; see [`shown_uri`].
        url: String,
        /// What went wrong, at the last attempt.
        cause: FetchError,
    },
    /// What was read is neither JSON nor YAML.
    #[error("stream configuration {place}: neither JSON nor YAML: {what}")]
    Syntax {
        /// File or URL.
        place: String,
        /// What is wrong, with the line.
        what: String,
    },
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no document.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The document cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl LoadError {
    /// Whether another start would fail in the same way: all but a URL that does not answer.
    #[must_use]
    pub fn stays(&self) -> bool {
        !matches!(self, Self::Source(SourceError::Url { .. }))
    }

    /// Whether it may come from keys that were wrong and left out.
    #[must_use]
    pub fn may_be_a_consequence(&self) -> bool {
        matches!(
            self,
            Self::Catalog(CatalogError::NoStreams | CatalogError::NothingConfigured { .. })
        )
    }

    /// Each thing that is wrong, with the key of the operator's file that it belongs to; an empty one where there is none.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let of = |key: &str| vec![(key.to_owned(), self.to_string())];
        match self {
            Self::Source(_) => of("stream_config_uri"),
            Self::Catalog(CatalogError::Document(_)) => of("stream_config_object_path"),
            Self::Catalog(
                CatalogError::NothingConfigured { .. } | CatalogError::TooMany { .. },
            ) => of("allowed_streams"),
            Self::Catalog(CatalogError::NoStreams) => of(""),
            Self::Catalog(CatalogError::Streams(errors)) => errors
                .iter()
                .map(|error| (String::new(), error.to_string()))
                .collect(),
        }
    }
}

/// A catalog, and how fresh it is.
#[derive(Debug)]
pub struct Loaded {
    /// The public streams.
    pub catalog: Catalog,
    /// What it was made out of, to make others of when the operator's file changes.
    pub document: Value,
    /// Why it was made out of the last good answer, kept in `stream_config_cache_file`, instead of a fresh one.
    pub stale: Option<LoadError>,
}

/// Reads stream configuration and makes the catalog out of it; for start and reload alike.
///
/// With `stream_config_cache_file`, an answer of the URL from which a catalog could be made is kept there, and is used when the URL is down or
/// answers with something from which none can be made. `user_agent` is our name towards the URL's server.
///
/// # Errors
/// No document or no catalog, and no usable last good answer either.
pub async fn load_catalog(config: &StreamsConfig, user_agent: &str) -> Result<Loaded, LoadError> {
    let error = match load(config, user_agent).await {
        Ok(document) => match Catalog::build(&document, config) {
            Ok(catalog) => {
                keep(config, &document).await;
                return Ok(Loaded {
                    catalog,
                    document,
                    stale: None,
                });
            }
            Err(error) => LoadError::from(error),
        },
        Err(error) => LoadError::from(error),
    };
    let last_good = kept(config)
        .await
        .and_then(|document| Some((Catalog::build(&document, config).ok()?, document)));
    match last_good {
        Some((catalog, document)) => Ok(Loaded {
            catalog,
            document,
            stale: Some(error),
        }),
        None => Err(error),
    }
}

/// The document of stream configuration as it is; [`Value::Null`] without a URI.
///
/// A path is as [`crate::config::Config::read`] left it.
pub async fn load(config: &StreamsConfig, user_agent: &str) -> Result<Value, SourceError> {
    let Some(uri) = config.uri.as_deref() else {
        return Ok(Value::Null);
    };
    if !is_url(uri) {
        let path = file_path(uri);
        let bytes = read(&path).await.map_err(|cause| SourceError::File {
            path: path.clone(),
            cause,
        })?;
        if bytes.len() > limits::STREAM_CONFIG_BYTES_MAX {
            return Err(SourceError::TooLarge { path });
        }
        return decode(&bytes, uri);
    }
    let place = shown_uri(uri);
    let fetched = fetch(uri, &config.uri_options, user_agent).await;
    decode(
        &fetched.map_err(|cause| SourceError::Url {
            url: place.clone(),
            cause,
        })?,
        &place,
    )
}

/// All of a file, or so much of it that it is seen to be too large.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limits::STREAM_CONFIG_BYTES_MAX as u64 + 1;
    tokio::fs::File::open(path)
        .await?
        .take(most)
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}

/// The file that stream configuration is read from, when it is a file: for those who watch it.
pub fn source_file(config: &StreamsConfig) -> Option<PathBuf> {
    config
        .uri
        .as_deref()
        .filter(|uri| !is_url(uri))
        .map(file_path)
}

/// A URL as it may be shown, without name, password and query, which may be secrets; a path as it is.
#[must_use]
pub fn shown_uri(uri: &str) -> String {
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
    let path = uri
        .strip_prefix("file://localhost/")
        .map(|path| format!("/{path}"));
    match path
        .as_deref()
        .or_else(|| uri.strip_prefix("file://"))
        .or_else(|| uri.strip_prefix("file:"))
    {
        Some(path) => percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned()
            .into(),
        None => PathBuf::from(uri),
    }
}

/// JSON, and YAML for everything that is no JSON.
fn decode(bytes: &[u8], place: &str) -> Result<Value, SourceError> {
    let syntax = |what: String| SourceError::Syntax {
        place: place.to_owned(),
        what,
    };
    // JSON is YAML too, but its own parser is faster, and has no budget for size.
    if let Ok(document) = serde_json::from_slice(bytes) {
        return Ok(document);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| syntax(error.to_string()))?;
    parse_yaml(text).map_err(|problem| syntax(problem.to_string()))
}

/// Keeps the last good answer of a URL. A file that cannot be written is worth a warning and no more: the service has what it needs.
async fn keep(config: &StreamsConfig, document: &Value) {
    let (Some(file), true) = (&config.cache_file, is_fetched(config)) else {
        return;
    };
    if let Err(error) = write_whole(Path::new(file), document.to_string().as_bytes()).await {
        tracing::warn!(file, %error, "cannot keep the stream configuration in stream_config_cache_file");
    }
}

/// Writes beside the file and renames, so that a start never finds half of it.
async fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    tokio::fs::write(&beside, bytes).await?;
    tokio::fs::rename(&beside, file).await
}

async fn kept(config: &StreamsConfig) -> Option<Value> {
    let file = config
        .cache_file
        .as_deref()
        .filter(|_| is_fetched(config))?;
    let bytes = tokio::fs::read(file).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn from(uri: impl Into<String>) -> StreamsConfig {
        StreamsConfig {
            uri: Some(uri.into()),
            ..StreamsConfig::default()
        }
    }

    #[tokio::test]
    async fn json_and_yaml_files_are_read_by_path_and_by_file_url() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.json", r#"{"streams": {"a": {}}}"#),
            ("a b.yaml", "streams:\n  a: {}\n"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let path = path.to_str().unwrap();
            let url = format!("file://{}", path.replace(' ', "%20"));
            for uri in [path, &url] {
                assert_eq!(
                    load(&from(uri), "t").await.unwrap(),
                    json!({"streams": {"a": {}}}),
                    "{uri}"
                );
            }
        }
    }

    #[tokio::test]
    async fn without_a_uri_there_is_no_document_and_no_error() {
        assert_eq!(
            load(&StreamsConfig::default(), "t").await.unwrap(),
            Value::Null
        );
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_an_error_with_its_path() {
        let error = load(&from("/nonexistent/streams.yaml"), "t")
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/streams.yaml"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_neither_json_nor_yaml_is_an_error_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.json");
        std::fs::write(&path, "{\"streams\":\n {\"a\": [}\n").unwrap();
        let error = load(&from(path.to_str().unwrap()), "t").await.unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    /// A server that answers what the test says, one answer after the other; 404 when there is none left.
    async fn serve(answers: &[&str]) -> String {
        let answers = std::sync::Arc::new(std::sync::Mutex::new(
            answers
                .iter()
                .rev()
                .map(|answer| (*answer).to_owned())
                .collect::<Vec<_>>(),
        ));
        let handler = move || async move {
            answers
                .lock()
                .unwrap()
                .pop()
                .ok_or(axum::http::StatusCode::NOT_FOUND)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "http://{}/api.php?action=streamconfigs",
            listener.local_addr().unwrap()
        );
        let router = axum::Router::new().route("/api.php", axum::routing::get(handler));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    #[tokio::test]
    async fn the_last_good_answer_of_a_url_is_kept_and_stands_in_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let cache_file = folder.path().join("kept.json").to_str().unwrap().to_owned();
        // A good answer, one that is JSON and no configuration, and a URL that is gone.
        let url = serve(&[r#"{"streams": {"a": {}}}"#, r#"{"error": "internal"}"#]).await;
        let config = StreamsConfig {
            object_path: Some("streams".to_owned()),
            cache_file: Some(cache_file),
            ..from(url)
        };

        let fresh = load_catalog(&config, "t").await.unwrap();
        assert!(fresh.stale.is_none());
        let unusable = load_catalog(&config, "t").await.unwrap();
        assert!(
            matches!(unusable.stale, Some(LoadError::Catalog(_))),
            "{:?}",
            unusable.stale
        );
        let gone = load_catalog(&config, "t").await.unwrap();
        assert!(
            matches!(gone.stale, Some(LoadError::Source(SourceError::Url { .. }))),
            "{:?}",
            gone.stale
        );
        assert_eq!(
            (&unusable.catalog, &gone.catalog),
            (&fresh.catalog, &fresh.catalog)
        );

        let nothing_kept = StreamsConfig {
            cache_file: None,
            ..config
        };
        assert!(load_catalog(&nothing_kept, "t").await.is_err());
    }

    #[tokio::test]
    async fn a_file_of_any_size_is_read_up_to_a_bound_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.json");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(limits::STREAM_CONFIG_BYTES_MAX as u64 + 1)
            .unwrap();
        let error = load(&from(path.to_str().unwrap()), "t").await.unwrap_err();
        assert!(
            matches!(error, SourceError::TooLarge { .. }) && error.to_string().contains("8388608"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_error_repeats_neither_query_nor_credentials_of_the_url() {
        let url = serve(&["[", "["])
            .await
            .replace("http://", "http://user:hunter2@")
            + "&token=hunter3";
        for end in [
            "/api.php: neither JSON nor YAML: ",
            "/api.php: answered 404 Not Found",
        ] {
            let error = load(&from(&url), "t").await.unwrap_err().to_string();
            assert!(
                error.contains(end) && !error.contains("hunter") && !error.contains("user"),
                "{error}"
            );
            let _ = load(&from(&url), "t").await;
        }
    }

    #[test]
    fn what_is_shown_of_a_uri_has_no_secrets() {
        for (uri, shown) in [
            (
                "https://user:p@ss@example.org:8443/a?token=x#y",
                "https://example.org:8443/a",
            ),
            ("HTTP://token@example.org", "HTTP://example.org"),
            ("https://example.org/a@b", "https://example.org/a@b"),
            ("/etc/a?b@c", "/etc/a?b@c"),
        ] {
            assert_eq!(shown_uri(uri), shown);
            assert!(!format!("{:?}", from(uri)).contains("token"), "{uri}");
        }
    }
}
