//! Text for a terminal: colours, and no commands of others.

use std::fmt::Write as _;

use anstyle::Style;

/// Appends `words` in a style.
pub(super) fn paint(text: &mut String, words: &str, style: Style, has_colours: bool) {
    if has_colours {
        let _ = write!(text, "{style}{words}{style:#}");
    } else {
        text.push_str(words);
    }
}

/// JSON whose control characters are escaped: a terminal would obey them. JSON has them in strings
/// only, where the escape has the same meaning.
pub(super) fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let json = "{\"title\":\"a\u{9b}31m\u{7f}é\"}";
        let text = escaped(json);
        assert_eq!(text, r#"{"title":"a\u009b31m\u007fé"}"#);
        let value = |text| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(value(json), value(&text));
    }
}
