//! Which known name a misspelt one stands for, for hints and errors.
//!
//! The rule, for every caller: names are compared without their case and without `-` and `_`, and
//! only their first 64 characters, because a comparison takes time by the length of both names.
//!
//! * [`nearest`] always has an answer. It compares by Jaro-Winkler, which favours common
//!   beginnings: that is how long names are mistyped (`allowed_stream`, `stream_config_url`).
//! * [`similar`] is [`nearest`] where the two names are much alike, for hints.
//! * [`misspelling_of`] is for errors. It answers only within a few edits (Damerau-Levenshtein):
//!   one in a name of up to 7 characters, two up to 10, three above.

/// Characters of a name that are compared.
const COMPARED_CHARS_MAX: usize = 64;

/// How alike two names are (Jaro-Winkler, 0 to 1) from which on one is offered for the other.
const SIMILARITY_MIN: f64 = 0.8;

/// The known name that is most like `name`; `None` only when there are no known names.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    most_alike(name, known).map(|(_, nearest)| nearest)
}

/// The known name that is most like `name`, if they are much alike.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (similarity, nearest) = most_alike(name, known)?;
    (similarity >= SIMILARITY_MIN).then_some(nearest)
}

/// The known name that `name` is a misspelling of; `None` for a name that is known itself.
pub fn misspelling_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let normalized_name = normalized(name);
    let mut nearest = None;
    let mut distance_min = usize::MAX;
    for known in known {
        if known == name {
            return None;
        }
        let normalized_known = normalized(known);
        let distance = strsim::damerau_levenshtein(&normalized_name, &normalized_known);
        if distance <= edits_max(&normalized_known) && distance < distance_min {
            nearest = Some(known);
            distance_min = distance;
        }
    }
    nearest
}

fn edits_max(known: &str) -> usize {
    match known.chars().count() {
        0..=7 => 1,
        8..=10 => 2,
        _ => 3,
    }
}

fn most_alike<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    let name = normalized(name);
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &normalized(known)), known))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
}

fn normalized(name: &str) -> String {
    let chars = name.chars().filter(|c| !matches!(c, '-' | '_'));
    chars
        .take(COMPARED_CHARS_MAX)
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_whatever_the_distance() {
        let keys = ["port", "allowed_streams", "stream_config_uri"];
        for (name, expected) in [
            ("prot", "port"),
            ("ALLOWED-STREAM", "allowed_streams"),
            ("stream_config_url", "stream_config_uri"),
        ] {
            assert_eq!(nearest(name, keys), Some(expected), "{name}");
            assert_eq!(similar(name, keys), Some(expected), "{name}");
        }
        let long = format!("allowed_stream{}", "x".repeat(1_000));
        assert_eq!(nearest(&long, keys), Some("allowed_streams"));
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn names_that_are_not_alike_are_not_similar() {
        assert_eq!(nearest("zzz", ["port"]), Some("port"));
        assert_eq!(similar("zzz", ["port"]), None);
    }

    #[test]
    fn the_longer_a_name_the_more_edits_make_a_misspelling() {
        for (name, known, is_misspelt) in [
            ("sinc", "since", true),
            ("sin", "since", false),
            ("last-event", "lastEventId", true),
            ("compress", "compression", true),
            ("compres", "compression", false),
            ("Since", "since", true),
            ("since", "since", false),
            ("abcdefgh", "abcdefxy", true),
            ("abcdefgh", "abcdexyz", false),
        ] {
            let expected = is_misspelt.then_some(known);
            assert_eq!(misspelling_of(name, [known]), expected, "{name}");
        }
    }
}
