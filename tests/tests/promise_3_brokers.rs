//! Promise 3, while brokers freeze, die, and hand over: no caller hangs.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use kafka_rpc::{CallError, Progress};
use tests::{
    BOUND, Cluster,
    cluster::real_brokers,
    counted,
    delayed::real_broker_behind,
    load::Load,
    orders::{OrderService, OrdersClient, REPLIES, TOPIC, order},
    until,
};

/// How late a call may end on a busy machine.
const LATE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_ends_calls_at_their_deadline_and_they_work_again_once_it_goes_on() {
    let Some(brokers) = real_brokers(1) else { return };
    let cluster = Cluster::of(&brokers);
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let client = running.client();
    assert_eq!(client.echo("before".to_owned()).await, Ok("before".to_owned()));

    brokers.freeze(0).expect("it can be stopped");
    let called = Instant::now();
    let timeout = Duration::from_secs(2);
    let calls = (0..100).map(|number| client.place(order("a", number)).timeout(timeout));
    for ended in stream::iter(calls).buffer_unordered(100).collect::<Vec<_>>().await {
        assert!(matches!(ended, Err(CallError::DeadlineExceeded { .. })), "{ended:?}");
    }
    let took = called.elapsed();
    assert!(took >= timeout && took < timeout + LATE, "they ended after {took:?}");

    brokers.thaw(0).expect("it can go on");
    let again = client.echo("again".to_owned()).timeout(BOUND).await;
    assert_eq!(again, Ok("again".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_ends_pending_calls_long_before_their_deadlines_and_they_work_again_once_it_is_back()
{
    let Some(mut brokers) = real_brokers(1) else { return };
    let cluster = Cluster::of(&brokers);
    let service = OrderService::default();
    service.hold("held");
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let client = running.client();
    let pending = tokio::spawn(client.place(order("held", 1)));
    tests::until("the call is at work", || service.started().len() == 1).await;

    brokers.kill(0).expect("it was alive");
    let killed = Instant::now();
    let ended = tokio::time::timeout(BOUND, pending).await.expect("it ends").expect("no panic");
    let acknowledged = Progress::Acknowledged;
    assert!(
        matches!(ended, Err(CallError::Undeliverable { progress, .. }) if progress == acknowledged),
        "{ended:?}"
    );
    assert!(killed.elapsed() < LATE, "it ended after {:?}", killed.elapsed());

    service.release("held");
    brokers.restart(0).expect("it starts again");
    // While no broker can be reached, a call may end early, with an error that says so.
    let again = async || client.echo("again".to_owned()).timeout(Duration::from_secs(10)).await;
    let until = Instant::now() + BOUND;
    while again().await.is_err() {
        assert!(Instant::now() < until, "no call works again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_lost_and_made_again_end_no_call() {
    let Some((brokers, way, config)) = real_broker_behind(Duration::ZERO).await else { return };
    let service = OrderService::default();
    service.hold("held");
    let running = Cluster::of(&brokers).serve_orders(config, &service).await;
    let client = running.client();
    let pending = tokio::spawn(client.place(order("held", 1)).timeout(BOUND));
    until("the call is at work", || service.started().len() == 1).await;

    way.cut();
    assert_eq!(client.echo("again".to_owned()).timeout(BOUND).await, Ok("again".to_owned()));
    service.release("held");
    assert_eq!(pending.await.expect("no panic"), Ok(1));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_is_lost_while_every_leader_changes() {
    let Some(mut brokers) = real_brokers(3) else { return };
    let cluster = Cluster::of(&brokers);
    for topic in [TOPIC, REPLIES] {
        cluster.create_topic(topic, 6).await;
    }
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let load = Load::start(running.client(), 2 * BOUND);
    // Each broker in turn, so that every partition has had another leader.
    for index in 0..3 {
        brokers.stop(index).expect("it stops");
        brokers.restart(index).expect("it starts again");
        brokers.wait_until_ready().expect("all are back");
    }
    let answered = load.stop().await;
    assert!(answered > 1_000, "there was load: {answered} calls");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_topic_that_is_made_anew_after_its_leaders_have_moved_is_read_again() {
    let Some(mut brokers) = real_brokers(1) else { return };
    counted::record();
    let cluster = Cluster::of(&brokers);
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let works = async |when: &str| {
        let until = Instant::now() + BOUND;
        while running.client().echo("hi".to_owned()).timeout(Duration::from_secs(2)).await.is_err() {
            assert!(Instant::now() < until, "no call works {when}");
        }
    };
    works("at first").await;
    // Electing leaders again raises their epochs: librdkafka then remembers higher ones than a new topic
    // starts with.
    brokers.kill(0).expect("it was alive");
    brokers.restart(0).expect("it starts again");
    works("after that").await;
    let (topics, replies) = (cluster.topics(), cluster.name(REPLIES));
    let unknown = || counted("kafka_rpc_reply_errors_total", &[("code", "UnknownTopicOrPartition")]);
    let before = unknown();
    topics.ask_to_delete(&replies).await;
    until("its reader hears of that", || unknown() > before).await;
    topics.create(&replies, 3).await;
    works("on the new topic").await;
    running.shutdown().await.expect("a clean shutdown");
}
