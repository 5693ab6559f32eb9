//! The librdkafka properties of each producer.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::distance::LINGER;
use crate::{
    Config, Tuning,
    kafka::{client_config, with_user_properties},
    properties::Role,
};

/// The largest record that this side sends. librdkafka's default of 1,000,000 is below the broker's
/// 1,048,588, so a record could be read and never passed on; with this value the broker decides.
const MAX_RECORD_BYTES: &str = "16777216";

/// How long a record may stay undelivered, whether or not a caller still waits. When a record in flight times
/// out, librdkafka restarts its sequence numbers, and the records in flight beside it can be stored twice and
/// out of order. So this is longer than brokers are away; the `deadline` header says when no caller waits any
/// more.
const UNDELIVERED_FOR: Duration = Duration::from_mins(5);

/// The largest `message.timeout.ms` that librdkafka accepts: 24 days, after which no caller waits, whatever
/// its timeout.
const LONGEST_MILLIS: u128 = i32::MAX as u128;

/// Properties of the producer of single records, which sends them at once unless a preset says otherwise.
pub(super) fn single(config: &Config) -> ClientConfig {
    match config.tuning {
        Tuning::Latency => properties(config, "0", "5"),
        Tuning::Throughput => properties(config, "1", "5"),
        Tuning::NearBroker => near_batches(config),
    }
}

/// Properties of the producer of batches to near brokers. A broker works on one request of a connection at a
/// time, so more requests in flight save only the travel time, which is short. And with five, librdkafka
/// retries the records that it may not send yet in a busy loop.
pub(super) fn near_batches(config: &Config) -> ClientConfig {
    properties(config, "0", "1")
}

/// Properties of the producer of batches to far brokers, which waits for the whole of a batch.
pub(super) fn far_batches(config: &Config) -> ClientConfig {
    properties(config, &LINGER.as_millis().to_string(), "5")
}

/// Properties of the producer that sends each record alone.
pub(super) fn alone(config: &Config) -> ClientConfig {
    let mut properties = near_batches(config);
    properties.set("batch.num.messages", "1");
    properties
}

fn properties(config: &Config, linger_millis: &str, in_flight: &str) -> ClientConfig {
    let mut properties = client_config(config);
    let undelivered_for = config.call_timeout.max(UNDELIVERED_FOR);
    properties
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", linger_millis)
        .set("max.in.flight.requests.per.connection", in_flight)
        // Partitions keys as Java and Node do; librdkafka's default is CRC32.
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", MAX_RECORD_BYTES)
        .set("message.timeout.ms", undelivered_for.as_millis().min(LONGEST_MILLIS).to_string())
        // How long a topic may stay unknown: the default of 30 s would outlive the call.
        .set("topic.metadata.propagation.max.ms", "5000");
    with_user_properties(properties, config, Role::Producer)
}
