//! The offsets of the protocol: opaque tokens that sort, each with the position of every partition.
//!
//! ```text
//! 00000000000004d2_c1.nVDBbsMg...
//! ```
//!
//! First the sum of the offsets as 16 hexadecimal digits, so that a later token of the same streams
//! is greater. Then an event id in its compact form.

use crate::cursor::{IdEntry, LastEventId, RequestedPosition};
use crate::problem::DurableProblem;

/// The digits of the sum.
const SUM_DIGITS: usize = 16;

/// Cursors of one position: as many long polls as may end there without an event.
const CURSORS_PER_POSITION: u64 = 1000;

/// The greatest cursor: every JSON number below it is exact.
const CURSOR_MAX: u64 = 1 << 52;

/// A position of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    sum: u64,
}

impl Token {
    /// The token of an event id in its compact form.
    pub(super) fn new(id: &[u8]) -> Self {
        let text = String::from_utf8_lossy(id);
        let entries = LastEventId::parse(&text).unwrap_or_default();
        let sum = sum_of(entries.entries());
        let text = format!("{sum:0SUM_DIGITS$x}_{text}");
        Self { text, sum }
    }

    /// The cursor of a response that ends here, for a client that sent `sent`. It is greater than
    /// `sent`, and the same for all clients that came here in the same way: they share the response
    /// to their next request. It grows with the position, whatever the clock.
    pub(super) fn cursor(&self, sent: Option<u64>) -> u64 {
        let own = self.sum.saturating_mul(CURSORS_PER_POSITION);
        let own = own.min(CURSOR_MAX);
        sent.map_or(own, |sent| own.max(sent + 1))
    }
}

/// Reads a token.
///
/// # Errors
/// [`DurableProblem::InvalidOffset`] for a text that is none.
pub(super) fn entries(text: &str) -> Result<Vec<IdEntry>, DurableProblem> {
    let malformed = || DurableProblem::InvalidOffset("it is malformed".to_owned());
    let (sum, id) = text.split_once('_').ok_or_else(malformed)?;
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if sum.len() != SUM_DIGITS || !sum.bytes().all(is_digit) || !id.bytes().all(is_token) {
        return Err(malformed());
    }
    let sum = u64::from_str_radix(sum, 16).map_err(|_| malformed())?;
    let id = LastEventId::parse(id).map_err(|_| malformed())?;
    let entries = id.entries();
    let is_full = |entry: &IdEntry| matches!(entry.position, RequestedPosition::Both { .. });
    if entries.is_empty() || !entries.iter().all(is_full) || sum_of(entries) != sum {
        return Err(malformed());
    }
    Ok(entries.to_vec())
}

/// A cursor that a client sent; `None` for what the server never sends.
pub(super) fn cursor(text: &str) -> Option<u64> {
    text.parse().ok().filter(|cursor| *cursor <= 2 * CURSOR_MAX)
}

fn sum_of(entries: &[IdEntry]) -> u64 {
    let next = |entry: &IdEntry| match entry.position {
        RequestedPosition::Both { next, .. } => next.0.unsigned_abs(),
        _ => 0,
    };
    entries.iter().map(next).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::cursor::{EventId, IdForm, Offset, Partition, Position, TimestampMs};

    fn id(offsets: &[i64]) -> Bytes {
        let mut id = EventId::of_form(IdForm::Compact);
        for (partition, offset) in (0..).zip(offsets) {
            let position = Position {
                next: Offset(*offset),
                timestamp: TimestampMs(1_700_000_000_000),
            };
            id.push_slot("eqiad.a".into(), Partition(partition), None, position);
        }
        id.to_bytes()
    }

    fn token(offsets: &[i64]) -> Token {
        Token::new(&id(offsets))
    }

    proptest! {
        #[test]
        fn a_token_is_read_back_and_sorts_by_the_sum(
            offsets in proptest::collection::vec(0..1_000_000_000_000_i64, 1..9),
            more in 1..1_000_000_000_i64,
        ) {
            let first = token(&offsets);
            let mut later = offsets.clone();
            later[0] += more;
            prop_assert!(first.text < token(&later).text);
            let read = entries(&first.text).expect("its own token");
            let own = id(&offsets);
            let parsed = LastEventId::parse(str::from_utf8(&own).expect("ASCII"));
            let parsed = parsed.expect("an id");
            prop_assert_eq!(&*read, parsed.entries());
            let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            prop_assert!(first.text.bytes().all(is_url_safe));
        }

        #[test]
        fn any_text_is_a_token_or_a_problem(text in ".{0,80}") {
            let _ = entries(&text);
        }

        #[test]
        fn a_damaged_token_is_never_another_position(
            offsets in proptest::collection::vec(0..1_000_000_i64, 1..4),
            at in any::<prop::sample::Index>(),
            digit in "[0-9a-zA-Z]",
        ) {
            let good = token(&offsets).text;
            let mut bad = good.clone();
            let at = at.index(good.len());
            bad.replace_range(at..=at, &digit);
            // The last digit of base64 may have bits that do not count.
            let same = entries(&bad).is_ok_and(|read| entries(&good).is_ok_and(|own| own == read));
            prop_assert!(same || entries(&bad).is_err(), "{}", bad);
        }
    }

    #[test]
    fn what_is_no_token_is_a_problem() {
        let good = token(&[1, 2]).text;
        for bad in [
            "",
            "_",
            "-2",
            "0",
            "NOW",
            "a,b",
            "0000000000000000_",
            "0000000000000000_[]",
            r#"0000000000000001_[{"topic":"a","partition":0,"offset":1,"timestamp":1}]"#,
            &good[1..],
            &good[..good.len() - 1],
            &good.to_uppercase(),
            &format!("{good}="),
            &format!("{good} "),
            &format!("+{good}"),
        ] {
            assert!(entries(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_grows_and_is_shared_by_clients_at_one_position() {
        let (first, second) = (token(&[5, 5]), token(&[5, 6]));
        assert_eq!(first.cursor(None), 10_000);
        assert_eq!(first.cursor(Some(9_001)), 10_000);
        assert_eq!(first.cursor(Some(10_000)), 10_001);
        assert_eq!(second.cursor(Some(10_001)), second.cursor(None));
        for sent in [0, CURSOR_MAX, 2 * CURSOR_MAX] {
            assert!(first.cursor(Some(sent)) > sent);
        }
        assert_eq!(cursor("12"), Some(12));
        for bad in ["", "x", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(cursor(bad), None, "{bad}");
        }
    }
}
