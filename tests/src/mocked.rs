//! A caller on a broker that is told to fail.

use std::time::Duration;

use kafka_rpc::{CallError, Config, Running, Runtime};
use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use crate::orders::{OrdersClient as _, REPLIES, TOPIC};

/// A caller whose reply topic, like the topic it calls, has one partition and is being read already.
///
/// # Panics
///
/// If the broker fails already.
pub async fn caller_on(broker: &MockCluster<'_, DefaultProducerContext>) -> Running {
    for topic in [TOPIC, REPLIES] {
        broker.create_topic(topic, 1, 1).expect("a topic");
    }
    let config = Config::new(broker.bootstrap_servers()).property("fetch.wait.max.ms", "1");
    let runtime = Runtime::builder().config(config).without_registry().client_only().build();
    let running = runtime.expect("nothing is wrong").start().await.expect("the broker is there");
    let first = running.client().echo("first".to_owned()).timeout(Duration::from_millis(500)).await;
    assert!(matches!(first, Err(CallError::DeadlineExceeded { .. })), "nobody answers");
    running
}
