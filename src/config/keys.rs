//! The table of all keys: names, kinds with ranges, defaults, a line of documentation each.
//!
//! `table` holds the rows. Checks, defaults and documentation all come from it.

mod table;

pub use table::KEYS;

/// A key of the operator's file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its section in the file that the Node service's chart renders. A plain file has no sections.
    pub section: Section,
    /// Which values it accepts.
    pub kind: ValueKind,
    /// The default, as YAML; `null` for none.
    pub default: &'static str,
    /// The value in `config/production.yaml` if the default would show nothing, as YAML.
    pub example: Option<&'static str>,
    /// What it means, in one line, with its unit.
    pub doc: &'static str,
}

/// A section of the file that the Node service's chart renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The top of the file.
    Top,
    /// `services[0].conf`.
    Conf,
}

/// Which values a key accepts. `null` always means the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Text; numbers and booleans count as the text that they are written as.
    Text,
    /// The value of an HTTP header (RFC 9110, section 5.5).
    HeaderValue,
    /// The same, or `false` or `off` for none.
    HeaderValueOrOff,
    /// The name of an HTTP header (RFC 9110, section 5.1).
    HeaderName,
    /// An `http:` or `https:` URL.
    HttpUrl,
    /// `true` or `false`.
    Flag,
    /// A whole number from `min` to `max`.
    Number {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// A whole number from 1 to `max`, or `off`, `false` or 0 for none.
    NumberOrOff {
        /// The largest value.
        max: u64,
    },
    /// A whole number from `min` to `max`, or `auto` for a value that the program chooses.
    NumberOrAuto {
        /// The smallest value.
        min: u64,
        /// The largest value.
        max: u64,
    },
    /// An IP address, `localhost`, or `all`.
    Interface,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words; `true` and `false`, which earlier versions used, stand for two of them.
    ChoiceOrFlag {
        /// The words.
        words: &'static [&'static str],
        /// The word for `true`.
        on: &'static str,
        /// The word for `false`.
        off: &'static str,
    },
    /// A list of names.
    Names,
    /// A list of names, or `all`.
    NamesOrAll,
    /// A list of IP networks (`10.0.0.0/8`) or single addresses.
    Networks,
    /// A map of librdkafka properties.
    Properties,
    /// A map of domains, each with a list of page titles.
    RedactedPages,
    /// A map of names, each with the text of a filter.
    Filters,
    /// A map of stream names, each with a map of settings.
    Streams,
    /// `headers` (a map) and `timeout` (milliseconds) of requests to a URL.
    UriOptions,
    /// The `logging` of service-runner: only `level` has an effect.
    Logging,
    /// The `metrics` of service-runner, a list of reporters: only the port of the one of type
    /// `prometheus` has an effect.
    Metrics,
    /// A key of the Node service that has no effect here; named once at startup.
    Ignored,
}

type Text = &'static str;

const fn conf(name: Text, kind: ValueKind, default: Text, doc: Text) -> Key {
    Key {
        name,
        section: Section::Conf,
        kind,
        default,
        example: None,
        doc,
    }
}

const fn top(name: Text, kind: ValueKind, default: Text, doc: Text) -> Key {
    Key {
        section: Section::Top,
        ..conf(name, kind, default, doc)
    }
}

const fn ignored(name: Text, section: Section) -> Key {
    Key {
        section,
        ..conf(name, ValueKind::Ignored, "null", "Has no effect.")
    }
}

const fn number(min: u64, max: u64) -> ValueKind {
    ValueKind::Number { min, max }
}

impl Key {
    const fn with_example(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }
}

/// The levels that `logging.level` accepts; `fatal` is the Node service's and means `error`.
pub(super) const LOG_LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
