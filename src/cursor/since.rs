//! `since` and `until`: the times from which and up to which a client wants events.

use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset as UtcOffset;

use super::TimestampMs;

/// The longest text that is parsed, in bytes: longer than any time.
const SINCE_BYTES_MAX: usize = 64;

/// How many digits seconds since 1970 have, from 2001 to 2286.
const SECONDS_DIGITS: usize = 10;

/// Stands for every time that is too late.
const LATEST: TimestampMs = TimestampMs(i64::MAX);

/// Why a time is refused: the detail, behind the name of the parameter, of the problem that the
/// client gets (docs/protocol.md, "Errors", `invalid_timestamp`, status 400).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinceError {
    /// The parameter has no value.
    #[error("is empty; {FORMS}")]
    Empty,
    /// Longer than any time.
    #[error("is {bytes} bytes long; {FORMS}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Ten digits: seconds since 1970.
    #[error(
        "counts milliseconds since 1970, and {0} looks like seconds: \
         use {0}000, or a date"
    )]
    Seconds(String),
    /// It is not a time.
    #[error("is not a time ({0}); {FORMS}")]
    NotTime(String),
    /// A time zone by name: only offsets are understood.
    #[error("names a time zone; {FORMS}")]
    NamedZone,
}

const FORMS: &str = "use an ISO 8601 date or date-time (2026-11-23, 2026-11-23T10:00:00Z, \
                     2026-11-23T11:00:00.250+01:00) or milliseconds since 1970 as digits";

/// Parses the value of the query's `since` or `until`, percent-decoded (docs/protocol.md,
/// "Where a stream begins").
///
/// * Only digits: milliseconds since 1970-01-01T00:00:00Z. So `20261123` is a time on 1 January
///   1970, and not a date; dates need their hyphens. Ten digits are refused: they are seconds since
///   1970 (of the years 2001 to 2286), and as milliseconds they would mean a time before any event.
/// * A date: its first moment, midnight UTC.
/// * A date-time, extended or basic (`20261123T100000Z`), separated by `T` or a space, with or
///   without a fraction of a second (cut to milliseconds); with `Z`, an offset, or neither, which
///   means UTC.
/// * A `+` that was sent unescaped and decoded to a space (`2026-11-23T11:00:00 01:00`) is read as
///   `+`: nothing else can be meant after a time.
/// * Times before 1970 are 1970: no event is older. Times beyond calculation (the end of 9999,
///   years of six digits as JavaScript writes them, more milliseconds than fit) are the latest
///   possible.
///
/// # Errors
///
/// [`SinceError`].
pub fn parse(text: &str) -> Result<TimestampMs, SinceError> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(SinceError::Empty);
    }
    if text.len() > SINCE_BYTES_MAX {
        return Err(SinceError::TooLong { bytes: text.len() });
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        if text.len() == SECONDS_DIGITS {
            return Err(SinceError::Seconds(text.to_owned()));
        }
        // More digits than fit mean a time that never comes.
        return Ok(text.parse().map_or(LATEST, TimestampMs));
    }
    let text = with_plus(text);
    let not_time = |error: jiff::Error| SinceError::NotTime(error.to_string());
    let beyond = beyond_9999(&text);
    let pieces = Pieces::parse(beyond.as_ref().unwrap_or(&text)).map_err(not_time)?;
    if pieces.time_zone_annotation().is_some() {
        return Err(SinceError::NamedZone);
    }
    if beyond.is_some() {
        return Ok(LATEST);
    }
    let time = pieces.time().unwrap_or(Time::midnight());
    let offset = pieces.to_numeric_offset().unwrap_or(UtcOffset::UTC);
    match offset.to_timestamp(pieces.date().to_datetime(time)) {
        Ok(instant) => Ok(TimestampMs(instant.as_millisecond().max(0))),
        // jiff's instants end a day before its dates do, on both sides.
        Err(_) if pieces.date().year() > 0 => Ok(LATEST),
        Err(_) => Ok(TimestampMs(0)),
    }
}

/// The same time in a year that jiff supports, when the year has six digits and is beyond 9999 (the
/// expanded form of ISO 8601, as JavaScript's `toISOString` writes it). Its `+` may have been
/// decoded to a space and trimmed.
fn beyond_9999(text: &str) -> Option<String> {
    let (year, rest) = text.strip_prefix('+').unwrap_or(text).split_once('-')?;
    let is_beyond = year.len() == 6
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && !year.starts_with("00");
    // The calendar repeats every 400 years.
    is_beyond
        .then(|| year.parse::<u32>().ok())
        .flatten()
        .map(|year| format!("{}-{rest}", 2000 + year % 400))
}

/// The text with `+` in place of a space that follows a time.
fn with_plus(text: &str) -> String {
    match text.rfind(' ') {
        Some(space) if text[..space].contains([' ', 'T', 't']) => {
            format!("{}+{}", &text[..space], &text[space + 1..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2026-11-23T00:00:00Z
    const DAY: i64 = 1_795_392_000_000;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn every_form_of_a_time_is_read() {
        for (text, ms) in [
            ("2026-11-23", DAY),
            ("2026-11-23T10:00:00Z", DAY + 10 * HOUR),
            ("2026-11-23t10:00:00z", DAY + 10 * HOUR),
            ("2026-11-23T10:00:00", DAY + 10 * HOUR),
            ("2026-11-23T10:00", DAY + 10 * HOUR),
            ("2026-11-23 10:00:00", DAY + 10 * HOUR),
            ("2026-11-23 10:00:00Z", DAY + 10 * HOUR),
            ("2026-11-23T10:00:00+01:00", DAY + 9 * HOUR),
            ("2026-11-23T10:00:00-0130", DAY + 11 * HOUR + HOUR / 2),
            ("2026-11-23T10:00:00.25Z", DAY + 10 * HOUR + 250),
            ("2026-11-23T10:00:00,250Z", DAY + 10 * HOUR + 250),
            ("20261123T100000Z", DAY + 10 * HOUR),
            (" 2026-11-23 ", DAY),
        ] {
            assert_eq!(parse(text), Ok(TimestampMs(ms)), "{text}");
        }
    }

    #[test]
    fn digits_are_milliseconds_even_when_they_look_like_a_date() {
        assert_eq!(parse("1795392000000"), Ok(TimestampMs(DAY)));
        assert_eq!(parse("20261123"), Ok(TimestampMs(20_261_123)));
        assert_eq!(parse("0"), Ok(TimestampMs(0)));
        assert_eq!(parse("9223372036854775807"), Ok(TimestampMs(i64::MAX)));
    }

    #[test]
    fn seconds_are_refused_with_the_milliseconds_they_mean() {
        for text in ["1700000000", " 9999999999 ", "1000000000"] {
            let error = parse(text).expect_err(text).to_string();
            assert!(
                error.contains("milliseconds") && error.contains(&format!("{}000", text.trim())),
                "{error}"
            );
        }
        assert_eq!(parse("999999999"), Ok(TimestampMs(999_999_999)));
        assert_eq!(parse("10000000000"), Ok(TimestampMs(10_000_000_000)));
    }

    #[test]
    fn times_beyond_calculation_are_the_latest() {
        for text in [
            "9999-12-31T23:59:59Z",
            "9999-12-31",
            "9999-12-31T23:59:59.999-12:00",
            "+275760-09-13T00:00:00.000Z",
            " 275760-09-13T00:00:00.000Z",
            "+010000-02-29",
            "9223372036854775808",
            "99999999999999999999999999",
        ] {
            assert_eq!(parse(text), Ok(LATEST), "{text}");
        }
        assert!(parse("9999-12-30T00:00:00Z").expect("a time") < LATEST);
        for text in [
            "+275760-13-13",
            "+010001-02-29",
            "275760-09-13x",
            "1000000-01-01",
            "+010000",
            "009999-12-31",
        ] {
            assert!(
                matches!(parse(text), Err(SinceError::NotTime(_))),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn a_plus_that_was_decoded_to_a_space_is_a_plus() {
        for text in [
            "2026-11-23T10:00:00 01:00",
            "2026-11-23 10:00:00 01:00",
            "2026-11-23T10:00:00 0100",
        ] {
            assert_eq!(parse(text), Ok(TimestampMs(DAY + 9 * HOUR)), "{text}");
        }
    }

    #[test]
    fn fractions_below_a_millisecond_are_cut() {
        assert_eq!(parse("2026-11-23T00:00:00.0009999Z"), Ok(TimestampMs(DAY)));
    }

    #[test]
    fn times_before_1970_are_1970() {
        for text in [
            "1969-07-20T20:17:40Z",
            "0000-01-01",
            "-009999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), Ok(TimestampMs(0)), "{text}");
        }
    }

    #[test]
    fn anything_but_a_time_is_refused_with_the_accepted_forms() {
        for text in [
            "now",
            "-5",
            "1.5",
            "2026-11",
            "2026-13-01",
            "2026-11-31",
            "2026-11-23T25:00:00Z",
            "23.11.2026",
            "10:00",
            "٣",
            "2026-11-23T10:00:00Z x",
            "2026-11-23T10:00:00+99:00",
            "2026-11-23T",
            "2026-11-23x",
        ] {
            let error = parse(text).expect_err(text);
            assert!(matches!(error, SinceError::NotTime(_)), "{text}: {error:?}");
            assert!(error.to_string().ends_with(FORMS), "{error}");
        }
        assert_eq!(parse(" "), Err(SinceError::Empty));
        assert_eq!(
            parse(&"1".repeat(65)),
            Err(SinceError::TooLong { bytes: 65 })
        );
        for text in [
            "2026-11-23T10:00:00+01:00[Europe/Paris]",
            "+275760-09-13T00:00:00Z[Europe/Paris]",
        ] {
            assert_eq!(parse(text), Err(SinceError::NamedZone), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_string_makes_parse_panic_or_return_a_negative_time(
            text in "\\PC{0,70}|[0-9TtZz:+., -]{0,40}",
        ) {
            if let Ok(time) = parse(&text) {
                prop_assert!(time.0 >= 0);
            }
        }

        #[test]
        fn a_printed_time_is_read_back(ms in 0..4_102_444_800_000_i64) {
            let printed = jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
            prop_assert_eq!(parse(&printed), Ok(TimestampMs(ms)));
            let digits = ms.to_string();
            if digits.len() != SECONDS_DIGITS {
                prop_assert_eq!(parse(&digits), Ok(TimestampMs(ms)));
            }
        }
    }
}
