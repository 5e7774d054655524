//! Titles of pages: the names of namespaces, which of them has activity, and what titles there look
//! like.

use crate::languages::Language;
use crate::names;
use crate::rng::Rng;
use crate::wikis::{self, Project, Wiki};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Namespace numbers, as MediaWiki numbers them.
pub(crate) mod namespace {
    pub(crate) const MAIN: i64 = 0;
    pub(crate) const TALK: i64 = 1;
    pub(crate) const USER: i64 = 2;
    pub(crate) const USER_TALK: i64 = 3;
    pub(crate) const PROJECT: i64 = 4;
    pub(crate) const FILE: i64 = 6;
    pub(crate) const TEMPLATE: i64 = 10;
    pub(crate) const CATEGORY: i64 = 14;
    /// Pages of scanned books, on Wikisource.
    pub(crate) const PAGE: i64 = 104;
    pub(crate) const PROPERTY: i64 = 120;
    pub(crate) const LEXEME: i64 = 146;
}

use namespace::{
    CATEGORY, FILE, LEXEME, MAIN, PAGE, PROJECT, PROPERTY, TALK, TEMPLATE, USER, USER_TALK,
};

/// What stays as it is in the path of a page's URL; MediaWiki encodes all else.
const PLAIN_IN_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b';')
    .remove(b'@')
    .remove(b'$')
    .remove(b'!')
    .remove(b'*')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'/')
    .remove(b':');

/// The title as it stands in URLs: spaces as underscores, the rest percent-encoded.
pub(crate) fn in_url(title: &str) -> String {
    utf8_percent_encode(&title.replace(' ', "_"), PLAIN_IN_URL).to_string()
}

/// Which namespace something happens in on that kind of wiki, by weight.
fn namespaces(project: Project) -> &'static [(u32, i64)] {
    match project {
        Project::Wikidata => &[
            (957, MAIN),
            (4, PROPERTY),
            (20, LEXEME),
            (5, TALK),
            (4, USER),
            (5, USER_TALK),
            (5, PROJECT),
        ],
        Project::Commons => &[
            (710, FILE),
            (190, CATEGORY),
            (15, MAIN),
            (20, USER),
            (40, USER_TALK),
            (10, TEMPLATE),
            (15, PROJECT),
        ],
        Project::Wikipedia | Project::Other => &[
            (715, MAIN),
            (95, TALK),
            (50, USER),
            (60, USER_TALK),
            (40, PROJECT),
            (18, TEMPLATE),
            (22, CATEGORY),
        ],
        Project::Wiktionary => &[
            (890, MAIN),
            (10, TALK),
            (20, USER),
            (15, USER_TALK),
            (15, TEMPLATE),
            (50, CATEGORY),
        ],
        Project::Wikisource => &[
            (620, PAGE),
            (240, MAIN),
            (40, USER),
            (30, USER_TALK),
            (40, PROJECT),
            (30, CATEGORY),
        ],
    }
}

/// The namespace of a page on which something happens.
pub(crate) fn pick_namespace(rng: &mut Rng, wiki: &Wiki) -> i64 {
    rng.pick_weighted(namespaces(wiki.project))
}

/// The name of the namespace there; empty for articles.
fn namespace_name(wiki: &Wiki, namespace: i64) -> &'static str {
    let words = wiki.words();
    match namespace {
        TALK => words.namespaces[0],
        USER => words.namespaces[1],
        USER_TALK => words.namespaces[2],
        PROJECT => wiki.project_namespace(),
        FILE => words.namespaces[4],
        TEMPLATE => words.namespaces[5],
        CATEGORY => words.namespaces[6],
        PAGE => match words.code {
            "de" => "Seite",
            "pl" => "Strona",
            "he" => "עמוד",
            _ => "Page",
        },
        PROPERTY => "Property",
        LEXEME => "Lexeme",
        _ => "",
    }
}

/// The title with its namespace in front, words parted by spaces.
pub(crate) fn prefixed(wiki: &Wiki, namespace: i64, title: &str) -> String {
    match namespace_name(wiki, namespace) {
        "" => title.to_owned(),
        name => format!("{name}:{title}"),
    }
}

/// A title for a page of that namespace; `number` is the page's own, `user` somebody of that wiki.
pub(crate) fn title(rng: &mut Rng, wiki: &Wiki, namespace: i64, number: u64, user: &str) -> String {
    let words = wiki.words();
    let bare = match (wiki.project, namespace) {
        (Project::Wikidata, MAIN | TALK) => format!("Q{number}"),
        (_, PROPERTY) => format!("P{}", rng.between(6, 13_900)),
        (_, LEXEME) => format!("L{}", rng.between(1, 1_480_000)),
        (_, USER | USER_TALK) => match rng.below(4) {
            0 => format!("{user}/{}", rng.pick(words.sections)),
            _ => user.to_owned(),
        },
        (Project::Commons, FILE) => {
            let words = any_language(rng);
            file(rng, words)
        }
        (_, FILE) => file(rng, words),
        (_, PAGE) => format!(
            "{}, {}.djvu/{}",
            subject(rng, words),
            year(rng),
            rng.between(1, 640)
        ),
        (_, PROJECT) => format!("{}/{}", subject(rng, words), rng.pick(words.sections)),
        (Project::Wiktionary, MAIN | TALK) => any_language(rng).script.place(rng).to_lowercase(),
        (Project::Commons, CATEGORY) if rng.chance(250) => subject_in_any_language(rng),
        _ => subject(rng, words),
    };
    prefixed(wiki, namespace, &bare)
}

/// The words of a random wiki's language, for text in many languages: labels on Wikidata, names of
/// files.
pub(crate) fn any_language(rng: &mut Rng) -> &'static Language {
    wikis::any(rng).words()
}

/// What an article may be about: a place, its museum, the battle there in some year.
pub(crate) fn subject(rng: &mut Rng, words: &Language) -> String {
    let place = words.script.place(rng);
    let noun = rng.pick(words.nouns);
    let joined = if words.noun_first {
        [noun, words.space, &place]
    } else {
        [&place, words.space, noun]
    };
    match rng.below(20) {
        0..=4 => place,
        5..=6 => format!("{place} ({})", year(rng)),
        7 => format!(
            "{}{}({}, {})",
            joined.concat(),
            words.space,
            words.script.place(rng),
            year(rng)
        ),
        _ => joined.concat(),
    }
}

/// The same in the language of any of the wikis.
pub(crate) fn subject_in_any_language(rng: &mut Rng) -> String {
    let words = any_language(rng);
    subject(rng, words)
}

/// A file's name, extension included.
fn file(rng: &mut Rng, words: &Language) -> String {
    let extension = rng.pick_weighted(&[
        (860, "jpg"),
        (60, "png"),
        (40, "svg"),
        (20, "pdf"),
        (15, "webm"),
        (5, "ogg"),
    ]);
    let (month, day) = (rng.between(1, 12), rng.between(1, 28));
    match rng.below(10) {
        0..=1 => {
            let (hour, minute, second) = (rng.below(24), rng.below(60), rng.below(60));
            format!(
                "IMG {}{month:02}{day:02} {hour:02}{minute:02}{second:02}.{extension}",
                year(rng)
            )
        }
        2..=4 => {
            format!(
                "{} - {}-{month:02}-{day:02} - {:02}.{extension}",
                subject(rng, words),
                year(rng),
                rng.between(1, 60)
            )
        }
        5 => {
            let (whole, detail) = (subject(rng, words), subject(rng, words));
            format!(
                "{whole}, {detail} ({}) – {}.{extension}",
                names::user(rng, words.script),
                rng.between(10_000, 99_999_999)
            )
        }
        _ => format!(
            "{} {:02}.{extension}",
            subject(rng, words),
            rng.between(1, 40)
        ),
    }
}

/// A year that something may have happened in; recent ones more often.
pub(crate) fn year(rng: &mut Rng) -> u64 {
    2026 - rng.low(420)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_encode_what_mediawiki_encodes() {
        assert_eq!(
            in_url("Category:Lake Talva (2026), 'b'"),
            "Category:Lake_Talva_(2026),_%27b%27"
        );
        assert_eq!(in_url("山?"), "%E5%B1%B1%3F");
    }

    #[test]
    fn articles_have_no_prefix_and_other_namespaces_the_local_one() {
        let wiki = wikis::WIKIS
            .iter()
            .find(|wiki| wiki.database == "dewiki")
            .expect("dewiki is one of the wikis");
        assert_eq!(prefixed(wiki, MAIN, "Talholm"), "Talholm");
        assert_eq!(
            prefixed(wiki, USER_TALK, "Talholm"),
            "Benutzer Diskussion:Talholm"
        );
    }
}
