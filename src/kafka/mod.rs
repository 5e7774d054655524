//! The only folder that talks to Kafka, on plain OS threads and librdkafka's own. Nothing here is
//! async, and nothing here knows a subscriber.
//!
//! * `client`: the properties of every consumer: the operator's, and those that this program needs.
//! * `properties`: whether librdkafka accepts the operator's.
//! * `topics`: what Kafka knows of topics: their ids, leaders and rights.
//! * `offsets`: the first offsets of given times in many partitions.
//! * `live`: reads everything once, and keeps up with what Kafka has.
//! * `history`: reads ranges of the past, and answers questions about logs.
//! * `probe`: asks about each topic once, for `check-config --connect`.
//! * `statistics`: librdkafka's statistics as metrics.
//! * `event_pipeline`: from a Kafka message to an event, with counts of what was skipped and
//!   redacted.
//!
//! Quirks: `auto.offset.reset` is `error`, because a lost position must be noticed and never
//! silently repaired; `group.id` is set because librdkafka requires one, and never used: partitions
//! are assigned, and nothing is committed.

mod client;
mod event_pipeline;
mod history;
mod live;
mod offsets;
mod probe;
mod properties;
mod statistics;
mod topics;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
pub use client::{KafkaClient, KafkaClientError};
pub use event_pipeline::EventPipeline;
pub use probe::{Probe, ProbeError, TopicProbe, Unreadable, probe};
pub use properties::refused_properties;

use history::{Lookups, ReplayConsumer};
use live::{Discovery, LiveConsumer};

use crate::cursor::Partition;
use crate::fanout::Hub;
use crate::fanout::upstream::UpstreamRequests;
use crate::limits;
use crate::stream::Topic;

type TopicPartition = (Topic, Partition);

/// What the threads need to start.
#[derive(Clone, Debug)]
pub struct KafkaReader {
    /// How to connect.
    pub client: KafkaClient,
    /// Every topic to be read, whether Kafka has it or not; the set may change while running.
    pub topics: Arc<ArcSwap<BTreeSet<Topic>>>,
    /// How far before the start of the process the memory logs begin.
    pub reach_back: Duration,
    /// How often topics and partitions are looked up.
    pub metadata_refresh: Duration,
    /// How records become events.
    pub pipeline: Arc<EventPipeline>,
}

/// The running threads. They end with [`KafkaThreads::stop`], or some time after this is dropped.
#[derive(Debug)]
pub struct KafkaThreads {
    stopping: Arc<AtomicBool>,
    requests: UpstreamRequests,
    threads: Vec<JoinHandle<()>>,
}

impl KafkaReader {
    /// Starts the threads: one live consumer, one discovery with a connection for questions, and
    /// threads that create their own consumers while they have something of the past to read:
    /// [`limits::LOOKUP_THREADS`] and the replay pool.
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
        // A broker answers the requests of one connection in order. On the live consumer's
        // connection every question would wait behind a fetch, which waits for the next event.
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
        let live = LiveConsumer::new(
            &self,
            live,
            Arc::clone(hub),
            assignments,
            Arc::clone(&stopping),
            Arc::clone(&in_doubt),
        );
        spawn("kafka-live".into(), Box::new(move || live.run()));
        let discovery = Discovery::new(
            &self,
            Arc::clone(&questions),
            Arc::clone(hub),
            assign,
            requests.rediscover.clone(),
            Arc::clone(&stopping),
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
    /// Stops every thread and waits for it.
    pub fn stop(mut self) {
        self.signal_stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a Kafka thread panicked");
            }
        }
    }

    fn signal_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.requests.close();
    }
}

impl Drop for KafkaThreads {
    fn drop(&mut self) {
        self.signal_stop();
    }
}
