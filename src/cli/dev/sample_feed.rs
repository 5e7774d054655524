//! Fills the embedded broker with sample events, on a thread of its own: first with history, then
//! in real time.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dev_broker::{DevBroker, NewRecord};
use sample_events::{RATE_MIN, Samples};

use crate::cursor::TimestampMs;
use crate::shutdown::Shutdown;

/// The history that an empty broker is filled with, in time and in events, whichever is less.
const HISTORY: Duration = Duration::from_mins(10);
const HISTORY_EVENTS_MAX: f64 = 20_000.0;

/// The highest `--rate`. An optimized build makes some ten thousand events a second on one
/// processor, which the server also needs.
const RATE_MAX: f64 = 5_000.0;

/// How often new events are appended.
const TICK: Duration = Duration::from_millis(10);

/// The most events that are appended before the thread checks for a shutdown.
const APPEND_EVENTS_MAX: usize = 500;

/// How often the pace is checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The lag that counts as keeping up.
const LAG_MAX: Duration = Duration::from_secs(5);

/// Checks in a row at which the lag may have grown: once is a machine that slept.
const LOSSES_MAX: u32 = 3;

/// Reads `--rate`.
///
/// # Errors
/// The rate is not in the range.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' is not a number of events a second, such as 30 or 0.5"))?;
    if (RATE_MIN..=RATE_MAX).contains(&rate) {
        return Ok(rate);
    }
    Err(format!(
        "must be {RATE_MIN} to {RATE_MAX} events a second; \
         for more, produce to a Kafka of your own and name it with --brokers"
    ))
}

/// Fills the broker.
#[derive(Debug)]
pub(super) struct SampleFeed {
    broker: Arc<DevBroker>,
    samples: Peekable<Samples>,
    rate: f64,
}

impl SampleFeed {
    /// The broker may hold samples of an earlier run. The feed continues after them and does not
    /// repeat them.
    pub(super) fn new(broker: Arc<DevBroker>, seed: u64, rate: f64) -> Self {
        let newest = broker.newest_timestamp_ms();
        let start_ms = start_ms(TimestampMs::now().0, rate, newest);
        let samples = Samples::new(seed_after(seed, newest), rate, start_ms);
        Self {
            broker,
            samples: samples.peekable(),
            rate,
        }
    }

    /// Runs until the shutdown is announced.
    ///
    /// # Errors
    /// This machine cannot keep up with the rate. The shutdown begins then.
    pub(super) fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut pace = Pace::new(Instant::now());
        while !shutdown.is_announced() {
            let appended = self.append_due(TimestampMs::now().0);
            let next = self.samples.peek();
            let lag_ms = next.map_or(0, |next| TimestampMs::now().0 - next.timestamp_ms);
            if !pace.keeps_up(Instant::now(), appended, lag_ms) {
                shutdown.begin();
                anyhow::bail!(
                    "this machine makes only about {:.0} events a second, less than --rate {}: \
                     choose a lower rate",
                    pace.events_a_second,
                    self.rate
                );
            }
            if appended < APPEND_EVENTS_MAX {
                std::thread::sleep(TICK);
            }
        }
        Ok(())
    }

    /// Appends the sample events that are due, at most [`APPEND_EVENTS_MAX`]; returns their number.
    fn append_due(&mut self, now_ms: i64) -> usize {
        let mut due: BTreeMap<(String, i32), Vec<NewRecord>> = BTreeMap::new();
        let mut appended = 0;
        while appended < APPEND_EVENTS_MAX
            && let Some(sample) = self.samples.next_if(|sample| sample.timestamp_ms <= now_ms)
        {
            let record = NewRecord {
                timestamp_ms: sample.timestamp_ms,
                key: sample.key.map(Bytes::from),
                value: Some(Bytes::from(sample.value)),
            };
            due.entry((sample.topic, sample.partition))
                .or_default()
                .push(record);
            appended += 1;
        }
        for ((topic, partition), records) in due {
            if let Err(error) = self.broker.append(&topic, partition, &records) {
                tracing::warn!(topic, %error, "sample events were not appended");
            }
        }
        appended
    }
}

/// When the samples start (ms): after those in the broker, and no earlier than the history of this
/// rate.
fn start_ms(now_ms: i64, rate: f64, newest: Option<i64>) -> i64 {
    let history = Duration::try_from_secs_f64(HISTORY_EVENTS_MAX / rate).unwrap_or(HISTORY);
    let history_ms = i64::try_from(history.min(HISTORY).as_millis()).unwrap_or(i64::MAX);
    let earliest = now_ms - history_ms;
    newest.map_or(earliest, |newest| earliest.max(newest + 1))
}

/// The seed after an earlier run: `SplitMix64` of the seed and the newest timestamp. The same seed
/// would repeat the same ids.
fn seed_after(seed: u64, newest: Option<i64>) -> u64 {
    let Some(newest) = newest else { return seed };
    let mut mixed = seed ^ newest.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Checks that the feed keeps up with the clock.
#[derive(Debug)]
struct Pace {
    last_check: Instant,
    /// Events since the last check.
    events: usize,
    /// The lag at the last check; the maximum before the first.
    last_lag_ms: i64,
    /// Checks in a row at which the lag was too large and had not shrunk.
    losses: u32,
    events_a_second: f64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            last_check: now,
            events: 0,
            last_lag_ms: i64::MAX,
            losses: 0,
            events_a_second: 0.0,
        }
    }

    /// Adds `events`, after which the next one is late by `lag_ms`. Returns `false` when the feed
    /// has lost ground at [`LOSSES_MAX`] checks in a row.
    fn keeps_up(&mut self, now: Instant, events: usize, lag_ms: i64) -> bool {
        self.events += events;
        let elapsed = now.saturating_duration_since(self.last_check);
        if elapsed < CHECK_INTERVAL {
            return true;
        }
        let events = u32::try_from(self.events).unwrap_or(u32::MAX);
        self.events_a_second = f64::from(events) / elapsed.as_secs_f64();
        let lag_max_ms = i64::try_from(LAG_MAX.as_millis()).unwrap_or(i64::MAX);
        let keeps_up = lag_ms <= lag_max_ms || lag_ms < self.last_lag_ms;
        self.losses = if keeps_up { 0 } else { self.losses + 1 };
        self.last_check = now;
        self.events = 0;
        self.last_lag_ms = lag_ms;
        self.losses < LOSSES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn the_history_is_bounded_in_time_and_in_events() {
        assert_eq!(start_ms(NOW, 30.0, None), NOW - 600_000);
        assert_eq!(start_ms(NOW, 300.0, None), NOW - 66_666);
        assert_eq!(start_ms(NOW, 5_000.0, None), NOW - 4_000);
        assert_eq!(start_ms(NOW, 0.001, None), NOW - 600_000);
    }

    #[test]
    fn samples_continue_after_those_of_an_earlier_run() {
        assert_eq!(start_ms(NOW, 30.0, Some(NOW - 1000)), NOW - 999);
        assert_eq!(start_ms(NOW, 30.0, Some(NOW - 86_400_000)), NOW - 600_000);
        assert_eq!(seed_after(7, None), 7);
        assert_ne!(seed_after(7, Some(NOW)), seed_after(7, Some(NOW + 1)));
        assert_ne!(seed_after(7, Some(NOW)), seed_after(8, Some(NOW)));
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in ["0", "-1", "nan", "inf", "100000", "many"] {
            assert!(parse_rate(rate).is_err(), "{rate}");
        }
        assert_eq!(
            (parse_rate("0.5"), parse_rate("5000")),
            (Ok(0.5), Ok(5000.0))
        );
    }

    #[test]
    fn the_feed_keeps_up_while_its_lag_shrinks() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.keeps_up(at(1), 500, 600_000), "too early to check");
        assert!(pace.keeps_up(at(5), 500, 590_000));
        assert!((pace.events_a_second - 200.0).abs() < 0.1);
        assert!(pace.keeps_up(at(10), 500, 580_000));
        assert!(pace.keeps_up(at(15), 500, 3_600_000), "the machine slept");
        assert!(
            pace.keeps_up(at(20), 500, 3_600_000),
            "no less than before, twice in a row"
        );
        assert!(pace.keeps_up(at(25), 500, 3_500_000), "ground is won");
        assert!(pace.keeps_up(at(30), 500, 5_000), "not far");
        assert!(pace.keeps_up(at(35), 500, 5_001));
        assert!(pace.keeps_up(at(40), 500, 5_002));
        assert!(!pace.keeps_up(at(45), 500, 5_002), "three times in a row");
    }
}
