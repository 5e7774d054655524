//! Where a stream ends, in events and in time: `limit` and `until` (docs/protocol.md, "Streams that
//! end").

use super::query::Parameters;
use crate::cursor::{TimestampMs, since};
use crate::fanout::Bound;
use crate::problem::Problem;

/// The end that a request asks for, whose stream begins at `since`.
pub(super) fn requested_bound(
    parameters: &Parameters,
    since: Option<TimestampMs>,
) -> Result<Bound, Problem> {
    let until = requested_time(parameters, "until")?;
    if until
        .zip(since)
        .is_some_and(|(until, since)| until <= since)
    {
        return Err(Problem::InvalidValue {
            name: "until",
            expected: "later than 'since'",
        });
    }
    Ok(Bound {
        events: limit(parameters)?,
        until,
    })
}

/// The time that a parameter has.
pub(super) fn requested_time(
    parameters: &Parameters,
    name: &'static str,
) -> Result<Option<TimestampMs>, Problem> {
    let parse = |text| since::parse(text);
    let time = parameters.get(name).map(parse).transpose();
    time.map_err(|error| Problem::InvalidTimestamp { name, error })
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
        requested_bound(&parameters, requested_time(&parameters, "since")?)
    }

    #[test]
    fn until_is_a_time_later_than_since() {
        let until = |query| bound(query).expect(query).until;
        assert_eq!(
            until("until=2023-11-14&limit=2"),
            until("until=1699920000000")
        );
        assert_eq!(until("since=5&until=6"), Some(TimestampMs(6)));
        for (query, part) in [
            ("until=", "`until` is empty; use an ISO 8601"),
            ("until=x", "`until` is not a time"),
            ("since=x&until=5", "`since` is not a time"),
            ("until=1700000000", "`until` counts milliseconds"),
            ("since=6&until=6", "'until' must be later than 'since'"),
        ] {
            let problem = bound(query).expect_err(query).to_string();
            assert!(problem.contains(part), "{problem}");
        }
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
