//! Findings that are known and not mended yet. The list only shrinks: an exception that is no
//! longer needed is a finding itself.

/// Where, by the beginning of the path, and what, by a part of the finding.
pub type Exception = (&'static str, &'static str);

pub const EXCEPTIONS: &[Exception] = &[];

/// Circles of files in `src` that are known.
pub const CIRCLES: &[&[&str]] = &[
    &[
        "src/fanout/feed.rs",
        "src/fanout/followers.rs",
        "src/fanout/partition.rs",
    ],
    &[
        "src/kafka/live/log_check.rs",
        "src/kafka/live/partitions.rs",
        "src/kafka/live/unread.rs",
    ],
];

/// The findings that no exception covers, and the exceptions that cover none.
pub fn apply(findings: &[String], exceptions: &[Exception]) -> Vec<String> {
    let covers = |(path, what): &Exception, finding: &str| {
        finding.starts_with(path) && finding.contains(what)
    };
    let left = findings
        .iter()
        .filter(|finding| {
            !exceptions
                .iter()
                .any(|exception| covers(exception, finding))
        })
        .cloned();
    let stale = exceptions
        .iter()
        .filter(|exception| !findings.iter().any(|finding| covers(exception, finding)))
        .map(|(path, what)| {
            format!("tests/tidy/exceptions.rs: remove (\"{path}\", \"{what}\"): nothing is found")
        });
    left.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn exceptions_cover_findings_and_are_found_when_they_cover_none() {
        let findings = ["src/a/b.rs:1: 120 columns", "src/c.rs:2: 120 columns"].map(str::to_owned);
        let left = apply(&findings, &[("src/a/", "columns"), ("src/c.rs", "lines")]);
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(left[0], findings[1]);
        assert!(left[1].contains("(\"src/c.rs\", \"lines\")"), "{left:?}");
    }
}
