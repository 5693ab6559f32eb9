//! How a runtime ends: on a fatal error, when asked to, and when Kafka does not answer any more.

use std::{
    future::pending,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::poll;
use kafka_rpc::{CallError, Progress, kafka_handler};
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tests::{
    BOUND, Cluster,
    cluster::started,
    counted::{self, counted},
    eventually,
    mocked::{broker_of_orders, broker_with, caller_with, config_on, runs_here},
    orders::{OrderService, OrdersClient as _, TOPIC, order},
    service::{Journal, Service},
    until,
};
use tokio::time;

const BINARY: &str = env!("CARGO_BIN_EXE_orders-service");

/// The error that no static member of a group survives: another has taken its place.
const FENCED: [RDKafkaRespErr; 1] = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID];

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_cannot_go_on_ends_what_its_process_waits_for_with_an_error() {
    if !runs_here() {
        return;
    }
    counted::record();
    let (broker, cluster) = broker_of_orders(1);
    let topic = cluster.name(TOPIC);
    broker.request_errors(RDKafkaApiKey::Heartbeat, &FENCED);
    let config = config_on(&broker).property("group.instance.id", "one");
    let running = cluster.serve_orders(config, &OrderService::default()).await;
    let ended = time::timeout(BOUND, running.until(pending())).await.expect("a consumer has ended");
    let error = ended.expect_err("it cannot serve any more").to_string();
    assert!(error.contains(&topic), "{error}");
    assert_eq!(counted("kafka_rpc_consumers_ended_total", &[("topic", &topic)]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_cannot_go_on_ends_its_process() {
    if !runs_here() {
        return;
    }
    let (broker, cluster) = broker_of_orders(1);
    broker.request_errors(RDKafkaApiKey::Heartbeat, &FENCED);
    let journal = Journal::new();
    let mut service = Service::start_with(BINARY, &cluster, &journal, &["group.instance.id=one"]);
    let ended = eventually("it ends", || service.ended()).await;
    assert_eq!(ended.code(), Some(1));
}

/// A service that calls another.
#[kafka_handler(topic = "gateway-commands", group = "gateway", register = false)]
mod gateway {
    use kafka_rpc::{Client, RpcError};
    use tests::orders::{Order, OrdersClient as _};

    #[command("FORWARD")]
    pub(super) async fn forward(order: Order, client: Client) -> Result<u64, RpcError> {
        Ok(client.place(order).await?)
    }
}
use gateway::GatewayClient as _;

#[tokio::test(flavor = "multi_thread")]
async fn while_a_shutdown_waits_for_a_handler_the_calls_of_that_go_on_and_no_others() {
    let cluster = Cluster::start();
    cluster.create_topic("gateway-commands", 1).await;
    let config = || cluster.config().call_timeout(BOUND).drain_timeout(2 * BOUND);
    let behind = OrderService::default();
    behind.hold("held");
    let serving = cluster.serve_orders(config(), &behind).await;
    let gateway = started(cluster.runtime(config()).handlers(gateway::handlers())).await;
    let calling = started(cluster.runtime(config()).client_only()).await;
    let asked = tokio::spawn(calling.client().forward(order("held", 7)));
    until("it is held behind the gateway", || behind.started().len() == 1).await;

    let client = gateway.client();
    let mut shutting_down = Box::pin(gateway.shutdown());
    assert!(poll!(&mut shutting_down).is_pending(), "it waits for its handler");
    let shutting_down = tokio::spawn(shutting_down);
    assert_eq!(
        client.echo("hello".to_owned()).await,
        Err(CallError::ShuttingDown { progress: Progress::NotSent })
    );
    behind.release("held");
    assert_eq!(asked.await.expect("no panic"), Ok(7), "what the handler asks is answered, and it answers");
    shutting_down.await.expect("no panic").expect("a clean shutdown");
    assert_eq!(cluster.committed_sum("gateway", "gateway-commands", 1), 1);
    for running in [calling, serving] {
        running.shutdown().await.expect("a clean shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_in_an_error_within_its_bound_where_kafka_acknowledges_nothing() {
    /// The most time that a shutdown takes beside the drain.
    const REST: Duration = Duration::from_secs(20);
    const DRAIN: Duration = Duration::from_secs(1);
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[]);
    let running = caller_with(&broker, |config| config.drain_timeout(DRAIN)).await;
    broker.broker_round_trip_time(1, BOUND).expect("a delay");
    let mut event = running.client().echo("hello".to_owned()).notify();
    assert!(poll!(&mut event).is_pending(), "it is queued");
    let began = Instant::now();
    let error = running.shutdown().await.expect_err("nothing is acknowledged").to_string();
    let took = began.elapsed();
    assert!(took <= DRAIN + REST, "it took {took:?}");
    assert!(error.contains("left unsent"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_what_a_producer_that_was_replaced_has_in_flight() {
    const FAR: Duration = Duration::from_secs(3);
    const OTHER: &str = "gateway-commands";
    if !runs_here() {
        return;
    }
    let broker = MockCluster::new(2).expect("brokers");
    broker.create_topic(OTHER, 1, 1).expect("a topic");
    let running = caller_with(&broker, |config| config).await;
    let client = running.client();
    for (topic, leader) in [(TOPIC, 1), (OTHER, 2)] {
        broker.partition_leader(topic, 0, Some(leader)).expect("a leader");
    }
    // A key of its own sends a record at once, through one producer for both topics.
    let slow = || client.echo("slow".to_owned()).key("k").notify();
    let other = || client.forward(order("a", 1)).key("k").notify();
    let (known, also_known) = tokio::join!(slow(), other());
    known.and(also_known).expect("both leaders are known from now on");

    broker.broker_round_trip_time(1, FAR).expect("a delay");
    let fatal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    let began = Instant::now();
    let mut slow = loop {
        assert!(began.elapsed() < BOUND, "the producer of a record in flight meets no fatal error");
        let mut slow = slow();
        assert!(poll!(&mut slow).is_pending(), "it is on its way");
        other().await.expect("the broker has it, and by now most likely also the slow one");
        // The error is for whichever request comes next.
        broker.request_errors(RDKafkaApiKey::Produce, &fatal);
        if other().await.is_ok() {
            let _met_the_error = slow.await;
            continue;
        }
        while other().await.is_err() {
            assert!(began.elapsed() < BOUND, "there is no new producer");
        }
        if poll!(&mut slow).is_pending() {
            break slow;
        }
    };
    running.shutdown().await.expect("a clean shutdown");
    let Poll::Ready(delivered) = poll!(&mut slow) else { panic!("nobody waited for it") };
    delivered.expect("the broker has it");
}
