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
        ("2026-11", DAY - 22 * 24 * HOUR),
        ("1795392000000.5", DAY),
        ("1795392000000.999", DAY),
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
    for text in ["1700000000", " 9999999999 ", "1000000000", "1700000000.25"] {
        let error = parse(text).expect_err(text).to_string();
        let seconds = text.trim().trim_end_matches(".25");
        assert!(
            error.contains("milliseconds") && error.contains(&format!("{seconds}000")),
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
        "Sat Sep 13 275760 00:00:00 GMT+0000 (Coordinated Universal Time)",
        "Sat, 13 Sep 275760 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
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
fn dates_of_javascript_and_of_http_are_read() {
    for (text, ms) in [
        (
            "Mon Nov 23 2026 10:00:00 GMT+0000 (Coordinated Universal Time)",
            10,
        ),
        (
            "Mon Nov 23 2026 10:00:00 GMT+0100 (Mitteleuropäische Normalzeit)",
            9,
        ),
        (
            "Mon Nov 23 2026 10:00:00 GMT-0500 (Eastern Standard Time)",
            15,
        ),
        ("Mon Nov 23 2026 10:00:00 GMT 0100 (CET)", 9),
        ("Mon Nov 23 2026 10:00:00 GMT+0100", 9),
        ("Mon, 23 Nov 2026 10:00:00 GMT", 10),
        ("Mon, 23 Nov 2026 10:00:00 +0100", 9),
        ("Mon, 23 Nov 2026 10:00:00  0100", 9),
        ("Mon, 23 Nov 2026 10:00:00 -0130", 11),
        ("Monday, 23-Nov-26 10:00:00 GMT", 10),
        ("Mon Nov 23 10:00:00 2026", 10),
        ("mon, 23 nov 2026 10:00:00 GMT", 10),
    ] {
        let half = if text.contains("-0130") { HOUR / 2 } else { 0 };
        assert_eq!(
            parse(text),
            Ok(TimestampMs(DAY + ms * HOUR + half)),
            "{text}"
        );
    }
    let text = "Sun Nov  6 08:49:37 1994";
    assert_eq!(parse(text), Ok(TimestampMs(784_111_777_000)), "{text}");
    let text = "Sunday, 06-Nov-94 08:49:37 GMT";
    assert_eq!(parse(text), Ok(TimestampMs(784_111_777_000)), "{text}");
    for text in [
        "Tue, 23 Nov 2026 10:00:00 GMT",
        "Mon, 31 Nov 2026 10:00:00 GMT",
        "Mon, 23 Nov 2026 10:00:00 CET",
        "Mon Nov 23 2026 10:00:00 GMT+0000 x",
        "Mon Nov 23 2026 10:00:00 1000",
        "Mon",
        "Invalid Date",
    ] {
        let error = parse(text).expect_err(text);
        assert!(matches!(error, SinceError::NotTime(_)), "{text}: {error:?}");
        assert!(error.to_string().ends_with(FORMS), "{error}");
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
        "1.5.",
        ".5",
        "1.",
        "1.5e3",
        "2026-13",
        "2026-1",
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
        parse(&"1".repeat(161)),
        Err(SinceError::TooLong { bytes: 161 })
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
        let second = ms - ms % 1000;
        let utc = jiff::tz::TimeZone::UTC;
        let zoned = jiff::Timestamp::from_millisecond(ms).unwrap().to_zoned(utc);
        // A year of two digits ends in 2068.
        let is_near = ms < 3_100_000_000_000;
        for form in NAMED_DAY_FORMS.iter().filter(|form| is_near || !form.contains("%y")) {
            let printed = zoned.strftime(form).to_string();
            prop_assert_eq!(parse(&printed), Ok(TimestampMs(second)), "{}", printed);
            let decoded = printed.replace('+', " ");
            prop_assert_eq!(parse(&decoded), Ok(TimestampMs(second)), "{}", decoded);
        }
    }
}
