//! Tests of what a reload accepts, and when it reads a file.

use super::changes::opens_by_absence;
use super::files::settled;
use crate::config::Config;
use crate::limits;

/// The clock of the test is paused: it advances only while every task waits.
#[tokio::test(start_paused = true)]
async fn a_file_that_grows_is_not_read_before_it_settles() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.yaml");
    let write = |pieces: usize| {
        std::fs::write(&path, "# a piece\n".repeat(pieces)).expect("the file is written");
    };
    write(1);
    let files = [path.clone(), folder.path().join("never.yaml")];
    let writing = async {
        for pieces in 2..=20 {
            tokio::time::sleep(limits::RELOAD_POLL_INTERVAL * 4 / 5).await;
            write(pieces);
        }
    };
    let (states, ()) = tokio::join!(settled(&files), writing);
    assert_eq!(
        states[0].map(|state| state.bytes),
        Some(20 * 10),
        "all of it"
    );
    assert_eq!(states[1], None);
}

fn config(text: &str) -> Config {
    Config::parse(text, std::iter::empty()).expect("a configuration")
}

#[test]
fn what_opens_by_absence_is_named_with_a_way_to_confirm_it() {
    let current = config(
        "{allowed_streams: [a], mediawiki_redacted_pages: {x.org: [T], y.org: [T], z.org: []}}",
    );
    let opened = |text: &str| opens_by_absence(&current, &config(text));
    let all = opened("{}");
    assert!(
        all.len() == 2
            && all[0].contains("`allowed_streams: all`")
            && all[1].contains("`mediawiki_redacted_pages: {}`")
    );
    let one = opened("{allowed_streams: [b], mediawiki_redacted_pages: {y.org: [U]}}");
    assert!(one.len() == 1 && one[0].contains("`x.org: []`"), "{one:?}");
    for confirmed in [
        "{allowed_streams: all, mediawiki_redacted_pages: {}}",
        "{allowed_streams: [], mediawiki_redacted_pages: {x.org: [], y.org: [T]}}",
    ] {
        assert_eq!(opened(confirmed), Vec::<String>::new(), "{confirmed}");
    }
    let open = config("{}");
    assert_eq!(opens_by_absence(&open, &open), Vec::<String>::new());
}
