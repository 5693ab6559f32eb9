//! The properties of librdkafka, the same as the framework sets. The framework's batch producers have no
//! counterpart in these loops.

use rdkafka::ClientConfig;
use tests::Cluster;

fn client(cluster: &Cluster) -> ClientConfig {
    let mut properties = ClientConfig::new();
    properties
        .set("bootstrap.servers", cluster.brokers())
        .set("client.id", "bench-raw")
        .set("socket.timeout.ms", "10000")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.max.ms", "1000");
    if cluster.is_embedded() {
        // As in `EmbeddedBroker::config`.
        properties
            .set("fetch.wait.max.ms", "1")
            .set("session.timeout.ms", "2000")
            .set("heartbeat.interval.ms", "200");
    }
    properties
}

pub(crate) fn producer(cluster: &Cluster) -> ClientConfig {
    let mut properties = client(cluster);
    properties
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("max.in.flight.requests.per.connection", "5")
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "16777216")
        .set("message.timeout.ms", "300000")
        .set("topic.metadata.propagation.max.ms", "5000");
    properties
}

pub(crate) fn consumer(cluster: &Cluster, group: &str) -> ClientConfig {
    let mut properties = client(cluster);
    properties
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "10");
    properties
}

pub(crate) fn reply_consumer(cluster: &Cluster, group: &str) -> ClientConfig {
    let mut properties = consumer(cluster, group);
    if !cluster.is_embedded() {
        properties.set("fetch.wait.max.ms", "100");
    }
    properties
}
