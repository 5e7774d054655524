//! Times as the events write them.

use jiff::Timestamp;

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// ISO 8601 in UTC with three decimals: `2026-01-02T03:04:05.678Z`.
pub(crate) fn milliseconds(ms: i64) -> String {
    format!("{:.3}", timestamp(ms))
}

/// ISO 8601 in UTC, whole seconds, the rest cut off: `2026-01-02T03:04:05Z`.
pub(crate) fn seconds(ms: i64) -> String {
    format!("{:.0}", timestamp(ms.div_euclid(1000).saturating_mul(1000)))
}

/// Fourteen digits, as MediaWiki's databases keep times: `20260102030405`.
pub(crate) fn digits(ms: i64) -> String {
    seconds(ms).chars().filter(char::is_ascii_digit).collect()
}

/// The year at that time.
pub(crate) fn year(ms: i64) -> i16 {
    timestamp(ms).to_zoned(jiff::tz::TimeZone::UTC).year()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_decimals_that_their_fields_have() {
        assert_eq!(milliseconds(1_767_323_045_600), "2026-01-02T03:04:05.600Z");
        assert_eq!(seconds(1_767_323_045_600), "2026-01-02T03:04:05Z");
        assert_eq!(seconds(1_767_323_045_999), "2026-01-02T03:04:05Z");
        assert_eq!(digits(1_767_323_045_678), "20260102030405");
        assert_eq!(year(1_767_323_045_678), 2026);
    }

    #[test]
    fn times_out_of_range_become_the_nearest_one() {
        assert!(milliseconds(i64::MAX).starts_with("9999-"));
        assert!(milliseconds(i64::MIN).starts_with("-009999-"));
    }
}
