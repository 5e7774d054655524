//! Why a command fails, and with which exit code.

use crate::server::StartError;

/// Why a command fails.
#[derive(Debug)]
pub(super) enum CliError {
    /// The configuration cannot be used: the next start fails in the same way.
    Config(anyhow::Error),
    /// Anything else: another start may succeed.
    Runtime(anyhow::Error),
}

/// `EX_USAGE` of sysexits.h.
const EXIT_CONFIG: u8 = 64;
const EXIT_RUNTIME: u8 = 1;

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => EXIT_CONFIG,
            Self::Runtime(_) => EXIT_RUNTIME,
        }
    }

    /// The error with its causes, in one text.
    pub(super) fn describe(&self) -> String {
        let (Self::Config(error) | Self::Runtime(error)) = self;
        format!("{error:#}")
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::Runtime(error)
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        if error.is_permanent() {
            Self::Config(error.into())
        } else {
            Self::Runtime(error.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{CatalogError, FetchError, LoadError, SourceError};

    #[test]
    fn only_a_url_that_does_not_answer_is_worth_another_start() {
        let unreachable = SourceError::Url {
            url: "http://localhost/".to_owned(),
            cause: FetchError::NoResponse("refused".to_owned()),
        };
        for (error, exit_code) in [
            (LoadError::from(unreachable), 1),
            (LoadError::from(CatalogError::NoStreams), 64),
        ] {
            let error = CliError::from(StartError::from(error));
            assert_eq!(error.exit_code(), exit_code, "{}", error.describe());
        }
    }
}
