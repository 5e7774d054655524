//! Query parameters, strictly: one that nobody reads is a mistake that its sender should hear of (protocol §3).

use std::collections::HashMap;

use super::problem::Problem;

/// The parameters of a stream request, and how a problem lists them.
pub(super) const STREAM_PARAMETERS: (&[&str], &str) = (&["since", "lastEventId"], "since, lastEventId");

/// The parameters of `/`.
pub(super) const ROOT_PARAMETERS: (&[&str], &str) = (&["spec", "doc"], "spec, doc");

/// The parameters by name, percent-decoding and `+` undone (WHATWG URL, application/x-www-form-urlencoded).
///
/// # Errors
/// [`Problem::InvalidQuery`] for a name that is not one of `valid`, and for one given twice.
pub(super) fn parse(
    query: Option<&str>,
    (names, listed): (&'static [&'static str], &'static str),
) -> Result<HashMap<&'static str, String>, Problem> {
    let mut parameters = HashMap::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
        let Some(known) = names.iter().find(|known| **known == name) else {
            return Err(Problem::InvalidQuery(format!("Unknown query parameter '{name}'"), listed));
        };
        if parameters.insert(*known, value.into_owned()).is_some() {
            return Err(Problem::InvalidQuery(format!("Query parameter '{name}' is given twice"), listed));
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_decoded() {
        let parameters = parse(Some("since=2026-11-23T10%3A00%3A00Z&lastEventId=%5B%5D"), STREAM_PARAMETERS).expect("both known");
        assert_eq!(parameters["since"], "2026-11-23T10:00:00Z");
        assert_eq!(parameters["lastEventId"], "[]");
    }

    #[test]
    fn unknown_and_doubled_parameters_are_problems_that_list_the_valid_ones() {
        for query in ["sinc=1", "since=1&since=2", "x"] {
            let problem = parse(Some(query), STREAM_PARAMETERS).expect_err(query).to_string();
            assert!(problem.contains("since, lastEventId"), "{problem}");
        }
    }
}
