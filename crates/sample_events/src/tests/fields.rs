//! Events have the fields of their schema: the required ones always, none of the wrong type, and no
//! others where the schema allows no others.

use super::{EVENTS, is_canary};
use crate::streams::Stream;
use serde_json::Value;

/// Fields as `name:type`, `?` behind the name when it may be absent; `.` leads into objects. `*`
/// allows more fields.
fn fields(stream: Stream) -> &'static str {
    match stream {
        Stream::Recentchange => {
            "$schema:s id?:i type?:s namespace?:i title?:s title_url?:s comment?:s timestamp?:i \
             user?:s bot?:b notify_url?:s \
             minor?:b patrolled?:b length?:o revision?:o log_id?:i log_type?:s log_action?:s \
              log_params?:x \
             log_action_comment?:s server_url?:s server_name?:s server_script_path?:s wiki?:s \
              parsedcomment?:s"
        }
        Stream::RevisionCreate | Stream::PageCreate => {
            "$schema:s database:s page_id:i page_title:s page_namespace:i rev_id:i \
             rev_timestamp:s rev_sha1?:s \
             rev_minor_edit?:b rev_len?:i rev_content_model?:s rev_content_format?:s \
              performer?:o page_is_redirect:b \
             comment?:s parsedcomment?:s dt:s rev_parent_id?:i rev_content_changed?:b \
              rev_is_revert?:b \
             rev_revert_details?:o rev_slots?:o"
        }
        Stream::PageDelete => {
            "$schema:s database:s performer?:o page_id:i page_title:s page_namespace:i \
             page_is_redirect:b rev_id:i \
             rev_count?:i comment?:s parsedcomment?:s"
        }
        Stream::PageMove => {
            "$schema:s database:s performer?:o page_id:i page_title:s page_namespace:i \
             page_is_redirect:b rev_id:i \
             prior_state:o new_redirect_page?:o comment?:s parsedcomment?:s"
        }
        Stream::PagePropertiesChange => {
            "$schema:s database:s performer?:o page_id:i page_title:s page_namespace:i \
             page_is_redirect:b rev_id:i \
             added_properties?:o removed_properties?:o"
        }
        Stream::PageChange => {
            "$schema:s changelog_kind:s page_change_kind:s dt:s wiki_id:s page:o performer?:o \
             comment?:s revision:o \
             prior_state?:o created_redirect_page?:o"
        }
        Stream::Test => "$schema:s test?:s test_map?:o",
    }
}

/// Fields inside an event's objects, in the same notation.
const INSIDE: &[(&str, &str)] = &[
    ("meta", "uri?:s request_id:s id:s domain:s stream:s dt:s"),
    ("length", "old?:i new:i"),
    (
        "performer",
        "user_text:s user_groups?:a user_is_bot?:b user_id?:i user_registration_dt?:s \
         user_edit_count?:i groups?:a is_bot?:b is_system?:b is_temp?:b registration_dt?:s \
          edit_count?:i",
    ),
    (
        "page",
        "page_id:i page_title:s namespace_id:i is_redirect:b redirect_page_link?:o \
         revision_count?:i",
    ),
    (
        "created_redirect_page",
        "page_id:i page_title:s namespace_id:i is_redirect:b",
    ),
    (
        "new_redirect_page",
        "page_id:i page_title:s page_namespace:i rev_id:i",
    ),
];

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "s" => value.is_string(),
        "i" => value.is_i64() || value.is_u64(),
        "b" => value.is_boolean(),
        "o" => value.is_object(),
        "a" => value.is_array(),
        "x" => value.is_object() || value.is_array() || value.is_string(),
        other => panic!("no such type: {other}"),
    }
}

fn check(object: &Value, fields: &str) {
    let mut rest = object.as_object().expect("an object").clone();
    for field in fields.split_whitespace() {
        let (name, kind) = field.rsplit_once(':').expect("name:type");
        match rest.shift_remove(name.trim_end_matches('?')) {
            Some(value) => assert!(is_of_type(&value, kind), "{name} is {value}"),
            None => assert!(name.ends_with('?'), "no {name} in {object}"),
        }
    }
    assert!(rest.is_empty(), "unknown fields {rest:?}");
}

#[test]
fn events_have_the_fields_and_types_of_their_schema() {
    for (event, value) in EVENTS.iter() {
        let mut value = value.clone();
        let stream = Stream::ALL
            .into_iter()
            .find(|stream| event.topic.ends_with(stream.name()))
            .expect("a topic of the samples");
        assert_eq!(value["$schema"], stream.schema());
        assert_eq!(value["meta"]["stream"], stream.name());
        for (name, inside) in INSIDE {
            if let Some(object) = value.get(name) {
                check(object, inside);
            }
        }
        value
            .as_object_mut()
            .expect("an object")
            .shift_remove("meta");
        check(&value, fields(stream));
    }
}

#[test]
fn a_recentchange_has_the_fields_of_its_type_and_no_others() {
    for (event, value) in EVENTS.iter() {
        if !event.topic.ends_with("recentchange") || is_canary(value) {
            continue;
        }
        let kind = value["type"].as_str().expect("a string");
        let has = |name: &str| value.get(name).is_some();
        let revises = kind == "edit" || kind == "new";
        assert_eq!(
            has("revision") && has("length") && has("minor"),
            revises,
            "{value}"
        );
        assert_eq!(
            has("log_type") && has("log_id") && has("log_params") && has("log_action_comment"),
            kind == "log",
            "{value}"
        );
        assert_eq!(has("notify_url"), kind != "log", "{value}");
        assert_eq!(value["revision"]["old"].is_u64(), kind == "edit", "{value}");
        assert_eq!(
            value["namespace"] == 14,
            kind == "categorize" || value["title"].as_str().is_some_and(in_category),
            "{value}"
        );
    }
}

/// Whether a title begins with the name of the namespace of categories in some language.
fn in_category(title: &str) -> bool {
    super::wikis::WIKIS.iter().any(|wiki| {
        title
            .strip_prefix(wiki.words().namespaces[6])
            .is_some_and(|rest| rest.starts_with(':'))
    })
}

#[test]
fn users_are_named_bots_temporary_accounts_or_example_addresses() {
    let (mut temporary, mut addresses) = (0, 0);
    for (event, value) in EVENTS.iter() {
        if !event.topic.ends_with("page_change.v1") || is_canary(value) {
            continue;
        }
        let performer = &value["performer"];
        let name = performer["user_text"].as_str().expect("a string");
        let is_temporary = performer["is_temp"] == true;
        assert_eq!(name.starts_with("~20"), is_temporary, "{name}");
        temporary += usize::from(is_temporary);
        if performer.get("user_id").is_none() {
            let blocks = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:DB8:"];
            assert!(blocks.iter().any(|block| name.starts_with(block)), "{name}");
            addresses += 1;
        }
    }
    assert!(
        temporary > 50 && addresses > 2,
        "{temporary} temporary accounts, {addresses} addresses"
    );
}
