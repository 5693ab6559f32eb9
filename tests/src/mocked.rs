//! Callers and services on a broker that is told to fail.

use std::env;

use kafka_rpc::{Config, Running, Runtime};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use crate::{
    Peer, Record,
    cluster::started,
    orders::{OrderService, Orders as _, OrdersClient as _, REPLIES, TOPIC},
    skipped::skipped,
};

/// A broker in the process that a test can tell what to do.
pub type Broker = MockCluster<'static, DefaultProducerContext>;

/// A caller whose reply topic, like the topic it calls, has one partition and is being read already: its first call, `first`,
/// has been answered.
///
/// # Panics
///
/// If the broker fails already.
pub async fn caller_on(broker: &Broker) -> Running {
    for topic in [TOPIC, REPLIES] {
        broker.create_topic(topic, 1, 1).expect("a topic");
    }
    let config = Config::new(broker.bootstrap_servers()).property("fetch.wait.max.ms", "1");
    let runtime = Runtime::builder().config(config).without_registry().client_only().build();
    let running = runtime.expect("nothing is wrong").start().await.expect("the broker is there");
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

/// The service of orders on such a broker.
///
/// # Panics
///
/// If it does not start.
pub async fn serving_on(broker: &Broker, service: &OrderService) -> Running {
    let config = Config::new(broker.bootstrap_servers()).property("fetch.wait.max.ms", "1");
    let runtime = Runtime::builder().config(config).provide(service.clone()).without_registry();
    started(runtime.handlers(OrderService::handlers())).await
}
