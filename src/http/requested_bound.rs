//! Where a stream ends, in events and in time: `limit` and `until` (docs/protocol.md, "Streams that
//! end"). With how many of the last events it begins: `tail`.

use super::query::Parameters;
use crate::cursor::{TimestampMs, since};
use crate::fanout::Bound;
use crate::limits;
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
        page: None,
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

/// How many of the last events a request asks for, whose stream begins at `since`.
pub(super) fn requested_tail(
    parameters: &Parameters,
    since: Option<TimestampMs>,
) -> Result<Option<usize>, Problem> {
    let Some(value) = parameters.get("tail") else {
        return Ok(None);
    };
    let invalid = |expected| Problem::InvalidValue {
        name: "tail",
        expected,
    };
    if since.is_some() {
        return Err(invalid("given without 'since'"));
    }
    let count = value.parse().ok();
    let count = count.filter(|count| (1..=limits::TAIL_EVENTS_MAX).contains(count));
    count
        .map(Some)
        .ok_or(invalid("a whole number of events from 1 to 10000"))
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
    fn a_tail_is_a_bounded_number_without_since() {
        let tail = |query: &str| {
            let parameters = Parameters::parse(Some(query), &STREAM_PARAMETERS)?;
            requested_tail(&parameters, requested_time(&parameters, "since")?)
        };
        assert_eq!(tail("").expect("none"), None);
        assert_eq!(tail("tail=1").expect("1"), Some(1));
        assert_eq!(tail("tail=10000&until=5").expect("the most"), Some(10_000));
        for (query, part) in [
            ("tail=0", "'tail' must be a whole number"),
            ("tail=10001", "from 1 to 10000"),
            ("tail=", "'tail' must be a whole number"),
            ("tail=-1", "'tail' must be a whole number"),
            ("tail=5&since=5", "'tail' must be given without 'since'"),
        ] {
            let problem = tail(query).expect_err(query).to_string();
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
