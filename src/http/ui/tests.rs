use std::collections::BTreeSet;

use super::*;

/// What a phone should load for a look: the whole page.
const PLAIN_BYTES_MAX: usize = 40_000;
const GZIP_BYTES_MAX: usize = 15_000;

#[test]
fn the_whole_page_is_small() {
    let whole: Vec<u8> = FILES.iter().flat_map(|file| file.plain.clone()).collect();
    assert!(whole.len() <= PLAIN_BYTES_MAX, "{} bytes", whole.len());
    let gzip = gzip(&whole).len();
    assert!(gzip <= GZIP_BYTES_MAX, "{gzip} bytes of gzip");
}

#[test]
fn every_file_of_the_folder_is_served() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/ui");
    let files = std::fs::read_dir(folder).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string());
    let mut names: BTreeSet<String> = names.map(|name| name.expect("text")).collect();
    names.remove("tests.rs");
    let served: BTreeSet<String> = SOURCES
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(names, served);
}

#[test]
fn the_files_have_no_long_lines_and_make_no_elements_of_text() {
    for (name, media_type, text) in SOURCES {
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{name}: {line}");
            let is_hostile = [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                "Function(",
            ]
            .iter()
            .any(|word| line.contains(word));
            assert!(media_type != SCRIPT || !is_hostile, "{name}: {line}");
            // The policy refuses these.
            let is_inline = [" style=", " onclick=", "<style", "<script>"]
                .iter()
                .any(|word| line.contains(word));
            assert!(media_type != HTML || !is_inline, "{name}: {line}");
        }
    }
}

#[test]
fn comments_and_indentation_are_left_out() {
    let script = "// a\n\nf(`b\n  // c\n`);\n/** d\n * e */\n  g(); // h\n/* i */\n* { j }\n";
    assert_eq!(
        without_comments(script),
        "f(`b\n  // c\n`);\ng(); // h\n* { j }\n"
    );
    assert_eq!(without_comments("<a>\n  <!-- b -->\n  <c>\n"), "<a>\n<c>\n");
}

#[test]
fn a_file_is_compressed_as_the_client_prefers() {
    let answer = |accepted: &'static str, compression| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        let response = FILES[0].response(compression, &headers);
        let coding = response.headers().get(header::CONTENT_ENCODING).cloned();
        let tag = response.headers()[header::ETAG].clone();
        (
            coding.map(|coding| coding.to_str().expect("ASCII").to_owned()),
            tag,
        )
    };
    let mut tags = BTreeSet::new();
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, deflate", Some("gzip")),
        ("br", None),
    ] {
        let (sent, tag) = answer(accepted, Compression::Auto);
        assert_eq!(sent.as_deref(), coding, "{accepted}");
        tags.insert(tag.to_str().expect("ASCII").to_owned());
    }
    assert_eq!(tags.len(), 3, "each form has a tag of its own");
    assert_eq!(answer("gzip", Compression::Off).0, None);
}
