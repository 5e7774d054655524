//! Names of fields: paths below `event`, and the shorthand names that stand for one member in
//! several schemas.

use std::fmt;

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Selector {
    /// `event.a.b`
    Path(Path),
    /// `wiki`: the first of several members that is present and not null.
    Shorthand(Shorthand),
}

/// The names of the members from the event down, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Path(pub(super) Vec<Box<str>>);

/// A name for a member that schemas name differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shorthand {
    /// The wiki's database name.
    Wiki,
    /// The wiki's domain.
    Domain,
    /// The number of the page's namespace.
    Namespace,
    /// What happened.
    Type,
    /// Who did it.
    User,
    /// The page's title.
    Title,
    /// Whether a bot did it.
    Bot,
    /// Whether the edit is minor.
    Minor,
    /// Whether the edit is patrolled.
    Patrolled,
}

impl Shorthand {
    /// All names, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Wiki,
        Self::Domain,
        Self::Namespace,
        Self::Type,
        Self::User,
        Self::Title,
        Self::Bot,
        Self::Minor,
        Self::Patrolled,
    ];

    /// The name, also that of the query parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wiki => "wiki",
            Self::Domain => "domain",
            Self::Namespace => "namespace",
            Self::Type => "type",
            Self::User => "user",
            Self::Title => "title",
            Self::Bot => "bot",
            Self::Minor => "minor",
            Self::Patrolled => "patrolled",
        }
    }

    /// The shorthand of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|shorthand| shorthand.name() == name)
    }

    /// The members that it stands for, in the order in which they are looked at.
    pub const fn members(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Wiki => &[&["wiki"], &["database"], &["wiki_id"]],
            Self::Domain => &[&["meta", "domain"]],
            Self::Namespace => &[
                &["namespace"],
                &["page_namespace"],
                &["page", "namespace_id"],
            ],
            Self::Type => &[&["type"], &["page_change_kind"]],
            Self::User => &[&["user"], &["performer", "user_text"]],
            Self::Title => &[&["title"], &["page_title"], &["page", "page_title"]],
            Self::Bot => &[
                &["bot"],
                &["performer", "user_is_bot"],
                &["performer", "is_bot"],
            ],
            Self::Minor => &[
                &["minor"],
                &["rev_minor_edit"],
                &["revision", "is_minor_edit"],
            ],
            Self::Patrolled => &[&["patrolled"]],
        }
    }

    /// Whether texts are compared as MediaWiki compares titles: `_` and spaces are the same, and so
    /// is case.
    pub(super) const fn is_title(self) -> bool {
        matches!(self, Self::User | Self::Title)
    }

    /// Whether its values are `true` and `false`.
    pub(super) const fn is_flag(self) -> bool {
        matches!(self, Self::Bot | Self::Minor | Self::Patrolled)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Shorthand(shorthand) => f.write_str(shorthand.name()),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("event")?;
        for name in &self.0 {
            if is_identifier(name) {
                write!(f, ".{name}")?;
            } else {
                write!(f, "[{}]", Quoted(name))?;
            }
        }
        Ok(())
    }
}

fn is_identifier(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    starts && name.bytes().all(is_part) && !is_reserved(name)
}

/// Words that CEL does not allow as the name of a field.
pub(super) fn is_reserved(name: &str) -> bool {
    matches!(name, "true" | "false" | "null" | "in")
}

/// A string as a filter writes it.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}
