//! One base, and what a URI means there.

use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// Where documents are.
#[derive(Debug)]
pub(super) enum Base {
    Folder { uri: String, folder: PathBuf },
    Url { uri: String, url: Url },
}

impl Base {
    pub(super) fn new(uri: &str) -> Result<Self, String> {
        let text = uri.to_owned();
        if uri.starts_with("http://") || uri.starts_with("https://") {
            let url = Url::parse(uri).map_err(|error| format!("{uri}: {error}"))?;
            return Ok(Self::Url { uri: text, url });
        }
        let folder = if let Some(path) = uri.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            let path = percent_decode_str(path).decode_utf8();
            path.map_err(|_| format!("{uri}: no UTF-8"))?
                .into_owned()
                .into()
        } else if has_protocol(uri) {
            return Err(format!("{uri}: neither a folder nor an http(s) URL"));
        } else {
            PathBuf::from(uri)
        };
        Ok(Self::Folder { uri: text, folder })
    }

    pub(super) fn uri(&self) -> &str {
        match self {
            Self::Folder { uri, .. } | Self::Url { uri, .. } => uri,
        }
    }

    /// The part of a URI below the base. The URI is appended to the base as text, so that one of
    /// the two has a slash, or both.
    fn below<'u>(&self, uri: &'u str) -> Option<&'u str> {
        let has_slash = uri.starts_with('/') || self.uri().ends_with('/');
        has_slash.then(|| uri.trim_start_matches('/'))
    }

    /// The path of a URI in a folder, unless it leads out of it.
    pub(super) fn path(&self, uri: &str) -> Option<PathBuf> {
        let mut path = PathBuf::new();
        for component in Path::new(self.below(uri)?).components() {
            match component {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                Component::ParentDir if path.pop() => {}
                _ => return None,
            }
        }
        Some(path)
    }

    /// The URL of a URI, unless it leads out of the base.
    pub(super) fn url(&self, uri: &str) -> Option<Url> {
        let Self::Url {
            uri: text,
            url: base,
        } = self
        else {
            return None;
        };
        let below = self.below(uri)?;
        let folder = text.trim_end_matches('/');
        let url = Url::parse(&format!("{folder}/{below}")).ok()?;
        let path = base.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(path)?;
        (url.origin() == base.origin() && rest.starts_with('/')).then_some(url)
    }
}

/// Whether a URI names its whole address.
pub(super) fn has_protocol(uri: &str) -> bool {
    let scheme = uri.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Whether the last part of a URI has an extension: `.0` of a version is none.
pub(super) fn has_extension(uri: &str) -> bool {
    let last = uri.rsplit('/').next().unwrap_or_default();
    let extension = last.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    extension.is_some_and(|(_, text)| {
        !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit())
    })
}
