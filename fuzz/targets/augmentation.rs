//! Any value of a record: an event of it is its text on one line plus Kafka's fields, byte for byte
//! the same elsewhere; what is no event is skipped for the right reason; redaction leaves valid
//! JSON, takes out what it should, and finds nothing the second time.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use eventstreams::cursor::{Offset, Partition, TimestampMs};
use eventstreams::event::{
    Prepared, Record, RedactionKind, RedactionRules, SkipReason, prepare, redact_again,
};
use eventstreams::stream::Topic;
use eventstreams_fuzz::json::{Parts, is_json, made, members, on_one_line};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const BYTES_MAX: usize = 64 * 1024;
const KEY: &[u8] = b"k\"\n\xff";
const FIELDS: &str = r#""topic":"eqiad.x","partition":3,"offset":42"#;
const KEY_FIELD: &str = ",\"key\":\"k\\\"\\n\u{fffd}\"";

static TOPIC: LazyLock<Topic> = LazyLock::new(|| "eqiad.x".into());
static RULES: LazyLock<RedactionRules> = LazyLock::new(|| {
    RedactionRules::new(&BTreeMap::from([(
        "en.wikipedia.org".to_owned(),
        vec!["Secret page".to_owned()],
    )]))
});

// The first byte: whether the rest is the value or what a value is made of, whether the record has
// a key, which streams it is of.
fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    let value = if choice & 1 == 0 {
        made(rest).into_bytes()
    } else {
        rest.to_vec()
    };
    let key = (choice & 2 != 0).then_some(KEY);
    let stream = [
        "mediawiki.page_change.v1",
        "mediawiki.recentchange",
        "mediawiki.page-move",
    ][usize::from(choice >> 2) % 3];
    let kind = RedactionKind::of_streams(&[stream.into()]);
    let plain = prepared(&value, key, &RedactionRules::default(), kind);
    check_plain(&value, key.is_some(), &plain);
    let Ok(plain) = plain else { return };
    let redacted =
        prepared(&value, key, &RULES, kind).expect("an event without rules is one with rules");
    let json = std::str::from_utf8(redacted.event.json()).expect("UTF-8");
    assert!(
        is_json(json.as_bytes()) && !json.contains(['\n', '\r']),
        "{json}"
    );
    assert!(
        redact_again(&redacted.event, &RULES, kind).is_none(),
        "it is redacted again: {json}"
    );
    if !redacted.redacted {
        assert_eq!(plain.event, redacted.event);
    }
    check_redaction(
        plain.event.json(),
        redacted.redacted.then_some(json),
        stream,
    );
});

fn prepared(
    value: &[u8],
    key: Option<&[u8]>,
    rules: &RedactionRules,
    kind: RedactionKind,
) -> Result<Prepared, SkipReason> {
    let (partition, offset, timestamp) = (Partition(3), Offset(42), TimestampMs(0));
    prepare(
        &Record {
            topic: &TOPIC,
            partition,
            offset,
            timestamp,
            key,
            value: Some(value),
        },
        rules,
        kind,
        BYTES_MAX,
    )
}

/// Without rules: the text that a slow model makes, or the right reason.
fn check_plain(value: &[u8], has_key: bool, prepared: &Result<Prepared, SkipReason>) {
    let expected = expected(value, has_key);
    let got = prepared
        .as_ref()
        .map(|prepared| String::from_utf8(prepared.event.json().to_vec()).expect("UTF-8"));
    assert_eq!(
        got.map_err(|reason| *reason),
        expected,
        "of {:?}",
        String::from_utf8_lossy(value)
    );
    assert!(prepared.as_ref().is_ok_and(|prepared| !prepared.redacted) || prepared.is_err());
}

fn expected(value: &[u8], has_key: bool) -> Result<String, SkipReason> {
    let is_blank = |text: &[u8]| text.iter().all(|byte| b" \t\r\n".contains(byte));
    if is_blank(value) {
        return Err(SkipReason::Empty);
    } else if value.len() > BYTES_MAX {
        return Err(SkipReason::TooLarge);
    }
    let text = std::str::from_utf8(value).map_err(|_| SkipReason::NotUtf8)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_blank(text.as_bytes()) {
        return Err(SkipReason::Empty);
    } else if !is_json(text.as_bytes()) {
        return Err(SkipReason::NotJson);
    }
    let line = on_one_line(text);
    if !line.starts_with('{') {
        return Err(SkipReason::NotObject);
    }
    let added = if has_key {
        format!("{FIELDS}{KEY_FIELD}")
    } else {
        FIELDS.to_owned()
    };
    let mut parts = members(&line);
    let Some(at) = parts.iter().rposition(|part| part.name() == "meta") else {
        return Ok(rewritten(
            &line,
            &parts,
            |_| false,
            &format!("\"meta\":{{{added}}}"),
        ));
    };
    let meta = match parts[at].value {
        "null" => format!("{{{added}}}"),
        meta if meta.starts_with('{') => {
            let replaced = |name: &str| {
                ["topic", "partition", "offset"].contains(&name) || has_key && name == "key"
            };
            rewritten(meta, &members(meta), |part| replaced(&part.name()), &added)
        }
        _ => return Err(SkipReason::MetaNotObject),
    };
    parts[at].value = &meta;
    Ok(rewritten(&line, &parts, |_| false, ""))
}

/// An object of members of which some are cut and something is added: what stays has the white
/// space that its neighbours leave it. What is added to an empty object stands before its space.
fn rewritten(
    object: &str,
    members: &[Parts<'_>],
    is_cut: impl Fn(&Parts<'_>) -> bool,
    added: &str,
) -> String {
    let mut out = "{".to_owned() + members.first().map_or("", |first| first.before);
    let mut any_kept = false;
    for (index, member) in members
        .iter()
        .enumerate()
        .filter(|(_, member)| !is_cut(member))
    {
        if any_kept {
            out.extend([members[index - 1].after, ",", member.before]);
        }
        out.extend([member.key, member.colon, member.value]);
        any_kept = true;
    }
    if any_kept && !added.is_empty() {
        out.push(',');
    }
    let empty = &object[1..object.len() - 1];
    out + added + members.last().map_or(empty, |last| last.after) + "}"
}

/// Through a tree, which knows nothing of texts: an event of the page is redacted, and then has
/// nothing left of what is taken.
fn check_redaction(plain: &[u8], redacted: Option<&str>, stream: &str) {
    let Ok(tree) = serde_json::from_slice::<Value>(plain) else {
        return;
    };
    let is =
        |value: &Value, texts: &[&str]| value.as_str().is_some_and(|text| texts.contains(&text));
    let is_title = |value: &Value| is(value, &["Secret page", "Secret_page"]);
    let (page, before) = (&tree["page"], &tree["prior_state"]);
    let titles = [
        &tree["page_title"],
        &tree["title"],
        &page["page_title"],
        &page["redirect_page_link"]["page_title"],
        &before["page_title"],
        &before["page"]["page_title"],
        &before["page"]["redirect_page_link"]["page_title"],
        &tree["created_redirect_page"]["page_title"],
        &tree["new_redirect_page"]["page_title"],
        &tree["log_params"]["target"],
    ];
    let named = titles.into_iter().any(is_title);
    if is(
        &tree["meta"]["domain"],
        &["en.wikipedia.org", "EN.wikipedia.org"],
    ) && named
    {
        assert!(redacted.is_some(), "it escapes: {tree}");
    }
    let Some(tree) = redacted.and_then(|json| serde_json::from_str::<Value>(json).ok()) else {
        return;
    };
    assert!(tree.get("user").is_none(), "{tree}");
    assert!(tree["revision"].get("editor").is_none(), "{tree}");
    assert!(
        tree["prior_state"]["revision"].get("editor").is_none(),
        "{tree}"
    );
    let performer = tree.get("performer");
    if stream == "mediawiki.page_change.v1" {
        assert_eq!(performer, Some(&serde_json::json!({})), "{tree}");
    } else {
        assert!(performer.is_none(), "{tree}");
    }
}
