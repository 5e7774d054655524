//! References to schemas: resolved as RFC 3986 does (section 5.2), relative bases included.

/// A URI reference in its parts.
#[derive(Default)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

fn split(uri: &str) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut rest = uri;
    if let Some((before, fragment)) = rest.split_once('#') {
        (rest, parts.fragment) = (before, Some(fragment));
    }
    if let Some((before, query)) = rest.split_once('?') {
        (rest, parts.query) = (before, Some(query));
    }
    if let Some((scheme, after)) = rest.split_once(':') {
        let mut letters = scheme.bytes();
        let is_scheme = letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if is_scheme {
            (rest, parts.scheme) = (after, Some(scheme));
        }
    }
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        parts.authority = Some(&after[..end]);
        rest = &after[end..];
    }
    parts.path = rest;
    parts
}

/// Resolves `reference` against `base`; without an empty fragment at the end.
pub(super) fn resolve(base: &str, reference: &str) -> String {
    let (of_base, of_reference) = (split(base), split(reference));
    let mut uri = String::with_capacity(base.len() + reference.len());
    let mut query = of_reference.query;
    let (scheme, authority, path) = if of_reference.scheme.is_some() {
        let path = without_dots(of_reference.path);
        (of_reference.scheme, of_reference.authority, path)
    } else if of_reference.authority.is_some() {
        let path = without_dots(of_reference.path);
        (of_base.scheme, of_reference.authority, path)
    } else {
        let path = if of_reference.path.is_empty() {
            query = query.or(of_base.query);
            of_base.path.to_owned()
        } else if of_reference.path.starts_with('/') {
            without_dots(of_reference.path)
        } else {
            let folder = of_base.path.rfind('/').map_or(0, |slash| slash + 1);
            let is_host_alone = of_base.authority.is_some() && of_base.path.is_empty();
            let folder = if is_host_alone {
                "/"
            } else {
                &of_base.path[..folder]
            };
            without_dots(&format!("{folder}{}", of_reference.path))
        };
        (of_base.scheme, of_base.authority, path)
    };
    if let Some(scheme) = scheme {
        uri.push_str(scheme);
        uri.push(':');
    }
    if let Some(authority) = authority {
        uri.push_str("//");
        uri.push_str(authority);
    }
    uri.push_str(&path);
    if let Some(query) = query {
        uri.push('?');
        uri.push_str(query);
    }
    if let Some(fragment) = of_reference
        .fragment
        .filter(|text| !matches!(*text, "" | "/"))
    {
        uri.push('#');
        uri.push_str(fragment);
    }
    uri
}

/// The path without its `.` and `..` parts.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<&str> = path.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        match *part {
            "." | ".." => {
                if *part == ".." && (kept.len() > 1 || (kept.len() == 1 && !kept[0].is_empty())) {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    kept.join("/")
}

/// An id or a reference without an empty fragment at its end.
pub(super) fn normalize(uri: &str) -> &str {
    let without_slash = uri.strip_suffix('/').filter(|rest| rest.ends_with('#'));
    let uri = without_slash.unwrap_or(uri);
    uri.strip_suffix('#').unwrap_or(uri)
}

#[cfg(test)]
mod tests {
    use super::{normalize, resolve};

    #[test]
    fn references_resolve_against_absolute_and_relative_bases() {
        for (base, reference, expected) in [
            ("http://a/b/c/d;p?q", "../g", "http://a/b/g"),
            ("http://a/b/c/d;p?q", "g#s", "http://a/b/c/g#s"),
            ("http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"),
            ("http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"),
            ("http://a/b/c/d;p?q", "//h", "http://h"),
            ("http://a/b/c/d;p?q", "../../../g", "http://a/g"),
            ("http://a", "g", "http://a/g"),
            (
                "/test/event/1.0.0",
                "/fragment/common/1.0.0#",
                "/fragment/common/1.0.0",
            ),
            (
                "/test/event/1.0.0",
                "1.1.0#/definitions/a",
                "/test/event/1.1.0#/definitions/a",
            ),
            (
                "/test/event/1.0.0",
                "#/definitions/a",
                "/test/event/1.0.0#/definitions/a",
            ),
            ("", "#/definitions/a", "#/definitions/a"),
            ("", "x", "x"),
            ("urn:a:b", "#c", "urn:a:b#c"),
        ] {
            assert_eq!(resolve(base, reference), expected, "{base} {reference}");
        }
    }

    #[test]
    fn an_empty_fragment_is_no_part_of_an_id() {
        assert_eq!(normalize("http://x/y#"), "http://x/y");
        assert_eq!(normalize("http://x/y#/"), "http://x/y");
        assert_eq!(normalize("/"), "/");
    }
}
