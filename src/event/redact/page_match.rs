//! Whether an event is of a page that the rules name.

use super::rules::{RedactionRules, Titles, comparable_title};
use crate::event::json_object::{Member, each_member, string_content};

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

/// What a member of a title holder is.
enum Inner {
    Title,
    Holder,
    Neither,
}

impl Inner {
    /// Titles lie no deeper than `prior_state.page.redirect_page_link`.
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

/// Collects, while an event is scanned, what the rules are compared with. Costs next to nothing
/// without rules, and for domains without rules.
pub(in crate::event) struct PageMatch<'a, 'r> {
    rules: &'r RedactionRules,
    /// The titles of each `meta.domain` that the rules know.
    named: Vec<&'r Titles>,
    /// Members that are titles, and objects that may hold some.
    titles: Vec<Member<'a>>,
}

impl<'a, 'r> PageMatch<'a, 'r> {
    pub(in crate::event) fn new(rules: &'r RedactionRules) -> Self {
        Self {
            rules,
            named: Vec::new(),
            titles: Vec::new(),
        }
    }

    /// Whether an event's member of this name may hold a title. Without rules no title matters.
    pub(in crate::event) fn may_hold_title(rules: &RedactionRules, name: &str) -> bool {
        !rules.is_empty() && (TITLES.contains(&name) || TITLE_HOLDERS.contains(&name))
    }

    /// Adds the value of a `meta.domain`, as written.
    pub(in crate::event) fn add_domain(&mut self, raw: &str) {
        if !self.rules.is_empty() {
            self.named
                .extend(self.rules.titles_of(&string_content(raw)));
        }
    }

    /// Adds a member of the event itself that [`PageMatch::may_hold_title`].
    pub(in crate::event) fn add_member(&mut self, member: Member<'a>) {
        self.titles.push(member);
    }

    /// Whether the event is of a named page: by its title, its former one, or one that it left
    /// behind.
    pub(in crate::event) fn is_named(&self) -> bool {
        let names_page = |member: &Member<'_>| {
            if TITLES.contains(&&*member.name) {
                self.is_named_title(member.value)
            } else {
                member.is_object() && self.holds_named_title(member)
            }
        };
        !self.named.is_empty() && self.titles.iter().any(names_page)
    }

    fn holds_named_title(&self, holder: &Member<'_>) -> bool {
        let mut found = false;
        let members = each_member(holder.value, |inner| {
            found |= match Inner::of(&holder.name, &inner.name) {
                Inner::Title => self.is_named_title(inner.value),
                Inner::Holder => inner.is_object() && self.holds_named_title(&inner),
                Inner::Neither => false,
            };
        });
        found && members.is_ok()
    }

    fn is_named_title(&self, raw: &str) -> bool {
        let title = comparable_title(&string_content(raw));
        self.named.iter().any(|titles| titles.contains(&title))
    }
}
