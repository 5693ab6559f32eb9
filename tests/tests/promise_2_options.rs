//! Promise 2, as a subscription configures it: `ordering` and `concurrency`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kafka_rpc::{Handlers, RpcError, Running, State, kafka_handler};
use tests::{Cluster, Record, cluster::started, until};
use tokio::sync::watch;

/// The journal of the handlers, which are held until they are released.
#[derive(Clone)]
struct Work {
    journal: Arc<Mutex<Journal>>,
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct Journal {
    started: Vec<u64>,
    running: usize,
    most: usize,
}

impl Work {
    fn held() -> Self {
        Self { journal: Arc::default(), held: watch::Sender::new(true) }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, number: u64) {
        let mut journal = self.journal();
        journal.started.push(number);
        journal.running += 1;
        journal.most = journal.most.max(journal.running);
    }

    async fn run(&self, number: u64) {
        self.begin(number);
        // The sender lives in `self`, so the wait ends only once the handlers are released.
        let mut held = self.held.subscribe();
        drop(held.wait_for(|held| !held).await);
        // Leaves time for any handler that may run beside this one.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.journal().running -= 1;
    }
}

#[kafka_handler(topic = "work-commands", group = "work", concurrency = 2, register = false)]
#[command("WORK")]
async fn two_at_once(number: u64, State(work): State<Work>) -> Result<(), RpcError> {
    work.run(number).await;
    Ok(())
}

#[kafka_handler(topic = "work-commands", group = "work", ordering = "partition", register = false)]
#[command("WORK")]
async fn by_partition(number: u64, State(work): State<Work>) -> Result<(), RpcError> {
    work.run(number).await;
    Ok(())
}

#[kafka_handler(topic = "work-commands", group = "work", ordering = "none", register = false)]
#[command("WORK")]
async fn in_no_order(number: u64, State(work): State<Work>) -> Result<(), RpcError> {
    work.run(number).await;
    Ok(())
}

const MANY: u64 = 50;

/// Sends `MANY` records to one partition, each with the key that `key` gives its number, and serves them.
async fn serving(cluster: &Cluster, work: &Work, handlers: Handlers, key: fn(u64) -> u64) -> Running {
    cluster.create_topic("work-commands", 1).await;
    let peer = cluster.peer();
    for number in 0..MANY {
        let record = Record::new(format!(r#"{{"type":"WORK","payload":{number}}}"#));
        peer.send(&cluster.name("work-commands"), &record.key(key(number).to_string())).await;
    }
    started(cluster.runtime(cluster.config()).provide(work.clone()).handlers(handlers)).await
}

/// Waits until `at_first` handlers run, releases all, and waits for the end.
async fn ended(cluster: &Cluster, work: &Work, at_first: usize) {
    until("as many run as may", || work.journal().running == at_first).await;
    work.held.send_replace(false);
    let committed = || cluster.committed_sum("work", "work-commands", 1) == i64::try_from(MANY).expect("few");
    until("all are final", committed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_handlers_run_at_once_than_a_subscription_says() {
    let (cluster, work) = (Cluster::start(), Work::held());
    let running = serving(&cluster, &work, two_at_once_handlers(), |number| number).await;
    ended(&cluster, &work, 2).await;
    assert_eq!(work.journal().most, 2);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_partition_records_of_all_keys_run_one_at_a_time_and_in_order() {
    let (cluster, work) = (Cluster::start(), Work::held());
    let running = serving(&cluster, &work, by_partition_handlers(), |number| number).await;
    ended(&cluster, &work, 1).await;
    assert_eq!(work.journal().most, 1);
    assert_eq!(work.journal().started, (0..MANY).collect::<Vec<_>>());
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_order_records_of_one_key_run_at_once() {
    let (cluster, work) = (Cluster::start(), Work::held());
    let running = serving(&cluster, &work, in_no_order_handlers(), |_| 0).await;
    ended(&cluster, &work, usize::try_from(MANY).expect("few")).await;
    running.shutdown().await.expect("a clean shutdown");
}
