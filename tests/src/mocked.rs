//! Callers and services on a broker that is told to fail.

use std::env;

use kafka_rpc::{Config, Running, Runtime, RuntimeBuilder};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use crate::{
    Cluster, Peer, Record,
    cluster::started,
    orders::{OrderService, Orders as _, OrdersClient as _, REPLIES, TOPIC},
    skipped::skipped,
};

/// A broker in the process that a test can tell what to do.
pub type Broker = MockCluster<'static, DefaultProducerContext>;

/// The settings of a runtime on such a broker.
pub fn config_on(broker: &Broker) -> Config {
    Config::new(broker.bootstrap_servers())
        // It holds an empty fetch for the whole wait. See `EmbeddedBroker::config`.
        .property("fetch.wait.max.ms", "1")
        // It waits for 3 s for the first members of a group, and a second less than this whenever they join again.
        .property("session.timeout.ms", "4000")
        .property("heartbeat.interval.ms", "200")
}

/// A caller whose reply topic, like the topic it calls, has one partition and is being read already: its first call, `first`,
/// has been answered.
///
/// # Panics
///
/// If the broker fails already.
pub async fn caller_on(broker: &Broker) -> Running {
    caller_with(broker, |config| config).await
}

/// The same, with settings of its own.
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

/// Whether tests run here that take long and never meet a real Kafka: not where there is one, for which they have run before.
pub fn runs_here() -> bool {
    let is_real = env::var_os("KAFKA_BROKERS").is_some();
    if is_real {
        skipped("they meet no real Kafka, and run without one");
    }
    !is_real
}

/// A broker with these topics, each with so many partitions.
///
/// # Panics
///
/// If it cannot be made.
pub fn broker_with(topics: &[(&str, i32)]) -> Broker {
    let broker = MockCluster::new(1).unwrap_or_else(|error| panic!("{error}"));
    for (topic, partitions) in topics {
        broker.create_topic(topic, *partitions, 1).unwrap_or_else(|error| panic!("{topic}: {error}"));
    }
    broker
}

/// A broker, and the Kafka that it is: with topics and groups of this test alone, and so metrics of its own. The topic of orders
/// has so many partitions.
///
/// # Panics
///
/// If it cannot be made.
pub fn broker_of_orders(partitions: i32) -> (Broker, Cluster) {
    let broker = broker_with(&[]);
    let cluster = Cluster::at(&broker.bootstrap_servers());
    let topic = cluster.name(TOPIC);
    broker.create_topic(&topic, partitions, 1).unwrap_or_else(|error| panic!("{topic}: {error}"));
    (broker, cluster)
}

/// The service of orders on such a broker.
///
/// # Panics
///
/// If it does not start.
pub async fn serving_on(broker: &Broker, service: &OrderService) -> Running {
    serving_with(broker, service, |config| config).await
}

/// The same, with settings of its own.
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

/// A runtime on such a broker that serves only what it is given.
pub fn runtime_on(broker: &Broker, config: impl FnOnce(Config) -> Config) -> RuntimeBuilder {
    Runtime::builder().config(config(config_on(broker))).without_registry()
}
