//! Promise 2, when nobody waits for a reply any more. Alone in its process, because it reads a gauge that
//! other tests change too.

use tests::{
    Peer, Record,
    counted::{self, counted},
    mocked::{broker_with, runs_here, serving_on},
    orders::{OrderService, REPLIES, TOPIC, order, place},
    peer::millis_from_now,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_nobody_waits_for_any_more_hold_no_partition() {
    if !runs_here() {
        return;
    }
    counted::record();
    let broker = broker_with(&[(TOPIC, 2), (REPLIES, 2)]);
    broker.partition_leader(REPLIES, 1, None).expect("a topic");
    let service = OrderService::default();
    let running = serving_on(&broker, &service).await;
    let peer = Peer::new(&broker.bootstrap_servers());
    peer.send(TOPIC, &Record::new(place("b", 0)).key("b").partition(0)).await;
    until("it serves", || !service.ended().is_empty()).await;
    // Longer than until the partition is held, and much shorter than librdkafka keeps trying.
    let deadline = millis_from_now(25_000);
    let asks = Record::new(place("b", 1))
        .key("b")
        .partition(0)
        .answered_to("c-1", REPLIES)
        .header("reply-partition", "1")
        .header("deadline", deadline);
    peer.send(TOPIC, &asks).await;
    let held = || counted("kafka_rpc_partitions_held", &[("topic", TOPIC)]);
    until("its partition is held", || held() == 1).await;
    // A record of the same key: its lane is free again, too.
    peer.send(TOPIC, &Record::new(place("b", 2)).key("b").partition(0)).await;
    until("the partition goes on", || service.ended().contains(&order("b", 2))).await;
    assert_eq!(held(), 0);
    broker.partition_leader(REPLIES, 1, Some(1)).expect("a topic");
    running.shutdown().await.expect("a clean shutdown");
}
