//! Promise 2: records of one key run one at a time, in order; different keys run at once.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{join_all, maybe_done},
    poll,
};
use kafka_rpc::{Client, Config, Running, WhenFull, kafka_handler};
use tests::{
    Cluster, OpensAtLast, Record,
    cluster::started,
    counted,
    orders::{GROUP, Note, Order, OrderService, Orders, OrdersClient as _, TOPIC, order, place},
    until,
};

async fn serve(cluster: &Cluster, config: Config, service: &OrderService) -> Running {
    started(cluster.runtime(config).provide(service.clone()).handlers(<OrderService as Orders>::handlers()))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_key_run_one_at_a_time_and_in_order() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 3).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    for number in 0..50 {
        for account in 0..20 {
            let account = format!("a{account}");
            peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
        }
    }
    let service = OrderService::default();
    let running = serve(&cluster, cluster.config(), &service).await;
    until("all are handled", || service.ended().len() == 1_000).await;

    let in_order: Vec<u64> = (0..50).collect();
    for (account, numbers) in service.ended_by_account() {
        assert_eq!(numbers, in_order, "{account}");
    }
    let mut at_work = HashSet::new();
    for note in service.journal() {
        match note {
            Note::Started(order) => assert!(at_work.insert(order.account.clone()), "{order:?} overlaps"),
            Note::Ended(order) => assert!(at_work.remove(&order.account)),
        }
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn different_keys_of_one_partition_run_at_once() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    for account in ["a", "b", "c"] {
        service.hold(account);
        peer.send(&topic, &Record::new(place(account, 1)).key(account)).await;
    }
    let running = serve(&cluster, cluster.config(), &service).await;
    until("all three are at work", || service.started().len() == 3).await;
    for account in ["a", "b", "c"] {
        service.release(account);
    }
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(service.ended().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_takes_long_holds_only_its_own_records() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    service.hold("held");
    for number in 0..10 {
        peer.send(&topic, &Record::new(place("held", number)).key("held")).await;
        peer.send(&topic, &Record::new(place("free", number)).key("free")).await;
    }
    let running = serve(&cluster, cluster.config(), &service).await;
    until("the free ones have ended", || service.ended().len() == 10).await;
    assert_eq!(service.started().iter().filter(|order| order.account == "held").count(), 1);
    service.release("held");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_pauses_at_its_bound_and_goes_on() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    service.hold("held");
    peer.send(&topic, &Record::new(place("held", 0)).key("held").partition(0)).await;
    for number in 1..=200 {
        let account = format!("a{number}");
        peer.send(&topic, &Record::new(place(&account, number)).key(&account).partition(0)).await;
    }
    let running = serve(&cluster, cluster.config().max_uncommitted(20), &service).await;
    until("the bound is reached", || service.started().len() == 20).await;
    // By the time the record of the other partition has been handled, the first partition has had every
    // chance to exceed its bound.
    peer.send(&topic, &Record::new(place("other", 1)).key("other").partition(1)).await;
    until("the other partition goes on", || service.ended().contains(&order("other", 1))).await;
    assert_eq!(service.started().len(), 21);

    service.release("held");
    until("all are handled", || service.ended().len() == 202).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_pauses_for_the_bytes_that_wait_and_goes_on() {
    counted::record();
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    // A little more than a tenth of the bound.
    let large = "x".repeat(10_000);
    service.hold(&large);
    for number in 0..50 {
        peer.send(&topic, &Record::new(place(&large, number)).key(number.to_string()).partition(0)).await;
    }
    let running = serve(&cluster, cluster.config().max_buffered_bytes(100_000), &service).await;
    let paused = || counted("kafka_rpc_partitions_paused", &[("topic", &topic)]);
    until("it is paused", || paused() == 1).await;
    until("what it took is at work", || service.started().len() == 10).await;
    // By the time the record of the other partition has been handled, the first partition has had every
    // chance to exceed its bound.
    peer.send(&topic, &Record::new(place("other", 1)).key("other").partition(1)).await;
    until("the other partition goes on", || service.ended().contains(&order("other", 1))).await;
    assert_eq!(service.started().len(), 11);

    service.release(&large);
    until("all are handled", || service.ended().len() == 51).await;
    until("it is not paused any more", || paused() == 0).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_moves_while_it_is_paused_goes_on_when_it_comes_back() {
    counted::record();
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    for number in 0..100 {
        let account = if number == 0 { "held".to_owned() } else { format!("a{number}") };
        peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
    }
    let (service, other) = (OrderService::default(), OrderService::default());
    service.hold("held");
    other.hold("held");
    let config = || cluster.config().max_uncommitted(20).drain_timeout(Duration::from_millis(100));
    let paused = || counted("kafka_rpc_partitions_paused", &[("topic", &topic)]);
    let revoked = || counted("kafka_rpc_redelivered_total", &[("topic", &topic)]) > 0;

    let running = serve(&cluster, config(), &service).await;
    until("it is paused", || paused() == 1).await;
    let beside = serve(&cluster, config(), &other).await;
    until("it was revoked", revoked).await;
    // Whichever instance has the partition now starts its records again.
    let started = || service.started().len() + other.started().len();
    until("it was assigned again", || started() > 20).await;
    beside.shutdown().await.expect("a clean shutdown");
    service.release("held");
    until("it goes on", || paused() == 0).await;
    until("all are handled", || cluster.committed_sum(GROUP, TOPIC, 1) == 100).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// Handlers, some of which block their threads until the gate opens.
#[derive(Clone, Default)]
struct Gate {
    blocked: Arc<AtomicUsize>,
    passed: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
}

#[kafka_handler(topic = "gate-commands", group = "gate", register = false, client = none)]
mod gate {
    use std::{sync::atomic::Ordering::SeqCst, thread, time::Duration};

    use kafka_rpc::{RpcError, State};

    use super::{Gate, Order};

    #[command("PLACE")]
    pub(super) async fn place(order: Order, State(gate): State<Gate>) -> Result<(), RpcError> {
        if order.account == "blocking" {
            gate.blocked.fetch_add(1, SeqCst);
            while !gate.open.load(SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        gate.passed.fetch_add(1, SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_never_yields_holds_only_its_own_records() {
    let cluster = Cluster::start();
    cluster.create_topic("gate-commands", 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name("gate-commands"));
    // All records are sent before any is handled, so that they are taken together.
    peer.send(&topic, &Record::new(place("blocking", 0)).key("blocking")).await;
    for number in 1..=100 {
        let account = format!("a{number}");
        peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
    }
    let handlers = Gate::default();
    let runtime = cluster.runtime(cluster.config()).provide(handlers.clone());
    let running = started(runtime.handlers(gate::handlers())).await;
    let _opens = OpensAtLast(Arc::clone(&handlers.open));
    until("the others are handled", || handlers.passed.load(SeqCst) == 100).await;
    assert_eq!(handlers.blocked.load(SeqCst), 1, "it is still at it");
    handlers.open.store(true, SeqCst);
    until("it ends", || handlers.passed.load(SeqCst) == 101).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// Begins calls of one key one after the other, without waiting for any, then waits for all.
async fn begun_one_after_the_other(client: &Client, count: u64) {
    let mut calls: Vec<_> = (0..count)
        .map(|number| {
            let call = client.place(order("one", number));
            // Every third call does not wait for an answer: it must not overtake those that do.
            let call = if number % 3 == 2 { call.notify().boxed() } else { call.map_ok(|_own| ()).boxed() };
            Box::pin(maybe_done(call))
        })
        .collect();
    for call in &mut calls {
        let _it_waits_or_has_ended = poll!(call);
    }
    join_all(&mut calls).await;
    for mut call in calls {
        call.as_mut().take_output().expect("it has ended").expect("an answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_calls_of_a_key_are_sent_in_order_though_they_wait_for_the_reply_topic() {
    let cluster = Cluster::start();
    let service = OrderService::default();
    let running = serve(&cluster, cluster.config(), &service).await;
    begun_one_after_the_other(&running.client(), 100).await;
    until("all are handled", || service.ended().len() == 100).await;
    assert_eq!(service.ended_by_account()["one"], (0..100).collect::<Vec<_>>());
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_key_are_sent_in_order_though_they_wait_for_a_place() {
    let cluster = Cluster::start();
    let service = OrderService::default();
    let config = cluster.config().max_calls_in_flight(2).when_full(WhenFull::Wait);
    let running = serve(&cluster, config, &service).await;
    begun_one_after_the_other(&running.client(), 100).await;
    until("all are handled", || service.ended().len() == 100).await;
    assert_eq!(service.ended_by_account()["one"], (0..100).collect::<Vec<_>>());
    running.shutdown().await.expect("a clean shutdown");
}
