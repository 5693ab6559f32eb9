//! Promise 1, for a service that is killed: nothing that Kafka has acknowledged is lost, and no caller hangs.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt as _, stream};
use tests::{
    BOUND, Cluster,
    cluster::started,
    eventually,
    orders::{OrdersClient, REPLIES, TOPIC, order},
    service::{Journal, Service},
};

const BINARY: &str = env!("CARGO_BIN_EXE_orders-service");
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
    let client = calling.client();
    let ended = Arc::new(AtomicUsize::new(0));
    let calls = tokio::spawn({
        let ended = Arc::clone(&ended);
        stream::iter(0..CALLS)
            .map(move |number| {
                client.place(order(&format!("a{}", number % 100), number as u64)).timeout(BOUND)
            })
            .buffered(64)
            .map(move |answer| {
                ended.fetch_add(1, Ordering::Relaxed);
                answer
            })
            .collect::<Vec<_>>()
    });
    eventually("the calls are under way", || (ended.load(Ordering::Relaxed) > CALLS / 10).then_some(()))
        .await;
    first.kill();
    assert!(ended.load(Ordering::Relaxed) < CALLS, "it was killed in the middle");
    let second = Service::start(BINARY, &cluster, &journal);

    let answers = tokio::time::timeout(3 * BOUND, calls).await.expect("every call ends").expect("no panic");
    let answered =
        answers.iter().enumerate().filter(|(number, answer)| **answer == Ok(*number as u64)).count();
    assert_eq!(
        answered, CALLS,
        "every command was answered, with its own answer: the service came back in time"
    );
    let placed = || journal.placed().iter().map(|placed| placed.number).collect::<HashSet<_>>().len();
    eventually("every command was handled", || (placed() == CALLS).then_some(())).await;
    calling.shutdown().await.expect("a clean shutdown");
    drop(second);
}
