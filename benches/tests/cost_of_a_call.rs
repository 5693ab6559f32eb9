//! The allocations of a whole call: its caller, the way to the broker, the service, and the way back.

#[path = "../src/allocated.rs"]
mod allocated;

use allocated::Allocated;
use futures_util::future::join_all;
use tests::{
    Cluster,
    cluster::started,
    orders::{OrderService, Orders, OrdersClient as _},
};

/// The most allocations that a call may take. If a call takes fewer, lower this number, so that it stays low.
const AT_MOST: u64 = 47;

const AT_ONCE: u64 = 16;
const ROUNDS: u64 = 100;
const TIMES: usize = 10;

/// The only test in its process: it counts the allocations of the whole process.
#[tokio::test]
async fn the_cost_of_a_call_in_allocations_does_not_grow() {
    let cluster = Cluster::embedded();
    let service = OrderService::default();
    let runtime = cluster.runtime(cluster.config()).provide(service);
    let running = started(runtime.handlers(<OrderService as Orders>::handlers())).await;
    let client = running.client();
    let round = || async {
        let calls = (0..AT_ONCE).map(|number| client.echo(number.to_string()));
        for answer in join_all(calls).await {
            answer.expect("an answer");
        }
    };
    // The first calls allocate buffers that stay.
    for _ in 0..ROUNDS {
        round().await;
    }
    // On a busy machine a runner gets fewer calls at a time, and each runner allocates. The least count is
    // the cost of the code.
    let mut least = u64::MAX;
    for _ in 0..TIMES {
        let before = Allocated::now();
        for _ in 0..ROUNDS {
            round().await;
        }
        least = least.min(Allocated::now().since(before).times / (ROUNDS * AT_ONCE));
    }
    running.shutdown().await.expect("a shutdown");
    assert!(least <= AT_MOST, "a call allocates {least} times, and may {AT_MOST} times");
    println!("a call allocates {least} times");
}
