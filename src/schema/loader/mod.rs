//! Loads schemas by their URIs, from folders and over HTTP.
//!
//! A relative URI is appended to each base in order, and the first document that loads counts. A
//! load is shared by all that wait for it, its result is kept, and so is its failure for a short
//! time. A URI never leads out of the folder of its base.
//!
//! * `base`: one base, and what a URI means there. `file`, `http`: documents from these.
//! * `flights`: loads that are shared and kept. `error`: why there is no schema.

mod base;
mod error;
mod file;
mod flights;
mod http;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use error::{BaseError, LoadError};

use super::compile::Documents;
use super::error::SchemaError;
use super::metaschema;
use super::secure::insecurities;
use super::{Schema, loader::base::Base};
use flights::{Flights, Keep};

/// How many documents one schema may refer to, directly or through others.
const DOCUMENTS_MAX: usize = 100;

/// Where schemas come from, and how long they are kept.
#[derive(Clone, Debug)]
pub struct LoaderConfig {
    /// Folders, `file:` URLs of folders and http(s) URLs, in the order in which they are tried.
    pub base_uris: Vec<String>,
    /// Appended to a URI whose last part has no extension.
    pub file_extension: Option<String>,
    /// Whether a URI may name its whole address.
    pub allow_absolute_uris: bool,
    /// The time for one request.
    pub fetch_timeout: Duration,
    /// How long a URI without a schema is remembered.
    pub negative_ttl: Duration,
    /// How long a schema is kept whose URI ends in `latest`.
    pub latest_ttl: Duration,
    /// How many schemas are kept.
    pub capacity: usize,
    /// The name of this program in requests.
    pub user_agent: String,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            base_uris: Vec::new(),
            file_extension: None,
            allow_absolute_uris: false,
            fetch_timeout: Duration::from_secs(5),
            negative_ttl: Duration::from_secs(10),
            latest_ttl: Duration::from_mins(1),
            capacity: 10_000,
            user_agent: "eventstreams".to_owned(),
        }
    }
}

/// Schemas by their URIs.
#[derive(Debug)]
pub struct SchemaLoader {
    bases: Vec<Base>,
    client: reqwest::Client,
    config: LoaderConfig,
    documents: Flights<Value>,
    schemas: Flights<Schema>,
}

impl SchemaLoader {
    /// A loader that has loaded nothing yet.
    ///
    /// # Errors
    /// A base is not usable; the text names it.
    pub fn new(config: LoaderConfig) -> Result<Self, String> {
        let bases = config.base_uris.iter().map(|uri| Base::new(uri));
        let client = http::client(&config.user_agent, config.fetch_timeout);
        Ok(Self {
            bases: bases.collect::<Result<_, _>>()?,
            client: client.map_err(|error| error.to_string())?,
            documents: Flights::new(config.capacity),
            schemas: Flights::new(config.capacity),
            config,
        })
    }

    /// The compiled schema of a URI.
    ///
    /// # Errors
    /// There is no document at the URI, or it is no schema.
    pub async fn load(&self, uri: &str) -> Result<Arc<Schema>, LoadError> {
        let load = async { self.compile(uri).await.map(Arc::new) };
        self.schemas
            .get(uri, load, |result| self.keep(uri, result))
            .await
    }

    fn keep<T>(&self, uri: &str, result: &Result<T, LoadError>) -> Keep {
        match result {
            Ok(_) if is_latest(uri) => Keep::For(self.config.latest_ttl),
            Ok(_) => Keep::Forever,
            Err(error) if error.is_temporary() => Keep::No,
            Err(_) => Keep::For(self.config.negative_ttl),
        }
    }

    /// Compiles the document of a URI; loads the documents that it turns out to refer to.
    async fn compile(&self, uri: &str) -> Result<Schema, LoadError> {
        let document = self.document(uri).await?;
        let mut others = Documents::new();
        loop {
            let missing = match Schema::compile(&document, &others) {
                Ok(schema) => return Ok(schema),
                Err(SchemaError::MissingDocument { uri, .. })
                    if others.len() < DOCUMENTS_MAX && !others.contains_key(&uri) =>
                {
                    uri
                }
                Err(error) => return Err(LoadError::Schema(error)),
            };
            let other = self.document(&missing).await?;
            metaschema::check(&other).map_err(LoadError::Schema)?;
            others.insert(missing, other);
        }
    }

    async fn document(&self, uri: &str) -> Result<Arc<Value>, LoadError> {
        let load = async { self.read(uri).await.map(Arc::new) };
        self.documents
            .get(uri, load, |result| self.keep(uri, result))
            .await
    }

    async fn read(&self, uri: &str) -> Result<Value, LoadError> {
        let has_extension = base::has_extension(uri);
        let extension = self
            .config
            .file_extension
            .as_deref()
            .filter(|_| !has_extension);
        let address = format!("{uri}{}", extension.unwrap_or_default());
        let mut failed = Vec::new();
        if base::has_protocol(uri) {
            if !self.config.allow_absolute_uris {
                return Err(LoadError::AbsoluteUri {
                    uri: uri.to_owned(),
                });
            }
            match self.read_absolute(&address).await {
                Ok(document) => return Ok(document),
                Err(error) => failed.push((address, error)),
            }
        } else {
            for base in &self.bases {
                match self.read_from(base, &address).await {
                    Ok(document) => return Ok(document),
                    Err(error) => failed.push((base.uri().to_owned(), error)),
                }
            }
        }
        let uri = uri.to_owned();
        Err(LoadError::NoDocument { uri, failed })
    }

    async fn read_from(&self, base: &Base, uri: &str) -> Result<Value, BaseError> {
        match base {
            Base::Folder { folder, .. } => {
                let path = base.path(uri).ok_or(BaseError::Outside)?;
                secure_document(&file::read_inside(folder, &path).await?)
            }
            Base::Url { .. } => {
                let url = base.url(uri).ok_or(BaseError::Outside)?;
                secure_document(&http::read(&self.client, url).await?)
            }
        }
    }

    async fn read_absolute(&self, uri: &str) -> Result<Value, BaseError> {
        let bytes = match Base::new(uri) {
            Ok(Base::Folder { folder, .. }) => file::read(&folder).await?,
            Ok(Base::Url { url, .. }) => http::read(&self.client, url).await?,
            Err(_) => return Err(BaseError::Outside),
        };
        secure_document(&bytes)
    }
}

fn is_latest(uri: &str) -> bool {
    let last = uri.rsplit('/').next().unwrap_or_default();
    last.split(['.', '#', '?']).next() == Some("latest")
}

/// The document of a text in YAML, or in JSON, which is YAML.
fn secure_document(bytes: &[u8]) -> Result<Value, BaseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| BaseError::Syntax("no UTF-8".to_owned()))?;
    let document = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(_) => {
            crate::config::parse_yaml(text).map_err(|error| BaseError::Syntax(error.to_string()))?
        }
    };
    match insecurities(&document) {
        reasons if reasons.is_empty() => Ok(document),
        reasons => Err(BaseError::Insecure(reasons)),
    }
}
