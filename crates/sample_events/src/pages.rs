//! What a wiki consists of: users, pages, revisions and their content.

use crate::comments::Comment;
use crate::rng::Rng;
use crate::titles::namespace::{LEXEME, MAIN, PAGE, PROPERTY};
use crate::wikis::{Project, Wiki};
use std::sync::Arc;

/// Somebody who does something on a wiki.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Absent for an address.
    pub(crate) id: Option<u64>,
    pub(crate) groups: &'static [&'static str],
    /// When the account was made, in milliseconds since 1970; absent for an address.
    pub(crate) registered_ms: Option<i64>,
    /// Edits so far; absent for an address.
    pub(crate) edits: Option<u64>,
    pub(crate) bot: bool,
    pub(crate) temporary: bool,
}

/// The content of one slot of a revision.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) model: &'static str,
    pub(crate) format: &'static str,
    pub(crate) size: u64,
    pub(crate) sha1: String,
    /// The revision that this content came with.
    pub(crate) origin: u64,
}

/// One revision of a page.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    pub(crate) id: u64,
    /// The revision before; 0 when it is the page's first.
    pub(crate) parent: u64,
    /// When it was saved, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    pub(crate) minor: bool,
    pub(crate) main: Slot,
    /// The structured description that files on Commons have beside their text.
    pub(crate) mediainfo: Option<Slot>,
    pub(crate) comment: Comment,
    pub(crate) editor: Arc<User>,
}

impl Revision {
    /// The size of all slots together, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.main.size + self.mediainfo.as_ref().map_or(0, |slot| slot.size)
    }

    /// The hash of all slots: a single slot's own; of two, their digits in turn.
    pub(crate) fn sha1(&self) -> String {
        let Some(mediainfo) = &self.mediainfo else {
            return self.main.sha1.clone();
        };
        let both = self
            .main
            .sha1
            .chars()
            .zip(mediainfo.sha1.chars())
            .enumerate();
        both.map(|(place, (main, mediainfo))| if place % 2 == 0 { main } else { mediainfo })
            .collect()
    }
}

/// One page, as of its newest revision.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) id: u64,
    pub(crate) namespace: i64,
    /// The title with its namespace in front and spaces between words.
    pub(crate) title: Arc<str>,
    /// The title that it leads to, if it is a redirect, and that page's number.
    pub(crate) redirect: Option<(Arc<str>, u64)>,
    /// How many revisions it has.
    pub(crate) revisions: u64,
    pub(crate) head: Arc<Revision>,
}

impl Page {
    /// The title with underscores between words, as databases keep it.
    pub(crate) fn key_title(&self) -> String {
        self.title.replace(' ', "_")
    }
}

/// Whether pages of that namespace hold an entity of a knowledge base, not text.
pub(crate) fn holds_entity(wiki: &Wiki, namespace: i64) -> bool {
    wiki.project == Project::Wikidata && matches!(namespace, MAIN | PROPERTY | LEXEME)
}

/// New content for the main slot of a page of that namespace.
pub(crate) fn content(rng: &mut Rng, wiki: &Wiki, namespace: i64, size: u64, origin: u64) -> Slot {
    let (model, format) = match (wiki.project, namespace) {
        (Project::Wikidata, MAIN) => ("wikibase-item", "application/json"),
        (Project::Wikidata, PROPERTY) => ("wikibase-property", "application/json"),
        (Project::Wikidata, LEXEME) => ("wikibase-lexeme", "application/json"),
        (_, PAGE) => ("proofread-page", "text/x-wiki"),
        _ => ("wikitext", "text/x-wiki"),
    };
    Slot {
        model,
        format,
        size,
        sha1: rng.sha1_base36(),
        origin,
    }
}

/// New structured description of a file.
pub(crate) fn description(rng: &mut Rng, size: u64, origin: u64) -> Slot {
    Slot {
        model: "wikibase-mediainfo",
        format: "application/json",
        size,
        sha1: rng.sha1_base36(),
        origin,
    }
}
