//! The streams that the path of a request names, and hints for invalid names.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::limits;
use crate::problem::Problem;
use crate::spelling::similar;
use crate::stream::{Catalog, Stream, Topic};

/// The paths of streams, before their names.
const PATHS: [&str; 2] = ["/v2/stream/", "/v1/stream/"];

/// Invalid names of one request that get a hint.
const HINTS_MAX: usize = 3;

/// The streams that the path of a request names (`/v2/stream/a,b`, percent-encoded), aliases
/// resolved, each once, in the order of the path. At most `max` names are looked at.
///
/// # Errors
/// [`Problem::StreamsPerRequestLimit`]; [`Problem::StreamNotFound`] with all names that are not
/// public; [`Problem::StreamGone`].
pub fn requested_streams(
    catalog: &Catalog,
    path: &str,
    max: usize,
) -> Result<Vec<Arc<Stream>>, Problem> {
    let mut names = PATHS.iter().filter_map(|known| path.strip_prefix(known));
    let names = names.next().unwrap_or("");
    let names = percent_decode_str(names.strip_suffix('/').unwrap_or(names)).decode_utf8_lossy();
    let requested = names.split(',').count();
    if requested > max {
        return Err(Problem::StreamsPerRequestLimit { requested, max });
    }
    resolve(catalog, &names)
}

/// The public stream of this name or alias.
///
/// # Errors
/// [`Problem::StreamNotFound`]; [`Problem::StreamGone`].
pub(super) fn named_stream(catalog: &Catalog, name: &str) -> Result<Arc<Stream>, Problem> {
    match catalog.resolve(name) {
        Some(stream) => Ok(Arc::clone(stream)),
        None if catalog.is_unconfigured(name) => Err(Problem::StreamGone(vec![name.to_owned()])),
        None => {
            let names = vec![name.to_owned()];
            let hints = hints(catalog, &names);
            Err(Problem::StreamNotFound { names, hints })
        }
    }
}

fn resolve(catalog: &Catalog, names: &str) -> Result<Vec<Arc<Stream>>, Problem> {
    let mut streams: Vec<Arc<Stream>> = Vec::new();
    let mut invalid: Vec<String> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    for name in names.split(',').map(str::trim) {
        match catalog.resolve(name) {
            Some(stream) if streams.iter().any(|known| known.name == stream.name) => {}
            Some(stream) => streams.push(Arc::clone(stream)),
            None if catalog.is_unconfigured(name) => gone.push(name.to_owned()),
            None if invalid.iter().any(|known| known == name) => {}
            None => invalid.push(name.to_owned()),
        }
    }
    if !invalid.is_empty() {
        let hints = hints(catalog, &invalid);
        Err(Problem::StreamNotFound {
            names: invalid,
            hints,
        })
    } else if !gone.is_empty() {
        Err(Problem::StreamGone(gone))
    } else {
        Ok(streams)
    }
}

/// Hints for the first few of these names. They name public streams only.
fn hints(catalog: &Catalog, invalid: &[String]) -> Vec<String> {
    let hints = invalid.iter().take(HINTS_MAX);
    let mut hints: Vec<String> = hints.filter_map(|name| hint(catalog, name)).collect();
    hints.push("The streams are listed at /?doc, for programs at /?spec.".to_owned());
    hints
}

fn hint(catalog: &Catalog, name: &str) -> Option<String> {
    if name.is_empty() {
        return Some(
            "A name is empty: remove the extra comma, or add the name of a stream.".to_owned(),
        );
    }
    if name.len() > limits::COMPARED_NAME_BYTES_MAX {
        return None;
    }
    let of_topic = catalog.streams_of_topic(&Topic::from(name));
    if let Some(stream) = of_topic.first() {
        return Some(format!(
            "{name} is a topic of {stream}: request that stream."
        ));
    }
    let streams = catalog.streams().map(|stream| stream.name.as_str());
    let aliases = catalog.aliases().map(|(alias, _)| alias);
    similar(name, streams.chain(aliases))
        .map(|similar| format!("Instead of {name}, did you mean {similar}?"))
}
