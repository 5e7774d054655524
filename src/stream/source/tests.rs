//! Tests of where stream configuration comes from.

use serde_json::json;

use super::*;

fn config_of(uri: impl Into<String>) -> StreamsConfig {
    StreamsConfig {
        uri: Some(uri.into()),
        ..StreamsConfig::default()
    }
}

#[tokio::test]
async fn json_and_yaml_files_are_read_by_path_and_by_file_url() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.json", r#"{"streams": {"a": {}}}"#),
        ("a b.yaml", "streams:\n  a: {}\n"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let url = format!("file://{}", path.replace(' ', "%20"));
        for uri in [path, &url] {
            assert_eq!(
                load(&config_of(uri), "t").await.unwrap(),
                json!({"streams": {"a": {}}}),
                "{uri}"
            );
        }
    }
}

#[tokio::test]
async fn without_a_uri_there_is_no_document_and_no_error() {
    assert_eq!(
        load(&StreamsConfig::default(), "t").await.unwrap(),
        Value::Null
    );
}

#[tokio::test]
async fn a_missing_file_is_an_error_with_its_path() {
    let error = load(&config_of("/nonexistent/streams.yaml"), "t")
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/streams.yaml"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_is_neither_json_nor_yaml_is_an_error_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.json");
    std::fs::write(&path, "{\"streams\":\n {\"a\": [}\n").unwrap();
    let error = load(&config_of(path.to_str().unwrap()), "t")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

/// A server that sends these responses one after the other, then 404.
async fn serve(responses: &[&str]) -> String {
    let responses = std::sync::Arc::new(std::sync::Mutex::new(
        responses
            .iter()
            .rev()
            .map(|response| (*response).to_owned())
            .collect::<Vec<_>>(),
    ));
    let handler = move || async move {
        responses
            .lock()
            .unwrap()
            .pop()
            .ok_or(axum::http::StatusCode::NOT_FOUND)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/api.php?action=streamconfigs",
        listener.local_addr().unwrap()
    );
    let router = axum::Router::new().route("/api.php", axum::routing::get(handler));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn the_last_good_response_of_a_url_is_cached_and_used_instead() {
    let folder = tempfile::tempdir().unwrap();
    let cache_file = folder
        .path()
        .join("cache.json")
        .to_str()
        .unwrap()
        .to_owned();
    // A good response, one that is JSON but not a configuration, then a URL that is gone.
    let url = serve(&[r#"{"streams": {"a": {}}}"#, r#"{"error": "internal"}"#]).await;
    let config = StreamsConfig {
        object_path: Some("streams".to_owned()),
        cache_file: Some(cache_file),
        ..config_of(url)
    };

    let fresh = load_catalog(&config, "t").await.unwrap();
    assert!(fresh.stale.is_none());
    let unusable = load_catalog(&config, "t").await.unwrap();
    assert!(
        matches!(unusable.stale, Some(LoadError::Catalog(_))),
        "{:?}",
        unusable.stale
    );
    let gone = load_catalog(&config, "t").await.unwrap();
    assert!(
        matches!(gone.stale, Some(LoadError::Source(SourceError::Url { .. }))),
        "{:?}",
        gone.stale
    );
    assert_eq!(
        (&unusable.catalog, &gone.catalog),
        (&fresh.catalog, &fresh.catalog)
    );

    let without_cache = StreamsConfig {
        cache_file: None,
        ..config
    };
    assert!(load_catalog(&without_cache, "t").await.is_err());
}

#[tokio::test]
async fn a_large_file_is_read_only_up_to_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.json");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(limits::STREAM_CONFIG_BYTES_MAX as u64 + 1)
        .unwrap();
    let error = load(&config_of(path.to_str().unwrap()), "t")
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::TooLarge { .. }) && error.to_string().contains("8388608"),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_repeats_neither_query_nor_credentials_of_the_url() {
    let url = serve(&["[", "["])
        .await
        .replace("http://", "http://user:hunter2@")
        + "&token=hunter3";
    for end in [
        "/api.php: neither JSON nor YAML: ",
        "/api.php: responded with 404 Not Found",
    ] {
        let error = load(&config_of(&url), "t").await.unwrap_err().to_string();
        assert!(
            error.contains(end) && !error.contains("hunter") && !error.contains("user"),
            "{error}"
        );
        let _ = load(&config_of(&url), "t").await;
    }
}

#[test]
fn a_redacted_uri_has_no_secrets() {
    for (uri, redacted) in [
        (
            "https://user:p@ss@example.org:8443/a?token=x#y",
            "https://example.org:8443/a",
        ),
        ("HTTP://token@example.org", "HTTP://example.org"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("/etc/a?b@c", "/etc/a?b@c"),
    ] {
        assert_eq!(redacted_uri(uri), redacted);
        assert!(!format!("{:?}", config_of(uri)).contains("token"), "{uri}");
    }
}
