//! Promise 3, where what a user plugs in panics: a recorder of metrics runs on the threads that everything depends on.

use std::sync::Arc;

use kafka_rpc::Running;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};
use tests::{
    BOUND, Cluster, Record,
    cluster::started,
    orders::{OrderService, Orders, OrdersClient as _, REPLIES, TOPIC, order},
};

/// Panics at whatever is counted while replies are read and deliveries are told.
struct Panicking;

struct Panics;

impl CounterFn for Panics {
    fn increment(&self, _value: u64) {
        panic!("a recorder panics");
    }

    fn absolute(&self, _value: u64) {}
}

impl Recorder for Panicking {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        let is_replied = key.labels().any(|label| label.value() == "replied");
        match key.name() {
            "kafka_rpc_replies_dropped_total" => Counter::from_arc(Arc::new(Panics)),
            "kafka_rpc_records_total" if is_replied => Counter::from_arc(Arc::new(Panics)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

async fn both(cluster: &Cluster) -> Running {
    let runtime = cluster.runtime(cluster.config()).provide(OrderService::default());
    started(runtime.handlers(<OrderService as Orders>::handlers())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_panics_ends_neither_the_reading_of_replies_nor_the_lane_of_a_key() {
    set_global_recorder(Panicking).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let running = both(&cluster).await;
    for number in 0..3 {
        let placed = running.client().place(order("a", number)).timeout(BOUND).await;
        assert_eq!(placed, Ok(number), "after {number} panics of each");
        cluster.peer().send(&cluster.name(REPLIES), &Record::new("nobody's")).await;
    }
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(cluster.committed_sum(tests::orders::GROUP, TOPIC, 1), 3);
}
