//! Query parameters: one that is nearly a known one is a mistake that its sender should hear of, any other unknown one is ignored, and
//! told (protocol §3).

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::limits;
use crate::problem::Problem;

/// The parameters of one endpoint.
#[derive(Debug)]
pub(super) struct Known {
    names: &'static [&'static str],
    /// How a problem lists them.
    listed: &'static str,
    /// Those of which the last one counts when they are repeated: a polyfill of `EventSource` appends
    /// a newer id to a URL that has one.
    repeatable: &'static [&'static str],
}

/// Those of a stream request.
pub(super) const STREAM_PARAMETERS: Known = Known {
    names: &["since", "lastEventId", "compression"],
    listed: "since, lastEventId, compression",
    repeatable: &["lastEventId"],
};

/// Those of `/`.
pub(super) const ROOT_PARAMETERS: Known = Known {
    names: &["spec", "doc"],
    listed: "spec, doc",
    repeatable: &[],
};

/// The parameters of a request, percent-decoding and `+` undone (WHATWG URL, application/x-www-form-urlencoded).
#[derive(Debug, Default)]
pub(super) struct Parameters {
    known: HashMap<&'static str, String>,
    ignored: Vec<String>,
}

/// Names parameters that were ignored.
pub(super) const IGNORED: HeaderName = HeaderName::from_static("x-eventstreams-ignored");

/// What of an ignored name is shown as it came.
const SHOWN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

impl Parameters {
    /// # Errors
    /// [`Problem::InvalidQuery`] for a name that is nearly one of `known`, and for one given twice.
    pub(super) fn parse(query: Option<&str>, known: &Known) -> Result<Self, Problem> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
            match known.names.iter().find(|known| **known == name) {
                Some(name) => parameters.set(name, value.into_owned(), known)?,
                None => match near(&name, known.names) {
                    Some(near) => {
                        let detail =
                            format!("Unknown query parameter '{name}'; did you mean '{near}'?");
                        let valid = known.listed;
                        return Err(Problem::InvalidQuery { detail, valid });
                    }
                    None => parameters.ignore(&name),
                },
            }
        }
        Ok(parameters)
    }

    fn set(&mut self, name: &'static str, value: String, known: &Known) -> Result<(), Problem> {
        if !known.repeatable.contains(&name) {
            return match self.known.insert(name, value) {
                None => Ok(()),
                Some(_) => Err(Problem::InvalidQuery {
                    detail: format!("Query parameter '{name}' is given twice."),
                    valid: known.listed,
                }),
            };
        }
        // An empty one is as none: it must not hide what came before it.
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
        let name = utf8_percent_encode(&name, SHOWN).to_string();
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

    /// The names of ignored parameters, in a form that can stand anywhere; `None` when there is none.
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

/// The known name that `name` is a misspelling of: the same but for case, `-` and `_`, or a letter or
/// two away, by the length of the name.
fn near(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // Whatever is longer is near to none, and would take long to compare.
    if name.len() > limits::IGNORED_PARAMETER_CHARS_MAX {
        return None;
    }
    let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    let name = plain(name);
    let distances = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name, &plain(known)), *known));
    let (distance, nearest) = distances.min()?;
    let far = match nearest.len() {
        0..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    (distance <= far).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn misspelt_and_doubled_parameters_are_problems_that_list_the_valid_ones() {
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
        ] {
            let problem = parse(query).expect_err(query).to_string();
            assert!(
                problem.ends_with("Valid query parameters here: since, lastEventId, compression"),
                "{problem}"
            );
        }
    }

    #[test]
    fn other_parameters_are_ignored_and_told() {
        let told = |query: &str| parse(query).expect(query).ignored();
        assert_eq!(
            told("format=json&hidebots=1&since=1&format=x"),
            Some("format, hidebots".to_owned())
        );
        assert_eq!(
            told("_=17&utm_source=x&x&&=5"),
            Some("_, utm_source, x".to_owned())
        );
        assert_eq!(
            told("a%0D%0Ab%3A+c=1&%C3%A9"),
            Some("a%0D%0Ab%3A%20c, %C3%A9".to_owned())
        );
        let many = (0..1000)
            .map(|n| format!("parameter{n}{}", "x".repeat(1000)))
            .collect::<Vec<_>>()
            .join("&");
        let told = told(&many).expect("some of them");
        let bytes_max = limits::IGNORED_PARAMETERS_MAX * (limits::IGNORED_PARAMETER_CHARS_MAX + 2);
        assert!(told.len() <= bytes_max, "{} bytes", told.len());
    }

    #[test]
    fn of_a_repeated_id_the_last_counts_that_says_something() {
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
