//! Promise 2, when replies to one partition do not arrive and their callers wait only for a while.

use std::time::Duration;

use futures_util::future::join_all;
use kafka_rpc::Running;
use tests::{
    Cluster, Peer, Record,
    counted::{self, counted},
    log::Log,
    mocked::{Broker, broker_of_orders, config_on, runs_here},
    orders::{DEAD_LETTERS, OrderService, REPLIES, TOPIC, fail, order, place},
    peer::millis_from_now,
    until,
};
use tracing::level_filters::LevelFilter;

/// More calls than handlers run at once.
const CALLS: u64 = 300;

/// Sends requests with different keys. Their replies are wanted within `wait` milliseconds, on the partition
/// without a leader.
async fn ask(at: &Serving, name: &str, wait: i128, value: impl Fn(u64) -> String) {
    let (peer, topic, replies) = (&at.peer, &at.cluster.name(TOPIC), at.cluster.name(REPLIES));
    let deadline = millis_from_now(wait);
    let asked = (0..CALLS).map(|number| {
        let asks = Record::new(value(number))
            .key(format!("{name}-{number}"))
            .partition(0)
            .answered_to(&format!("{name}-{number}"), &replies)
            .header("reply-partition", "1")
            .header("deadline", deadline.clone());
        async move { peer.send(topic, &asks).await }
    });
    join_all(asked).await;
}

/// Places an order on the other partition, without a reply. A reply that does not arrive could keep its place
/// for 15 s, longer than the timeout here.
async fn place_other(Serving { cluster, service, peer, .. }: &Serving) {
    peer.send(&cluster.name(TOPIC), &Record::new(place("other", 0)).key("other").partition(1)).await;
    let other =
        until("an order on another partition is placed", || service.ended().contains(&order("other", 0)));
    tokio::time::timeout(Duration::from_secs(10), other)
        .await
        .expect("it does not wait for replies to others");
}

/// A service whose replies to partition 1 do not arrive, until the partition has a leader again. Its topics, and
/// so the series of its metrics, are its own.
struct Serving {
    broker: Broker,
    cluster: Cluster,
    service: OrderService,
    running: Running,
    peer: Peer,
}

async fn serving() -> Serving {
    counted::record();
    let (broker, cluster) = broker_of_orders(2);
    let replies = cluster.name(REPLIES);
    broker.create_topic(&replies, 2, 1).expect("a topic");
    broker.create_topic(&cluster.name(DEAD_LETTERS), 1, 1).expect("a topic");
    broker.partition_leader(&replies, 1, None).expect("a topic");
    let service = OrderService::default();
    let running = cluster.serve_orders(config_on(&broker), &service).await;
    let peer = Peer::new(&broker.bootstrap_servers());
    Serving { broker, cluster, service, running, peer }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_do_not_arrive_take_no_places_from_others_although_their_callers_go_soon() {
    if !runs_here() {
        return;
    }
    let log = Log::kept(LevelFilter::WARN);
    let at = serving().await;
    let (topic, replies) = (at.cluster.name(TOPIC), at.cluster.name(REPLIES));

    // The service does not know yet that the replies do not arrive.
    ask(&at, "first", 5_000, |number| place("first", number)).await;
    let expired = || counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", "expired")]);
    until("nobody waits for them any more", || expired() >= CALLS).await;
    let refused = counted("kafka_rpc_deliveries_refused_total", &[("to", &replies)]);
    assert!(refused > 0, "it is counted long before the producer gives up");
    let slow =
        ["replies are not delivered after 15s", &*replies, "partition=0", "has not acknowledged it yet"];
    until("the log says where they go", || log.lines_with(&slow) > 0).await;

    ask(&at, "second", 60_000, |number| place("second", number)).await;
    let of_second =
        || (0..CALLS).filter(|number| at.service.ended().contains(&order("second", *number))).count();
    until("some of the next are handled", || of_second() > 0).await;
    place_other(&at).await;

    at.broker.partition_leader(&replies, 1, Some(1)).expect("a topic");
    until("all are handled once replies arrive", || of_second() == 300).await;
    at.running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn error_replies_that_do_not_arrive_take_no_places_from_others_either() {
    if !runs_here() {
        return;
    }
    Log::kept(LevelFilter::WARN);
    let at = serving().await;
    let (topic, replies) = (at.cluster.name(TOPIC), at.cluster.name(REPLIES));

    ask(&at, "first", 5_000, |_| fail(500)).await;
    let dead_lettered =
        || counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", "dead_lettered")]);
    until("nobody waits for them any more", || dead_lettered() >= CALLS).await;

    ask(&at, "second", 5_000, |_| fail(500)).await;
    let one_more = usize::try_from(CALLS + 1).expect("it fits");
    assert_eq!(
        at.peer.read(&at.cluster.name(DEAD_LETTERS), one_more).await.len(),
        one_more,
        "one of the next has failed"
    );
    place_other(&at).await;
    at.broker.partition_leader(&replies, 1, Some(1)).expect("a topic");
    at.running.shutdown().await.expect("a clean shutdown");
}
