//! Promise 1, for replies: a request is final once its reply is acknowledged, whatever happens to the
//! producer. Alone in its process, because it counts producers.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    Cluster, Record,
    counted::{self, counted},
    mocked::{broker_with, runs_here, serving_on, serving_with},
    orders::{GROUP, OrderService, REPLIES, TOPIC, place},
    until,
};

/// A request to place an order of this account. Its reply has the correlation id `c-NUMBER`.
fn asks(account: &str, number: u64) -> Record {
    Record::new(place(account, number)).key(account).answered_to(&format!("c-{number}"), REPLIES)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_acknowledged_before_the_offset_of_its_request_is_committed() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 2), (REPLIES, 1)]);
    broker.partition_leader(REPLIES, 0, None).expect("a topic");
    let (cluster, service) = (Cluster::mocked(&broker), OrderService::default());
    let running = serving_on(&broker, &service).await;
    let peer = cluster.peer();
    peer.send(TOPIC, &asks("a", 1).partition(0)).await;
    until("its handler has ended", || service.ended().len() == 1).await;
    // A commit of the other partition shows that the service has committed since.
    peer.send(TOPIC, &Record::new(place("b", 1)).key("b").partition(1)).await;
    let committed = |partition| cluster.committed(GROUP, TOPIC, 2).get(&partition).copied().unwrap_or(0);
    until("the other partition is committed", || committed(1) == 1).await;
    assert_eq!(committed(0), 0, "its reply is nowhere yet");

    broker.partition_leader(REPLIES, 0, Some(1)).expect("a topic");
    assert_eq!(peer.read(REPLIES, 1).await.remove(0).text("correlation-id"), Some("c-1"));
    until("it is committed", || committed(0) == 1).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_a_fatal_error_of_the_producer_has_ended_is_sent_by_the_next() {
    if !runs_here() {
        return;
    }
    counted::record();
    let broker = broker_with(&[(TOPIC, 1), (REPLIES, 1)]);
    let (cluster, service) = (Cluster::mocked(&broker), OrderService::default());
    service.hold("held");
    let running = serving_on(&broker, &service).await;
    let peer = cluster.peer();
    for request in [asks("a", 1), asks("held", 2)] {
        peer.send(TOPIC, &request).await;
    }
    let committed = || cluster.committed_sum(GROUP, TOPIC, 1);
    // Unless a record of it has arrived before, the producer survives the error.
    until("the first is answered", || committed() == 1).await;
    until("the second has started", || service.started().len() == 2).await;
    // An idempotent producer cannot survive this error: it no longer knows what the broker has.
    let fatal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    broker.request_errors(RDKafkaApiKey::Produce, &fatal);
    service.release("held");
    let replies = peer.read(REPLIES, 2).await;
    let ids: Vec<_> = replies.iter().map(|reply| reply.text("correlation-id")).collect();
    assert_eq!(ids, [Some("c-1"), Some("c-2")]);
    until("both are committed", || committed() == 2).await;
    assert_eq!(counted("kafka_rpc_producers_replaced_total", &[("purpose", "single")]), 1);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_the_queue_of_the_producer_has_no_room_for_wait_for_it() {
    const MANY: u64 = 100;
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 1), (REPLIES, 1)]);
    let (cluster, service) = (Cluster::mocked(&broker), OrderService::default());
    let peer = cluster.peer();
    join_all((0..MANY).map(|number| {
        // A reply to a named partition is not gathered into a batch.
        let request = asks(&format!("a{number}"), number).header("reply-partition", "0");
        let peer = &peer;
        async move { peer.send(TOPIC, &request).await }
    }))
    .await;
    // Far longer than handlers take.
    broker.broker_round_trip_time(1, Duration::from_millis(20)).expect("a delay");
    let config = |config: kafka_rpc::Config| config.property("queue.buffering.max.messages", "1");
    let running = serving_with(&broker, &service, config).await;
    let mut answered = BTreeSet::new();
    for reply in peer.read(REPLIES, usize::try_from(MANY).expect("a few")).await {
        let number = reply.json()["data"].as_u64().expect("the number of an order");
        assert_eq!(reply.text("correlation-id"), Some(&*format!("c-{number}")));
        answered.insert(number);
    }
    assert_eq!(answered, (0..MANY).collect());
    let committed = || cluster.committed_sum(GROUP, TOPIC, 1);
    until("all are committed", || committed() == MANY.cast_signed()).await;
    running.shutdown().await.expect("a clean shutdown");
}
