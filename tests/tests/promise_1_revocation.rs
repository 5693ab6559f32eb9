//! Promise 1, when partitions move: running handlers are awaited and their records committed, and no other
//! instance runs these records.

use kafka_rpc::Config;
use tests::{
    BOUND, Log, Record,
    cluster::real_kafka,
    counted::{self, counted},
    orders::{GROUP, OrderService, TOPIC, order, place},
    until,
};
use tracing::level_filters::LevelFilter;

const PARTITIONS: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_waited_for_and_committed_before_all_partitions_move() {
    a_keeper_gives_up_what_it_has_finished(|config| {
        config.property("partition.assignment.strategy", "range")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_waited_for_and_committed_before_one_partition_moves() {
    a_keeper_gives_up_what_it_has_finished(|config| {
        config.property("partition.assignment.strategy", "cooperative-sticky")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_waited_for_and_committed_in_a_group_that_the_broker_runs() {
    a_keeper_gives_up_what_it_has_finished(|config| config.property("group.protocol", "consumer")).await;
}

/// Moves a partition to another instance while each partition has a running record.
async fn a_keeper_gives_up_what_it_has_finished(group: impl Fn(Config) -> Config) {
    let log = Log::kept(LevelFilter::INFO);
    counted::record();
    // The embedded broker accepts no commit while members rejoin a group, and makes members rejoin that ask
    // for their assignment a moment too late.
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let send_each = async |account: &str| {
        for partition in 0..PARTITIONS {
            let value = place(account, u64::try_from(partition).expect("not negative"));
            peer.send(&topic, &Record::new(value).key(account).partition(partition)).await;
        }
    };
    let config = || group(cluster.config().drain_timeout(2 * BOUND));
    let (keeper, newcomer) = (OrderService::default(), OrderService::default());
    keeper.hold("held");
    let keeping = cluster.serve_orders(config(), &keeper).await;
    send_each("held").await;
    until("both run", || keeper.started().len() == 2).await;
    let coming = cluster.serve_orders(config(), &newcomer).await;
    until("the keeper gives up", || log.lines_with(&["revoked", &topic]) > 0).await;
    // The keeper polls nothing meanwhile: the newcomer gets the next record of its partition, behind the
    // running one.
    send_each("next").await;
    keeper.release("held");
    until("the newcomer has a partition", || !newcomer.ended().is_empty()).await;
    let is_committed = || cluster.committed_sum(GROUP, TOPIC, PARTITIONS) == 4;
    until("everything is committed", is_committed).await;

    let mut started = [keeper.started(), newcomer.started()].concat();
    started.sort_unstable_by_key(|order| (order.account.clone(), order.number));
    let once = [order("held", 0), order("held", 1), order("next", 0), order("next", 1)];
    assert_eq!(started, once, "each has run once, wherever");
    assert_eq!(newcomer.started().len(), 1);
    assert_eq!(counted("kafka_rpc_redelivered_total", &[("topic", &topic)]), 0);
    for running in [keeping, coming] {
        running.shutdown().await.expect("a clean shutdown");
    }
}
