//! The broker's process: the embedded broker, fed with sample events.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use dev_broker::{BrokerConfig, DevBroker, NewRecord, TopicSpec};
use sample_events::{SampleEvent, Samples};

use crate::commands::{Answer, BrokerCommand, answer, commands};
use crate::server::topics;

/// What stands in a sample before the creation time in microseconds, which the load generator looks
/// for.
pub const SENT: &[u8] = b"\"sent_us\":";

/// Events that are appended at once when the broker is filled.
const FILL_EVENTS: u64 = 1000;

/// More than a compressor looks back at.
pub const DIFFERENT_EVENTS: usize = 10_000;

/// Answers commands until there are no more.
pub fn play() -> anyhow::Result<()> {
    let commands = commands::<BrokerCommand>(None);
    let Ok(BrokerCommand::Start {
        topics: count,
        retention_bytes,
        event_bytes,
    }) = commands.recv()
    else {
        bail!("the first command is Start");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let names = topics(count);
    let specs = names
        .iter()
        .map(|name| TopicSpec {
            name: name.clone(),
            partitions: 1,
        })
        .collect();
    let config = BrokerConfig {
        retention_bytes_per_partition: retention_bytes,
        topics: specs,
        ..BrokerConfig::default()
    };
    let broker = runtime.block_on(DevBroker::start(config))?;
    answer(&Answer::Listening(broker.address()))?;
    Feed {
        broker,
        topics: names,
        samples: samples(event_bytes)?,
        due: None,
    }
    .run(&commands)
}

/// Appends events as told.
struct Feed {
    broker: DevBroker,
    topics: Vec<String>,
    /// Taken in turn.
    samples: Vec<Sample>,
    due: Option<Due>,
}

/// When the next event is due, and where.
struct Due {
    at: Instant,
    interval: Duration,
    first: usize,
    topics: usize,
    count: usize,
}

impl Feed {
    fn run(mut self, commands: &Receiver<BrokerCommand>) -> anyhow::Result<()> {
        loop {
            let wait = self.due.as_ref().map_or(Duration::from_hours(1), |due| {
                due.at.saturating_duration_since(Instant::now())
            });
            match commands.recv_timeout(wait) {
                Ok(BrokerCommand::Rate {
                    events_per_s,
                    first,
                    topics,
                }) => {
                    self.due = (events_per_s > 0.0).then(|| {
                        let interval = Duration::from_secs_f64(1.0 / events_per_s);
                        Due {
                            at: Instant::now(),
                            interval,
                            first,
                            topics,
                            count: 0,
                        }
                    });
                    answer(&Answer::Done)?;
                }
                Ok(BrokerCommand::Fill { events, past_ms }) => {
                    self.fill(events, past_ms)?;
                    answer(&Answer::Done)?;
                }
                Ok(BrokerCommand::Start { .. }) => bail!("it runs already"),
                Err(RecvTimeoutError::Timeout) => self.append_due()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn append_due(&mut self) -> anyhow::Result<()> {
        let Some(due) = &mut self.due else {
            return Ok(());
        };
        while due.at <= Instant::now() {
            let topic = &self.topics[due.first + due.count % due.topics];
            let now = now_us();
            let value = self.samples[due.count % self.samples.len()].sent_at(now);
            let record = NewRecord {
                timestamp_ms: now / 1000,
                key: None,
                value: Some(value),
            };
            self.broker.append(topic, 0, &[record])?;
            due.at += due.interval;
            due.count += 1;
        }
        Ok(())
    }

    fn fill(&mut self, events: u64, past_ms: i64) -> anyhow::Result<()> {
        let begin = now_us() - past_ms * 1000;
        let at =
            |number: u64| begin + (past_ms as f64 * 1000.0 * number as f64 / events as f64) as i64;
        let mut done = 0;
        while done < events {
            let until = events.min(done + FILL_EVENTS);
            let records: Vec<_> = (done..until)
                .map(|number| NewRecord {
                    timestamp_ms: at(number) / 1000,
                    key: None,
                    value: Some(
                        self.samples[number as usize % self.samples.len()].sent_at(at(number)),
                    ),
                })
                .collect();
            self.broker.append(&self.topics[0], 0, &records)?;
            done = until;
        }
        Ok(())
    }
}

/// What is appended: one event filled up to `event_bytes`; or, for 0, many different ones as they
/// are.
fn samples(event_bytes: usize) -> anyhow::Result<Vec<Sample>> {
    if event_bytes > 0 {
        return Ok(vec![Sample::new(event_bytes)?]);
    }
    let with_time = |value: &[u8]| Sample {
        before: [b"{", SENT].concat(),
        after: [b",", &value[1..]].concat(),
    };
    Ok(different_events()
        .map(|event| with_time(&event.value))
        .collect())
}

/// The events that are appended when they are as different as they are, in order.
pub fn different_events() -> impl Iterator<Item = SampleEvent> {
    Samples::new(1, 30.0, 1_700_000_000_000)
        .filter(|event| event.topic.ends_with("mediawiki.recentchange"))
        .take(DIFFERENT_EVENTS)
}

/// An event with its creation time in it.
struct Sample {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Sample {
    /// The first sample of recentchange that fits, filled up to `bytes`.
    fn new(bytes: usize) -> anyhow::Result<Self> {
        let added = SENT.len() + "16 digits of time,".len() + r#""filler":"","#.len();
        let mut events = Samples::new(1, 30.0, 1_700_000_000_000).take(10_000);
        let event = events.find(|event| {
            event.topic.ends_with("mediawiki.recentchange") && event.value.len() + added <= bytes
        });
        let value = event
            .with_context(|| format!("no sample is as small as {bytes} bytes"))?
            .value;
        let filler = "x".repeat(bytes - added - value.len());
        let after = [format!(",\"filler\":\"{filler}\",").as_bytes(), &value[1..]].concat();
        Ok(Self {
            before: [b"{", SENT].concat(),
            after,
        })
    }

    fn sent_at(&self, us: i64) -> Bytes {
        [&self.before, us.to_string().as_bytes(), &self.after]
            .concat()
            .into()
    }
}

/// Microseconds since 1970.
pub fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as i64)
}
