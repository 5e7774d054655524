//! Makes relative paths in the file relative to its folder, wherever the program is started. Paths
//! in the environment stay relative to the working directory, as those of the command line are.

use std::path::Path;

use serde_json::Value;

use super::flat::FlatConfig;

/// Keys that hold a path. `stream_config_uri` may also hold a URL.
const KEYS: &[&str] = &["stream_config_uri", "stream_config_cache_file"];

/// Properties of librdkafka that hold the path of a file.
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

/// Prefixes the relative paths in `flat` with `folder`, the folder of the file.
pub(super) fn resolve(flat: &mut FlatConfig, folder: &Path) {
    for key in KEYS {
        if let Some(value) = flat.values.get_mut(*key) {
            resolve_one(value, folder);
        }
    }
    if let Some(Value::Object(properties)) = flat.values.get_mut("kafka") {
        for property in PATH_PROPERTIES {
            // `probe` is not a path: librdkafka looks in the usual places for CA certificates.
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
