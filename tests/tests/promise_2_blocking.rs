//! Promise 2, when handlers block their threads: all others continue.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use kafka_rpc::{RpcError, State, kafka_handler};
use tests::{Cluster, OpensAtLast, Record, cluster::started, until};

/// How often a task of the process has run so far, and how often it had run when each handler began.
#[derive(Clone, Default)]
struct Ticks {
    now: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<usize>>>,
}

#[kafka_handler(topic = "blocking-commands", group = "blocking", register = false)]
#[command("BLOCK")]
async fn block(_: (), State(ticks): State<Ticks>) -> Result<(), RpcError> {
    ticks.seen.lock().expect("no panic").push(ticks.now.load(SeqCst));
    thread::sleep(Duration::from_millis(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_block_their_threads_let_others_run_between_them() {
    const MANY: i64 = 400;
    let cluster = Cluster::start();
    cluster.create_topic("blocking-commands", 1).await;
    let peer = cluster.peer();
    for key in 0..MANY {
        let record = Record::new(r#"{"type":"BLOCK"}"#).key(key.to_string());
        peer.send(&cluster.name("blocking-commands"), &record).await;
    }
    let ticks = Ticks::default();
    let ticking = tokio::spawn({
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.now.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let runtime = cluster.runtime(cluster.config()).provide(ticks.clone()).handlers(block_handlers());
    let running = started(runtime).await;
    let committed = || cluster.committed_sum("blocking", "blocking-commands", 1) == MANY;
    until("all are final", committed).await;
    ticking.abort();
    running.shutdown().await.expect("a clean shutdown");
    let seen = ticks.seen.lock().expect("no panic").clone();
    let longest = seen.chunk_by(|one, next| one == next).map(<[usize]>::len).max();
    assert!(longest.is_some_and(|longest| longest < 32), "{longest:?} handlers ran in a row");
}

/// Short handlers of two keys, and one that blocks its thread until it is released.
#[derive(Clone, Default)]
struct Work {
    of_keys: Arc<[AtomicUsize; 2]>,
    blocked: Arc<AtomicUsize>,
    let_go: Arc<AtomicBool>,
}

#[kafka_handler(topic = "short-commands", group = "short", register = false)]
#[command("SHORT")]
async fn short(key: usize, State(work): State<Work>) -> Result<(), RpcError> {
    thread::sleep(Duration::from_millis(1));
    work.of_keys[key % 2].fetch_add(1, SeqCst);
    Ok(())
}

#[kafka_handler(topic = "long-commands", group = "long", register = false)]
#[command("LONG")]
async fn long(_: (), State(work): State<Work>) -> Result<(), RpcError> {
    work.blocked.fetch_add(1, SeqCst);
    while !work.let_go.load(SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_on_while_a_handler_of_another_subscription_blocks_a_thread() {
    const ROUNDS: usize = 8;
    let cluster = Cluster::start();
    for topic in ["short-commands", "long-commands"] {
        cluster.create_topic(topic, 1).await;
    }
    let peer = cluster.peer();
    let work = Work::default();
    let runtime = cluster.runtime(cluster.config()).provide(work.clone());
    let running = started(runtime.handlers(short_handlers()).handlers(long_handlers())).await;
    let _lets_go = OpensAtLast(Arc::clone(&work.let_go));
    let feeding = tokio::spawn({
        let (peer, topic) = (cluster.peer(), cluster.name("short-commands"));
        async move {
            for number in 0_usize.. {
                let key = number % 2;
                let record = Record::new(format!(r#"{{"type":"SHORT","payload":{key}}}"#));
                peer.send(&topic, &record.key(key.to_string())).await;
            }
        }
    });
    let counts = || [0, 1].map(|key| work.of_keys[key].load(SeqCst));
    for round in 0..ROUNDS {
        let before = counts();
        let goes_on = || counts().iter().zip(before).all(|(now, before)| *now > before + 20);
        until("both keys are at work", goes_on).await;
        work.let_go.store(false, SeqCst);
        peer.send(&cluster.name("long-commands"), &Record::new(r#"{"type":"LONG"}"#)).await;
        until("a thread is blocked", || work.blocked.load(SeqCst) > round).await;
        let before = counts();
        let goes_on = || counts().iter().zip(before).all(|(now, before)| *now > before + 3);
        until("both keys go on", goes_on).await;
        work.let_go.store(true, SeqCst);
    }
    feeding.abort();
    running.shutdown().await.expect("a clean shutdown");
}
