//! The operator's rules: which pages are redacted, and in which form titles are compared.

use std::collections::{BTreeMap, HashMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

/// The pages whose events lose their performer: a set of titles for each domain
/// (`ru.wikipedia.org`).
///
/// Titles are compared in a form that drops what `MediaWiki` does not distinguish, and case. All
/// white space and `_` are equal (operators' lists hold no-break spaces, events plain ones), runs
/// of them count as one and are trimmed at both ends, direction marks are ignored, and both sides
/// are brought to Unicode's NFC and lower case. A page that differs from a named one by no more
/// than that is redacted too, but no named page is missed. Domains are compared without regard to
/// ASCII case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactionRules {
    titles_by_domain: HashMap<String, Titles>,
}

/// Titles in the form of [`comparable_title`].
pub(super) type Titles = HashSet<String>;

impl RedactionRules {
    /// From the configuration's `mediawiki_redacted_pages`: `{domain: [titles]}`. Blank titles, and
    /// domains without titles, name no page and are dropped.
    pub fn new(pages: &BTreeMap<String, Vec<String>>) -> Self {
        let mut titles_by_domain: HashMap<String, Titles> = HashMap::new();
        for (domain, titles) in pages {
            let titles = titles
                .iter()
                .map(|title| comparable_title(title))
                .filter(|title| !title.is_empty());
            let of_domain = titles_by_domain
                .entry(comparable_domain(domain))
                .or_default();
            of_domain.extend(titles);
        }
        titles_by_domain.retain(|_, titles| !titles.is_empty());
        Self { titles_by_domain }
    }

    /// Whether no page is named, so that nothing is ever redacted.
    pub fn is_empty(&self) -> bool {
        self.titles_by_domain.is_empty()
    }

    pub(super) fn titles_of(&self, domain: &str) -> Option<&Titles> {
        self.titles_by_domain.get(&comparable_domain(domain))
    }
}

fn comparable_domain(domain: &str) -> String {
    domain.trim().to_ascii_lowercase()
}

/// The form in which titles are compared.
pub(crate) fn comparable_title(title: &str) -> String {
    let mut comparable = String::with_capacity(title.len());
    let is_kept = |c: &char| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    for c in title.chars().filter(is_kept).nfc() {
        // U+180E is white space for MediaWiki, but no longer for Unicode.
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

#[cfg(test)]
mod tests {
    use super::*;

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
