//! A Markdown document taken apart into lines of prose, code spans, links and commands.

/// A piece of a document with the number of its line, from 1.
pub type Numbered<'a> = (usize, &'a str);

/// The lines outside fenced code.
pub fn prose(text: &str) -> Vec<Numbered<'_>> {
    fenced(text)
        .into_iter()
        .filter(|(_, language, _)| language.is_none())
        .map(|(number, _, line)| (number, line))
        .collect()
}

/// The lines of fenced code.
pub fn blocks(text: &str) -> Vec<&str> {
    fenced(text)
        .into_iter()
        .filter(|(_, language, _)| language.is_some())
        .map(|(_, _, line)| line)
        .collect()
}

/// What stands in backquotes in a line of prose. A span must end on the line on which it begins.
pub fn spans(line: &str) -> Result<Vec<&str>, String> {
    let pieces: Vec<&str> = line.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return Err("a code span goes on over the end of the line".to_owned());
    }
    Ok(pieces.into_iter().skip(1).step_by(2).collect())
}

/// The targets of the links in a line of prose: `](target)`.
pub fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

/// The commands in blocks of `sh`, without comments, continued lines joined.
pub fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (number, language, line) in fenced(text) {
        if language != Some("sh") {
            continue;
        }
        let code = line.split(" #").next().unwrap_or_default().trim();
        let part = code.strip_suffix('\\').unwrap_or(code).trim();
        match commands.last_mut().filter(|_| continues) {
            Some((_, command)) => command.extend([" ", part]),
            None if part.is_empty() || part.starts_with('#') => {}
            None => commands.push((number, part.to_owned())),
        }
        continues = code.ends_with('\\');
    }
    commands
}

/// The anchors of the headings, as GitHub makes them: `## Kafka rights` is `kafka-rights`.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len())
            .then(|| title.strip_prefix(' '))
            .flatten()
    });
    headings.map(anchor).collect()
}

fn anchor(title: &str) -> String {
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Every line except the fences, with the language of the block that it is in (empty: none given).
fn fenced(text: &str) -> Vec<(usize, Option<&str>, &str)> {
    let mut lines = Vec::new();
    let mut inside = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (line.trim_start().strip_prefix("```"), inside) {
            (Some(language), None) => inside = Some(language),
            (Some(_), Some(_)) => inside = None,
            (None, _) => lines.push((number, inside, line)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A b-c: `d`!\n\ntext\n\n\
                        ```sh\ncargo test  # all\n# alone\na \\\n  b\n```\n\n\
                        ```json\n{}\n```\nend\n";

    #[test]
    fn prose_is_what_stands_outside_fences() {
        assert_eq!(
            prose(TEXT)
                .into_iter()
                .map(|(number, _)| number)
                .collect::<Vec<_>>(),
            [1, 2, 3, 4, 11, 15]
        );
    }

    #[test]
    fn commands_are_joined_and_have_no_comments() {
        assert_eq!(
            commands(TEXT),
            [(6, "cargo test".to_owned()), (8, "a b".to_owned())]
        );
    }

    #[test]
    fn spans_links_and_anchors_are_found() {
        assert_eq!(spans("a `b` c `d`").unwrap(), ["b", "d"]);
        assert!(spans("a `b").is_err());
        assert_eq!(links("[a](b.md#c), [d](e)"), ["b.md#c", "e"]);
        assert_eq!(anchors(TEXT), ["a-b-c-d"]);
    }
}
