//! Promise 2, for a key that is retried again and again at full load. The key holds its partition at the
//! bound, and nothing else; memory stays flat; and after a kill no more records than the bound are delivered
//! again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use tests::{
    cluster::{real_kafka, started},
    eventually,
    orders::{FAILING, GROUP, OrdersClient, REPLIES, TOPIC, order},
    service::{Journal, Service},
    until,
};
use tokio::sync::watch;

/// The default of `max_uncommitted`.
const BOUND: i64 = 10_000;
const PARTITIONS: i32 = 3;
const FOR: Duration = Duration::from_mins(1);
/// How long no record must come before no more are expected.
const QUIET: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_retried_for_a_minute_holds_its_partition_at_the_bound_and_nothing_else() {
    let Some(cluster) = real_kafka() else { return };
    for topic in [TOPIC, REPLIES] {
        cluster.create_topic(topic, u16::try_from(PARTITIONS).expect("three")).await;
    }
    let journal = Journal::new();
    let program = env!("CARGO_BIN_EXE_orders-service");
    let mut service = Service::start(program, &cluster, &journal);
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = calling.client();
    client.place(order(FAILING, 0)).notify().await.expect("delivered");
    let ends = || (0..PARTITIONS).map(|partition| cluster.topics().end(&cluster.name(TOPIC), partition));
    let held = ends().position(|end| end == 1).and_then(|held| i32::try_from(held).ok()).expect("one record");

    let (stop, mut stopped) = watch::channel(false);
    let load = tokio::spawn(async move {
        let until = async move { stopped.wait_for(|stop| *stop).await.map(drop) };
        let sends = stream::iter(1..).take_until(until).map(|number| {
            let send = client.place(order(&format!("a{}", number % 1_000), number)).notify();
            async move { send.await.expect("delivered") }
        });
        sends.buffer_unordered(256).count().await
    });
    // The failing record is the first of its partition, and counts towards the bound.
    let furthest = || {
        let placed = journal.placed().into_iter().filter(|placed| placed.partition == held);
        placed.map(|placed| placed.offset).max()
    };
    until("its partition is held at the bound", || furthest() == Some(BOUND - 1)).await;
    let began = Instant::now();
    let mut resident = Vec::new();
    while began.elapsed() < FOR {
        resident.push(service.resident().expect("it is alive"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.send_replace(true);
    let sent = load.await.expect("every record was delivered");

    let third = resident.len() / 3;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
    let (middle, last) = (most(&resident[third..2 * third]), most(&resident[2 * third..]));
    assert!(last <= middle + middle / 10, "memory grows: {resident:?}");
    let others = || {
        let committed = cluster.committed(GROUP, TOPIC, PARTITIONS);
        ends().zip(0..).all(|(end, partition)| partition == held || committed.get(&partition) == Some(&end))
    };
    until("the other partitions are through", others).await;
    assert!(cluster.committed(GROUP, TOPIC, PARTITIONS).get(&held).is_none_or(|offset| *offset == 0));
    assert_eq!(furthest(), Some(BOUND - 1), "of {sent} records");

    service.kill();
    let before = journal.placed();
    let _again = Service::start(program, &cluster, &journal);
    until("what lies behind the failing record is delivered again", || {
        journal.placed().len() >= before.len() + 9_999
    })
    .await;
    // A record beyond the bound would come right behind.
    let mut grown = (journal.placed().len(), Instant::now());
    eventually("no more of them come", || {
        let now = journal.placed().len();
        if now > grown.0 {
            grown = (now, Instant::now());
        }
        (grown.1.elapsed() >= QUIET).then_some(())
    })
    .await;
    let mut times: HashMap<(i32, i64), usize> = HashMap::new();
    for placed in journal.placed() {
        *times.entry((placed.partition, placed.offset)).or_default() += 1;
    }
    let again = times.values().filter(|times| **times > 1).count();
    assert!(i64::try_from(again).expect("few") < BOUND, "{again} records were delivered again");
    calling.shutdown().await.expect("a clean shutdown");
    let mebibytes: Vec<u64> = resident.iter().map(|bytes| bytes >> 20).collect();
    println!(
        "{sent} records sent, {again} delivered again after the kill; resident MiB, each second: {mebibytes:?}"
    );
}
