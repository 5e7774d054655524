//! Sample events: deterministic records that look like those of Wikimedia's wikis, for development
//! and tests.
//!
//! ```
//! use sample_events::Samples;
//!
//! // Seed 1, 30 events a second on average, from 2026-01-01 on.
//! let first = Samples::new(1, 30.0, 1_767_225_600_000).next().unwrap();
//! assert!(sample_events::topics().iter().any(|(topic, _)| *topic == first.topic));
//! ```
//!
//! [`topics`] lists the topics that records go to, and [`stream_config`] describes the streams.
//!
//! # The model
//!
//! There are about fifty wikis. Each has a share of all activity, its people, bots and pages, and
//! counters for revisions, pages and changes. One activity follows another: an edit, a new page, an
//! upload, a move, a deletion, a log entry. Each causes events in several streams, which agree on
//! page, revision, user, comment and request id and follow within a second, in order of time.
//! Canaries in every topic of both datacenters and events of the test stream come in between.
//! Everything is a function of seed, rate and start time. Names, titles and comments are made of
//! syllables and everyday words.
//!
//! * `streams`: the eight streams, their topics, partitions and configuration.
//! * `wikis`: the wikis with their shares, bots and counters.
//! * `languages`: the words of each language. `names`: names from syllables. `titles`: titles.
//!   `comments`: comments.
//! * `pages`: users, slots, revisions, pages. `people`: the users of a wiki.
//! * `activity`: the kinds of activity. `wiki_state`: a wiki over time. `edits`: edits and new
//!   pages. `log`: what a wiki logs.
//! * `render`: the events of an activity, a file for each schema.
//! * `schedule`: events that are not due yet. `time`: formats of times. `rng`: the random number
//!   generator.
//!
//! # What it lacks
//!
//! Events of other streams than these eight, and real content: hashes and sizes belong to no text.
//!
//! # Deliberate
//!
//! * Canaries and test events come by count and not by the clock, so that every stream appears at
//!   any rate (`any_rate_shows_every_stream`).
//! * The samples begin with canaries, so that every topic has a record before anything else
//!   (`every_topic_begins_with_a_canary`).
//! * Some events of a topic carry the same millisecond, as changes of several categories do:
//!   clients that resume by timestamp meet such ties
//!   (`some_events_of_a_topic_share_a_millisecond`).
//! * Most activity is in eqiad and a little in codfw, as for jobs that run there, so that both
//!   datacenters have events (`most_events_are_in_eqiad_and_a_few_in_codfw`).

mod activity;
mod comments;
mod edits;
mod languages;
mod log;
mod names;
mod pages;
mod people;
mod render;
mod rng;
mod schedule;
mod streams;
#[cfg(test)]
mod tests;
mod time;
mod titles;
mod wiki_state;
mod wikis;

pub use streams::{stream_config, topics};

use rng::Rng;
use schedule::Schedule;
use streams::{PREFIXES, Stream};
use wiki_state::WikiState;

/// The lowest rate of samples, in events per second; lower ones count as this.
pub const RATE_MIN: f64 = 0.001;
/// The highest rate of samples, in events per second; higher ones count as this.
pub const RATE_MAX: f64 = 10_000_000.0;

/// The year 9000: far enough from the end of four-digit years.
const START_MS_MAX: i64 = 221_845_392_000_000;
/// Events between two rounds of canaries: five minutes at 30 a second.
const EVENTS_PER_CANARIES: u64 = 9_000;
/// Events between two events of the test stream: ten seconds at 30 a second.
const EVENTS_PER_TEST: u64 = 300;
/// Of a thousand activities, how many are in the second datacenter.
const ELSEWHERE: u32 = 20;

/// A record for Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleEvent {
    /// The topic, datacenter prefix included: one of [`topics`].
    pub topic: String,
    /// The partition, below that topic's number of partitions.
    pub partition: i32,
    /// The record's key: for `mediawiki.page_change.v1` `{"wiki_id":"enwiki","page_id":123}`, else
    /// none.
    pub key: Option<Vec<u8>>,
    /// The record's timestamp in milliseconds since 1970: the event's `meta.dt`.
    pub timestamp_ms: i64,
    /// The event: one JSON object, UTF-8, on one line, valid by its `$schema`.
    pub value: Vec<u8>,
}

/// An endless series of sample events in order of time: timestamps never decrease.
#[derive(Debug)]
pub struct Samples {
    rng: Rng,
    wiki_states: Vec<WikiState>,
    /// The weight of each of `wiki_states`.
    shares: Vec<(u32, usize)>,
    schedule: Schedule,
    ns_per_event: u64,
    /// The time of the next activity, in nanoseconds since the start.
    next_ns: u64,
    next_canaries: u64,
    next_test: u64,
}

impl Samples {
    /// The samples of a seed: `rate` events per second on average over all topics, the first at
    /// `start_ms` (milliseconds since 1970, UTC). Equal arguments give equal bytes. A rate is
    /// clamped to [`RATE_MIN`] and [`RATE_MAX`] (not a number counts as the lower), a start to the
    /// years 1970 to 9000.
    #[must_use]
    pub fn new(seed: u64, rate: f64, start_ms: i64) -> Self {
        let rate = if rate.is_nan() {
            RATE_MIN
        } else {
            rate.clamp(RATE_MIN, RATE_MAX)
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the clamp leaves 100 to 10^12"
        )]
        let ns_per_event = (1e9 / rate) as u64;
        let start_ms = start_ms.clamp(0, START_MS_MAX);
        let mut rng = Rng::new(seed);
        let wiki_states: Vec<WikiState> = wikis::WIKIS
            .iter()
            .map(|wiki| WikiState::new(&mut rng, wiki, start_ms))
            .collect();
        let shares = wiki_states
            .iter()
            .enumerate()
            .map(|(place, state)| (state.wiki.share, place))
            .collect();
        let schedule = Schedule::new(start_ms, ns_per_event);
        Self {
            rng,
            wiki_states,
            shares,
            schedule,
            ns_per_event,
            next_ns: 0,
            next_canaries: 0,
            next_test: EVENTS_PER_TEST / 2,
        }
    }

    /// Creates the next activity. The time of the one after it depends on how many events this one
    /// has.
    fn advance(&mut self) {
        let before = self.schedule.count();
        if before >= self.next_canaries {
            self.next_canaries += EVENTS_PER_CANARIES;
            self.canaries();
        } else if before >= self.next_test {
            self.next_test += EVENTS_PER_TEST;
            self.schedule.at(self.next_ns, PREFIXES[0]);
            let value = render::test_event(&mut self.rng, before, self.schedule.ms(self.next_ns));
            self.schedule
                .add(Stream::Test, self.next_ns, 0, None, value);
        } else {
            let elsewhere = self.rng.chance(ELSEWHERE);
            self.schedule
                .at(self.next_ns, PREFIXES[usize::from(elsewhere)]);
            let state = &mut self.wiki_states[self.rng.pick_weighted(&self.shares)];
            let activity = state.next(&mut self.rng, self.schedule.ms(self.next_ns));
            render::events(&activity, &mut self.rng, &mut self.schedule);
        }
        // Between none and twice the time that these events take on average.
        let stand_for = (self.schedule.count() - before).saturating_mul(self.ns_per_event);
        self.next_ns = self
            .next_ns
            .saturating_add(stand_for.saturating_mul(self.rng.between(0, 2000)) / 1000);
    }

    /// Adds one canary for every topic.
    fn canaries(&mut self) {
        for prefix in PREFIXES {
            self.schedule.at(self.next_ns, prefix);
            for stream in Stream::ALL {
                let (value, key) =
                    render::canary(stream, &mut self.rng, self.schedule.ms(self.next_ns));
                self.schedule.add(stream, self.next_ns, 0, key, value);
            }
        }
    }
}

impl Iterator for Samples {
    type Item = SampleEvent;

    fn next(&mut self) -> Option<SampleEvent> {
        loop {
            // The next activity has no event before its own time.
            if let Some(event) = self.schedule.pop_due(self.next_ns) {
                return Some(event);
            }
            self.advance();
        }
    }
}
