//! Paths that the file names are relative to the file, wherever the program is started from. Those of the environment are
//! relative to the working directory, like those of the command line.

use std::path::Path;

use serde_json::Value;

use super::layout::Layout;

/// Keys that take a path. One of them takes URLs too.
const KEYS: &[&str] = &["stream_config_uri", "stream_config_cache_file"];

/// Properties of librdkafka that take the path of a file.
pub const PATH_PROPERTIES: &[&str] = &[
    "https.ca.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.engine.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

/// Puts `folder`, where the file is, before the relative paths in `layout`.
pub(super) fn resolve(layout: &mut Layout, folder: &Path) {
    for key in KEYS {
        if let Some(value) = layout.values.get_mut(*key) {
            resolve_one(value, folder);
        }
    }
    if let Some(Value::Object(properties)) = layout.values.get_mut("kafka") {
        for property in PATH_PROPERTIES {
            // Not a path but a word: librdkafka looks where systems keep their authorities.
            if let Some(value) = properties
                .get_mut(*property)
                .filter(|value| *value != "probe")
            {
                resolve_one(value, folder);
            }
        }
    }
}

fn resolve_one(value: &mut Value, folder: &Path) {
    let Value::String(text) = value else { return };
    // `file:name` is relative, `file:/name` and `file:///name` are not.
    let path = text.strip_prefix("file:").unwrap_or(text);
    if !path.is_empty() && !path.contains("://") && !path.starts_with('/') {
        *text = folder.join(path).to_string_lossy().into_owned();
    }
}
