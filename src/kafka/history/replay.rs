//! One consumer of the replay pool: reads ranges of the past, one request at a time, for any
//! subscriber.
//!
//! A request is a bounded range of a partition. A subscriber that reads slowly therefore holds no
//! consumer, and one that reads days does not keep the others waiting.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_channel::Receiver;
use rdkafka::Message;
use rdkafka::consumer::Consumer as _;

use super::range_reader::{RangeEnd, RangeReader};
use crate::cursor::Offset;
use crate::fanout::LogEntry;
use crate::fanout::upstream::{ReplayRange, ReplayRead, ReplayRequest};
use crate::kafka::KafkaReader;
use crate::kafka::client::Consumer;
use crate::kafka::event_pipeline::{EventPipeline, timestamp};
use crate::limits;
use crate::telemetry::metrics::Metrics;

/// See the module.
pub(in crate::kafka) struct ReplayConsumer {
    reader: RangeReader,
    /// The connection for questions.
    questions: Arc<Consumer>,
    pipeline: Arc<EventPipeline>,
    requests: Receiver<ReplayRequest>,
    metrics: Arc<Metrics>,
}

impl ReplayConsumer {
    pub(in crate::kafka) fn new(
        reader: &KafkaReader,
        questions: Arc<Consumer>,
        requests: Receiver<ReplayRequest>,
    ) -> Self {
        // How much one consumer may prefetch: enough for a few requests.
        let kbytes = (limits::REPLAY_READ_BYTES_MAX / 1024 * 4).to_string();
        let bounds = vec![
            ("queued.max.messages.kbytes", kbytes),
            ("queued.min.messages", "10000".to_owned()),
        ];
        Self {
            reader: RangeReader::new(&reader.client, "replay", bounds),
            questions,
            pipeline: Arc::clone(&reader.pipeline),
            requests,
            metrics: Arc::clone(reader.client.metrics()),
        }
    }

    /// Serves until the queue is closed.
    pub(in crate::kafka) fn run(mut self) {
        while let Some(request) = self.reader.next_of(&self.requests) {
            if request.reply.is_closed() {
                continue;
            }
            self.metrics.replay_reads.increment(1);
            // The reply fails when the subscriber has left: nobody waits for it then.
            if let Some(read) = self.read(&request.range, request.bytes_max) {
                let _ = request.reply.send(read);
            }
        }
    }

    fn read(&mut self, range: &ReplayRange, bytes_max: usize) -> Option<ReplayRead> {
        let (read, end) = self.read_from(range, range.from, bytes_max);
        if end != RangeEnd::OutOfRange {
            return self.answer(range, read, end);
        }
        let (low, high) = self.watermarks(range)?;
        if high < range.to {
            return None;
        }
        let (mut read, end) = self.read_from(range, low.max(range.from), bytes_max);
        read.log_start = (low > range.from).then_some(low);
        read.next = read.next.max(low);
        self.answer(range, read, end)
    }

    fn read_from(
        &mut self,
        range: &ReplayRange,
        begin: Offset,
        bytes_max: usize,
    ) -> (ReplayRead, RangeEnd) {
        let mut read = ReplayRead {
            entries: Vec::new(),
            next: range.from,
            log_start: None,
        };
        let mut bytes = 0;
        let pipeline = self.pipeline.snapshot();
        let timeout = limits::REPLAY_READ_TIMEOUT;
        let end = self
            .reader
            .read(&range.topic, range.partition, begin, timeout, |message| {
                let offset = Offset(message.offset());
                if offset >= range.to {
                    read.next = range.to;
                    return ControlFlow::Break(());
                }
                let timestamp = timestamp(message);
                let event = pipeline.event(&range.topic, message);
                bytes += message.payload_len();
                read.entries.push(LogEntry {
                    offset,
                    timestamp,
                    event,
                });
                read.next = Offset(offset.0 + 1);
                if read.next >= range.to || bytes >= bytes_max {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        (read, end)
    }

    /// The answer; `None` when no record came in time.
    fn answer(
        &self,
        range: &ReplayRange,
        mut read: ReplayRead,
        end: RangeEnd,
    ) -> Option<ReplayRead> {
        match end {
            RangeEnd::Enough => return Some(read),
            // No record lies between here and `to` (transaction markers, compaction), provided that
            // the log reaches that far: a broker that has just become the leader may not know all
            // of it yet, and a log may have been cut.
            RangeEnd::LogEnd if read.next >= range.to || self.watermarks(range)?.1 >= range.to => {
                read.next = range.to.max(read.next);
                return Some(read);
            }
            RangeEnd::LogEnd | RangeEnd::OutOfRange | RangeEnd::TimedOut => {}
        }
        (!read.entries.is_empty()).then_some(read)
    }

    /// The log's start and end.
    fn watermarks(&self, range: &ReplayRange) -> Option<(Offset, Offset)> {
        let found = self.questions.fetch_watermarks(
            range.topic.as_str(),
            range.partition.0,
            limits::LOOKUP_TIMEOUT,
        );
        let (low, high) = found.ok()?;
        Some((Offset(low), Offset(high)))
    }
}
