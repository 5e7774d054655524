//! What the server's latency and its replays are seen beside: a plain Kafka consumer, librdkafka as
//! it comes, that does nothing with what it reads.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use crate::commands::{Answer, ConsumerCommand, answer, commands};
use crate::connection::{Counts, latency_us};

/// How long it waits for a record before it looks for a command.
const POLL: Duration = Duration::from_millis(1);

/// Reads until there are no more commands.
pub fn play() -> anyhow::Result<()> {
    let commands = commands::<ConsumerCommand>(None);
    let Ok(ConsumerCommand::Start {
        brokers,
        topic,
        from_start,
    }) = commands.recv()
    else {
        bail!("the first command is Start")
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("metadata.broker.list", brokers.to_string())
        .set("group.id", "bench")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(
        &topic,
        0,
        if from_start {
            Offset::Beginning
        } else {
            Offset::End
        },
    )?;
    consumer.assign(&assignment)?;
    if !from_start {
        // It stands at the end of the log.
        let end = consumer
            .poll(Duration::from_secs(10))
            .context("the broker does not answer")?;
        anyhow::ensure!(
            matches!(end, Err(KafkaError::PartitionEOF(_))),
            "the end of the log was expected"
        );
    }
    answer(&Answer::Done)?;
    read(&consumer, &commands)
}

fn read(consumer: &BaseConsumer, commands: &Receiver<ConsumerCommand>) -> anyhow::Result<()> {
    let mut counts = Counts::default();
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let value = message.payload().unwrap_or_default();
                counts.events += 1;
                counts.reads += 1;
                counts.bytes += value.len() as u64;
                counts.sample(latency_us(value));
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => return Err(error.into()),
        }
        match commands.try_recv() {
            Ok(ConsumerCommand::Report) => answer(&std::mem::take(&mut counts).report())?,
            Ok(ConsumerCommand::Start { .. }) => bail!("it reads already"),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}
