//! Which events a subscriber gets, and a matcher for one subscriber.

use super::{Filter, FilterIndex, FilterKind, Scratch};

/// Which events of its topics a subscriber gets: those that match its filter and are no larger than
/// its bound. Equal selections share a feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    filter: Filter,
    event_bytes_max: Option<usize>,
}

impl Selection {
    /// The selection of a filter, and of a bound in bytes of an event's JSON. `None` when both let
    /// every event through.
    #[must_use]
    pub fn new(filter: Filter, event_bytes_max: Option<usize>) -> Option<Self> {
        let is_all = filter.is_always_true() && event_bytes_max.is_none();
        (!is_all).then_some(Self {
            filter,
            event_bytes_max,
        })
    }

    /// The filter, which may match every event.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How the filter is found for an event.
    #[must_use]
    pub fn kind(&self) -> FilterKind {
        self.filter.kind()
    }

    /// Whether an event of this size is delivered, if it matches the filter.
    #[must_use]
    pub fn allows_size(&self, bytes: usize) -> bool {
        self.event_bytes_max.is_none_or(|max| bytes <= max)
    }
}

/// For the log: the normalised filter, and the bound where there is one.
impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.filter.fmt(f)?;
        match self.event_bytes_max {
            Some(max) => write!(f, " (max_event_bytes={max})"),
            None => Ok(()),
        }
    }
}

/// Decides event by event for one selection. It keeps its memory from event to event.
#[derive(Debug)]
pub struct Matcher {
    index: FilterIndex,
    scratch: Scratch,
    selection: Selection,
}

impl Matcher {
    /// The matcher of a selection.
    #[must_use]
    pub fn new(selection: &Selection) -> Self {
        let mut index = FilterIndex::default();
        index.add(&selection.filter);
        Self {
            index,
            scratch: Scratch::default(),
            selection: selection.clone(),
        }
    }

    /// Whether the selection has `event`, the text of a JSON object.
    pub fn matches(&mut self, event: &str) -> bool {
        self.selection.allows_size(event.len())
            && !self.index.matching(event, &mut self.scratch).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(filter: &str, max: Option<usize>) -> Option<Selection> {
        Selection::new(Filter::parse(filter).expect("a filter"), max)
    }

    #[test]
    fn what_lets_everything_through_is_no_selection() {
        assert_eq!(selection("true", None), None);
        assert_eq!(Selection::new(Filter::default(), None), None);
        assert!(selection("false", None).is_some() && selection("true", Some(1)).is_some());
    }

    #[test]
    fn an_event_must_match_and_fit() {
        let event = r#"{"wiki":"enwiki"}"#;
        let matches = |filter, max| {
            let selection = selection(filter, max).expect("not everything");
            Matcher::new(&selection).matches(event)
        };
        assert!(matches("event.wiki == 'enwiki'", None));
        assert!(!matches("event.wiki == 'dewiki'", None));
        assert!(matches("true", Some(event.len())) && !matches("true", Some(event.len() - 1)));
    }

    #[test]
    fn a_matcher_carries_nothing_from_one_event_to_the_next() {
        let selection = selection("event.a == 1", None).expect("not everything");
        let mut matcher = Matcher::new(&selection);
        let events = [r#"{"a":1}"#, r#"{"b":1}"#, r#"{"a":2}"#, "{}", r#"{"a":1}"#];
        assert_eq!(
            events.map(|event| matcher.matches(event)),
            [true, false, false, false, true]
        );
    }
}
