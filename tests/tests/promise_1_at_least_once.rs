//! Promise 1: at least once. Nothing that Kafka has acknowledged is lost.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kafka_rpc::{Config, Running, Runtime, kafka_handler};
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tests::{
    Cluster, Peer, Record,
    cluster::{real_kafka, started},
    orders::{GROUP, OrderService, Orders, TOPIC, order, place},
    until,
};

async fn serve(cluster: &Cluster, service: &OrderService) -> Running {
    serve_with_drain(cluster, service, Duration::from_secs(20)).await
}

async fn serve_with_drain(cluster: &Cluster, service: &OrderService, drain: Duration) -> Running {
    cluster.serve_orders(cluster.config().drain_timeout(drain), service).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_is_committed_only_when_every_record_before_it_is_final() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    service.hold("held");
    let running = serve(&cluster, &service).await;

    peer.send(&topic, &Record::new(place("held", 0)).key("held").partition(0)).await;
    for number in 1..=50 {
        let account = format!("a{number}");
        peer.send(&topic, &Record::new(place(&account, number)).key(&account).partition(0)).await;
    }
    until("the others have ended", || service.ended().len() == 50).await;
    // A commit of the other partition shows that the service has committed since.
    peer.send(&topic, &Record::new(place("other", 1)).key("other").partition(1)).await;
    until("the other partition is committed", || cluster.committed(GROUP, TOPIC, 2).get(&1) == Some(&1))
        .await;
    assert!(cluster.committed(GROUP, TOPIC, 2).get(&0).is_none_or(|offset| *offset == 0));

    service.release("held");
    until("the partition is committed to its end", || {
        cluster.committed(GROUP, TOPIC, 2).get(&0) == Some(&51)
    })
    .await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_finished_at_shutdown_is_delivered_again() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let first = OrderService::default();
    first.hold("held");
    let running = serve_with_drain(&cluster, &first, Duration::from_millis(100)).await;
    peer.send(&topic, &Record::new(place("held", 1)).key("held")).await;
    peer.send(&topic, &Record::new(place("done", 2)).key("done")).await;
    until("one has started and one has ended", || first.started().len() == 2 && first.ended().len() == 1)
        .await;
    running.shutdown().await.expect("a clean shutdown");

    let second = OrderService::default();
    let running = serve(&cluster, &second).await;
    until("both are handled again", || second.ended().len() == 2).await;
    assert!(second.ended().contains(&order("held", 1)));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_finished_is_not_delivered_again_after_a_clean_shutdown() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 3).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let first = OrderService::default();
    let running = serve(&cluster, &first).await;
    for number in 0..100 {
        let account = format!("a{}", number % 10);
        peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
    }
    until("all are handled", || first.ended().len() == 100).await;
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(cluster.committed_sum(GROUP, TOPIC, 3), 100);

    let second = OrderService::default();
    let running = serve(&cluster, &second).await;
    for partition in 0..3 {
        peer.send(&topic, &Record::new(place("probe", 1_000)).key("probe").partition(partition)).await;
    }
    until("the probes are handled", || second.ended().len() >= 3).await;
    assert_eq!(second.ended(), vec![order("probe", 1_000); 3]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_instances_come_and_go() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 6).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    let mut sent = 0;
    let mut send_more = async |count: u64| {
        for number in sent..sent + count {
            let account = format!("a{}", number % 50);
            peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
        }
        sent += count;
    };
    let first = serve(&cluster, &service).await;
    send_more(200).await;
    let second = serve(&cluster, &service).await;
    send_more(200).await;
    let third = serve(&cluster, &service).await;
    first.shutdown().await.expect("a clean shutdown");
    send_more(200).await;
    second.shutdown().await.expect("a clean shutdown");
    send_more(200).await;

    let numbers = || service.ended().iter().map(|order| order.number).collect::<BTreeSet<_>>();
    until("every order is handled", || numbers().len() == 800).await;
    until("everything is committed", || cluster.committed_sum(GROUP, TOPIC, 6) == 800).await;
    third.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_is_served_from_its_beginning() {
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    let running = serve(&cluster, &service).await;
    for number in 0..20 {
        peer.send(&topic, &Record::new(place("old", number)).key("old")).await;
    }
    until("the old ones are handled", || service.ended().len() == 20).await;

    cluster.topics().recreate(&topic, 1).await;
    // Fewer than before: their offsets are below those that were handled.
    let peer = cluster.peer();
    for number in 0..10 {
        peer.send(&topic, &Record::new(place("new", number)).key("new")).await;
    }
    let new = || service.ended().iter().filter(|order| order.account == "new").count();
    until("the new ones are handled", || new() == 10).await;
    until("they are committed", || cluster.committed_sum(GROUP, TOPIC, 1) == 10).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// Handlers whose dependency is down.
#[kafka_handler(
    topic = "down-commands",
    group = "down",
    retry(max = 1_000_000, base = "5ms", factor = 1, jitter = false),
    register = false
)]
mod down {
    use kafka_rpc::{RpcError, State};

    use super::{Duration, Ordering, Tries};

    #[command("PLACE")]
    pub(super) async fn place(_: (), State(Tries(tries)): State<Tries>) -> Result<(), RpcError> {
        tries.fetch_add(1, Ordering::Relaxed);
        // Each run takes a different time, so that never all records wait for their retries at once.
        let millis = 20 + u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 64;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Err(RpcError::unavailable("down"))
    }
}

#[derive(Clone, Default)]
struct Tries(Arc<AtomicUsize>);

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_what_runs_and_for_no_retry_that_would_start_meanwhile() {
    let cluster = Cluster::start();
    cluster.create_topic("down-commands", 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name("down-commands"));
    let tries = Tries::default();
    let runtime = cluster.runtime(cluster.config().drain_timeout(2 * tests::BOUND));
    let running = started(runtime.provide(tries.clone()).handlers(down::handlers())).await;
    // Enough records that one of them runs at any time.
    for key in 0..16 {
        peer.send(&topic, &Record::new(r#"{"type":"PLACE"}"#).key(key.to_string())).await;
    }
    until("all are tried again", || tries.0.load(Ordering::Relaxed) > 64).await;
    let shut_down = tokio::time::timeout(tests::BOUND / 2, running.shutdown()).await;
    shut_down.expect("what ran has ended").expect("a clean shutdown");
    assert_eq!(cluster.committed_sum("down", "down-commands", 1), 0, "nothing of it is final");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_at_shutdown_is_waited_for_and_committed() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let service = OrderService::default();
    service.hold("held");
    let running = serve_with_drain(&cluster, &service, 2 * tests::BOUND).await;
    cluster.peer().send(&cluster.name(TOPIC), &Record::new(place("held", 1)).key("held")).await;
    until("it has started", || service.started().len() == 1).await;
    let shutting_down = tokio::spawn(running.shutdown());
    // A shutdown that does not wait ends within this second, or else leaves the record uncommitted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!shutting_down.is_finished(), "it has not waited");
    service.release("held");
    shutting_down.await.expect("no panic").expect("a clean shutdown");
    assert_eq!(service.ended(), [order("held", 1)]);
    assert_eq!(cluster.committed_sum(GROUP, TOPIC, 1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_read_although_the_group_did_not_say_at_first_up_to_where_they_are_committed() {
    for strategy in ["range", "cooperative-sticky"] {
        let broker = MockCluster::new(1).expect("an embedded broker");
        broker.create_topic(TOPIC, 1, 1).expect("a topic");
        // As a coordinator answers that has just moved: librdkafka does not ask again.
        broker.request_errors(
            RDKafkaApiKey::OffsetFetch,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 2],
        );
        Peer::new(&broker.bootstrap_servers()).send(TOPIC, &Record::new(place("a", 1)).key("a")).await;
        let config =
            Config::new(broker.bootstrap_servers()).property("partition.assignment.strategy", strategy);
        let service = OrderService::default();
        let runtime = Runtime::builder().config(config).without_registry().provide(service.clone());
        let running = started(runtime.handlers(<OrderService as Orders>::handlers())).await;
        until("it is handled", || service.ended() == [order("a", 1)]).await;
        running.shutdown().await.expect("a clean shutdown");
    }
}
