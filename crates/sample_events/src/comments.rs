//! Edit summaries and log comments: the text as typed, and the HTML that a wiki makes of it.

use crate::languages::Language;
use crate::names;
use crate::rng::Rng;
use crate::titles::{any_language, in_url, subject, subject_in_any_language};
use crate::wikis::{self, Project, Wiki};

/// Labels of properties.
const PROPERTIES: &[&str] = &[
    "instance of",
    "country",
    "cites work",
    "author name string",
    "publication date",
    "coordinate location",
    "depicts",
    "inception",
    "located in the administrative territorial entity",
    "number of pages",
    "main subject",
    "copyright license",
];

/// A comment as wikitext (`text`) and as HTML (`parsed`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Comment {
    pub(crate) text: String,
    pub(crate) parsed: String,
}

impl Comment {
    /// Adds words as they are.
    pub(crate) fn plain(mut self, words: &str) -> Self {
        self.text.push_str(words);
        push_escaped(&mut self.parsed, words);
        self
    }

    /// Adds a link to a page, which shows as `label`.
    pub(crate) fn link(mut self, target: &str, label: &str) -> Self {
        let own_label = target.trim_start_matches(':') != label;
        self.text.extend(if own_label {
            ["[[", target, "|", label, "]]"]
        } else {
            ["[[", target, "]]", "", ""]
        });
        let target = target.trim_start_matches(':');
        self.parsed
            .extend(["<a href=\"/wiki/", &in_url(target), "\" title=\""]);
        push_escaped(&mut self.parsed, target);
        self.parsed.push_str("\">");
        push_escaped(&mut self.parsed, label);
        self.parsed.push_str("</a>");
        self
    }

    /// Adds a link to an entity, which is shown by its label and kept by its number.
    fn entity(mut self, target: &str, label: &str) -> Self {
        let number = target.rsplit([':', '/']).next().unwrap_or(target);
        self.text.extend(["[[", target, "]]"]);
        self.parsed
            .extend(["<a href=\"/wiki/", target, "\" title=\""]);
        push_escaped(&mut self.parsed, label);
        self.parsed.push_str(" &#124; ");
        push_escaped(&mut self.parsed, target);
        self.parsed.push_str("\">");
        push_escaped(&mut self.parsed, label);
        self.parsed.extend([" (", number, ")</a>"]);
        self
    }

    /// Adds the section of the page that was edited.
    fn section(mut self, title: &str, section: &str) -> Self {
        self.text.extend(["/* ", section, " */ "]);
        self.parsed.extend([
            "<span class=\"autocomment\"><a href=\"/wiki/",
            &in_url(title),
            "#",
            &section.replace(' ', "_"),
        ]);
        self.parsed.push_str("\" title=\"");
        push_escaped(&mut self.parsed, title);
        self.parsed
            .extend(["\">→\u{200e}", section, "</a>: </span> "]);
        self
    }

    /// Adds a comment that a program made: a code, and the words that the wiki shows for it.
    pub(crate) fn automatic(mut self, code: &str, words: &str) -> Self {
        self.text.extend(["/* ", code, " */ "]);
        self.parsed.extend([
            "\u{200e}<span dir=\"auto\"><span class=\"autocomment\">",
            words,
            ": </span></span> ",
        ]);
        self
    }
}

fn push_escaped(html: &mut String, words: &str) {
    for character in words.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#039;"),
            other => html.push(other),
        }
    }
}

/// The comment of an edit (or of a page's first revision) of the page of that title.
pub(crate) fn edit(rng: &mut Rng, wiki: &Wiki, title: &str, entity: bool) -> Comment {
    match wiki.project {
        Project::Wikidata if entity => wikidata(rng),
        Project::Commons if entity => commons(rng),
        _ => prose(rng, wiki.words(), title),
    }
}

/// The comment of an edit that undoes a revision of somebody.
pub(crate) fn undo(words: &Language, revision: u64, user: &str) -> Comment {
    let undone = if words.undone.is_empty() {
        super::languages::ENGLISH.undone
    } else {
        words.undone
    };
    let contributions = format!("Special:Contributions/{user}");
    Comment::default()
        .plain(&format!("{undone} {revision} ("))
        .link(&contributions, user)
        .plain(")")
}

/// What people write about their edits of articles and talk pages.
fn prose(rng: &mut Rng, words: &Language, title: &str) -> Comment {
    let summary = rng.pick(words.summaries);
    match rng.below(100) {
        0..=15 => Comment::default(),
        16..=27 => Comment::default().section(title, rng.pick(words.sections)),
        28..=59 => Comment::default()
            .section(title, rng.pick(words.sections))
            .plain(summary),
        60..=79 => Comment::default().plain(summary),
        80..=90 => {
            let (from, to) = (subject(rng, words), subject(rng, words));
            Comment::default()
                .plain(summary)
                .plain(": ")
                .link(&from, &from)
                .plain(" → ")
                .link(&to, &to)
        }
        91..=95 => Comment::default()
            .plain(summary)
            .plain("; ")
            .plain(&subject(rng, words))
            .plain(", ")
            .plain(rng.pick(words.summaries)),
        _ => list_of_links(rng, words, summary),
    }
}

/// The comment of a tool that lists its changes: the long tail of sizes.
fn list_of_links(rng: &mut Rng, words: &Language, summary: &str) -> Comment {
    let mut comment = Comment::default().plain(summary).plain(": ");
    for _ in 0..rng.long_tail(2, 5) {
        let target = subject(rng, words);
        // 500 characters are the most that MediaWiki keeps.
        if comment.text.chars().count() + target.chars().count() > 490 {
            break;
        }
        comment = comment.link(&target, &target).plain(", ");
    }
    comment
}

/// What Wikidata's interface and its tools write about edits of items.
fn wikidata(rng: &mut Rng) -> Comment {
    let code = wikis::any(rng).words().code;
    match rng.below(100) {
        0..=34 => statement(rng, "wbsetclaim-create:2||1", "Created claim", ""),
        35..=49 => statement(rng, "wbsetclaim-update:2||1|1", "Changed claim", ""),
        50..=62 => statement(rng, "wbsetreference-add:2|", "Added reference to claim", ""),
        63..=68 => statement(rng, "wbremoveclaims-remove:1|", "Removed claim", ""),
        69..=75 => labelled(rng, "wbsetlabel-add:1", "label"),
        76..=84 => labelled(rng, "wbsetdescription-add:1", "description"),
        85..=88 => Comment::default()
            .automatic(
                &format!("wbsetsitelink-add:1|{code}wiki"),
                &format!("Added link to [{code}wiki]"),
            )
            .plain(&subject(rng, Language::of(code))),
        89..=93 => Comment::default()
            .automatic("wbeditentity-update:0|", "Changed an item")
            .plain(&format!(
                "#quickstatements; batch #{} by ",
                rng.between(100_000, 260_000)
            ))
            .link(":User:QuickStatementsBot", "User:QuickStatementsBot"),
        94..=95 => Comment::default()
            .automatic(
                "wbeditentity-update-languages-short:0||en, de, fr, nl",
                "Changed label, description and/or aliases in 4 languages",
            )
            .plain(&subject_in_any_language(rng)),
        _ => labels_in_many_languages(rng),
    }
}

/// What the upload and depiction tools of Commons write, and people there.
fn commons(rng: &mut Rng) -> Comment {
    match rng.below(100) {
        0..=29 => statement(
            rng,
            "wbsetclaim-create:2||1",
            "Created claim",
            "d:Special:EntityPage/",
        ),
        30..=39 => statement(
            rng,
            "wbeditentity-update:0|",
            "Changed an entity",
            "d:Special:EntityPage/",
        ),
        40..=69 => {
            let category = format!("Category:{}", subject(rng, Language::of("en")));
            let label = category.trim_start_matches("Category:").to_owned();
            Comment::default()
                .plain("added ")
                .link(&category, &label)
                .plain(" using ")
                .link("Help:Gadget-HotCat", "HotCat")
        }
        70..=79 => {
            Comment::default().plain("Adding structured data: date, depicts, size, MIME type")
        }
        80..=86 => Comment::default().plain(&format!(
            "better description, was: {}",
            subject_in_any_language(rng)
        )),
        87..=91 => {
            Comment::default().plain("corrected the author's name & the date of the picture")
        }
        _ => {
            let words = any_language(rng);
            list_of_links(rng, words, "Cat-a-lot: moved")
        }
    }
}

/// The comment of an upload: half of them contain a whole description.
pub(crate) fn upload(rng: &mut Rng) -> Comment {
    if rng.chance(500) {
        return Comment::default().plain("Uploaded own work with UploadWizard");
    }
    let words = any_language(rng);
    let mut comment = Comment::default().plain("{{Information|description=");
    for _ in 0..rng.between(2, 8) {
        comment = comment.plain(&subject(rng, words)).plain("; ");
    }
    comment
        .plain("|source={{own}}|date=")
        .plain(&super::titles::year(rng).to_string())
        .plain("}}")
}

/// "property: value". The value is an item, a year or a name; many belong to a batch of a tool.
fn statement(rng: &mut Rng, code: &str, words: &str, prefix: &str) -> Comment {
    let property = format!(
        "{}P{}",
        if prefix.is_empty() {
            "Property:"
        } else {
            prefix
        },
        rng.between(6, 13_900)
    );
    let comment = Comment::default()
        .automatic(code, words)
        .entity(&property, rng.pick(PROPERTIES))
        .plain(": ");
    let comment = match rng.below(4) {
        0..=1 => {
            let item = format!("{prefix}Q{}", rng.between(1, 136_000_000));
            comment.entity(&item, &subject_in_any_language(rng))
        }
        2 => comment.plain(&super::titles::year(rng).to_string()),
        _ => comment.plain(&subject_in_any_language(rng)),
    };
    if !rng.chance(350) {
        return comment;
    }
    let tool = rng.pick(&["QSv2", "OR", "CB", "PB"]);
    let batch = format!(":toolforge:editgroups/b/{tool}/{:011x}", rng.below(1 << 44));
    comment.plain(" (").link(&batch, "details").plain(")")
}

/// A label or description in one of the languages.
fn labelled(rng: &mut Rng, code: &str, what: &str) -> Comment {
    let words = any_language(rng);
    Comment::default()
        .automatic(
            &format!("{code}|{}", words.code),
            &format!("Added [{}] {what}", words.code),
        )
        .plain(&subject(rng, words))
}

/// Labels in many languages at once: many scripts in one comment.
fn labels_in_many_languages(rng: &mut Rng) -> Comment {
    let mut comment = Comment::default().automatic(
        "wbeditentity-update-languages:0||24",
        "Changed label in 24 languages",
    );
    for _ in 0..rng.between(4, 24) {
        let words = any_language(rng);
        comment = comment
            .plain(words.code)
            .plain(": ")
            .plain(&names::user(rng, words.script))
            .plain("; ");
    }
    comment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_only_in_html() {
        let comment = Comment::default().plain("a < \"b\" & 'c'");
        assert_eq!(comment.text, "a < \"b\" & 'c'");
        assert_eq!(comment.parsed, "a &lt; &quot;b&quot; &amp; &#039;c&#039;");
    }

    #[test]
    fn a_link_names_its_label_only_when_it_differs() {
        let comment = Comment::default()
            .link("Talholm", "Talholm")
            .plain(" ")
            .link(":File:A b.jpg", "File:A b.jpg");
        assert_eq!(comment.text, "[[Talholm]] [[:File:A b.jpg]]");
        assert!(
            comment
                .parsed
                .contains(r#"<a href="/wiki/File:A_b.jpg" title="File:A b.jpg">File:A b.jpg</a>"#)
        );
        assert_eq!(Comment::default().link("A", "b").text, "[[A|b]]");
    }

    #[test]
    fn comments_stay_within_what_mediawiki_keeps() {
        let mut rng = Rng::new(3);
        for _ in 0..5_000 {
            let wiki = wikis::any(&mut rng);
            let entity = rng.chance(500);
            let comment = edit(&mut rng, wiki, "Talholm", entity);
            assert!(comment.text.chars().count() <= 500, "{}", comment.text);
        }
    }
}
