//! Why there is no schema at a URI.

use super::super::error::SchemaError;

/// Why a URI gives no schema. The texts are for clients: they name no path of the file system.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    /// The URI names its whole address.
    #[error("Absolute schema URIs are not allowed but event schema_uri is {uri}")]
    AbsoluteUri {
        /// The URI.
        uri: String,
    },
    /// No base has a usable document.
    #[error("Failed loading schema at {uri}")]
    NoDocument {
        /// The URI.
        uri: String,
        /// Each base with its reason, for the log.
        failed: Vec<(String, BaseError)>,
    },
    /// The document is no schema that can be used.
    #[error(transparent)]
    Schema(SchemaError),
}

impl LoadError {
    /// Whether another attempt may succeed at once: a base could not be reached.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NoDocument { failed, .. } => failed
                .iter()
                .any(|(_, error)| matches!(error, BaseError::Unreachable(_))),
            Self::AbsoluteUri { .. } | Self::Schema(_) => false,
        }
    }
}

/// Why a base has no usable document at a URI.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BaseError {
    /// There is none.
    #[error("not found")]
    NotFound,
    /// The URI leads out of the base.
    #[error("the URI leads out of the base")]
    Outside,
    /// It cannot be read now.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It has more bytes than a schema may have.
    #[error("the document is too large")]
    TooLarge,
    /// It is neither YAML nor JSON.
    #[error("neither YAML nor JSON: {0}")]
    Syntax(String),
    /// Its rules are not cheap to judge.
    #[error("not secure: {}", .0.join(", "))]
    Insecure(Vec<String>),
}
