//! Reads events in one loop, and stores their offsets for librdkafka to commit: the least that consuming can
//! cost.
//!
//! Reads the headers or leaves them: librdkafka parses them only on request, and copies each.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::{
    Message as _,
    consumer::{BaseConsumer, Consumer as _},
};
use tests::Cluster;

use super::{
    properties,
    wire::{self, Received},
};
use crate::contract::{Order, PLACED};

/// As often as the framework commits at this rate: after a thousand records, and ten milliseconds at least.
const COMMIT_EVERY_MILLIS: &str = "10";

/// What a loop reads of each record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    Value,
    /// The headers too, to check the deadline.
    ValueAndHeaders,
}

/// Reads `count` events in a new group, and calls `began` at the first. Returns the consumer, which commits
/// the remaining offsets when it is dropped.
pub(crate) fn read(
    cluster: &Cluster,
    topic: &str,
    group: &str,
    (count, reading): (u64, Reading),
    began: impl FnOnce(),
) -> anyhow::Result<BaseConsumer> {
    let mut properties = properties::consumer(cluster, group);
    properties.set("enable.auto.commit", "true").set("auto.commit.interval.ms", COMMIT_EVERY_MILLIS);
    let consumer: BaseConsumer = properties.create()?;
    consumer.subscribe(&[topic])?;
    let mut began = Some(began);
    let (mut read, mut heard) = (0, Instant::now());
    while read < count {
        ensure!(heard.elapsed() < tests::BOUND, "{read} of {count} events came");
        let Some(message) = consumer.poll(Duration::from_millis(50)) else { continue };
        let message = message?;
        if let Some(began) = began.take() {
            began();
        }
        if matches!(reading, Reading::ValueAndHeaders) {
            ensure!(!wire::has_expired(&message), "an event that has expired");
        }
        let event: Received<'_> =
            serde_json::from_slice(message.payload().context("an event without a value")?)?;
        ensure!(event.command == PLACED, "no such event");
        let order: Order = serde_json::from_str(event.payload.get())?;
        std::hint::black_box(order);
        consumer.store_offset_from_message(&message)?;
        read += 1;
        heard = Instant::now();
    }
    Ok(consumer)
}
