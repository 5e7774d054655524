//! Prometheus' text form, version 0.0.4.

use std::fmt::Display;

use metrics::Key;
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};
use metrics_util::storage::Histogram;

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// What the text appends to the name in the table.
    fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Counter => Some("total"),
            Self::Gauge | Self::Histogram => None,
        }
    }
}

/// Writes the lines before the samples of a family.
pub(super) fn write_description(text: &mut String, name: &str, help: &str, kind: Kind) {
    write_help_line(text, name, None, kind.suffix(), help);
    write_type_line(text, name, None, kind.suffix(), kind.as_str());
}

/// Writes the sample of a counter or a gauge.
pub(super) fn write_sample(text: &mut String, key: &Key, kind: Kind, value: impl Display) {
    write_line(text, key, kind.suffix(), None, value);
}

/// Writes the samples of a histogram.
pub(super) fn write_histogram(text: &mut String, key: &Key, histogram: &Histogram) {
    for (bound, count) in histogram.buckets() {
        // `{:?}`: a whole bound has a decimal point, as clients of Prometheus write it.
        write_line(text, key, Some("bucket"), Some(format!("{bound:?}")), count);
    }
    let count = histogram.count();
    write_line(text, key, Some("bucket"), Some("+Inf".to_owned()), count);
    write_line(text, key, Some("sum"), None, histogram.sum());
    write_line(text, key, Some("count"), None, count);
}

fn write_line(
    text: &mut String,
    key: &Key,
    suffix: Option<&'static str>,
    upper_bound: Option<String>,
    value: impl Display,
) {
    let labels = LabelSet::from_key_and_global(key, &<_>::default());
    let upper_bound = upper_bound.map(|bound| ("le", bound));
    write_metric_line(text, key.name(), suffix, &labels, upper_bound, value, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_a_suffix_and_labels_are_escaped() {
        let mut text = String::new();
        let key = Key::from_parts("a", &[("b", "x\"y\n")]);
        write_description(&mut text, "a", "A thing.", Kind::Counter);
        write_sample(&mut text, &key, Kind::Counter, 1);
        let expected = concat!(
            "# HELP a_total A thing.\n",
            "# TYPE a_total counter\n",
            "a_total{b=\"x\\\"y\\n\"} 1\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_histogram_has_buckets_a_sum_and_a_count() {
        let mut histogram = Histogram::new(&[0.5, 1.0]).expect("bounds");
        histogram.record_many(&[0.25, 1.0, 4.0]);
        let mut text = String::new();
        write_histogram(&mut text, &Key::from_name("a"), &histogram);
        let expected = concat!(
            "a_bucket{le=\"0.5\"} 1\n",
            "a_bucket{le=\"1.0\"} 2\n",
            "a_bucket{le=\"+Inf\"} 3\n",
            "a_sum 5.25\n",
            "a_count 3\n",
        );
        assert_eq!(text, expected);
    }
}
