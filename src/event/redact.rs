//! Takes who did it out of the events of pages that the operator names (protocol §4).

use std::collections::{BTreeMap, HashMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

use super::object::{Cuts, Member, each_member, span, string_content};
use crate::stream::StreamName;

/// The pages whose events lose their performer: per domain (`ru.wikipedia.org`) a set of titles.
///
/// Titles are compared in a form that keeps no difference that `MediaWiki` does not keep, nor one of case: white space of any
/// kind (operators' lists hold no-break spaces, events plain ones) and `_` are the same, runs of them count as one and at
/// the ends as none, direction marks are ignored, and both sides are brought to Unicode's NFC and lower case. So a
/// page may be redacted that differs from a named one by no more than that, but none that is named is missed.
/// Domains are compared without regard to ASCII case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactionRules {
    titles_by_domain: HashMap<String, Titles>,
}

type Titles = HashSet<String>;

impl RedactionRules {
    /// From the configuration's `mediawiki_redacted_pages`: `{domain: [titles]}`. Blank titles and domains without titles
    /// name no page and are dropped.
    pub fn new(pages: &BTreeMap<String, Vec<String>>) -> Self {
        let mut titles_by_domain: HashMap<String, Titles> = HashMap::new();
        for (domain, titles) in pages {
            let titles = titles
                .iter()
                .map(|title| comparable_title(title))
                .filter(|title| !title.is_empty());
            titles_by_domain
                .entry(comparable_domain(domain))
                .or_default()
                .extend(titles);
        }
        titles_by_domain.retain(|_, titles| !titles.is_empty());
        Self { titles_by_domain }
    }

    /// Whether no page is named, so that nothing is ever redacted.
    pub fn is_empty(&self) -> bool {
        self.titles_by_domain.is_empty()
    }

    /// Whether a member of an event of this name may hold a title. Without rules no title matters.
    pub(super) fn want(&self, name: &str) -> bool {
        !self.is_empty() && (TITLES.contains(&name) || TITLE_HOLDERS.contains(&name))
    }
}

/// Members of an event that are titles.
const TITLES: [&str; 2] = ["page_title", "title"];

/// Members of an event that are objects with titles in them: the page, what it was before, the
/// redirect that a move left at the old title, and the parameters of recentchange's log entries.
const TITLE_HOLDERS: [&str; 5] = [
    "page",
    "prior_state",
    "created_redirect_page",
    "new_redirect_page",
    "log_params",
];

/// What a member of such an object is.
enum Inner {
    Title,
    Holder,
    Neither,
}

impl Inner {
    /// `prior_state.page.redirect_page_link` is as deep as titles lie.
    fn of(holder: &str, name: &str) -> Self {
        match (holder, name) {
            ("log_params", "target") => Self::Title,
            ("log_params", _) => Self::Neither,
            (_, "page_title") => Self::Title,
            ("prior_state", "page") | ("page", "redirect_page_link") => Self::Holder,
            _ => Self::Neither,
        }
    }
}

fn comparable_domain(domain: &str) -> String {
    domain.trim().to_ascii_lowercase()
}

fn comparable_title(title: &str) -> String {
    let mut comparable = String::with_capacity(title.len());
    let ignored = |c: &char| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    for c in title.chars().filter(ignored).nfc() {
        // U+180E is white space for `MediaWiki`, and no more so for Unicode.
        if c == '_' || c == '\u{180e}' || c.is_whitespace() {
            if !comparable.is_empty() && !comparable.ends_with('_') {
                comparable.push('_');
            }
        } else {
            comparable.push(c);
        }
    }
    comparable.trim_end_matches('_').to_lowercase()
}

/// How an event of a named page is redacted. The same goes on every stream: `performer`, `user`,
/// `revision.editor` and `prior_state.revision.editor`. Streams of `page_change` keep a `performer`,
/// which their schema demands: an empty one.
///
/// An event is rendered once for all streams of its topic, so one stream of `page_change` decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactionKind {
    /// `performer` becomes `{}`.
    page_change: bool,
}

impl RedactionKind {
    /// For a topic of which nothing is known.
    pub fn all_treatments() -> Self {
        Self { page_change: true }
    }

    /// For the streams that a topic serves. A stream is one of `page_change` when that is one of the
    /// parts of its name between dots: `mediawiki.page_change.v1`, `page_change`.
    pub fn of_streams(names: &[StreamName]) -> Self {
        let is_page_change =
            |name: &StreamName| name.as_str().split('.').any(|part| part == "page_change");
        Self {
            page_change: names.iter().any(is_page_change),
        }
    }
}

/// Gathers during an event's scan what the rules need: without rules, and for domains without, next to nothing.
pub(super) struct Suspicion<'a, 'r> {
    rules: &'r RedactionRules,
    /// Of each `meta.domain` that the rules know.
    named: Vec<&'r Titles>,
    /// Members that are titles, and objects that may hold some.
    titles: Vec<Member<'a>>,
}

impl<'a, 'r> Suspicion<'a, 'r> {
    pub(super) fn new(rules: &'r RedactionRules) -> Self {
        Self {
            rules,
            named: Vec::new(),
            titles: Vec::new(),
        }
    }

    /// `raw`: the value of a `meta.domain`, as written.
    pub(super) fn see_domain(&mut self, raw: &str) {
        if !self.rules.is_empty() {
            self.named.extend(
                self.rules
                    .titles_by_domain
                    .get(&comparable_domain(&string_content(raw))),
            );
        }
    }

    /// `member`: one of the event itself that [`RedactionRules::want`].
    pub(super) fn see_member(&mut self, member: Member<'a>) {
        self.titles.push(member);
    }

    /// Whether the event is of a named page: its title, the one it had, or one that it left behind.
    pub(super) fn is_confirmed(&self) -> bool {
        let names_page = |member: &Member<'_>| {
            if TITLES.contains(&&*member.name) {
                self.is_named(member.value)
            } else {
                member.is_object() && self.holds_named(member)
            }
        };
        !self.named.is_empty() && self.titles.iter().any(names_page)
    }

    fn holds_named(&self, holder: &Member<'_>) -> bool {
        let mut found = false;
        let members = each_member(holder.value, |inner| {
            found |= match Inner::of(&holder.name, &inner.name) {
                Inner::Title => self.is_named(inner.value),
                Inner::Holder => inner.is_object() && self.holds_named(&inner),
                Inner::Neither => false,
            };
        });
        found && members.is_ok()
    }

    fn is_named(&self, raw: &str) -> bool {
        let title = comparable_title(&string_content(raw));
        self.named.iter().any(|titles| titles.contains(&title))
    }
}

/// The event without what `kind` takes out, every other byte as it was. Members are recognised in every spelling of their
/// names and as often as they stand there.
///
/// `performer` is `{}` afterwards in an event of kind `page_change`, also when there was none: such events "get
/// `performer: {}`" (protocol §4).
///
/// # Errors
///
/// When `text` is not a JSON object.
pub(super) fn redact(text: &str, kind: RedactionKind) -> serde_json::Result<String> {
    let mut redaction = Redaction {
        text,
        edits: Vec::new(),
    };
    let mut cuts = Cuts::new(text, text);
    let mut has_performer = false;
    let mut nested = Ok(());
    each_member(text, |member| match &*member.name {
        "performer" if kind.page_change => {
            has_performer = true;
            redaction.edits.push((span(text, member.value), "{}"));
            cuts.keep(text, member.value);
        }
        "performer" | "user" => cuts.cut(text, member.value),
        name => {
            cuts.keep(text, member.value);
            if matches!(name, "revision" | "prior_state") && nested.is_ok() {
                nested = redaction.cut_editor(name, member.value);
            }
        }
    })?;
    nested?;
    if kind.page_change && !has_performer {
        let performer = if cuts.any_kept {
            r#","performer":{}"#
        } else {
            r#""performer":{}"#
        };
        redaction.edits.push((cuts.end..cuts.end, performer));
    }
    redaction
        .edits
        .extend(cuts.ranges.into_iter().map(|range| (range, "")));
    Ok(redaction.apply())
}

struct Redaction<'a> {
    text: &'a str,
    /// What stands where; none touches another.
    edits: Vec<(std::ops::Range<usize>, &'static str)>,
}

impl<'a> Redaction<'a> {
    /// Cuts `editor` out of `revision`, or out of every `revision` in `prior_state`. What is no object has no editor.
    fn cut_editor(&mut self, name: &str, value: &'a str) -> serde_json::Result<()> {
        if !value.starts_with('{') {
            return Ok(());
        }
        let mut cuts = Cuts::new(self.text, value);
        let mut nested = Ok(());
        each_member(value, |inner| match (name, &*inner.name) {
            ("revision", "editor") => cuts.cut(self.text, inner.value),
            ("prior_state", "revision") if nested.is_ok() => {
                nested = self.cut_editor("revision", inner.value);
                cuts.keep(self.text, inner.value);
            }
            _ => cuts.keep(self.text, inner.value),
        })?;
        self.edits
            .extend(cuts.ranges.into_iter().map(|range| (range, "")));
        nested
    }

    fn apply(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(self.text.len() + 16);
        let mut from = 0;
        for (range, instead) in &self.edits {
            out.push_str(&self.text[from..range.start]);
            out.push_str(instead);
            from = range.end;
        }
        out.push_str(&self.text[from..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(names: &[&str]) -> RedactionKind {
        RedactionKind::of_streams(&names.iter().map(|&name| name.into()).collect::<Vec<_>>())
    }

    fn redacted(names: &[&str], text: &str) -> String {
        redact(text, kind(names)).unwrap()
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

    /// All that tells who did it, and beside each what looks like it.
    const EVENT: &str = concat!(
        r#"{"performer" : {"user_text":"A"},"revision":{"editor":{"id":1},"rev_id":2.50},"user":"A","#,
        r#""prior_state":{"page":{"editor":"stays"},"revision":{"rev_id":1, "editor":{"id":1} }},"x":{"user":2}}"#
    );

    #[test]
    fn every_stream_loses_user_and_editors() {
        let rest = concat!(
            r#""revision":{"rev_id":2.50},"#,
            r#""prior_state":{"page":{"editor":"stays"},"revision":{"rev_id":1 }},"x":{"user":2}}"#
        );
        for name in [
            "mediawiki.recentchange",
            "mediawiki.page-move",
            "mediawiki.page_prediction_change.v1",
        ] {
            assert_eq!(redacted(&[name], EVENT), format!("{{{rest}"), "{name}");
        }
        assert_eq!(redacted(&[], EVENT), format!("{{{rest}"));
        for names in [&["mediawiki.page_change.v1"][..], &["test", "page_change"]] {
            assert_eq!(
                redacted(names, EVENT),
                format!(r#"{{"performer" : {{}},{rest}"#),
                "{names:?}"
            );
        }
    }

    #[test]
    fn page_change_gets_an_empty_performer_where_there_was_none() {
        assert_eq!(
            redacted(&["page_change"], r#"{"a":1 }"#),
            r#"{"a":1,"performer":{} }"#
        );
        assert_eq!(redacted(&["page_change"], "{}"), r#"{"performer":{}}"#);
        assert_eq!(
            redacted(&["page_change"], r#"{"user":1}"#),
            r#"{"performer":{}}"#
        );
        assert_eq!(
            redacted(&["page_change"], r#"{"a":1,"user":1}"#),
            r#"{"a":1,"performer":{}}"#
        );
    }

    #[test]
    fn every_copy_and_spelling_goes() {
        let text = r#"{"performer":1,"p\u0065rformer":2,"a":3,"performer":[4]}"#;
        assert_eq!(redacted(&["test"], text), r#"{"a":3}"#);
        assert_eq!(
            redacted(&["page_change"], text),
            r#"{"performer":{},"p\u0065rformer":{},"a":3,"performer":{}}"#
        );
        let text = r#"{"performer":{},"revision":{"editor":1},"r\u0065vision":{"b":1,"\u0065ditor":2},"revision":[{"editor":3}]}"#;
        let expected =
            r#"{"performer":{},"revision":{},"r\u0065vision":{"b":1},"revision":[{"editor":3}]}"#;
        assert_eq!(redacted(&["page_change"], text), expected);
    }

    #[test]
    fn titles_compare_as_mediawiki_does_and_without_case() {
        for (rule, title) in [
            ("Main Page", "Main_Page"),
            (" main  page\t", "Main Page"),
            ("А.\u{a0}А.\u{a0}Кадырова", "А._А._кадырова"),
            ("_Foo_", "FOO"),
            ("ÉCOLE", "e\u{301}cole"),
            ("ΟΔΟΣ", "οδος"),
            ("\u{200e}Foo\u{200f}", "foo"),
            ("Foo\u{180e}bar\u{180e}", "foo_bar"),
        ] {
            assert_eq!(comparable_title(rule), comparable_title(title));
        }
        assert_ne!(comparable_title("Foo"), comparable_title("Foo bar"));
        assert_ne!(comparable_title("Strasse"), comparable_title("Straße"));
    }

    #[test]
    fn rules_that_name_no_page_are_empty() {
        assert!(RedactionRules::default().is_empty());
        let blank = BTreeMap::from([
            ("a".to_owned(), vec![]),
            ("b".to_owned(), vec![" _ ".to_owned()]),
        ]);
        assert!(RedactionRules::new(&blank).is_empty());
        let named = BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]);
        assert!(!RedactionRules::new(&named).is_empty());
    }
}
