//! Promise 2, when a part of the cluster is away or slow: the rest continues.

use futures_util::future::join_all;
use kafka_rpc::{RpcError, State, kafka_handler};
use tests::{
    Peer, Record,
    cluster::started,
    mocked::{broker_with, runs_here, runtime_on, serving_on},
    orders::{DEAD_LETTERS, Failure, GROUP, Order, OrderService, REPLIES, TOPIC, fail, order, place},
    until,
};

/// How many handlers may run at once by default.
const AT_ONCE: usize = 256;
/// More records than that.
const MANY: usize = 300;

/// Sends more records to partition 0 than handlers may run at once. Once as many handlers have run, sends an
/// order to partition 1, and waits until it has been placed.
async fn goes_on_beside(peer: &Peer, service: &OrderService, stuck: &Record) {
    let many = (0..MANY).map(|number| {
        let record = stuck.clone().key(number.to_string()).partition(0);
        async move { peer.send(TOPIC, &record).await }
    });
    join_all(many).await;
    until("their handlers have run", || service.failures() >= AT_ONCE).await;
    peer.send(TOPIC, &Record::new(place("a", 1)).key("a").partition(1)).await;
    until("the order is placed", || service.ended() == [order("a", 1)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_no_broker_takes_hold_their_own_partition_only() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 2), (REPLIES, 1), (DEAD_LETTERS, 1)]);
    broker.partition_leader(DEAD_LETTERS, 0, None).expect("a topic");
    let service = OrderService::default();
    let running = serving_on(&broker, &service).await;
    let peer = Peer::new(&broker.bootstrap_servers());
    goes_on_beside(&peer, &service, &Record::new(fail(400))).await;

    broker.partition_leader(DEAD_LETTERS, 0, Some(1)).expect("a topic");
    peer.read(DEAD_LETTERS, MANY).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_to_a_partition_without_a_leader_hold_their_own_partition_only() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 2), (REPLIES, 2)]);
    broker.partition_leader(REPLIES, 1, None).expect("a topic");
    let service = OrderService::default();
    let running = serving_on(&broker, &service).await;
    let peer = Peer::new(&broker.bootstrap_servers());
    let asks = Record::new(fail(400)).answered_to("c-1", REPLIES).header("reply-partition", "1");
    goes_on_beside(&peer, &service, &asks).await;

    broker.partition_leader(REPLIES, 1, Some(1)).expect("a topic");
    peer.read(REPLIES, MANY).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// The retry topic of the two handlers below.
const RETRIES: &str = "orders-retries";

/// Fails as the service of orders does, but is retried through another topic, later than a test takes.
#[kafka_handler(
    topic = TOPIC,
    group = GROUP,
    retry_topic = RETRIES,
    retry(max = 1, base = "1h", max_delay = "1h"),
    client = none,
    register = false
)]
#[command("FAIL")]
async fn fail_for_now(failure: Failure, State(service): State<OrderService>) -> Result<(), RpcError> {
    service.fail(failure).await
}

/// Places orders as the service of orders does.
#[kafka_handler(topic = TOPIC, group = GROUP, client = none, register = false)]
#[command("PLACE")]
async fn place_at_once(order: Order, State(service): State<OrderService>) -> Result<u64, RpcError> {
    service.place(order).await
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_that_no_broker_takes_hold_their_own_partition_only() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 2), (RETRIES, 1)]);
    broker.partition_leader(RETRIES, 0, None).expect("a topic");
    let service = OrderService::default();
    let runtime = runtime_on(&broker, |config| config).provide(service.clone());
    let running = started(runtime.handlers(fail_for_now_handlers()).handlers(place_at_once_handlers())).await;
    let peer = Peer::new(&broker.bootstrap_servers());
    goes_on_beside(&peer, &service, &Record::new(fail(503))).await;

    broker.partition_leader(RETRIES, 0, Some(1)).expect("a topic");
    peer.read(RETRIES, MANY).await;
    running.shutdown().await.expect("a clean shutdown");
}
