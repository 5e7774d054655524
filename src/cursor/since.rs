//! `since` and `until`: the times from which and up to which a client wants events.

use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset as UtcOffset;

use super::TimestampMs;

/// The longest text that is parsed, in bytes: longer than any time. JavaScript appends the name of
/// the time zone in the user's language.
const SINCE_BYTES_MAX: usize = 160;

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

const FORMS: &str = "use an ISO 8601 date or date-time (2026-11, 2026-11-23, \
                     2026-11-23T10:00:00Z, 2026-11-23T11:00:00.250+01:00), a date as JavaScript \
                     and HTTP write it (Mon, 23 Nov 2026 10:00:00 GMT), or milliseconds since \
                     1970 as digits";

/// The forms of a date that begins with the name of a day.
const NAMED_DAY_FORMS: [&str; 5] = [
    // JavaScript's `toString`, without the name of the time zone behind it.
    "%a %b %d %Y %H:%M:%S GMT%z",
    // JavaScript's `toUTCString`; IMF-fixdate of RFC 9110, section 5.6.7.
    "%a, %d %b %Y %H:%M:%S GMT",
    // RFC 5322, as `date -R` writes it.
    "%a, %d %b %Y %H:%M:%S %z",
    // The obsolete forms of RFC 9110: RFC 850, and asctime.
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// Parses the value of the query's `since` or `until`, percent-decoded (docs/protocol.md,
/// "Where a stream begins").
///
/// * Only digits: milliseconds since 1970-01-01T00:00:00Z. So `20261123` is a time on 1 January
///   1970, and not a date; dates need their hyphens. Ten digits are refused: they are seconds since
///   1970 (of the years 2001 to 2286), and as milliseconds they would mean a time before any event.
///   A fraction is cut off, as `performance.timeOrigin` has one.
/// * A date, or a month: its first moment, midnight UTC.
/// * A date-time, extended or basic (`20261123T100000Z`), separated by `T` or a space, with or
///   without a fraction of a second (cut to milliseconds); with `Z`, an offset, or neither, which
///   means UTC.
/// * A date that begins with the name of a day, as JavaScript's `toString` and `toUTCString`, HTTP
///   and email write it. The name must be that of the date. Years of two digits are 1969 to 2068.
/// * A `+` that was sent unescaped and decoded to a space (`2026-11-23T11:00:00 01:00`,
///   `GMT 0100`) is read as `+`: nothing else can be meant after a time.
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
    if let Some(digits) = milliseconds(text) {
        if digits.len() == SECONDS_DIGITS {
            return Err(SinceError::Seconds(digits.to_owned()));
        }
        // More digits than fit mean a time that never comes.
        return Ok(digits.parse().map_or(LATEST, TimestampMs));
    }
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return named_day(text);
    }
    let text = with_plus(text);
    let not_time = |error: jiff::Error| SinceError::NotTime(error.to_string());
    let beyond = beyond_9999(&text).or_else(|| first_of_month(&text));
    let pieces = Pieces::parse(beyond.as_ref().unwrap_or(&text)).map_err(not_time)?;
    if pieces.time_zone_annotation().is_some() {
        return Err(SinceError::NamedZone);
    }
    if beyond_9999(&text).is_some() {
        return Ok(LATEST);
    }
    let time = pieces.time().unwrap_or(Time::midnight());
    let offset = pieces.to_numeric_offset();
    Ok(at_offset(pieces.date().to_datetime(time), offset))
}

/// The time of a clock that is set to this offset, or to UTC.
fn at_offset(clock: DateTime, offset: Option<UtcOffset>) -> TimestampMs {
    match offset.unwrap_or(UtcOffset::UTC).to_timestamp(clock) {
        Ok(instant) => TimestampMs(instant.as_millisecond().max(0)),
        // jiff's instants end a day before its dates do, on both sides.
        Err(_) if clock.year() > 0 => LATEST,
        Err(_) => TimestampMs(0),
    }
}

/// The digits of a number of milliseconds, without its fraction.
fn milliseconds(text: &str) -> Option<&str> {
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    (are_digits(whole) && are_digits(fraction)).then_some(whole)
}

/// The time of a text that begins with the name of a day.
fn named_day(text: &str) -> Result<TimestampMs, SinceError> {
    // JavaScript's `toString` ends with the name of the time zone.
    let text = text.split_once(" (").map_or(text, |(date, _)| date);
    let mut words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let is_beyond = words.iter_mut().any(|word| match year_of_calendar(word) {
        Some(year) => {
            *word = year;
            true
        }
        None => false,
    });
    restore_plus(&mut words);
    let text = words.join(" ");
    let clock = NAMED_DAY_FORMS.iter().find_map(|form| {
        let time = BrokenDownTime::parse(form, &text).ok()?;
        Some((time.to_datetime().ok()?, time.offset()))
    });
    match clock {
        Some(_) if is_beyond => Ok(LATEST),
        Some((clock, offset)) => Ok(at_offset(clock, offset)),
        None => {
            let reason = "no date of JavaScript or HTTP is written like this";
            Err(SinceError::NotTime(reason.to_owned()))
        }
    }
}

/// Puts back a `+` in front of an offset that stands by itself: behind `GMT`, or behind the time.
fn restore_plus(words: &mut Vec<String>) {
    let Some([before, last]) = words.last_chunk_mut() else {
        return;
    };
    if last.len() != 4 || !last.bytes().all(|byte| byte.is_ascii_digit()) {
        return;
    }
    if before == "GMT" {
        *before = format!("GMT+{last}");
        words.pop();
    } else if before.contains(':') && words[0].ends_with(',') {
        // Without the comma it is the year of asctime.
        let last = words.len() - 1;
        words[last].insert(0, '+');
    }
}

/// A year that jiff supports with the same calendar, for one of five or six digits.
fn year_of_calendar(year: &str) -> Option<String> {
    let is_beyond = (5..=6).contains(&year.len()) && year.bytes().all(|byte| byte.is_ascii_digit());
    let year: u32 = year.parse().ok().filter(|year| is_beyond && *year > 9999)?;
    // The calendar repeats every 400 years.
    Some((2000 + year % 400).to_string())
}

/// The first day of a month (`2026-11`).
fn first_of_month(text: &str) -> Option<String> {
    let (year, month) = text.split_once('-')?;
    (year.len() == 4 && month.len() == 2).then(|| format!("{text}-01"))
}

/// The same time in a year that jiff supports, when the year has six digits and is beyond 9999 (the
/// expanded form of ISO 8601, as JavaScript's `toISOString` writes it). Its `+` may have been
/// decoded to a space and trimmed.
fn beyond_9999(text: &str) -> Option<String> {
    let (year, rest) = text.strip_prefix('+').unwrap_or(text).split_once('-')?;
    let year = year_of_calendar(year).filter(|_| year.len() == 6)?;
    Some(format!("{year}-{rest}"))
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
mod tests;
