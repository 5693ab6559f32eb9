//! Promise 3, when something that a user plugs in panics: a metrics recorder runs on the threads that
//! everything depends on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_rpc::Running;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};
use tests::{
    BOUND, Cluster, Record,
    orders::{GROUP, OrderService, OrdersClient as _, REPLIES, TOPIC, fail, order, place},
    until,
};

/// A recorder that panics whenever something is counted.
struct Panicking;

struct Panics;

impl CounterFn for Panics {
    fn increment(&self, _value: u64) {
        panic!("a recorder panics");
    }

    fn absolute(&self, _value: u64) {}
}

impl GaugeFn for Panics {
    fn increment(&self, _value: f64) {
        panic!("a recorder panics");
    }

    fn decrement(&self, _value: f64) {}

    fn set(&self, _value: f64) {}
}

impl Recorder for Panicking {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _description: SharedString) {}

    fn register_counter(&self, _key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Panics))
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Panics))
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Far longer than a drain takes.
const DRAIN: Duration = BOUND.checked_mul(2).expect("minutes");

async fn both(cluster: &Cluster) -> Running {
    let config = cluster.config().drain_timeout(DRAIN);
    cluster.serve_orders(config, &OrderService::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_panics_ends_neither_the_reading_of_replies_nor_the_lane_of_a_key() {
    set_global_recorder(Panicking).unwrap_or_else(|error| panic!("{error}"));
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let running = both(&cluster).await;
    for number in 0..3 {
        let placed = running.client().place(order("a", number)).timeout(BOUND).await;
        assert_eq!(placed, Ok(number), "after {number} panics of each");
        // Nobody waits for these: one is handled, one fails, and one is poison.
        for value in [place("a", 10 + number), fail(400), "poison".to_owned()] {
            peer.send(&topic, &Record::new(value).key("a")).await;
        }
        peer.send(&cluster.name(REPLIES), &Record::new("nobody's")).await;
    }
    until("all is final", || cluster.committed_sum(GROUP, TOPIC, 1) == 12).await;
    let began = Instant::now();
    running.shutdown().await.expect("a clean shutdown");
    assert!(began.elapsed() < DRAIN, "nothing is left that would be waited for");
}
