//! Removes the editor from the events of pages that the operator names (docs/protocol.md, "The JSON
//! of an event").
//!
//! * `rules`: which pages are named.
//! * `page_match`: whether an event is of a named page.
//! * `kind`: how the events of a topic are redacted.

use std::ops::Range;

use super::json_object::{Cuts, each_member, span};

mod kind;
mod page_match;
mod rules;

pub use kind::RedactionKind;
pub(super) use page_match::PageMatch;
pub use rules::RedactionRules;
pub(crate) use rules::comparable_title;

/// The event without what `kind` removes; every other byte stays. A member is recognised in every
/// spelling of its name, and every time it occurs.
///
/// An event of kind `page_change` has `performer: {}` afterwards, even when it had none.
///
/// # Errors
///
/// When `text` is not a JSON object.
pub(super) fn redact(text: &str, kind: RedactionKind) -> serde_json::Result<String> {
    let mut edits = Edits {
        text,
        list: Vec::new(),
    };
    let mut cuts = Cuts::new(text, text);
    let mut has_performer = false;
    let mut nested = Ok(());
    each_member(text, |member| match &*member.name {
        "performer" if kind.page_change => {
            has_performer = true;
            edits.list.push((span(text, member.value), "{}"));
            cuts.keep(text, member.value);
        }
        "performer" | "user" => cuts.cut(text, member.value),
        name => {
            cuts.keep(text, member.value);
            if matches!(name, "revision" | "prior_state") && nested.is_ok() {
                nested = edits.cut_editor(name, member.value);
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
        edits.list.push((cuts.end..cuts.end, performer));
    }
    edits
        .list
        .extend(cuts.ranges.into_iter().map(|range| (range, "")));
    Ok(edits.apply())
}

/// What changes in an event's text.
struct Edits<'a> {
    text: &'a str,
    /// Ranges of the text and their replacements; none touches another.
    list: Vec<(Range<usize>, &'static str)>,
}

impl<'a> Edits<'a> {
    /// Cuts `editor` out of `revision`, or out of every `revision` in `prior_state`. A value that
    /// is not an object has no editor.
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
        self.list
            .extend(cuts.ranges.into_iter().map(|range| (range, "")));
        nested
    }

    fn apply(mut self) -> String {
        self.list.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(self.text.len() + 16);
        let mut from = 0;
        for (range, replacement) in &self.list {
            out.push_str(&self.text[from..range.start]);
            out.push_str(replacement);
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

    /// Every member that names the editor, each beside one that only looks like it.
    const EVENT: &str = concat!(
        r#"{"performer" : {"user_text":"A"},"#,
        r#""revision":{"editor":{"id":1},"rev_id":2.50},"user":"A","#,
        r#""prior_state":{"page":{"editor":"stays"},"revision":{"rev_id":1, "editor":{"id":1} }},"#,
        r#""x":{"user":2}}"#
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
    fn every_copy_and_spelling_is_removed() {
        let text = r#"{"performer":1,"p\u0065rformer":2,"a":3,"performer":[4]}"#;
        assert_eq!(redacted(&["test"], text), r#"{"a":3}"#);
        assert_eq!(
            redacted(&["page_change"], text),
            r#"{"performer":{},"p\u0065rformer":{},"a":3,"performer":{}}"#
        );
        let text = concat!(
            r#"{"performer":{},"revision":{"editor":1},"r\u0065vision":{"b":1,"\u0065ditor":2},"#,
            r#""revision":[{"editor":3}]}"#
        );
        let expected =
            r#"{"performer":{},"revision":{},"r\u0065vision":{"b":1},"revision":[{"editor":3}]}"#;
        assert_eq!(redacted(&["page_change"], text), expected);
    }
}
