//! Promise 2: records of one key run one at a time, in order; different keys run at once.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use kafka_rpc::{Config, RpcError, Running, State, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::started,
    eventually,
    orders::{Note, Order, OrderService, Orders, TOPIC, order, place},
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
    eventually("all are handled", || (service.ended().len() == 1_000).then_some(())).await;

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
    eventually("all three are at work", || (service.started().len() == 3).then_some(())).await;
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
    eventually("the free ones have ended", || (service.ended().len() == 10).then_some(())).await;
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
    eventually("the bound is reached", || (service.started().len() == 20).then_some(())).await;
    // The other partition goes on, and once its record is through the first had every chance to pass its bound.
    peer.send(&topic, &Record::new(place("other", 1)).key("other").partition(1)).await;
    eventually("the other partition goes on", || service.ended().contains(&order("other", 1)).then_some(()))
        .await;
    assert_eq!(service.started().len(), 21);

    service.release("held");
    eventually("all are handled", || (service.ended().len() == 202).then_some(())).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// A service whose handlers take a random time and fail at random, and that notes each run in one journal.
#[derive(Clone, Default)]
struct Chaotic(Arc<Mutex<Vec<Run>>>);

#[derive(Clone)]
struct Run {
    instance: usize,
    account: String,
    number: u64,
    starts: bool,
}

#[derive(Clone)]
struct Instance(usize);

#[kafka_handler(
    topic = "chaos-commands",
    group = "chaos",
    retry(max = 50, base = "2ms", factor = 1),
    register = false
)]
mod chaos {
    use std::time::Duration;

    use super::{Chaotic, Instance, Order, RpcError, Run, State};

    #[command("PLACE")]
    pub(super) async fn place(
        order: Order,
        State(journal): State<Chaotic>,
        State(Instance(instance)): State<Instance>,
    ) -> Result<(), RpcError> {
        let note = |starts| {
            let run = Run { instance, account: order.account.clone(), number: order.number, starts };
            journal.0.lock().expect("no panic").push(run);
        };
        note(true);
        tokio::time::sleep(Duration::from_millis(u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 8)).await;
        note(false);
        // A third fails.
        if uuid::Uuid::new_v4().as_bytes()[0].is_multiple_of(3) {
            Err(RpcError::unavailable("by chance"))
        } else {
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_while_handlers_fail_and_instances_come_and_go() {
    const KEYS: u64 = 200;
    const EACH: u64 = 20;
    let cluster = Cluster::start();
    cluster.create_topic("chaos-commands", 6).await;
    let (peer, topic) = (cluster.peer(), cluster.name("chaos-commands"));
    let journal = Chaotic::default();
    let instance = async |instance| {
        let runtime = cluster.runtime(cluster.config()).provide(journal.clone()).provide(Instance(instance));
        started(runtime.handlers(chaos::handlers())).await
    };
    let send_more = async |numbers: std::ops::Range<u64>| {
        for number in numbers {
            for key in 0..KEYS {
                let account = format!("a{key}");
                peer.send(&topic, &Record::new(place(&account, number)).key(&account)).await;
            }
        }
    };
    let first = instance(1).await;
    send_more(0..EACH / 4).await;
    let second = instance(2).await;
    send_more(EACH / 4..EACH / 2).await;
    let third = instance(3).await;
    first.shutdown().await.expect("a clean shutdown");
    send_more(EACH / 2..EACH).await;
    second.shutdown().await.expect("a clean shutdown");
    let committed =
        || cluster.committed_sum("chaos", "chaos-commands", 6) == i64::try_from(KEYS * EACH).expect("few");
    eventually("everything is committed", || committed().then_some(())).await;
    third.shutdown().await.expect("a clean shutdown");

    let mut at_work: HashMap<(usize, String), u64> = HashMap::new();
    let mut newest: HashMap<String, u64> = HashMap::new();
    let mut seen = HashSet::new();
    for run in journal.0.lock().expect("no panic").iter() {
        let key = (run.instance, run.account.clone());
        if !run.starts {
            assert_eq!(at_work.remove(&key), Some(run.number));
            continue;
        }
        assert_eq!(at_work.insert(key, run.number), None, "two records of one key overlap");
        // A record may run again, here or elsewhere, but none runs for the first time before the one before it.
        if !seen.contains(&(run.account.clone(), run.number)) {
            let next = newest.entry(run.account.clone()).or_insert(0);
            assert_eq!(run.number, *next, "{} is out of order", run.account);
            *next += 1;
        }
        seen.insert((run.account.clone(), run.number));
    }
    assert_eq!(seen.len() as u64, KEYS * EACH, "nothing is skipped");
}
