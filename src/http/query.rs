//! Query parameters. A misspelt one is an error. Other unknown ones are ignored, and the response
//! names them (docs/protocol.md, "Errors").

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::limits;
use crate::problem::Problem;
use crate::spelling::misspelling_of;

/// The parameters of one endpoint.
#[derive(Debug)]
pub(super) struct KnownParameters {
    names: &'static [&'static str],
    /// How a problem lists them.
    listed: &'static str,
    /// Those that may be repeated. The last value counts: a polyfill of `EventSource`
    /// appends a newer id to a URL that has one.
    repeatable: &'static [&'static str],
}

/// The parameters of a stream request.
pub(super) const STREAM_PARAMETERS: KnownParameters = KnownParameters {
    names: &[
        "since",
        "lastEventId",
        "tail",
        "until",
        "limit",
        "filter",
        "wiki",
        "domain",
        "namespace",
        "type",
        "user",
        "title",
        "bot",
        "minor",
        "patrolled",
        "canary",
        "max_event_bytes",
        "fields",
        "ids",
        "compression",
    ],
    listed: "since, lastEventId, tail, until, limit, filter, wiki, domain, namespace, type, user, \
             title, bot, minor, patrolled, canary, max_event_bytes, fields, ids, compression",
    repeatable: &["lastEventId"],
};

/// The parameters of a read with the protocol of Durable Streams.
pub(super) const READ_PARAMETERS: KnownParameters = KnownParameters {
    names: &[
        "offset",
        "live",
        "cursor",
        "filter",
        "wiki",
        "domain",
        "namespace",
        "type",
        "user",
        "title",
        "bot",
        "minor",
        "patrolled",
        "canary",
        "max_event_bytes",
        "fields",
    ],
    listed: "offset, live, cursor, filter, wiki, domain, namespace, type, user, title, bot, minor, \
             patrolled, canary, max_event_bytes, fields",
    repeatable: &[],
};

/// The parameters of `/`.
pub(super) const ROOT_PARAMETERS: KnownParameters = KnownParameters {
    names: &["spec", "doc"],
    listed: "spec, doc",
    repeatable: &[],
};

/// The parameters of a request, decoded (WHATWG URL,
/// application/x-www-form-urlencoded).
#[derive(Debug, Default)]
pub(super) struct Parameters {
    known: HashMap<&'static str, String>,
    ignored: Vec<String>,
}

/// The header that names ignored parameters.
pub(super) const IGNORED: HeaderName = HeaderName::from_static("x-eventstreams-ignored");

/// The characters of an ignored name that are escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

impl KnownParameters {
    /// Their names.
    #[cfg(test)]
    pub(super) const fn names(&self) -> &'static [&'static str] {
        self.names
    }
}

impl Parameters {
    /// # Errors
    /// [`Problem::InvalidQuery`] for a misspelt name, and for a name given twice.
    pub(super) fn parse(query: Option<&str>, known: &KnownParameters) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            match known.names.iter().find(|known| **known == name) {
                Some(name) => parameters.set(name, value.into_owned(), known)?,
                None => match misspelling_of(&name, known.names.iter().copied()) {
                    Some(nearest) => {
                        let detail =
                            format!("Unknown query parameter '{name}'; did you mean '{nearest}'?");
                        let valid = known.listed;
                        return Err(Problem::InvalidQuery { detail, valid });
                    }
                    None => parameters.ignore(&name),
                },
            }
        }
        Ok(parameters)
    }

    fn set(
        &mut self,
        name: &'static str,
        value: String,
        known: &KnownParameters,
    ) -> Result<(), Problem> {
        if !known.repeatable.contains(&name) {
            return match self.known.insert(name, value) {
                None => Ok(()),
                Some(_) => Err(Problem::InvalidQuery {
                    detail: format!("Query parameter '{name}' is given twice."),
                    valid: known.listed,
                }),
            };
        }
        // An empty value does not hide the one before it.
        if !value.trim().is_empty() {
            self.known.insert(name, value);
        }
        Ok(())
    }

    fn ignore(&mut self, name: &str) {
        let name: String = name
            .chars()
            .take(limits::IGNORED_PARAMETER_CHARS_MAX)
            .collect();
        let name = utf8_percent_encode(&name, ESCAPED).to_string();
        if self.ignored.len() < limits::IGNORED_PARAMETERS_MAX
            && !name.is_empty()
            && !self.ignored.contains(&name)
        {
            self.ignored.push(name);
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.known.get(name).map(String::as_str)
    }

    /// The names of ignored parameters, escaped; `None` when there is none.
    pub(super) fn ignored(&self) -> Option<String> {
        (!self.ignored.is_empty()).then(|| self.ignored.join(", "))
    }

    /// Adds a header with the ignored parameters.
    pub(super) fn add_ignored_header(&self, headers: &mut HeaderMap) {
        if let Some(value) = self
            .ignored()
            .and_then(|names| HeaderValue::try_from(names).ok())
        {
            headers.insert(IGNORED, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Shorthand;

    fn parse(query: &str) -> Result<Parameters, Problem> {
        Parameters::parse(Some(query), &STREAM_PARAMETERS)
    }

    #[test]
    fn known_parameters_are_decoded() {
        let parameters =
            parse("since=2026-11-23T10%3A00%3A00Z&lastEventId=%5B%5D").expect("both known");
        assert_eq!(parameters.get("since"), Some("2026-11-23T10:00:00Z"));
        assert_eq!(parameters.get("lastEventId"), Some("[]"));
        assert_eq!(
            (parameters.get("compression"), parameters.ignored()),
            (None, None)
        );
    }

    #[test]
    fn misspelt_and_repeated_parameters_are_problems() {
        for query in [
            "sinc=1",
            "Since",
            "snice=1",
            "sinces=1",
            "last_event_id=[]",
            "Last-Event-ID=[]",
            "lasteventid=[]",
            "lastEvent=[]",
            "compresion=gzip",
            "compress=gzip",
            "format=json&sine=1",
            "since=1&since=1",
            "since=&since=",
            "compression=gzip&compression=gzip",
            "fliter=true",
            "filters=true",
            "wikis=enwiki",
            "limits=1",
            "untill=1",
            "until=1&until=1",
            "limit=1&limit=2",
            "max_events_bytes=1",
            "Canary=false",
            "wiki=enwiki&wiki=dewiki",
        ] {
            let problem = parse(query).expect_err(query).to_string();
            let valid = "Valid query parameters here: since, lastEventId, tail,";
            assert!(problem.contains(valid), "{problem}");
        }
    }

    #[test]
    fn the_list_in_a_problem_is_the_list_of_names() {
        for known in [&STREAM_PARAMETERS, &READ_PARAMETERS, &ROOT_PARAMETERS] {
            assert_eq!(known.listed, known.names.join(", "));
        }
        for shorthand in Shorthand::ALL {
            assert!(STREAM_PARAMETERS.names.contains(&shorthand.name()));
            assert!(READ_PARAMETERS.names.contains(&shorthand.name()));
        }
    }

    #[test]
    fn other_parameters_are_ignored_and_named() {
        let ignored = |query: &str| parse(query).expect(query).ignored();
        assert_eq!(
            ignored("format=json&hidebots=1&since=1&format=x"),
            Some("format, hidebots".to_owned())
        );
        assert_eq!(
            ignored("_=17&utm_source=x&x&&=5"),
            Some("_, utm_source, x".to_owned())
        );
        assert_eq!(
            ignored("a%0D%0Ab%3A+c=1&%C3%A9"),
            Some("a%0D%0Ab%3A%20c, %C3%A9".to_owned())
        );
        let many = (0..1000)
            .map(|n| format!("parameter{n}{}", "x".repeat(1000)))
            .collect::<Vec<_>>()
            .join("&");
        let ignored = ignored(&many).expect("some of them");
        let bytes_max = limits::IGNORED_PARAMETERS_MAX * (limits::IGNORED_PARAMETER_CHARS_MAX + 2);
        assert!(ignored.len() <= bytes_max, "{} bytes", ignored.len());
    }

    #[test]
    fn of_repeated_ids_the_last_one_that_is_not_empty_counts() {
        for (query, id) in [
            ("lastEventId=a&lastEventId=b", Some("b")),
            ("lastEventId=a&lastEventId=", Some("a")),
            ("lastEventId=&lastEventId=b&lastEventId=+", Some("b")),
            ("lastEventId=", None),
        ] {
            assert_eq!(parse(query).expect(query).get("lastEventId"), id, "{query}");
        }
    }
}
