use proptest::prelude::*;

use super::*;

const PEER: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const PEER_NETWORK: &str = "::";

fn addresses(trusted: &[&str]) -> ClientAddresses {
    let trusted = trusted
        .iter()
        .map(|net| net.parse().expect("a network"))
        .collect();
    ClientAddresses::new("x-client-ip".to_owned(), trusted)
}

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            "x-client-ip",
            axum::http::HeaderValue::from_bytes(value).expect("a value"),
        );
    }
    headers
}

fn client_of(values: &[&str], peer: &str, trusted: &[&str]) -> Option<String> {
    let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
    let peer = peer.parse().unwrap_or(PEER);
    addresses(trusted)
        .client(&headers(&values), peer)
        .map(|address| address.to_string())
}

fn client(header: &str, peer: &str, trusted: &[&str]) -> String {
    client_of(&[header], peer, trusted).expect("an address")
}

#[test]
fn the_header_names_the_client() {
    for (header, expected) in [
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("::ffff:192.0.2.9", "192.0.2.9"),
        ("[::ffff:192.0.2.9]:80", "192.0.2.9"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::"),
        ("[2001:db8:0:1:ffff::2]", "2001:db8:0:1::"),
        ("\"[2001:db8:0:1::2]:65535\"", "2001:db8:0:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("[fe80::1%eth0]:80", "fe80::"),
        ("64:ff9b::192.0.2.7", "192.0.2.7"),
        ("64:ff9b::c000:207", "192.0.2.7"),
        ("64:ff9b:1::c000:207", "64:ff9b:1::"),
        ("64:ff9b:0:1::c000:207", "64:ff9b:0:1::"),
    ] {
        assert_eq!(client(header, "", &[]), expected, "{header}");
    }
}

#[test]
fn the_leftmost_entry_of_a_list_is_the_client() {
    assert_eq!(client("192.0.2.1, 10.0.0.1", "", &[]), "192.0.2.1");
    assert_eq!(client(", 192.0.2.1:80,nobody", "", &[]), "192.0.2.1");
}

#[test]
fn the_rightmost_entry_outside_trusted_proxies_is_the_client() {
    let trusted = ["10.0.0.0/8", "2001:db8::/32"];
    for (header, expected) in [
        ("198.51.100.9, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (
            "198.51.100.9, 192.0.2.1:80, [2001:db8::1]:80, 10.0.0.1",
            "192.0.2.1",
        ),
        ("forged, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("64:ff9b::192.0.2.1, 64:ff9b::10.0.0.1", "192.0.2.1"),
        // Entries before an invalid one cannot be trusted.
        ("192.0.2.1, unknown, 10.0.0.1", "10.1.2.3"),
    ] {
        assert_eq!(client(header, "10.1.2.3", &trusted), expected, "{header}");
    }
}

#[test]
fn several_headers_count_only_with_trusted_proxies() {
    let two = ["198.51.100.9", "192.0.2.1"];
    assert_eq!(client_of(&two, "", &[]), None);
    assert_eq!(
        client_of(&two, "10.1.2.3", &["10.0.0.0/8"]).expect("the last"),
        "192.0.2.1"
    );
}

#[test]
fn with_an_invalid_header_the_peer_is_the_client() {
    for header in [
        "nobody",
        "192.0.2.256",
        "192.0.2.1:65536",
        "192.0.2.1:",
        "[192.0.2.1",
        "[::1]x",
        "1.2.3.4%eth0",
        "кто",
    ] {
        assert_eq!(client(header, "", &[]), PEER_NETWORK, "{header}");
        assert_eq!(client(header, "192.0.2.5", &[]), "192.0.2.5", "{header}");
    }
    let binary = addresses(&[])
        .client(&headers(&[b"\xff\xfe"]), PEER)
        .expect("the peer");
    assert_eq!(binary, network_of(PEER));
}

#[test]
fn without_a_header_there_is_no_address() {
    for values in [&[][..], &[""], &[" , "]] {
        assert_eq!(client_of(values, "", &[]), None, "{values:?}");
    }
}

#[test]
fn a_peer_outside_trusted_proxies_is_the_client() {
    let trusted = ["10.0.0.0/8"];
    assert_eq!(
        client("192.0.2.1", "198.51.100.7", &trusted),
        "198.51.100.7"
    );
    assert_eq!(client("192.0.2.1", "10.1.2.3", &trusted), "192.0.2.1");
    assert_eq!(
        client("192.0.2.1", "64:ff9b::10.1.2.3", &trusted),
        "192.0.2.1"
    );
    assert_eq!(
        client("192.0.2.1", "64:ff9b::198.51.100.7", &trusted),
        "198.51.100.7"
    );
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(
        value in prop::collection::vec(32_u8..=255, 0..40),
        trusted: bool,
    ) {
        prop_assume!(!value.contains(&127));
        let trusted: &[&str] = if trusted { &["::/0"] } else { &[] };
        let _ = addresses(trusted).client(&headers(&[&value]), PEER);
    }

    #[test]
    fn every_way_to_write_an_address_is_read(bits: u128, port: u16) {
        let v6 = Ipv6Addr::from_bits(bits);
        let v4 = Ipv4Addr::from_bits(u32::try_from(bits >> 96).expect("32 bits"));
        for text in [v6.to_string(), format!("[{v6}]"), format!("[{v6}]:{port}")] {
            prop_assert_eq!(address(&text), Some(canonical(v6.into())));
        }
        for text in [v4.to_string(), format!("{v4}:{port}")] {
            prop_assert_eq!(address(&text), Some(v4.into()));
        }
    }
}
