//! An event as one line: time, wiki, type, title, change of size, user, comment.

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::terminal::paint;
use crate::filter::Shorthand;

/// Characters of a comment, and of the JSON of an event that has no member that the line knows.
const CHARS_MAX: usize = 120;

/// The event as a line without a line break. It names the stream if several are read.
pub(super) fn line(event: &Value, names_stream: bool, has_colours: bool) -> String {
    let mut columns = Columns {
        text: String::new(),
        has_colours,
    };
    let meta = |name: &str| text_at(event, &["meta", name]);
    if let Some(time) = meta("dt") {
        columns.add(&readable_time(&time), Style::new().dimmed());
    }
    if names_stream && let Some(stream) = meta("stream") {
        columns.add(&stream, AnsiColor::Magenta.on_default());
    }
    let place = shorthand(event, Shorthand::Wiki).or_else(|| meta("domain"));
    if let Some(place) = place {
        columns.add(&place, AnsiColor::Cyan.on_default());
    }
    let kind = shorthand(event, Shorthand::Type);
    let title = shorthand(event, Shorthand::Title);
    let user = shorthand(event, Shorthand::User);
    if kind.is_none() && title.is_none() && user.is_none() {
        columns.add(&summary(event), Style::new());
        return columns.text;
    }
    if let Some(kind) = kind {
        columns.add(&kind, kind_style(&kind));
    }
    if let Some(title) = title {
        columns.add(&title, Style::new().bold());
    }
    if let Some(change) = change_of_size(event) {
        let colour = if change < 0 {
            AnsiColor::Red
        } else {
            AnsiColor::Green
        };
        columns.add(&format!("{change:+}"), colour.on_default());
    }
    if let Some(user) = user {
        let bot = member(event, Shorthand::Bot).and_then(Value::as_bool);
        let mark = if bot == Some(true) { " (bot)" } else { "" };
        columns.add(&format!("{user}{mark}"), AnsiColor::Blue.on_default());
    }
    let comment = text_at(event, &["comment"]);
    let comment = comment.or_else(|| text_at(event, &["revision", "comment"]));
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        columns.add(&truncated(comment), Style::new().dimmed());
    }
    columns.text
}

struct Columns {
    text: String,
    has_colours: bool,
}

impl Columns {
    /// Adds words of an event. Control characters are replaced: a terminal would obey them.
    fn add(&mut self, words: &str, style: Style) {
        if !self.text.is_empty() {
            self.text.push_str("  ");
        }
        let visible = |c: char| {
            if is_invisible(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        };
        let words: String = words.chars().map(visible).collect();
        paint(&mut self.text, &words, style, self.has_colours);
    }
}

/// Control characters, and those that turn the direction of the text after them.
fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn member(event: &Value, name: Shorthand) -> Option<&Value> {
    let mut members = name.members().iter();
    members.find_map(|path| at(event, path).filter(|value| !value.is_null()))
}

fn shorthand(event: &Value, name: Shorthand) -> Option<String> {
    member(event, name).map(words)
}

fn at<'a>(event: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(event, |value, name| value.get(name))
}

fn text_at(event: &Value, path: &[&str]) -> Option<String> {
    at(event, path).and_then(Value::as_str).map(str::to_owned)
}

fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// `2026-11-28T10:00:00.123Z` without the letters and the fraction.
fn readable_time(time: &str) -> String {
    let seconds = time.get(..19).filter(|_| time.ends_with('Z'));
    seconds.map_or_else(|| time.to_owned(), |seconds| seconds.replace('T', " "))
}

/// New minus old size of a page in bytes, of an edit and of a `page_change`.
fn change_of_size(event: &Value) -> Option<i64> {
    let size = |path: &[&str]| at(event, path).and_then(Value::as_i64);
    let (new, old) = if let Some(new) = size(&["length", "new"]) {
        (new, size(&["length", "old"]))
    } else {
        let old = size(&["prior_state", "revision", "rev_size"]);
        (size(&["revision", "rev_size"])?, old)
    };
    new.checked_sub(old.unwrap_or(0))
}

fn kind_style(kind: &str) -> Style {
    let colour = match kind {
        "edit" => AnsiColor::Yellow,
        "new" | "create" => AnsiColor::Green,
        "delete" | "suppress" => AnsiColor::Red,
        _ => AnsiColor::Magenta,
    };
    colour.on_default()
}

/// The JSON of an event without what every event has.
fn summary(event: &Value) -> String {
    let mut event = event.clone();
    if let Value::Object(members) = &mut event {
        members.retain(|name, _| name != "meta" && name != "$schema");
    }
    truncated(event.to_string())
}

fn truncated(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_edit_is_a_line() {
        let event = json!({
            "meta": {"dt": "2026-11-28T10:00:00.123Z", "stream": "mediawiki.recentchange"},
            "wiki": "enwiki", "type": "edit", "title": "Main Page", "user": "A", "bot": true,
            "length": {"old": 10, "new": 4}, "comment": "typo\n"
        });
        let expected = "2026-11-28 10:00:00  enwiki  edit  Main Page  -6  A (bot)  typo\u{fffd}";
        assert_eq!(line(&event, false, false), expected);
        let named = line(&event, true, false);
        assert!(named.starts_with("2026-11-28 10:00:00  mediawiki.recentchange  enwiki"));
    }

    #[test]
    fn a_page_change_is_a_line() {
        let event = json!({
            "wiki_id": "dewiki", "page_change_kind": "create",
            "page": {"page_title": "Neu"}, "performer": {"user_text": "B"},
            "revision": {"rev_size": 7, "comment": ""}
        });
        assert_eq!(line(&event, false, false), "dewiki  create  Neu  +7  B");
    }

    #[test]
    fn an_unknown_event_is_its_json() {
        let event = json!({"meta": {"domain": "x.org"}, "$schema": "/a/1.0.0", "n": 1});
        assert_eq!(line(&event, false, false), r#"x.org  {"n":1}"#);
        let long = json!({"text": "é".repeat(300)});
        assert_eq!(line(&long, false, false).chars().count(), CHARS_MAX + 1);
    }

    #[test]
    fn an_event_sends_no_commands_to_the_terminal() {
        let event = json!({"title": "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}", "type": null});
        let text = line(&event, false, true);
        assert_eq!(
            text.matches('\u{1b}').count(),
            2,
            "bold, and its end: {text:?}"
        );
        assert!(!text.contains(['\u{7}', '\u{9b}', '\u{202e}']), "{text:?}");
    }
}
