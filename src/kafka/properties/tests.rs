use super::*;

fn refused(name: &str, value: &str) -> Option<String> {
    refused_alone(name, value)
}

#[test]
fn a_misspelt_property_is_refused_with_the_nearest() {
    for (wrong, near) in [
        ("securty.protocol", "security.protocol"),
        ("ssl.ca.locaton", "ssl.ca.location"),
        ("sasl.mechansim", "sasl.mechanism"),
        ("fetch.mesage.max.bytes", "fetch.message.max.bytes"),
    ] {
        assert_eq!(
            refused(wrong, "x"),
            Some(format!(
                "librdkafka has no such property; the nearest is `{near}`"
            )),
            "{wrong}"
        );
    }
}

#[test]
fn a_value_that_a_property_cannot_have_is_refused() {
    assert!(refused("security.protocol", "tls").is_some_and(|what| what.contains("refuses it")));
    assert!(refused("fetch.wait.max.ms", "soon").is_some());
    assert_eq!(refused("sasl.password", "anything"), None);
    assert_eq!(
        all_refused(&[("ssl.ca.location", "/nonexistent")]),
        [],
        "without TLS it is not read"
    );
}

fn all_refused(properties: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    refused_properties(&owned.collect())
}

#[test]
fn what_only_a_whole_client_shows_is_reported_for_each_property() {
    let refused = all_refused(&[
        ("metadata.broker.list", "kafka1:9093"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "GSSAPI"),
        ("ssl.ca.location", "/nonexistent/ca.pem"),
        ("ssl.cipher.suites", "NO-SUCH-CIPHER"),
        ("ssl.sigalgs.list", "NONE+SHA0"),
    ]);
    let names: Vec<&str> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ssl.ca.location",
            "sasl.mechanisms",
            "ssl.cipher.suites",
            "ssl.sigalgs.list"
        ],
        "{refused:?}"
    );
    assert!(
        refused[0]
            .1
            .contains("cannot read /nonexistent/ca.pem: No such file"),
        "{refused:?}"
    );
    assert!(
        refused[1].1.contains("does not support GSSAPI"),
        "{refused:?}"
    );
}

#[test]
fn what_is_missing_is_reported_for_the_property_that_needs_it() {
    let refused = all_refused(&[("security.protocol", "sasl_ssl"), ("sasl.password", "x")]);
    assert!(
        refused.len() == 1
            && refused[0].0 == "security.protocol"
            && refused[0].1.contains("sasl.mechanisms"),
        "{refused:?}"
    );
    let refused = all_refused(&[
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanisms", "PLAIN"),
    ]);
    assert!(
        refused.len() == 1 && refused[0].1.contains("sasl.username"),
        "{refused:?}"
    );
}

#[test]
fn properties_that_can_be_used_are_not_refused() {
    assert_eq!(
        all_refused(&[
            ("metadata.broker.list", "nowhere.invalid:1"),
            ("fetch.wait.max.ms", "5")
        ]),
        []
    );
}

#[test]
fn every_known_name_is_one_of_librdkafkas() {
    for name in NAMES {
        let unknown = refused(name, "?").is_some_and(|what| what.contains("no such property"));
        assert!(!unknown, "{name}");
    }
}
