//! Sample events: what Wikimedia's wikis could be doing, as deterministic records for the embedded broker.
//!
//! The model: about fifty wikis, each with its share of all that happens, its people, bots and pages, and counters for
//! revisions, pages and changes. One thing after another happens (an edit, a new page, an upload, a move, a deletion, a log
//! entry) and is told by the events of several streams, which agree on page, revision, user, comment and request id and
//! follow within a second, in one order of time. Two rounds run beside: canaries in every topic of both datacenters, and
//! events of the test stream. Everything comes from one seeded generator and is a function of seed, rate and start; names,
//! titles and comments are made up from syllables and everyday words.
//!
//! * `streams`: the eight streams, their topics, partitions and configuration.
//! * `wikis`: the wikis with their shares, bots and counters.
//! * `languages`: the words of each language. `names`: names by syllables. `titles`: titles. `comments`: comments.
//! * `pages`: users, slots, revisions, pages. `people`: who is active on a wiki.
//! * `activity`: what can happen. `edits`: edits and new pages. `log`: what the log tells.
//! * `render`: the events of an activity, a file for each schema.
//! * `schedule`: events that are not due yet. `time`: times as events write them. `rng`: the generator.
//!
//! Deliberate:
//!
//! * Canaries and test events come by count, not by the clock, so that every stream is seen at any rate
//!   (`any_rate_shows_every_stream`).
//! * A round of canaries opens the samples, so that every topic has spoken before anything is read
//!   (`every_topic_speaks_first_by_a_canary`).
//! * Some events of a topic carry the same millisecond, as changes of several categories do: clients that resume by
//!   timestamp meet such ties (`some_events_of_a_topic_share_a_millisecond`).
//! * Edits happen in eqiad; a few in codfw, as jobs do that run there, so that both datacenters speak
//!   (`eqiad_speaks_most_and_codfw_a_little`).

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
/// How many events lie between two rounds of canaries: five minutes at 30 a second.
const EVENTS_PER_CANARIES: u64 = 9_000;
/// How many events lie between two events of the test stream: ten seconds at 30 a second.
const EVENTS_PER_TEST: u64 = 300;
/// Of a thousand activities, how many are told in the second datacenter.
const ELSEWHERE: u32 = 20;

/// A record for Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleEvent {
    /// The topic, datacenter prefix included: one of [`topics`].
    pub topic: String,
    /// The partition, below that topic's number of partitions.
    pub partition: i32,
    /// The record's key: for `mediawiki.page_change.v1` `{"wiki_id":"enwiki","page_id":123}`, else none.
    pub key: Option<Vec<u8>>,
    /// The record's timestamp in milliseconds since 1970: the event's `meta.dt`.
    pub timestamp_ms: i64,
    /// The event: one JSON object, UTF-8, on one line, valid by its `$schema`.
    pub value: Vec<u8>,
}

/// An endless run of sample events in order of time: timestamps never go back.
#[derive(Debug)]
pub struct Samples {
    rng: Rng,
    wiki_states: Vec<WikiState>,
    /// Which of `wiki_states` has its turn, by weight.
    shares: Vec<(u32, usize)>,
    schedule: Schedule,
    ns_per_event: u64,
    /// When the next thing happens, in nanoseconds since the start.
    next_ns: u64,
    next_canaries: u64,
    next_test: u64,
}

impl Samples {
    /// The samples of that seed: `rate` events per second over all topics on average, the first at `start_ms`
    /// (milliseconds since 1970, UTC). Equal arguments give equal bytes. A rate outside [`RATE_MIN`] to [`RATE_MAX`]
    /// counts as the nearer of the two, one that is not a number as the lower; a start before 1970 or after the year 9000
    /// likewise.
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

    /// Lets the next thing happen, and sets the time of the one after by how many events this one gave.
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
        // Between none and twice the time that these events stand for.
        let stand_for = (self.schedule.count() - before).saturating_mul(self.ns_per_event);
        self.next_ns = self
            .next_ns
            .saturating_add(stand_for.saturating_mul(self.rng.between(0, 2000)) / 1000);
    }

    /// One canary for every topic.
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
            // Whatever happens next has no event before its own time.
            if let Some(event) = self.schedule.pop_due(self.next_ns) {
                return Some(event);
            }
            self.advance();
        }
    }
}
