//! Whether the server would accept the ids of a subscription back: a client must be able to send
//! every id that it receives.

use std::sync::Arc;

use super::App;
use crate::cursor::{
    COMPACT_ENTRY_BYTES_MAX, COMPACT_TOPIC_BYTES_MAX, ID_BYTES_MAX, ID_ENTRIES_MAX, IdForm,
    JSON_ID_BYTES_MAX,
};
use crate::limits;
use crate::problem::Problem;
use crate::stream::{Stream, Topic};

/// An entry of an id without the topic's name and the partition's number, with an offset of 12
/// digits. Names of topics need no escapes in a URL.
const ENTRY: &str = concat!(
    r#"{"topic":"","partition":,"offset":123456789012,"#,
    r#""timestamp":1700000100011,"log":"12345678"},"#,
);

/// `http::Uri` accepts no more.
const URL_BYTES_MAX: usize = u16::MAX as usize - 1;

/// The size of the ids of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct IdSize {
    entries: usize,
    /// Bytes of JSON in a header.
    json: usize,
    /// Bytes of JSON in a URL, percent-encoded.
    json_in_url: usize,
    /// Bytes of a token before base64. It is the same in a header and in a URL.
    compact: usize,
}

impl IdSize {
    fn add(&mut self, topic: &Topic, partitions: usize) {
        let escaped = ENTRY
            .bytes()
            .filter(|byte| b"{}\":,".contains(byte))
            .count();
        let digits = partitions
            .checked_ilog10()
            .map_or(1, |digits| digits as usize + 1);
        let bytes = ENTRY.len() + topic.as_str().len() + digits;
        self.entries += partitions;
        self.json += partitions * bytes;
        self.json_in_url += partitions * (bytes + 2 * escaped);
        self.compact +=
            partitions * COMPACT_ENTRY_BYTES_MAX + topic.as_str().len() + COMPACT_TOPIC_BYTES_MAX;
    }

    /// The most bytes that an id of this form may take in a URL. JSON is not used above
    /// [`JSON_ID_BYTES_MAX`].
    fn url_bytes(self, form: IdForm) -> usize {
        let token = (self.compact + COMPACT_TOPIC_BYTES_MAX) * 4 / 3;
        let json = if self.json > JSON_ID_BYTES_MAX {
            self.json_in_url * JSON_ID_BYTES_MAX / self.json
        } else {
            self.json_in_url
        };
        match form {
            IdForm::Compact => token,
            IdForm::Auto if self.json <= JSON_ID_BYTES_MAX => json,
            IdForm::Auto => json.max(token),
        }
    }

    /// Bytes of an id for which a request head of `head_bytes_max` has room.
    fn url_bytes_max(head_bytes_max: usize) -> usize {
        let head = head_bytes_max.min(URL_BYTES_MAX);
        head - limits::HEAD_BYTES_BESIDE_ID.min(head / 4)
    }

    fn fits(self, form: IdForm, head_bytes_max: usize) -> bool {
        let bytes = self.url_bytes(form);
        self.entries <= ID_ENTRIES_MAX
            && bytes <= ID_BYTES_MAX
            && bytes <= Self::url_bytes_max(head_bytes_max)
    }
}

/// # Errors
/// [`Problem::TooManyPartitions`] when an id with an entry for each partition of these topics would
/// be refused as `Last-Event-ID` or as `lastEventId`.
pub(super) fn check<'a>(
    app: &App,
    topics: impl Iterator<Item = &'a Topic>,
    form: IdForm,
) -> Result<(), Problem> {
    let mut size = IdSize::default();
    for topic in topics {
        size.add(topic, app.hub.partitions(topic).len());
    }
    let head_bytes_max = app.config.limits.request_head_bytes_max;
    if size.fits(form, head_bytes_max) {
        return Ok(());
    }
    let max = IdSize::url_bytes_max(head_bytes_max);
    Err(Problem::TooManyPartitions {
        partitions: size.entries,
        bytes: size.url_bytes(form),
        max,
    })
}

/// Logs the public streams whose ids are too long, as soon as their partitions are known.
pub(crate) async fn warn_of_long_ids(app: Arc<App>) {
    let mut ready = app.hub.watch_ready();
    if ready.wait_for(|ready| *ready).await.is_err() {
        return;
    }
    let catalog = app.catalog();
    let refused = |stream: &&Arc<Stream>| check(&app, stream.topics.iter(), IdForm::Auto).is_err();
    let streams: Vec<_> = catalog
        .streams()
        .filter(refused)
        .map(|stream| stream.name.as_str())
        .collect();
    if !streams.is_empty() {
        tracing::warn!(
            streams = streams.join(","),
            "these streams have too many partitions for their ids to be accepted back; requests \
             for them are refused unless they are for NDJSON, which has no ids; raise \
             request_head_bytes_max up to 65536 if it is less"
        );
    } else if let Err(problem) = check(&app, catalog.topics().iter(), IdForm::Auto) {
        tracing::warn!("a request for all public streams at once would be refused: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(topic: &str, partitions: usize) -> IdSize {
        let mut size = IdSize::default();
        size.add(&topic.into(), partitions);
        size
    }

    #[test]
    fn the_computed_size_of_an_id_is_that_of_a_real_one() {
        let topic = "eqiad.mediawiki.recentchange";
        let rest = r#""offset":123456789012,"timestamp":1700000100011,"log":"12345678""#;
        let entry =
            |partition: usize| format!(r#"{{"topic":"{topic}","partition":{partition},{rest}}}"#);
        let id = format!("[{}]", (0..100).map(entry).collect::<Vec<_>>().join(","));
        let computed = size(topic, 100);
        let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        assert!(
            (id.len()..id.len() + 200).contains(&computed.json),
            "{} for {}",
            computed.json,
            id.len()
        );
        assert!(
            (encoded.len() - 8..encoded.len() + 200).contains(&computed.json_in_url),
            "{} for {}",
            computed.json_in_url,
            encoded.len()
        );
        assert_eq!(computed.entries, 100);
    }

    #[test]
    fn thousands_of_partitions_fit_in_compact_form() {
        let fits = |partitions, head| {
            let size = size("eqiad.mediawiki.page-properties-change", partitions);
            [IdForm::Auto, IdForm::Compact].map(|form| size.fits(form, head))
        };
        for partitions in [0, 20, 70, 300, 600, 3000] {
            assert_eq!(fits(partitions, 65_536), [true; 2], "{partitions}");
        }
        assert_eq!(fits(4000, 65_536), [false; 2], "a URL is no longer");
        assert_eq!(
            fits(4000, 16 << 20),
            [false; 2],
            "a URL does not become longer"
        );
        assert_eq!(fits(300, 8192), [true; 2]);
        assert_eq!(fits(600, 8192), [false; 2]);
        assert_eq!(
            fits(60, 4096),
            [false, true],
            "JSON of 4 KiB has no room there"
        );
    }
}
