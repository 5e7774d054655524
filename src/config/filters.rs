//! Filters that the operator names, which events are sent by default, and how many filters there
//! may be.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::filter::Filter;

/// Filters by the name that clients request them with (`filter=@name`).
pub type NamedFilters = BTreeMap<String, Filter>;

/// The settings of filters. Fields are named after their keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FiltersConfig {
    /// Filters that clients request by name (docs/protocol.md, "Filters").
    #[serde(rename = "filters", deserialize_with = "parsed")]
    pub named: NamedFilters,
    /// Whether canary events are sent to clients that do not choose.
    pub canary_events: bool,
    /// Different filters of all clients.
    pub filters_max: usize,
    /// Different filters of one client address.
    pub filters_per_client_max: Option<usize>,
    /// Filters that are evaluated for each event.
    pub unindexed_filters_max: usize,
}

fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NamedFilters, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    let parse = |(name, text): (String, String)| match Filter::parse(&text) {
        Ok(filter) => Ok((name, filter)),
        Err(error) => Err(D::Error::custom(error)),
    };
    texts.into_iter().map(parse).collect()
}
