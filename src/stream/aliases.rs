//! The aliases of public streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings::is_valid_in_url;
use super::{Stream, StreamError, StreamName, StreamProblem};

/// Every alias with its stream. A clash is an error: the meaning of an alias must not depend on an
/// order.
///
/// Only public streams count: the aliases of other streams stay free.
pub(super) fn collect(
    streams: &BTreeMap<StreamName, Arc<Stream>>,
    errors: &mut Vec<StreamError>,
) -> BTreeMap<String, Arc<Stream>> {
    let mut aliases: BTreeMap<String, Arc<Stream>> = BTreeMap::new();
    for stream in streams.values() {
        for alias in &stream.aliases {
            let alias = alias.clone();
            let problem = if !is_valid_in_url(&alias) {
                StreamProblem::AliasName { alias }
            } else if streams.contains_key(alias.as_str()) {
                StreamProblem::AliasIsStream { alias }
            } else if let Some(other) = aliases.get(&alias) {
                StreamProblem::AliasTwice {
                    alias,
                    other: other.name.clone(),
                }
            } else {
                aliases.insert(alias, Arc::clone(stream));
                continue;
            };
            errors.push(StreamError {
                stream: stream.name.to_string(),
                problem,
            });
        }
    }
    aliases
}
