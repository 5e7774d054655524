//! The metaschemas' documents and their URIs.

const DRAFT_04: &str = include_str!("draft-04.json");
const DRAFT_06: &str = include_str!("draft-06.json");
const DRAFT_07: &str = include_str!("draft-07.json");

/// A known metaschema.
#[derive(Clone, Copy)]
pub(in super::super) enum Dialect {
    Draft07,
    Draft06,
    Draft04,
}

impl Dialect {
    pub(super) const ALL: [Self; 3] = [Self::Draft07, Self::Draft06, Self::Draft04];

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Draft07 => DRAFT_07,
            Self::Draft06 => DRAFT_06,
            Self::Draft04 => DRAFT_04,
        }
    }

    pub(super) fn uri(self) -> &'static str {
        match self {
            Self::Draft07 => "http://json-schema.org/draft-07/schema",
            Self::Draft06 => "http://json-schema.org/draft-06/schema",
            Self::Draft04 => "http://json-schema.org/draft-04/schema",
        }
    }

    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let uri = uri.strip_suffix('#').unwrap_or(uri);
        let after_scheme = |uri: &'static str| &uri["http:".len()..];
        let rest = uri
            .strip_prefix("http:")
            .or_else(|| uri.strip_prefix("https:"))?;
        if rest == "//json-schema.org/schema" {
            return Some(Self::Draft07);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|dialect| after_scheme(dialect.uri()) == rest)
    }
}

/// Whether this is the URI of a metaschema.
pub(in super::super) fn is_known(uri: &str) -> bool {
    Dialect::of_uri(uri).is_some()
}
