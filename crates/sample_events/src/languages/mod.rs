//! The words of a language: what its titles, sections, comments and namespaces are made of.
//!
//! Each language has a handful of everyday nouns and phrases. With the names that `names` makes
//! from syllables, they give titles and comments in the right script, direction and length. An
//! empty phrase means English, as on a wiki whose interface is not translated.
//!
//! * `latin`: English and other languages in Latin script. `romance`: the Romance languages.
//! * `europe`: Cyrillic, Greek, Armenian, Georgian.
//! * `world`: right-to-left, Indic, Ethiopic, Thai and East Asian scripts.

mod europe;
mod latin;
mod romance;
mod world;

use crate::names::Script;

pub(crate) use latin::ENGLISH;

/// The words of one language.
#[derive(Debug)]
pub(crate) struct Language {
    /// Its code, as in the domain of its Wikipedia.
    pub(crate) code: &'static str,
    /// The script that names are made in.
    pub(crate) script: Script,
    /// Local names of the namespaces talk, user, user talk, project (of the Wikipedia), file,
    /// template, category.
    pub(crate) namespaces: [&'static str; 7],
    /// Whether "museum of" stands before the name it belongs to, and not behind.
    pub(crate) noun_first: bool,
    /// What stands between noun and name.
    pub(crate) space: &'static str,
    /// Nouns for titles: "Museum of", "River", ...
    pub(crate) nouns: &'static [&'static str],
    /// Headings of sections.
    pub(crate) sections: &'static [&'static str],
    /// Edit summaries.
    pub(crate) summaries: &'static [&'static str],
    /// The beginning of an undo's summary; the revision and its user follow.
    pub(crate) undone: &'static str,
    /// What a categorize event says of a page that joins a category.
    pub(crate) added: &'static str,
    /// The same of one that leaves it.
    pub(crate) removed: &'static str,
}

impl Language {
    /// The language of that code; English for a code without words of its own.
    pub(crate) fn of(code: &str) -> &'static Language {
        let tables = [
            latin::LANGUAGES,
            romance::LANGUAGES,
            europe::LANGUAGES,
            world::LANGUAGES,
        ];
        tables
            .iter()
            .flat_map(|table| table.iter())
            .find(|language| language.code == code)
            .unwrap_or(&ENGLISH)
    }

    /// What a categorize event says of a page that joins (or leaves) a category, in English where
    /// there is no translation.
    pub(crate) fn categorized(&self, joins: bool) -> &'static str {
        let (own, english) = if joins {
            (self.added, ENGLISH.added)
        } else {
            (self.removed, ENGLISH.removed)
        };
        if own.is_empty() { english } else { own }
    }
}
