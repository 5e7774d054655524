//! What a reader asks for, as a URL.

use reqwest::Url;

/// Streams of a server, and the query parameters of docs/protocol.md.
#[derive(Clone, Debug)]
pub struct StreamRequest {
    base: Url,
    streams: String,
    query: Vec<(String, String)>,
    /// Events after which the stream ends.
    pub limit: Option<u64>,
    /// The id of the last event that is known already.
    pub last_event_id: Option<String>,
}

/// A URL that names no server.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It is not a URL.
    #[error("'{url}' is not a URL: {cause}; use one like http://localhost:8092")]
    Invalid {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Its scheme is another one.
    #[error("'{0}' is not an http or https URL; use one like http://localhost:8092")]
    Scheme(String),
}

/// Parameters that say where a stream begins. Only the first connection needs them.
const BEGINNINGS: [&str; 2] = ["since", "tail"];

impl StreamRequest {
    /// A request for streams of the server at `url`. Its path may be that of a proxy in front of
    /// the server.
    ///
    /// # Errors
    /// `url` is not an http(s) URL.
    pub fn new(url: &str, streams: &[String]) -> Result<Self, UrlError> {
        let base = Url::parse(url).map_err(|error| UrlError::Invalid {
            url: url.to_owned(),
            cause: error.to_string(),
        })?;
        // `localhost:8092` has the scheme `localhost`.
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(UrlError::Scheme(url.to_owned()));
        }
        Ok(Self {
            base,
            streams: streams.join(","),
            query: Vec::new(),
            limit: None,
            last_event_id: None,
        })
    }

    /// A request for a URL of the form `https://server/v2/stream/a,b?filter=...`. Without
    /// `/v2/stream/...`, it names a server and no streams.
    ///
    /// # Errors
    /// `url` is not an http(s) URL.
    pub fn of_url(url: &str) -> Result<Self, UrlError> {
        let mut request = Self::new(url, &[])?;
        let query = request.base.query_pairs().into_owned();
        request.query = query.collect();
        request.base.set_query(None);
        let path = request.base.path().to_owned();
        if let Some((prefix, streams)) = path.split_once("/v2/stream/") {
            request.base.set_path(prefix);
            let streams = percent_encoding::percent_decode_str(streams.trim_end_matches('/'));
            request.streams = streams.decode_utf8_lossy().into_owned();
        }
        Ok(request)
    }

    /// The names of the streams.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.streams.split(',').filter(|name| !name.is_empty())
    }

    /// Asks for these streams.
    pub fn set_streams<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let names: Vec<_> = names.into_iter().collect();
        self.streams = names.join(",");
    }

    /// The URL of the list of streams of its server.
    pub(super) fn list_url(&self) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "streams"]);
        }
        url
    }

    /// Adds a query parameter.
    pub fn parameter(&mut self, name: &str, value: &str) {
        self.query.push((name.to_owned(), value.to_owned()));
    }

    /// Whether it says where the stream begins.
    pub(super) fn has_beginning(&self) -> bool {
        self.last_event_id.is_some()
            || self
                .query
                .iter()
                .any(|(name, _)| BEGINNINGS.contains(&name.as_str()))
    }

    /// The URL of the next connection. With an id, it does not say where the stream begins.
    pub(super) fn url(&self) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["v2", "stream", self.streams.as_str()]);
        }
        let has_id = self.last_event_id.is_some();
        let query = self
            .query
            .iter()
            .filter(|(name, _)| !has_id || !BEGINNINGS.contains(&name.as_str()));
        url.set_fragment(None);
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(query);
        if let Some(limit) = self.limit {
            pairs.append_pair("limit", &limit.to_string());
        }
        drop(pairs);
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> StreamRequest {
        let streams = ["a".to_owned(), "b c".to_owned()];
        StreamRequest::new(url, &streams).expect("a URL")
    }

    #[test]
    fn the_url_has_the_streams_and_the_parameters() {
        let mut request = request("http://localhost:8092/proxy/");
        let url = |request: &StreamRequest| request.url().to_string();
        assert_eq!(
            url(&request),
            "http://localhost:8092/proxy/v2/stream/a,b%20c"
        );
        request.parameter("filter", "event.n > 1 && true");
        request.parameter("since", "5");
        assert!(request.has_beginning());
        request.limit = Some(3);
        let query = "?filter=event.n+%3E+1+%26%26+true&since=5&limit=3";
        assert!(url(&request).ends_with(query), "{}", url(&request));
        request.last_event_id = Some("[]".to_owned());
        let query = "?filter=event.n+%3E+1+%26%26+true&limit=3";
        assert!(url(&request).ends_with(query), "{}", url(&request));
    }

    #[test]
    fn a_url_may_have_streams_and_parameters() {
        let text = "https://x.example/p/v2/stream/a,b%20c?wiki=enwiki&since=5";
        let request = StreamRequest::of_url(text).expect("a URL");
        assert_eq!(request.streams().collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(request.url().to_string(), text);
        let list = "https://x.example/p/v2/streams";
        assert_eq!(request.list_url().to_string(), list);
        let mut server = StreamRequest::of_url("http://localhost:8092").expect("a URL");
        assert_eq!(server.streams().count(), 0);
        assert_eq!(
            server.list_url().to_string(),
            "http://localhost:8092/v2/streams"
        );
        server.set_streams(["a", "b"]);
        assert_eq!(
            server.url().to_string(),
            "http://localhost:8092/v2/stream/a,b"
        );
    }

    #[test]
    fn a_url_that_names_no_server_is_refused() {
        for (url, part) in [
            (
                "localhost:8092",
                "'localhost:8092' is not an http or https URL",
            ),
            ("mailto:a@b", "is not an http or https URL"),
            ("http://", "empty host; use one like http://localhost:8092"),
            ("", "'' is not a URL"),
        ] {
            let error = StreamRequest::new(url, &[]).expect_err(url).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
