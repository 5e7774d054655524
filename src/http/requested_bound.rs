//! Where a stream ends: `limit` (docs/protocol.md, "Streams that end").

use super::query::Parameters;
use crate::fanout::Bound;
use crate::problem::Problem;

/// The end that a request asks for.
pub(super) fn requested_bound(parameters: &Parameters) -> Result<Bound, Problem> {
    Ok(Bound {
        events: limit(parameters)?,
    })
}

fn limit(parameters: &Parameters) -> Result<Option<u64>, Problem> {
    let parse = |value: &str| {
        let events = value.parse().ok().filter(|events| *events > 0);
        events.ok_or(Problem::InvalidValue {
            name: "limit",
            expected: "a whole number of events above 0",
        })
    };
    parameters.get("limit").map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::query::STREAM_PARAMETERS;
    use super::*;

    fn bound(query: &str) -> Result<Bound, Problem> {
        let parameters = Parameters::parse(Some(query), &STREAM_PARAMETERS)?;
        requested_bound(&parameters)
    }

    #[test]
    fn a_limit_is_a_number_above_0() {
        assert_eq!(bound("").expect("no limit"), Bound::default());
        let events = bound("limit=3").expect("a limit").events;
        assert_eq!(events, Some(3));
        for query in ["limit=0", "limit=", "limit=-1", "limit=1.5", "limit=x"] {
            let problem = bound(query).expect_err(query).to_string();
            assert!(
                problem.contains("'limit' must be a whole number"),
                "{problem}"
            );
        }
    }
}
