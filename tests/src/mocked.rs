//! Callers and services on a mocked broker that fails on demand.

use std::env;

use kafka_rpc::{Config, Running, Runtime, RuntimeBuilder};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use crate::{
    Cluster, Peer, Record,
    cluster::started,
    orders::{OrderService, Orders as _, OrdersClient as _, REPLIES, TOPIC},
    skipped::skipped,
};

/// A mocked broker in this process, which a test controls.
pub type Broker = MockCluster<'static, DefaultProducerContext>;

/// The settings of a runtime on a mocked broker.
pub fn config_on(broker: &Broker) -> Config {
    Config::new(broker.bootstrap_servers())
        // The broker holds an empty fetch for the whole wait. See `EmbeddedBroker::config`.
        .property("fetch.wait.max.ms", "1")
        // The broker waits 3 s for the first members of a group, and the session timeout less 1 s whenever
        // they rejoin.
        .property("session.timeout.ms", "4000")
        .property("heartbeat.interval.ms", "200")
}

/// Starts a caller. The topic it calls and its reply topic have one partition each, and the reply topic is
/// already being read: the first call, `first`, has been answered.
///
/// # Panics
///
/// If the broker fails already.
pub async fn caller_on(broker: &Broker) -> Running {
    caller_with(broker, |config| config).await
}

/// Starts a caller as [`caller_on`] does, with changed settings.
///
/// # Panics
///
/// If the broker fails already.
pub async fn caller_with(broker: &Broker, config: impl FnOnce(Config) -> Config) -> Running {
    for topic in [TOPIC, REPLIES] {
        broker.create_topic(topic, 1, 1).expect("a topic");
    }
    let running = started(runtime_on(broker, config).client_only()).await;
    let answer = async {
        let peer = Peer::new(&broker.bootstrap_servers());
        let request = peer.read(TOPIC, 1).await.remove(0);
        let id = request.text("correlation-id").expect("an id");
        let reply = Record::new(r#"{"success":true,"data":"first"}"#).header("correlation-id", id);
        peer.send(REPLIES, &reply).await;
    };
    let (first, ()) = tokio::join!(running.client().echo("first".to_owned()), answer);
    assert_eq!(first, Ok("first".to_owned()));
    running
}

/// Whether to run the tests that take long and never use a real Kafka. If there is one, they are skipped:
/// they have already run without it.
pub fn runs_here() -> bool {
    let is_real = env::var_os("KAFKA_BROKERS").is_some();
    if is_real {
        skipped("they meet no real Kafka, and run without one");
    }
    !is_real
}

/// A broker with these topics and their numbers of partitions.
///
/// # Panics
///
/// If the broker or a topic cannot be created.
pub fn broker_with(topics: &[(&str, i32)]) -> Broker {
    let broker = MockCluster::new(1).unwrap_or_else(|error| panic!("{error}"));
    for (topic, partitions) in topics {
        broker.create_topic(topic, *partitions, 1).unwrap_or_else(|error| panic!("{topic}: {error}"));
    }
    broker
}

/// A broker, and its [`Cluster`], whose topics and groups, and so the series of its metrics, are this test's
/// alone. The topic of orders has `partitions` partitions.
///
/// # Panics
///
/// If the broker or a topic cannot be created.
pub fn broker_of_orders(partitions: i32) -> (Broker, Cluster) {
    let broker = broker_with(&[]);
    let cluster = Cluster::at(&broker.bootstrap_servers());
    let topic = cluster.name(TOPIC);
    broker.create_topic(&topic, partitions, 1).unwrap_or_else(|error| panic!("{topic}: {error}"));
    (broker, cluster)
}

/// Starts the service of orders on a mocked broker.
///
/// # Panics
///
/// If it does not start.
pub async fn serving_on(broker: &Broker, service: &OrderService) -> Running {
    serving_with(broker, service, |config| config).await
}

/// Serves orders as [`serving_on`] does, with changed settings.
///
/// # Panics
///
/// If it does not start.
pub async fn serving_with(
    broker: &Broker,
    service: &OrderService,
    config: impl FnOnce(Config) -> Config,
) -> Running {
    let runtime = runtime_on(broker, config).provide(service.clone());
    started(runtime.handlers(OrderService::handlers())).await
}

/// A runtime on a mocked broker that serves only the handlers it is given.
pub fn runtime_on(broker: &Broker, config: impl FnOnce(Config) -> Config) -> RuntimeBuilder {
    Runtime::builder().config(config(config_on(broker))).without_registry()
}
