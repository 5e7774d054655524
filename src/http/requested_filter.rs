//! Which events a stream request asks for: `filter`, the shorthand parameters, `canary` and
//! `max_event_bytes` (docs/protocol.md, "Filters").

use axum::http::{HeaderName, HeaderValue};

use super::query::Parameters;
use crate::config::NamedFilters;
use crate::filter::{Filter, Selection, Shorthand};
use crate::problem::Problem;
use crate::spelling::nearest;

/// The response header with the normalised filter.
pub(super) const FILTER: HeaderName = HeaderName::from_static("x-eventstreams-filter");

/// Canary events are of this domain.
const NO_CANARY: &str = "!has(event.meta.domain) || event.meta.domain != \"canary\"";

/// Whether the request itself says which events it wants. What the operator excludes for all
/// clients does not count as one of their filters.
pub(super) fn chooses_events(parameters: &Parameters) -> bool {
    let names = ["filter", "canary", "max_event_bytes"].into_iter();
    let mut names = names.chain(Shorthand::ALL.map(Shorthand::name));
    names.any(|name| parameters.get(name).is_some())
}

/// The selection of a request; `None` for all events. `canary_events` holds where the request does
/// not say.
pub(super) fn requested_selection(
    parameters: &Parameters,
    named: &NamedFilters,
    canary_events: bool,
) -> Result<Option<Selection>, Problem> {
    let mut filter = match parameters.get("filter") {
        Some(text) => given_filter(text, named)?,
        None => Filter::default(),
    };
    for shorthand in Shorthand::ALL {
        if let Some(values) = parameters.get(shorthand.name()) {
            let one = Filter::shorthand(shorthand, values).map_err(Problem::InvalidFilter)?;
            filter = filter.and(one);
        }
    }
    if !wants_canary(parameters)?.unwrap_or(canary_events) {
        let no_canary = Filter::parse(NO_CANARY).expect("a test parses it");
        filter = filter.and(no_canary);
    }
    Ok(Selection::new(filter, event_bytes_max(parameters)?))
}

/// An expression, or the name of one of the operator's filters.
fn given_filter(text: &str, named: &NamedFilters) -> Result<Filter, Problem> {
    let Some(name) = text.trim().strip_prefix('@') else {
        return Filter::parse(text)
            .map_err(|error| Problem::InvalidFilter(format!("The filter is not valid, {error}")));
    };
    named.get(name).cloned().ok_or_else(|| {
        let hint = match nearest(name, named.keys().map(String::as_str)) {
            Some(nearest) => format!("did you mean '@{nearest}'?"),
            None => "this server has no filters with names".to_owned(),
        };
        Problem::InvalidFilter(format!("Unknown filter '@{name}'; {hint}"))
    })
}

fn wants_canary(parameters: &Parameters) -> Result<Option<bool>, Problem> {
    let parse = |value: &str| {
        value.parse().map_err(|_| Problem::InvalidValue {
            name: "canary",
            expected: "true or false",
        })
    };
    parameters.get("canary").map(parse).transpose()
}

fn event_bytes_max(parameters: &Parameters) -> Result<Option<usize>, Problem> {
    let parse = |value: &str| {
        let bytes = value.parse().ok().filter(|bytes| *bytes > 0);
        bytes.ok_or(Problem::InvalidValue {
            name: "max_event_bytes",
            expected: "a whole number of bytes above 0",
        })
    };
    parameters.get("max_event_bytes").map(parse).transpose()
}

/// The normalised filter as the response header; `None` for all events.
pub(super) fn filter_header(selection: &Selection) -> Option<HeaderValue> {
    let filter = selection.filter();
    if filter.is_always_true() {
        return None;
    }
    HeaderValue::try_from(filter.ascii_text()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::query::STREAM_PARAMETERS;
    use super::*;

    fn requested(query: &str) -> Result<Option<Selection>, Problem> {
        let parameters = Parameters::parse(Some(query), &STREAM_PARAMETERS)?;
        let humans = Filter::parse("!event.bot").expect("a filter");
        let named = NamedFilters::from([("humans".to_owned(), humans)]);
        requested_selection(&parameters, &named, true)
    }

    fn header(query: &str) -> String {
        let selection = requested(query).expect(query).expect("not everything");
        let header = filter_header(&selection).expect("a filter");
        header.to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn without_a_parameter_every_event_is_sent() {
        for query in [
            "",
            "since=1",
            "canary=true",
            "filter=true",
            "filter=1==1%7C%7Ctrue",
        ] {
            assert_eq!(requested(query).expect(query), None, "{query}");
        }
    }

    #[test]
    fn parameters_are_joined_whatever_their_order() {
        let expected = header("wiki=enwiki&bot=false&filter=event.minor");
        assert_eq!(header("filter=event.minor&bot=false&wiki=enwiki"), expected);
        assert_eq!(
            header("filter=event.minor+%26%26+wiki==%27enwiki%27&bot=false"),
            expected
        );
    }

    #[test]
    fn the_header_is_a_filter_that_means_the_same() {
        for query in [
            "wiki=enwiki,dewiki&namespace=0",
            "title=Z%C3%BCrich*&user=%F0%9F%A6%80",
            "canary=false",
            "filter=event.a%3D%3D%27%5Cn%22%27",
            "filter=@humans",
            "bot=false&minor=true&patrolled=false&type=edit,new&domain=*.wikipedia.org",
        ] {
            let header = header(query);
            let again = Filter::parse(&header).expect(&header);
            let selection = requested(query).expect(query).expect("not everything");
            assert_eq!(again, *selection.filter(), "{header}");
        }
    }

    #[test]
    fn canary_events_are_sent_unless_the_client_or_the_operator_says_no() {
        let canary = r#"{"meta":{"domain":"canary"}}"#;
        let matches = |query: &str, canary_events| {
            let parameters = Parameters::parse(Some(query), &STREAM_PARAMETERS).expect("all known");
            let selection = requested_selection(&parameters, &NamedFilters::new(), canary_events);
            let selection = selection.expect("valid");
            selection.is_none_or(|selection| selection.filter().matches(canary))
        };
        assert!(matches("", true) && matches("canary=true", false));
        assert!(!matches("", false) && !matches("canary=false", true));
        let selection = requested("canary=false").expect("valid").expect("a filter");
        for other in [
            r#"{"meta":{"domain":"en.wikipedia.org"}}"#,
            r#"{"meta":{}}"#,
            "{}",
        ] {
            assert!(selection.filter().matches(other), "{other}");
        }
    }

    #[test]
    fn wrong_values_are_problems_that_say_what_is_expected() {
        for (query, part) in [
            ("filter=event.a+%3D+1", "column 9: found '='"),
            ("filter=", "column 1"),
            ("filter=@human", "did you mean '@humans'?"),
            ("bot=maybe", "'bot' must be true or false, found 'maybe'"),
            ("wiki=", "'wiki' has an empty value"),
            ("canary=no", "'canary' must be true or false"),
            (
                "max_event_bytes=0",
                "'max_event_bytes' must be a whole number",
            ),
            (
                "max_event_bytes=1k",
                "'max_event_bytes' must be a whole number",
            ),
        ] {
            let problem = requested(query).expect_err(query).to_string();
            assert!(problem.contains(part), "{query}: {problem}");
        }
    }
}
