//! Which events lose their editor.

use super::*;

/// An event of the domain that the rules name, with these other members.
fn of_named_domain(members: &str) -> String {
    format!(r#"{{"meta":{{"domain":"tt.wikipedia.org"}},{members},"performer":"S"}}"#)
}

fn prepared(value: &str) -> Prepared {
    prepare_for("test", None, value.as_bytes()).unwrap()
}

#[test]
fn a_named_page_is_found_by_any_of_its_titles() {
    for members in [
        r#""page_title":"Main_Page""#,
        r#""title":1984"#,
        // Moved away from it, as page_change, page-move and recentchange have it; and towards it.
        r#""page":{"page_title":"N"},"prior_state":{"page":{"page_title":"Main_Page"}}"#,
        r#""page_title":"N","prior_state":{"page_title":"Main_Page"}"#,
        r#""title":"Main Page","log_params":{"target":"N"}"#,
        r#""title":"N","log_params":{"target":"Main Page"}"#,
        // The redirect that a move left there.
        r#""page":{"page_title":"N"},"created_redirect_page":{"page_title":"Main_Page"}"#,
        r#""page_title":"N","new_redirect_page":{"page_title":"Main_Page"}"#,
        // A redirect to it, now or before.
        r#""page":{"page_title":"N","redirect_page_link":{"page_title":"Main_Page"}}"#,
        r#""prior_state":{"page":{"redirect_page_link":{"page_title":"Main_Page"}}}"#,
    ] {
        let prepared = prepared(&of_named_domain(members));
        assert!(prepared.redacted, "{members}");
        assert!(!text(&prepared).contains("performer"), "{members}");
    }
}

#[test]
fn a_named_page_is_found_in_every_spelling_and_order() {
    for value in [
        concat!(
            r#"{"performer":1,"page":{"page_id":7,"page_title":" main page"},"#,
            r#""meta":{"domain":"TT.wikipedia.org"}}"#
        ),
        concat!(
            r#"{"performer":1,"title":"M\u0061in Page","#,
            r#""meta":{"d\u006fmain":"tt.wikipedi\u0061.org"}}"#
        ),
    ] {
        let prepared = prepared(value);
        assert!(prepared.redacted, "{value}");
        assert!(!text(&prepared).contains("performer"), "{value}");
    }
}

#[test]
fn other_pages_keep_their_performer() {
    for members in [
        r#""title":"Main Pages""#,
        r#""page":"Main Page""#,
        r#""page":{"title":"Main Page"}"#,
        r#""title":{"page_title":"Main Page"}"#,
        r#""page":{"prior_state":{"page_title":"Main Page"}}"#,
        r#""prior_state":{"revision":{"page_title":"Main Page"}}"#,
        r#""prior_state":"Main Page","log_params":"Main Page""#,
        r#""log_params":{"page_title":"Main Page"}"#,
    ] {
        keeps_performer(&of_named_domain(members));
    }
    for value in [
        r#"{"meta":{"domain":"ru.wikipedia.org"},"title":"Main Page","performer":"S"}"#,
        r#"{"domain":"tt.wikipedia.org","title":"Main Page","performer":"S"}"#,
    ] {
        keeps_performer(value);
    }
}

fn keeps_performer(value: &str) {
    let prepared = prepared(value);
    assert!(!prepared.redacted, "{value}");
    assert!(text(&prepared).contains(r#""performer":"S""#), "{value}");
}

#[test]
fn no_choice_of_duplicates_escapes_redaction() {
    for members in [
        r#""meta":{"domain":"x"},"title":"Main Page""#,
        r#""title":"Main Page","title":"x""#,
        r#""page":{"page_title":"Main Page"},"page":{}"#,
        r#""page":{"page_title":"Main Page","page_title":"x"}"#,
        r#""performer":"S","title":"Main Page""#,
        r#""prior_state":{"p\u0061ge":{"page_title":"Main Page"}},"prior_state":{}"#,
    ] {
        let value = of_named_domain(members);
        assert!(!augmented(&value).contains("\"S\""), "{value}");
    }
    for metas in [
        r#""meta":{"domain":"x"},"meta":{"domain":"tt.wikipedia.org"}"#,
        r#""meta":{"domain":"tt.wikipedia.org","domain":"x"}"#,
    ] {
        let value = format!(r#"{{{metas},"title":"Main Page","performer":"S"}}"#);
        assert!(!augmented(&value).contains("\"S\""), "{value}");
    }
}
