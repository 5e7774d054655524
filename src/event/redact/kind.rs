//! How the events of a topic are redacted.

use crate::stream::StreamName;

/// How an event of a named page is redacted. Every stream loses `performer`, `user`,
/// `revision.editor` and `prior_state.revision.editor`. Streams of `page_change` keep an empty
/// `performer`, because their schema requires one.
///
/// An event is rendered once for all streams of its topic, so one stream of `page_change` decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactionKind {
    /// `performer` becomes `{}`.
    pub(super) page_change: bool,
}

impl RedactionKind {
    /// For a topic of which nothing is known.
    pub fn strictest() -> Self {
        Self { page_change: true }
    }

    /// For the streams that a topic serves. A stream is one of `page_change` when a part of its
    /// name between dots is: `mediawiki.page_change.v1`, `page_change`.
    pub fn of_streams(names: &[StreamName]) -> Self {
        let is_page_change =
            |name: &StreamName| name.as_str().split('.').any(|part| part == "page_change");
        Self {
            page_change: names.iter().any(is_page_change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(names: &[&str]) -> RedactionKind {
        RedactionKind::of_streams(&names.iter().map(|&name| name.into()).collect::<Vec<_>>())
    }

    #[test]
    fn the_streams_name_decides_the_kind() {
        for name in [
            "mediawiki.page_change.v1",
            "mediawiki.page_change.v2",
            "page_change",
            "rc0.page_change.private.v1",
        ] {
            assert!(kind(&[name]).page_change, "{name}");
        }
        for name in [
            "mediawiki.recentchange",
            "mediawiki.page-change",
            "mediawiki.page_changes",
            "test",
        ] {
            assert!(!kind(&[name]).page_change, "{name}");
        }
        assert!(!kind(&[]).page_change);
        assert!(kind(&["recentchange", "a.page_change.v1", "test"]).page_change);
    }
}
