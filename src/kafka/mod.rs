//! The only folder that talks to Kafka. Plain OS threads and librdkafka's own; nothing here is async, and nothing here
//! knows a subscriber.
//!
//! * `client`: the properties of every consumer: the operator's, and those that this program depends on.
//! * `properties`: whether librdkafka takes the operator's.
//! * `topics`: what Kafka says of topics: their ids, leaders and rights.
//! * `discovery`: finds topics and partitions, now and later, and where each is to be read from.
//! * `log_check`: whether the logs are still the ones that were read.
//! * `live_consumer`: reads everything once and publishes it.
//! * `offsets`: questions about logs (watermarks, times, the record before an offset).
//! * `range_reader`: reads a range of one partition.
//! * `replay`: a bounded pool of consumers that read ranges of the past.
//! * `probe`: asks for each topic once, for `check-config --connect`.
//! * `statistics`: what librdkafka says of itself, as metrics.
//! * `event_pipeline`: from a Kafka message to an event, with counts of what was skipped and redacted.
//!
//! Quirks: `auto.offset.reset` is `error`, because a lost position must be seen and never silently mended; a `group.id` is
//! set because librdkafka asks for one, and never used: partitions are assigned, nothing is committed.

mod client;
mod discovery;
mod event_pipeline;
mod live_consumer;
mod log_check;
mod offsets;
mod probe;
mod properties;
mod range_reader;
mod replay;
mod statistics;
mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use discovery::Discovery;
use live_consumer::LiveConsumer;
use offsets::Lookups;
use replay::ReplayConsumer;

pub use client::{KafkaClient, KafkaClientError, PROPERTIES_WE_SET};
pub use event_pipeline::EventPipeline;
pub use probe::{Probe, ProbeError, TopicProbe, probe};
pub use properties::refused_properties;

use crate::fanout::Hub;
use crate::fanout::upstream::UpstreamRequests;
use crate::limits;
use crate::stream::Topic;

/// What the threads need.
#[derive(Clone, Debug)]
pub struct KafkaReader {
    /// How to connect.
    pub client: KafkaClient,
    /// Every topic to be read, whether Kafka has it yet or not; it may change while running.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// How far before "now" the memory logs begin at start.
    pub reach_back: Duration,
    /// How often topics and partitions are looked for.
    pub metadata_refresh: Duration,
    /// How records become events.
    pub pipeline: Arc<EventPipeline>,
}

/// The running threads; they end with [`KafkaThreads::stop`], or some time after this is dropped.
#[derive(Debug)]
pub struct KafkaThreads {
    stopping: Arc<AtomicBool>,
    requests: UpstreamRequests,
    threads: Vec<JoinHandle<()>>,
}

impl KafkaReader {
    /// Starts the threads: one live consumer, one connection for discovery and questions, and threads that make a consumer of
    /// their own while they have something of the past to read: [`limits::LOOKUP_THREADS`] and the replay pool.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn start(
        self,
        hub: &Arc<Hub>,
        requests: UpstreamRequests,
    ) -> Result<KafkaThreads, KafkaClientError> {
        let stopping = Arc::new(AtomicBool::new(false));
        let (assign, assignments) = std::sync::mpsc::channel();
        let live = self.client.consumer(client::LIVE, &[])?;
        // A broker answers the requests of one connection in their order: behind the live consumer's fetch, which waits for
        // the next event, every question would wait as long.
        let questions = Arc::new(self.client.consumer("questions", &[])?);
        let in_doubt = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut spawn = |name: String, run: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(run)
                .expect("a thread at start");
            threads.push(thread);
        };
        let (doubt, end) = (Arc::clone(&in_doubt), Arc::clone(&stopping));
        let live = LiveConsumer::new(&self, live, Arc::clone(hub), assignments, end, doubt);
        spawn("kafka-live".into(), Box::new(move || live.run()));
        let (rediscover, end) = (requests.rediscover.clone(), Arc::clone(&stopping));
        let discovery = Discovery::new(
            &self,
            Arc::clone(&questions),
            Arc::clone(hub),
            assign,
            rediscover,
            end,
            in_doubt,
        );
        spawn("kafka-discovery".into(), Box::new(move || discovery.run()));
        for number in 0..limits::LOOKUP_THREADS {
            let lookups = Lookups::new(&self, Arc::clone(&questions), requests.lookups.clone());
            spawn(
                format!("kafka-lookup-{number}"),
                Box::new(move || lookups.run()),
            );
        }
        for (number, replays) in requests.replays.iter().enumerate() {
            let replay = ReplayConsumer::new(&self, Arc::clone(&questions), replays.clone());
            spawn(
                format!("kafka-replay-{number}"),
                Box::new(move || replay.run()),
            );
        }
        Ok(KafkaThreads {
            stopping,
            requests,
            threads,
        })
    }
}

impl KafkaThreads {
    /// Ends every thread and waits for it.
    pub fn stop(mut self) {
        self.tell();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a Kafka thread had panicked");
            }
        }
    }

    fn tell(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.requests.close();
    }
}

impl Drop for KafkaThreads {
    fn drop(&mut self) {
        self.tell();
    }
}
