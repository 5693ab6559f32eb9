//! Reads events in one loop, and commits what is read: the least that consuming can cost.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tests::Cluster;

use super::{offsets::Offsets, properties, wire::Received};
use crate::contract::{Order, PLACED};

const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// Reads so many events in a new group; `began` hears of the first.
pub(crate) fn read(
    cluster: &Cluster,
    topic: &str,
    group: &str,
    count: u64,
    began: impl FnOnce(),
) -> anyhow::Result<()> {
    let consumer: BaseConsumer = properties::consumer(cluster, group).create()?;
    consumer.subscribe(&[topic])?;
    let mut offsets = Offsets::default();
    let mut began = Some(began);
    let (mut read, mut committed_at, mut heard) = (0, Instant::now(), Instant::now());
    while read < count {
        ensure!(heard.elapsed() < tests::BOUND, "{read} of {count} events came");
        let Some(message) = consumer.poll(Duration::from_millis(50)) else { continue };
        let message = message?;
        if let Some(began) = began.take() {
            began();
        }
        offsets.take(message.partition(), message.offset());
        let event: Received<'_> =
            serde_json::from_slice(message.payload().context("an event without a value")?)?;
        ensure!(event.command == PLACED, "no such event");
        let order: Order = serde_json::from_str(event.payload.get())?;
        std::hint::black_box(order);
        offsets.finish(message.partition(), message.offset());
        read += 1;
        heard = Instant::now();
        if committed_at.elapsed() >= COMMIT_EVERY {
            committed_at = heard;
            let list = offsets.due_commits(topic)?;
            if list.count() > 0 {
                consumer.commit(&list, CommitMode::Async)?;
            }
        }
    }
    let list = offsets.due_commits(topic)?;
    if list.count() > 0 {
        consumer.commit(&list, CommitMode::Sync)?;
    }
    Ok(())
}
