//! What the log says, as far as operators search for it: what lasts is not repeated for each record, and what
//! is in the way is named.

use std::time::Duration;

use futures_util::future::join_all;
use kafka_rpc::{CallError, Config, RpcError, Runtime, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::{real_kafka, started},
    log::Log,
    orders::{GROUP, OrderService, OrdersClient as _, TOPIC, order, place},
    until,
};
use tracing::level_filters::LevelFilter;
use uuid::Uuid;

const CALLS: usize = 20;

fn log() -> &'static Log {
    Log::kept(LevelFilter::DEBUG)
}

/// A service in front of a database that is down.
#[kafka_handler(topic = "down-commands", group = "down", retry = none, register = false)]
#[command("ASK")]
async fn ask() -> Result<(), RpcError> {
    Err(RpcError::unavailable("the database is down"))
}

#[tokio::test(flavor = "multi_thread")]
async fn of_failures_that_look_the_same_one_is_warned_of_and_the_others_can_be_found_at_debug() {
    let log = log();
    let cluster = Cluster::start();
    for topic in ["down-commands", "down-responses", "down-commands.dlq"] {
        cluster.create_topic(topic, 1).await;
    }
    let topic = cluster.name("down-commands");
    let running = cluster.serve(ask_handlers()).await;
    let client = running.client();
    for ended in join_all((0..CALLS).map(|_| client.ask())).await {
        assert!(matches!(ended, Err(CallError::Remote(_))), "{ended:?}");
    }
    running.shutdown().await.expect("a clean shutdown");

    let told = |level: &str| log.lines_with(&[level, "goes to the dead-letter topic", &topic, "status=503"]);
    assert_eq!((told(" WARN "), told("DEBUG ")), (1, CALLS - 1));
    let text = log.text();
    let lines =
        text.lines().filter(|line| line.contains("goes to the dead-letter topic") && line.contains(&topic));
    let id = |line: &str| line.split_once("correlation_id=")?.1.split(' ').next()?.parse::<Uuid>().ok();
    assert_eq!(lines.filter_map(id).count(), CALLS, "each can be found by the id of its call");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_outlasts_the_drain_is_named() {
    let log = log();
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (topic, service) = (cluster.name(TOPIC), OrderService::default());
    service.hold("held");
    let config = cluster.config().drain_timeout(Duration::from_millis(100));
    let running = cluster.serve_orders(config, &service).await;
    cluster.peer().send(&topic, &Record::new(place("held", 1)).key("held")).await;
    until("it runs", || service.started() == [order("held", 1)]).await;
    let shutting_down = tokio::spawn(running.shutdown());
    let still = "a handler still runs at the end of the drain";
    let group = format!("group={}", cluster.name(GROUP));
    until("it is named", || log.lines_with(&[still, "place (", &topic, "partition=0 offset=0", &group]) == 1)
        .await;
    service.release("held");
    shutting_down.await.expect("no panic").expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_topic_that_is_deleted_is_named_and_served_again_without_a_restart_once_it_is_back() {
    let log = log();
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 2).await;
    let (topic, service) = (cluster.name(TOPIC), OrderService::default());
    // How soon librdkafka notices that a topic is back: by default within five minutes.
    let config = cluster.config().property("topic.metadata.refresh.interval.ms", "2000");
    let running = cluster.serve_orders(config, &service).await;
    cluster.peer().send(&topic, &Record::new(place("old", 1)).key("old")).await;
    until("it is served", || service.ended() == [order("old", 1)]).await;
    // Offsets go with their topic. One that is committed after that would count for the topic that comes next.
    until("it is committed", || cluster.committed_sum(GROUP, TOPIC, 2) == 1).await;
    cluster.delete_topic(TOPIC).await;
    let gone = ["ERROR", "nothing is read: the topic does not exist", &topic];
    until("it is named", || log.lines_with(&gone) > 0).await;
    cluster.create_topic(TOPIC, 2).await;
    cluster.peer().send(&topic, &Record::new(place("new", 2)).key("new")).await;
    until("it is served again", || service.ended().contains(&order("new", 2))).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_logged_with_why() {
    let log = log();
    let config = Config::new("127.0.0.1:1").connection_timeout(Duration::from_millis(300));
    let failed = Runtime::builder().config(config).without_registry().client_only().build().expect("valid");
    assert!(failed.start().await.is_err());
    assert_eq!(log.lines_with(&["ERROR", "the start failed", "127.0.0.1:1"]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_pauses_again_and_again_is_warned_of_once() {
    let log = log();
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (topic, service) = (cluster.name(TOPIC), OrderService::default());
    let peer = cluster.peer();
    let running = cluster.serve_orders(cluster.config().max_uncommitted(2), &service).await;
    let warned = || log.lines_with(&[" WARN ", "paused: the limit of records", &topic]);
    let repeated = || log.lines_with(&["DEBUG ", "paused, as logged before: the limit of records", &topic]);
    for round in 1..=3 {
        service.hold("a");
        for number in [1, 2] {
            peer.send(&topic, &Record::new(place("a", number)).key("a")).await;
        }
        until("it pauses", || warned() + repeated() == round).await;
        service.release("a");
        until("both are placed", || service.ended().len() == 2 * round).await;
    }
    running.shutdown().await.expect("a clean shutdown");
    let resumed = log.lines_with(&[" INFO ", "resumed", &topic]);
    assert_eq!((warned(), repeated(), resumed), (1, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_reply_leaves_its_correlation_id_at_debug() {
    let log = log();
    let cluster = Cluster::start();
    for topic in [TOPIC, "orders-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    // Long enough for the broker's acknowledgement to arrive on a slow machine.
    let call = running.client().echo("hello".to_owned()).timeout(Duration::from_secs(3));
    assert!(matches!(call.await, Err(CallError::DeadlineExceeded { .. })));
    let topic = cluster.name(TOPIC);
    let request = cluster.peer().read(&topic, 1).await.remove(0);
    let id = request.text("correlation-id").expect("an id").to_owned();
    let unanswered = ["DEBUG ", "a call ended without a reply", &topic, &id, "acknowledged by the broker"];
    assert_eq!(log.lines_with(&unanswered), 1);
    running.shutdown().await.expect("a clean shutdown");
}
