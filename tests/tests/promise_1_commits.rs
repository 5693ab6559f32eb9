//! Promise 1, when commits fail: finished records are committed all the same, or are counted as delivered
//! again.

use std::pin::pin;

use futures_util::poll;
use kafka_rpc::Running;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    BOUND, Cluster, Record,
    counted::{self, counted},
    mocked::{Broker, broker_of_orders, config_on, runs_here},
    orders::{GROUP, OrderService, TOPIC, order, place},
    until,
};

async fn send_one(cluster: &Cluster) {
    cluster.peer().send(&cluster.name(TOPIC), &Record::new(place("held", 1)).key("held")).await;
}

/// A service whose only record runs until it is released.
async fn at_work(broker: &Broker, cluster: &Cluster, service: &OrderService) -> Running {
    counted::record();
    service.hold("held");
    let config = config_on(broker).drain_timeout(2 * BOUND);
    let running = cluster.serve_orders(config, service).await;
    send_one(cluster).await;
    until("it runs", || service.started().len() == 1).await;
    running
}

/// Shuts down, and lets the record end once the shutdown has begun.
async fn end_while_it_shuts_down(running: Running, service: &OrderService) {
    let mut shutting_down = pin!(running.shutdown());
    assert!(poll!(&mut shutting_down).is_pending(), "it waits for what runs");
    service.release("held");
    shutting_down.await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_tried_again_although_nothing_comes_after_it() {
    if !runs_here() {
        return;
    }
    counted::record();
    let (broker, cluster) = broker_of_orders(1);
    broker.request_errors(
        RDKafkaApiKey::OffsetCommit,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let service = OrderService::default();
    let running = cluster.serve_orders(config_on(&broker), &service).await;
    send_one(&cluster).await;
    until("it is committed", || cluster.committed_sum(GROUP, TOPIC, 1) == 1).await;
    assert_eq!(service.started(), [order("held", 1)]);
    let failed = [("topic", &*cluster.name(TOPIC)), ("code", "TopicAuthorizationFailed")];
    assert_eq!(counted("kafka_rpc_consumer_errors_total", &failed), 1, "and is counted");
    running.shutdown().await.expect("a clean shutdown");
}

/// Makes the last two commits of a service fail with `error`. The first of them may be the one before the
/// last: the consumer may just have been about to commit when the shutdown began. Returns the committed
/// offset, and how many records are counted as delivered again.
async fn last_commits_that_fail(error: RDKafkaRespErr) -> (i64, u64) {
    let (broker, cluster) = broker_of_orders(1);
    let service = OrderService::default();
    let running = at_work(&broker, &cluster, &service).await;
    broker.request_errors(RDKafkaApiKey::OffsetCommit, &[error; 2]);
    end_while_it_shuts_down(running, &service).await;
    let redelivered = counted("kafka_rpc_redelivered_total", &[("topic", &cluster.name(TOPIC))]);
    (cluster.committed_sum(GROUP, TOPIC, 1), redelivered)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_commit_is_tried_again_while_the_group_rebalances() {
    if !runs_here() {
        return;
    }
    let ended = last_commits_that_fail(RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS).await;
    assert_eq!(ended, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_whose_last_commit_has_failed_are_counted_as_delivered_again() {
    if !runs_here() {
        return;
    }
    let ended = last_commits_that_fail(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID).await;
    assert_eq!(ended, (0, 1));
}
