//! Fills the embedded broker with sample events, on a thread of its own: the past first, then in step with the clock.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cursor::TimestampMs;
use crate::shutdown::Shutdown;
use dev_broker::{DevBroker, NewRecord};
use sample_events::{RATE_MIN, Samples};

/// The past that an empty broker is filled with, in time and in events: whichever is less.
const PAST: Duration = Duration::from_mins(10);
const PAST_EVENTS_MAX: f64 = 20_000.0;

/// The highest `--rate`. An optimised build makes some ten thousand events a second on one processor, and the server wants some of it.
const RATE_MAX: f64 = 5_000.0;

/// How often new events are due.
const TICK: Duration = Duration::from_millis(10);

/// Events appended at once: between two of these the thread looks whether it is to end.
const EVENTS_AT_ONCE: usize = 500;

/// How often it is judged whether the rate is kept up with, and how far behind nothing is said.
const JUDGED_EVERY: Duration = Duration::from_secs(5);
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// How often in a row it may lose ground: a machine that slept does so once.
const LOSSES_MAX: u32 = 3;

/// Reads `--rate`.
///
/// # Errors
/// What rates there are, for any other.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' is not a number of events a second, as 30 or 0.5"))?;
    if (RATE_MIN..=RATE_MAX).contains(&rate) {
        return Ok(rate);
    }
    Err(format!(
        "events a second are from {RATE_MIN} to {RATE_MAX}: for more, run Kafka, produce to it, and name it with --brokers"
    ))
}

/// What fills the broker.
#[derive(Debug)]
pub(super) struct SampleFeed {
    broker: Arc<DevBroker>,
    samples: Peekable<Samples>,
    rate: f64,
}

impl SampleFeed {
    /// For a broker that may hold samples of an earlier run: these are gone on from, never made again.
    pub(super) fn new(broker: Arc<DevBroker>, seed: u64, rate: f64) -> Self {
        let newest = broker.newest_timestamp_ms();
        let samples = Samples::new(
            seed_after(seed, newest),
            rate,
            begin(TimestampMs::now().0, rate, newest),
        )
        .peekable();
        Self {
            broker,
            samples,
            rate,
        }
    }

    /// Runs until the shutdown is announced.
    ///
    /// # Errors
    /// When the rate cannot be kept up with. The shutdown begins then.
    pub(super) fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let mut pace = Pace::new(Instant::now());
        while !shutdown.is_announced() {
            let made = self.append_due(TimestampMs::now().0);
            let behind = self
                .samples
                .peek()
                .map_or(0, |next| TimestampMs::now().0 - next.timestamp_ms);
            if !pace.keeps_up(Instant::now(), made, behind) {
                shutdown.begin();
                let (rate, made) = (self.rate, pace.made_a_second());
                anyhow::bail!(
                    "--rate {rate} is more than this machine makes, about {made:.0} events a second: choose a lower one"
                );
            }
            if made < EVENTS_AT_ONCE {
                std::thread::sleep(TICK);
            }
        }
        Ok(())
    }

    /// Appends the sample events whose time has come, [`EVENTS_AT_ONCE`] at most; gives how many.
    fn append_due(&mut self, now_ms: i64) -> usize {
        let mut due: BTreeMap<(String, i32), Vec<NewRecord>> = BTreeMap::new();
        let mut made = 0;
        while made < EVENTS_AT_ONCE
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
            made += 1;
        }
        for ((topic, partition), records) in due {
            if let Err(error) = self.broker.append(&topic, partition, &records) {
                tracing::warn!(topic, %error, "sample events were not taken");
            }
        }
        made
    }
}

/// When the samples begin (ms): after what is there already, and no further back than the past goes at this rate.
fn begin(now_ms: i64, rate: f64, newest: Option<i64>) -> i64 {
    let past = PAST.min(Duration::try_from_secs_f64(PAST_EVENTS_MAX / rate).unwrap_or(PAST));
    let earliest = now_ms - i64::try_from(past.as_millis()).unwrap_or(i64::MAX);
    newest.map_or(earliest, |newest| earliest.max(newest + 1))
}

/// The same seed gives the same ids, so what follows an earlier run has a seed of its own: `SplitMix64` of both.
fn seed_after(seed: u64, newest: Option<i64>) -> u64 {
    let Some(newest) = newest else { return seed };
    let mut mixed = seed ^ newest.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether what is made catches up with the clock.
#[derive(Debug)]
struct Pace {
    judged_at: Instant,
    made: usize,
    /// How far it was behind at the last judgement; nothing is worse than the first.
    behind_then: i64,
    /// Judgements in a row at which it was far behind, and no less than at the one before.
    losses: u32,
    made_a_second: f64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            judged_at: now,
            made: 0,
            behind_then: i64::MAX,
            losses: 0,
            made_a_second: 0.0,
        }
    }

    /// Takes note of `made` more events, after which the next one is `behind` (ms). `false`: for [`LOSSES_MAX`] judgements in a row it
    /// was far behind, and no less than before.
    fn keeps_up(&mut self, now: Instant, made: usize, behind: i64) -> bool {
        self.made += made;
        let since = now.saturating_duration_since(self.judged_at);
        if since < JUDGED_EVERY {
            return true;
        }
        self.made_a_second =
            f64::from(u32::try_from(self.made).unwrap_or(u32::MAX)) / since.as_secs_f64();
        let is_well = behind <= i64::try_from(BEHIND_MAX.as_millis()).unwrap_or(i64::MAX)
            || behind < self.behind_then;
        self.losses = if is_well { 0 } else { self.losses + 1 };
        (self.judged_at, self.made, self.behind_then) = (now, 0, behind);
        self.losses < LOSSES_MAX
    }

    fn made_a_second(&self) -> f64 {
        self.made_a_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn the_past_is_bounded_in_time_and_in_events() {
        assert_eq!(begin(NOW, 30.0, None), NOW - 600_000);
        assert_eq!(begin(NOW, 300.0, None), NOW - 66_666);
        assert_eq!(begin(NOW, 5_000.0, None), NOW - 4_000);
        assert_eq!(begin(NOW, 0.001, None), NOW - 600_000);
    }

    #[test]
    fn samples_go_on_after_those_of_an_earlier_run() {
        assert_eq!(begin(NOW, 30.0, Some(NOW - 1000)), NOW - 999);
        assert_eq!(begin(NOW, 30.0, Some(NOW - 86_400_000)), NOW - 600_000);
        assert_eq!(seed_after(7, None), 7);
        assert_ne!(seed_after(7, Some(NOW)), seed_after(7, Some(NOW + 1)));
        assert_ne!(seed_after(7, Some(NOW)), seed_after(8, Some(NOW)));
    }

    #[test]
    fn rates_that_make_no_sense_are_refused() {
        for rate in ["0", "-1", "nan", "inf", "100000", "many"] {
            assert!(parse_rate(rate).is_err(), "{rate}");
        }
        assert_eq!(
            (parse_rate("0.5"), parse_rate("5000")),
            (Ok(0.5), Ok(5000.0))
        );
    }

    #[test]
    fn a_rate_is_kept_up_with_as_long_as_the_distance_shrinks() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.keeps_up(at(1), 500, 600_000), "too early to judge");
        assert!(pace.keeps_up(at(5), 500, 590_000));
        assert!((pace.made_a_second() - 200.0).abs() < 0.1);
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
