//! Promise 1, for a service that is killed: nothing that Kafka has acknowledged is lost, and no caller hangs.

use std::collections::HashSet;

use tests::{
    BOUND, Cluster,
    cluster::started,
    load::Load,
    orders::{REPLIES, TOPIC},
    service::{Journal, Service},
    until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_orders-service");

/// The least number of calls; the service is killed in the middle of them.
const CALLS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_loses_no_command_and_leaves_no_caller_hanging() {
    let cluster = Cluster::start();
    for topic in [TOPIC, REPLIES] {
        cluster.create_topic(topic, 3).await;
    }
    let journal = Journal::new();
    let mut first = Service::start(BINARY, &cluster, &journal);
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let load = Load::start(calling.client(), 2 * BOUND);
    until("half of the calls have ended", || load.answered() >= CALLS / 2).await;
    first.kill();
    let second = Service::start(BINARY, &cluster, &journal);
    until("all of them have", || load.answered() >= CALLS).await;

    let count = load.stop().await;
    let placed = journal.placed().iter().map(|placed| placed.number).collect::<HashSet<_>>();
    assert_eq!(placed, (0..count).collect(), "every command was handled, and no other");
    calling.shutdown().await.expect("a clean shutdown");
    drop(second);
}
