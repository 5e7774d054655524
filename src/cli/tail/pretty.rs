//! An event as JSON over several lines.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::terminal::{escaped, paint};

/// The JSON of an event, indented by two spaces. Strings have no control characters.
pub(super) fn pretty(event: &Value, has_colours: bool) -> String {
    let mut text = String::new();
    append(&mut text, event, 0, has_colours);
    text
}

fn append(text: &mut String, value: &Value, depth: usize, has_colours: bool) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                begin_line(text, depth + 1, number > 0);
                let name = escaped(&Value::from(name.as_str()).to_string());
                paint(text, &name, AnsiColor::Blue.on_default(), has_colours);
                text.push_str(": ");
                append(text, value, depth + 1, has_colours);
            }
            begin_line(text, depth, false);
            text.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                begin_line(text, depth + 1, number > 0);
                append(text, item, depth + 1, has_colours);
            }
            begin_line(text, depth, false);
            text.push(']');
        }
        scalar => {
            let style = match scalar {
                Value::String(_) => AnsiColor::Green.on_default(),
                Value::Null => Style::new().dimmed(),
                Value::Bool(_) | Value::Number(_) => AnsiColor::Yellow.on_default(),
                Value::Object(_) | Value::Array(_) => Style::new(),
            };
            paint(text, &escaped(&scalar.to_string()), style, has_colours);
        }
    }
}

fn begin_line(text: &mut String, depth: usize, has_predecessor: bool) {
    if has_predecessor {
        text.push(',');
    }
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_indented_and_stays_the_same() {
        let event = json!({"b": [1, {"c": null}], "a": {}, "d": [], "e": "x\u{9b}"});
        let text = pretty(&event, false);
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(
            text.starts_with("{\n  \"b\": [\n    1,\n    {\n      \"c\": null\n"),
            "{text}"
        );
        assert!(text.contains(r#""e": "x\u009b""#), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), event);
    }

    #[test]
    fn colours_are_between_the_words_only() {
        let event = json!({"a": "b"});
        let text = pretty(&event, true);
        assert!(text.contains("\u{1b}[34m\"a\"\u{1b}[0m: "), "{text:?}");
    }
}
