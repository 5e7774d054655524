//! Prometheus' text form (version 0.0.4) out of `OpenMetrics` 1.0, which is what the encoder writes.
//!
//! They differ, as far as we use them, in what a counter is called where it is described: here as its samples are, with `_total`; and in the mark at the
//! end, which only the other one has.

/// The same metrics in Prometheus' form.
pub(super) fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if line == "# EOF" {
            break;
        }
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = Some(described);
            continue;
        }
        let Some(described) = line.strip_prefix("# TYPE ") else {
            text.extend([line, "\n"]);
            continue;
        };
        let (name, kind) = described.split_once(' ').unwrap_or((described, "untyped"));
        let suffix = if kind == "counter" { "_total" } else { "" };
        let help = help
            .take()
            .and_then(|help: &str| help.split_once(' '))
            .map_or("", |(_, help)| help);
        text.extend([
            "# HELP ",
            name,
            suffix,
            " ",
            help,
            "\n# TYPE ",
            name,
            suffix,
            " ",
            kind,
            "\n",
        ]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::prometheus;

    #[test]
    fn counters_are_described_by_the_name_of_their_samples() {
        let openmetrics = "# HELP a A thing.\n# TYPE a counter\na_total{b=\"# EOF\"} 1\n# HELP g Now.\n# TYPE g gauge\ng 2\n# EOF\n";
        let expected = "# HELP a_total A thing.\n# TYPE a_total counter\na_total{b=\"# EOF\"} 1\n# HELP g Now.\n# TYPE g gauge\ng 2\n";
        assert_eq!(prometheus(openmetrics), expected);
    }
}
