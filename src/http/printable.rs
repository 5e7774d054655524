//! What a client sent, in a form that may stand in a log or in a header.

/// `text` without control characters, truncated to `bytes_max`.
pub(super) fn printable(text: &str, bytes_max: usize) -> String {
    let mut printable = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        let c = if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        if printable.len() + c.len_utf8() > bytes_max {
            break;
        }
        printable.push(c);
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_the_length_is_bounded() {
        assert_eq!(printable("a\r\nb", 64), "a\u{fffd}\u{fffd}b");
        assert_eq!(printable("äöü", 5), "äö");
        assert_eq!(printable("\n", 2), "");
    }
}
