//! Promise 2, while instances come and go: records of one key run one at a time, in order, and none is
//! skipped.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use kafka_rpc::{Config, RpcError, State, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::{real_kafka, started},
    counted::{self, counted},
    delayed::real_broker_behind,
    orders::{Order, OrderService, OrdersClient as _, REPLIES, TOPIC, order, place},
    until,
};

/// The journal of every run on every instance. Handlers take a random time and fail at random.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<Run>>>);

#[derive(Clone)]
struct Run {
    instance: usize,
    account: String,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Starts,
    Fails,
    Works,
}

#[derive(Clone)]
struct Instance(usize);

#[kafka_handler(
    topic = "random-commands",
    group = "random",
    retry(max = 50, base = "2ms", factor = 1),
    register = false
)]
mod random {
    use std::time::Duration;

    use super::{Instance, Journal, Order, RpcError, Run, State, What};

    #[command("PLACE")]
    pub(super) async fn place(
        order: Order,
        State(journal): State<Journal>,
        State(Instance(instance)): State<Instance>,
    ) -> Result<(), RpcError> {
        let note = |what| {
            let run = Run { instance, account: order.account.clone(), number: order.number, what };
            journal.0.lock().expect("no panic").push(run);
        };
        note(What::Starts);
        tokio::time::sleep(Duration::from_millis(u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 8)).await;
        // A third of the runs fails.
        if uuid::Uuid::new_v4().as_bytes()[0].is_multiple_of(3) {
            note(What::Fails);
            Err(RpcError::unavailable("by chance"))
        } else {
            note(What::Works);
            Ok(())
        }
    }
}

const KEYS: u64 = 200;
const EACH: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_while_handlers_fail_and_instances_come_and_go() {
    instances_come_and_go(&Cluster::start(), |config| config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_when_partitions_move_one_by_one() {
    instances_come_and_go(&Cluster::start(), |config| {
        config.property("partition.assignment.strategy", "cooperative-sticky")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_order_in_a_group_that_the_broker_runs() {
    // The embedded broker does not assign partitions itself.
    let Some(cluster) = real_kafka() else { return };
    instances_come_and_go(&cluster, |config| config.property("group.protocol", "consumer")).await;
}

/// Three instances of a group come and go, while records come in and handlers fail.
async fn instances_come_and_go(cluster: &Cluster, group: impl Fn(Config) -> Config) {
    cluster.create_topic("random-commands", 6).await;
    let (peer, topic) = (cluster.peer(), cluster.name("random-commands"));
    let journal = Journal::default();
    let instance = async |instance| {
        let runtime =
            cluster.runtime(group(cluster.config())).provide(journal.clone()).provide(Instance(instance));
        started(runtime.handlers(random::handlers())).await
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
        || cluster.committed_sum("random", "random-commands", 6) == i64::try_from(KEYS * EACH).expect("few");
    until("everything is committed", committed).await;
    third.shutdown().await.expect("a clean shutdown");

    let mut at_work: HashMap<(usize, String), u64> = HashMap::new();
    let (mut started, mut worked) = (HashSet::new(), HashSet::new());
    for run in journal.0.lock().expect("no panic").iter() {
        let key = (run.instance, run.account.clone());
        let order = (run.account.clone(), run.number);
        if run.what != What::Starts {
            assert_eq!(at_work.remove(&key), Some(run.number));
            if run.what == What::Works {
                worked.insert(order);
            }
            continue;
        }
        assert_eq!(at_work.insert(key, run.number), None, "two records of one key overlap");
        // A record may run again, on this or another instance. But no record runs for the first time before
        // its predecessor has succeeded.
        if started.insert(order)
            && let Some(before) = run.number.checked_sub(1)
        {
            let before = (run.account.clone(), before);
            assert!(worked.contains(&before), "{before:?} was overtaken");
        }
    }
    assert_eq!(worked.len() as u64, KEYS * EACH, "nothing is skipped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_place_another_has_taken_runs_nothing_more_of_what_it_had_taken() {
    // The embedded broker fences nobody off.
    let Some(cluster) = real_kafka() else { return };
    counted::record();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let instance = async |service: &OrderService| {
        let config = cluster.config().property("group.instance.id", "one");
        cluster.serve_orders(config, service).await
    };
    let (fenced, other) = (OrderService::default(), OrderService::default());
    fenced.hold("a");
    let first = instance(&fenced).await;
    for number in 0..2 {
        peer.send(&topic, &Record::new(place("a", number)).key("a")).await;
    }
    until("the first record runs", || fenced.started().len() == 1).await;
    let second = instance(&other).await;
    until("the other runs both", || other.ended().len() == 2).await;
    let ended = || counted("kafka_rpc_consumers_ended_total", &[("topic", &topic)]);
    until("the first is fenced off", || ended() == 1).await;
    fenced.release("a");
    // The shutdown waits for the running handler, and for any that would run after it.
    first.shutdown().await.expect("a clean shutdown");
    assert_eq!(fenced.started(), [order("a", 0)]);
    second.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_although_their_keeper_is_busy_and_a_commit_takes_longer_than_it_is_to_the_next() {
    let Some((brokers, _way, config)) = real_broker_behind(Duration::from_millis(150)).await else { return };
    let cluster = Cluster::of(&brokers);
    cluster.create_topic(TOPIC, 2).await;
    cluster.create_topic(REPLIES, 1).await;
    let config = config.property("partition.assignment.strategy", "cooperative-sticky");
    let (keeper, newcomer) = (OrderService::default(), OrderService::default());
    let keeping = cluster.serve_orders(config.clone(), &keeper).await;
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = calling.client();
    let busy = tokio::spawn(async move {
        // Both partitions have something to commit all the time.
        for number in 0.. {
            let sent = (0..16).map(|key| client.place(order(&key.to_string(), number)).notify());
            for sent in join_all(sent).await {
                sent.expect("the broker has it");
            }
        }
    });
    until("the keeper is busy", || keeper.ended().len() > 1_000).await;
    let coming = cluster.serve_orders(config, &newcomer).await;
    until("the newcomer has some of it", || !newcomer.ended().is_empty()).await;
    coming.shutdown().await.expect("a clean shutdown");
    let moved = newcomer.ended().pop().expect("it had some");
    let before = keeper.ended().len();
    let comes_back = |order: &Order| order.account == moved.account && order.number > moved.number;
    until("the keeper has it back", || keeper.ended()[before..].iter().any(comes_back)).await;
    busy.abort();
    for running in [keeping, calling] {
        running.shutdown().await.expect("a clean shutdown");
    }
}
