//! What librdkafka is told of a producer.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::distance::LINGER;
use crate::{Config, Tuning, kafka::client_config};

/// The largest record this side sends. librdkafka's default of 1,000,000 is below the broker's 1,048,588, so a
/// record could be read and never passed on; with this the broker decides.
const MAX_RECORD_BYTES: &str = "16777216";

/// For how long a record may be undelivered, whether or not somebody still waits. When one that is on its way times out,
/// librdkafka begins its sequence numbers anew, and what was on the way beside it can be stored twice and out of order. So
/// this is longer than brokers are away; that nobody waits any more is what `deadline` says.
const UNDELIVERED_FOR: Duration = Duration::from_mins(5);

/// The most that librdkafka takes as a `message.timeout.ms`: 24 days, after which nobody waits for a call of a longer timeout.
const LONGEST_MILLIS: u128 = i32::MAX as u128;

/// What the producer of single records is told: to send them at once, unless a preset says otherwise.
pub(super) fn single(config: &Config) -> ClientConfig {
    match config.tuning {
        Tuning::Latency => properties(config, "0", "5"),
        Tuning::Throughput => properties(config, "1", "5"),
        Tuning::NearBroker => near_batches(config),
    }
}

/// What the producer of batches near a broker is told. A broker sees to one request of a connection after the other, so
/// that more on the way save only the way, which is short; and what a producer with five may not send yet, it asks for
/// again and again without a pause.
pub(super) fn near_batches(config: &Config) -> ClientConfig {
    properties(config, "0", "1")
}

/// What the producer of batches far from a broker is told: to wait for the whole of one.
pub(super) fn far_batches(config: &Config) -> ClientConfig {
    properties(config, &LINGER.as_millis().to_string(), "5")
}

/// What the producer of records is told that each go alone.
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
        // As Java and Node partition keys; librdkafka's own default is CRC32.
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", MAX_RECORD_BYTES)
        .set("message.timeout.ms", undelivered_for.as_millis().min(LONGEST_MILLIS).to_string())
        // How long a topic that is not known may stay so: 30 s would outlive the call.
        .set("topic.metadata.propagation.max.ms", "5000");
    crate::kafka::with_user_properties(properties, config)
}
