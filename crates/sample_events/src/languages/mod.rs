//! The words of a language: what its titles, sections, comments and namespaces are made of.
//!
//! A handful of everyday nouns and phrases for each language is enough: together with syllable-made names (see
//! `names`) they give titles and comments in the right script, direction and length. Where a phrase is empty, English
//! stands in, as it does on a wiki whose interface is not translated.
//!
//! * `latin`: languages in Latin script.
//! * `europe`: Cyrillic, Greek, Armenian, Georgian.
//! * `world`: right-to-left, Indic, Ethiopic, Thai and East Asian scripts.

mod europe;
mod latin;
mod world;

use super::names::Script;

pub(super) use latin::ENGLISH;

/// The words of one language.
#[derive(Debug)]
pub(super) struct Language {
    /// Its code, as in the domain of its Wikipedia.
    pub(super) code: &'static str,
    /// The script that names are made in.
    pub(super) script: Script,
    /// Local names of the namespaces talk, user, user talk, project (of the Wikipedia), file, template, category.
    pub(super) namespaces: [&'static str; 7],
    /// Whether "museum of" stands before the name it belongs to, and not behind.
    pub(super) noun_first: bool,
    /// What stands between noun and name.
    pub(super) space: &'static str,
    /// Nouns for titles: "Museum of", "River", ...
    pub(super) nouns: &'static [&'static str],
    /// Headings of sections.
    pub(super) sections: &'static [&'static str],
    /// Edit summaries.
    pub(super) summaries: &'static [&'static str],
    /// The beginning of an undo's summary; the revision and its user follow.
    pub(super) undone: &'static str,
    /// What a categorize event says of a page that joins a category.
    pub(super) added: &'static str,
    /// The same of one that leaves it.
    pub(super) removed: &'static str,
}

impl Language {
    /// The language of that code; English for a code without words of its own.
    pub(super) fn of(code: &str) -> &'static Language {
        let tables = [latin::LANGUAGES, europe::LANGUAGES, world::LANGUAGES];
        tables
            .iter()
            .flat_map(|table| table.iter())
            .find(|language| language.code == code)
            .unwrap_or(&ENGLISH)
    }

    /// What a categorize event says of a page that joins (or leaves) a category, in English where there is no translation.
    pub(super) fn categorized(&self, joins: bool) -> &'static str {
        let (own, english) = if joins {
            (self.added, ENGLISH.added)
        } else {
            (self.removed, ENGLISH.removed)
        };
        if own.is_empty() { english } else { own }
    }
}
