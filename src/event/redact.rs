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
            let titles = titles.iter().map(|title| comparable_title(title)).filter(|title| !title.is_empty());
            titles_by_domain.entry(comparable_domain(domain)).or_default().extend(titles);
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
        !self.is_empty() && matches!(name, "page_title" | "title" | "page")
    }
}

fn comparable_domain(domain: &str) -> String {
    domain.trim().to_ascii_lowercase()
}

fn comparable_title(title: &str) -> String {
    let mut comparable = String::with_capacity(title.len());
    let ignored = |c: &char| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    for c in title.chars().filter(ignored).nfc() {
        if c == '_' || c.is_whitespace() {
            if !comparable.is_empty() && !comparable.ends_with('_') {
                comparable.push('_');
            }
        } else {
            comparable.push(c);
        }
    }
    comparable.trim_end_matches('_').to_lowercase()
}

/// What is taken out of an event of a named page: decided by the streams that its topic serves.
///
/// An event is rendered once for all streams of its topic, so a topic that serves streams of several kinds gets the
/// treatment of all of them (of an emptied `performer` and a lost one, the emptied one: there is nothing left in it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactionKind {
    /// `performer` becomes `{}`, `revision.editor` and `prior_state.revision.editor` go.
    page_change: bool,
    /// `user` goes.
    recentchange: bool,
    /// `performer` goes.
    other: bool,
}

impl RedactionKind {
    /// The treatment of every kind, for a topic of which nothing is known.
    pub fn all_treatments() -> Self {
        Self { page_change: true, recentchange: true, other: true }
    }

    /// For the streams that a topic serves. A stream is of kind `page_change` or `recentchange` when that is one of the
    /// parts of its name between dots: `mediawiki.page_change.v1`, `mediawiki.page_change`, `recentchange`. No names are
    /// treated like one of any other stream.
    pub fn of_streams(names: &[StreamName]) -> Self {
        let mut kind = Self { page_change: false, recentchange: false, other: names.is_empty() };
        for name in names {
            let has_part = |part| name.as_str().split('.').any(|p| p == part);
            let (page_change, recentchange) = (has_part("page_change"), has_part("recentchange"));
            kind.page_change |= page_change;
            kind.recentchange |= recentchange;
            kind.other |= !page_change && !recentchange;
        }
        kind
    }
}

/// Gathers during an event's scan what the rules need: without rules, and for domains without, next to nothing.
pub(super) struct Suspicion<'a, 'r> {
    rules: &'r RedactionRules,
    /// Of each `meta.domain` that the rules know.
    named: Vec<&'r Titles>,
    /// Members that hold a title, or in the case of `page` may hold one.
    titles: Vec<Member<'a>>,
}

impl<'a, 'r> Suspicion<'a, 'r> {
    pub(super) fn new(rules: &'r RedactionRules) -> Self {
        Self { rules, named: Vec::new(), titles: Vec::new() }
    }

    /// `raw`: the value of a `meta.domain`, as written.
    pub(super) fn see_domain(&mut self, raw: &str) {
        if !self.rules.is_empty() {
            self.named.extend(self.rules.titles_by_domain.get(&comparable_domain(&string_content(raw))));
        }
    }

    /// `member`: one of the event itself that [`RedactionRules::want`].
    pub(super) fn see_member(&mut self, member: Member<'a>) {
        self.titles.push(member);
    }

    /// Whether the event is of a named page.
    pub(super) fn is_confirmed(&self) -> bool {
        !self.named.is_empty()
            && self.titles.iter().any(|member| {
                if member.is_object() {
                    let mut found = false;
                    let page = each_member(member.value, |inner| {
                        found |= member.name == "page" && inner.name == "page_title" && self.is_named(inner.value);
                    });
                    found && page.is_ok()
                } else {
                    member.name != "page" && self.is_named(member.value)
                }
            })
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
    let mut redaction = Redaction { text, edits: Vec::new() };
    let mut cuts = Cuts::new(text, text);
    let mut has_performer = false;
    let mut nested = Ok(());
    each_member(text, |member| match &*member.name {
        "performer" if kind.page_change => {
            has_performer = true;
            redaction.edits.push((span(text, member.value), "{}"));
            cuts.keep(text, member.value);
        }
        "performer" if kind.other => cuts.cut(text, member.value),
        "user" if kind.recentchange => cuts.cut(text, member.value),
        name => {
            cuts.keep(text, member.value);
            if kind.page_change && matches!(name, "revision" | "prior_state") && nested.is_ok() {
                nested = redaction.cut_editor(name, member.value);
            }
        }
    })?;
    nested?;
    if kind.page_change && !has_performer {
        let performer = if cuts.any_kept { r#","performer":{}"# } else { r#""performer":{}"# };
        redaction.edits.push((cuts.end..cuts.end, performer));
    }
    redaction.edits.extend(cuts.ranges.into_iter().map(|range| (range, "")));
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
        self.edits.extend(cuts.ranges.into_iter().map(|range| (range, "")));
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
        for name in ["mediawiki.page_change.v1", "mediawiki.page_change.v2", "page_change", "rc0.page_change.private.v1"] {
            assert_eq!(kind(&[name]), RedactionKind { page_change: true, recentchange: false, other: false }, "{name}");
        }
        for name in ["mediawiki.recentchange", "recentchange"] {
            assert_eq!(kind(&[name]), RedactionKind { page_change: false, recentchange: true, other: false }, "{name}");
        }
        for name in ["mediawiki.revision-create", "mediawiki.page-change", "mediawiki.recentchanges", "test"] {
            assert_eq!(kind(&[name]), RedactionKind { page_change: false, recentchange: false, other: true }, "{name}");
        }
        assert_eq!(kind(&[]), kind(&["test"]));
        assert_eq!(
            kind(&["a.page_change.v1", "recentchange", "test"]),
            RedactionKind { page_change: true, recentchange: true, other: true }
        );
    }

    #[test]
    fn page_change_keeps_an_empty_performer_and_loses_both_editors() {
        let text = concat!(
            r#"{"performer" : {"user_text":"A"},"revision":{"editor":{"id":1},"rev_id":2.50},"#,
            r#""prior_state":{"page":{"editor":"stays"},"revision":{"rev_id":1, "editor":{"id":1} }},"user":"stays"}"#
        );
        let expected = concat!(
            r#"{"performer" : {},"revision":{"rev_id":2.50},"#,
            r#""prior_state":{"page":{"editor":"stays"},"revision":{"rev_id":1 }},"user":"stays"}"#
        );
        assert_eq!(redacted(&["mediawiki.page_change.v1"], text), expected);
    }

    #[test]
    fn page_change_gets_an_empty_performer_where_there_was_none() {
        assert_eq!(redacted(&["page_change"], r#"{"a":1 }"#), r#"{"a":1,"performer":{} }"#);
        assert_eq!(redacted(&["page_change"], "{}"), r#"{"performer":{}}"#);
        assert_eq!(redacted(&["page_change", "recentchange"], r#"{"user":1}"#), r#"{"performer":{}}"#);
        assert_eq!(redacted(&["page_change", "recentchange"], r#"{"a":1,"user":1}"#), r#"{"a":1,"performer":{}}"#);
    }

    #[test]
    fn recentchange_loses_user_only() {
        let text = r#"{"user":"A","performer":1,"revision":{"editor":1},"x":{"user":2}}"#;
        assert_eq!(redacted(&["mediawiki.recentchange"], text), r#"{"performer":1,"revision":{"editor":1},"x":{"user":2}}"#);
    }

    #[test]
    fn other_streams_lose_performer_only() {
        let text = r#"{"user":"A","revision":{"editor":1} , "performer":{"user_text":"A"}}"#;
        assert_eq!(redacted(&["mediawiki.page-move"], text), r#"{"user":"A","revision":{"editor":1}}"#);
    }

    #[test]
    fn a_topic_of_several_streams_gets_the_treatment_of_all() {
        let text = r#"{"user":"A","performer":{"a":1},"revision":{"editor":1}}"#;
        assert_eq!(redacted(&["recentchange", "test"], text), r#"{"revision":{"editor":1}}"#);
        assert_eq!(redacted(&["recentchange", "page_change"], text), r#"{"performer":{},"revision":{}}"#);
        assert_eq!(redacted(&["test", "page_change"], text), r#"{"user":"A","performer":{},"revision":{}}"#);
    }

    #[test]
    fn every_copy_and_spelling_goes() {
        let text = r#"{"performer":1,"p\u0065rformer":2,"a":3,"performer":[4]}"#;
        assert_eq!(redacted(&["test"], text), r#"{"a":3}"#);
        assert_eq!(redacted(&["page_change"], text), r#"{"performer":{},"p\u0065rformer":{},"a":3,"performer":{}}"#);
        let text =
            r#"{"performer":{},"revision":{"editor":1},"r\u0065vision":{"b":1,"\u0065ditor":2},"revision":[{"editor":3}]}"#;
        let expected = r#"{"performer":{},"revision":{},"r\u0065vision":{"b":1},"revision":[{"editor":3}]}"#;
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
        ] {
            assert_eq!(comparable_title(rule), comparable_title(title));
        }
        assert_ne!(comparable_title("Foo"), comparable_title("Foo bar"));
        assert_ne!(comparable_title("Strasse"), comparable_title("Straße"));
    }

    #[test]
    fn rules_that_name_no_page_are_empty() {
        assert!(RedactionRules::default().is_empty());
        let blank = BTreeMap::from([("a".to_owned(), vec![]), ("b".to_owned(), vec![" _ ".to_owned()])]);
        assert!(RedactionRules::new(&blank).is_empty());
        let named = BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])]);
        assert!(!RedactionRules::new(&named).is_empty());
    }
}
