//! Promise 1, for partitions that are lost, and for those that must not be lost.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    BOUND, Cluster, Record,
    counted::{self, counted},
    mocked::{broker_of_orders, config_on, runs_here},
    orders::{GROUP, OrderService, TOPIC, order, place},
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_lost_is_neither_drained_nor_committed_and_is_read_again_at_once() {
    if !runs_here() {
        return;
    }
    counted::record();
    let (broker, cluster) = broker_of_orders(1);
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let redelivered = || counted("kafka_rpc_redelivered_total", &[("topic", &topic)]);
    let service = OrderService::default();
    service.hold("held");
    let running = cluster.serve_orders(config_on(&broker).drain_timeout(2 * BOUND), &service).await;
    peer.send(&topic, &Record::new(place("held", 1)).key("held")).await;
    until("it runs", || service.started().len() == 1).await;
    // The group has moved on without this member.
    broker.request_errors(RDKafkaApiKey::Heartbeat, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    until("it is lost while its record runs", || redelivered() == 1).await;
    peer.send(&topic, &Record::new(place("next", 2)).key("next")).await;
    let next = [order("next", 2)];
    until("the partition is read again", || service.ended() == next).await;
    assert_eq!(cluster.committed_sum(GROUP, TOPIC, 1), 0);

    service.release("held");
    // The first run of the held record counts for nothing, and its second run had to wait in the lane for the
    // first.
    let is_committed = || cluster.committed_sum(GROUP, TOPIC, 1) == 2;
    until("everything is committed", is_committed).await;
    assert_eq!(service.started(), [order("held", 1), order("next", 2), order("held", 1)]);
    assert_eq!(redelivered(), 1);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_longer_than_a_consumer_may_go_without_a_poll_loses_no_partition() {
    /// The shortest session timeout that a broker accepts. The session timeout may not exceed this interval.
    const MAX_POLL_INTERVAL: Duration = Duration::from_secs(6);
    let cluster = Cluster::start();
    counted::record();
    cluster.create_topic(TOPIC, 1).await;
    let topic = cluster.name(TOPIC);
    let millis = MAX_POLL_INTERVAL.as_millis().to_string();
    let config = cluster
        .config()
        .property("max.poll.interval.ms", &millis)
        .property("session.timeout.ms", millis)
        .drain_timeout(Duration::from_secs(2));
    let service = OrderService::default();
    service.hold("slow");
    let running = cluster.serve_orders(config, &service).await;
    cluster.peer().send(&topic, &Record::new(place("slow", 1)).key("slow")).await;
    until("it runs", || service.started().len() == 1).await;
    tokio::time::sleep(MAX_POLL_INTERVAL * 3 / 2).await;
    service.release("slow");
    until("it is committed", || cluster.committed_sum(GROUP, TOPIC, 1) == 1).await;
    assert_eq!(service.started(), [order("slow", 1)]);
    for counter in ["kafka_rpc_redelivered_total", "kafka_rpc_consumer_errors_total"] {
        assert_eq!(counted(counter, &[("topic", &topic)]), 0, "{counter}");
    }
    running.shutdown().await.expect("a clean shutdown");
}
