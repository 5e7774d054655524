//! Compares the configuration of a changed file with the current one.

use crate::config::Config;

/// What `new` would open only because something is absent from it, each with a way to confirm it. A
/// file that was cut off looks like this.
pub(super) fn opens_by_absence(current: &Config, new: &Config) -> Vec<String> {
    let mut opened = Vec::new();
    let had_allowlist = current.streams.allowed_streams.is_some();
    if had_allowlist && new.streams.allowed_streams.is_none() && !new.opened.all_streams {
        opened.push(
            "allowed_streams is missing; \
             to make all configured streams public, write `allowed_streams: all`"
                .to_owned(),
        );
    }
    let redacted_pages = &current.redacted_pages;
    let redacts = redacted_pages.values().any(|titles| !titles.is_empty());
    if redacts && new.redacted_pages.is_empty() {
        if !new.opened.no_redaction {
            opened.push(
                "mediawiki_redacted_pages is missing; \
                 to stop all redaction, write `mediawiki_redacted_pages: {}`"
                    .to_owned(),
            );
        }
        return opened;
    }
    for (domain, titles) in redacted_pages {
        if !titles.is_empty() && !new.redacted_pages.contains_key(domain) {
            opened.push(format!(
                "{domain} is missing in mediawiki_redacted_pages; \
                 to stop redaction on it, write `{domain}: []` there"
            ));
        }
    }
    opened
}

/// Whether the file has changes that take effect only at a restart. Keys that command-line options
/// override do not count.
pub(super) fn needs_restart(current: &Config, new: &Config) -> bool {
    let mut expected = new.clone();
    expected.streams.clone_from(&current.streams);
    expected.redacted_pages.clone_from(&current.redacted_pages);
    expected.filters.named.clone_from(&current.filters.named);
    expected.http.port = current.http.port;
    expected.http.admin_port = current.http.admin_port;
    expected.ignored_keys.clone_from(&current.ignored_keys);
    expected.env_overrides.clone_from(&current.env_overrides);
    expected.opened = current.opened;
    if let Some(brokers) = current.kafka.brokers() {
        expected.kafka.set_brokers(brokers);
    }
    expected != *current
}
