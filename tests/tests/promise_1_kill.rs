//! Promise 1, for a service that is killed: nothing that Kafka has acknowledged is lost, and no caller hangs.

use std::{
    collections::HashSet,
    fs, io,
    path::Path,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt as _, stream};
use tests::{
    BOUND, Cluster,
    cluster::started,
    eventually,
    orders::{OrdersClient, REPLIES, TOPIC, order},
};
use uuid::Uuid;

const CALLS: usize = 10_000;

/// A service that is killed with its test.
struct Service(Child);

impl Service {
    fn start(cluster: &Cluster, journal: &Path) -> io::Result<Self> {
        let mut service = Command::new(env!("CARGO_BIN_EXE_orders-service"));
        service.arg(cluster.brokers()).arg(cluster.name("")).arg(journal);
        // The group waits for this long for a member that was killed.
        service.args(["session.timeout.ms=6000", "heartbeat.interval.ms=500"]);
        if cluster.is_embedded() {
            // It holds an empty fetch for the whole wait. See `EmbeddedBroker::config`.
            service.args(["fetch.wait.max.ms=1"]);
        }
        service.spawn().map(Self)
    }

    fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ended = self.kill();
    }
}

fn placed(journal: &Path) -> HashSet<usize> {
    fs::read_to_string(journal).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_loses_no_command_and_leaves_no_caller_hanging() {
    let cluster = Cluster::start();
    for topic in [TOPIC, REPLIES] {
        cluster.create_topic(topic, 3).await;
    }
    let journal = std::env::temp_dir().join(format!("orders-{}", Uuid::new_v4().simple()));
    let mut first = Service::start(&cluster, &journal).expect("it starts");
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = calling.client();
    let ended = Arc::new(AtomicUsize::new(0));
    let calls = tokio::spawn({
        let ended = Arc::clone(&ended);
        stream::iter(0..CALLS)
            .map(move |number| {
                client.place(order(&format!("a{}", number % 100), number as u64)).timeout(BOUND)
            })
            .buffered(64)
            .map(move |answer| {
                ended.fetch_add(1, Ordering::Relaxed);
                answer
            })
            .collect::<Vec<_>>()
    });
    eventually("the calls are under way", || (ended.load(Ordering::Relaxed) > CALLS / 10).then_some(()))
        .await;
    first.kill().expect("it was alive");
    assert!(ended.load(Ordering::Relaxed) < CALLS, "it was killed in the middle");
    let second = Service::start(&cluster, &journal).expect("it starts again");

    let answers = tokio::time::timeout(3 * BOUND, calls).await.expect("every call ends").expect("no panic");
    let answered =
        answers.iter().enumerate().filter(|(number, answer)| **answer == Ok(*number as u64)).count();
    assert_eq!(
        answered, CALLS,
        "every command was answered, with its own answer: the service came back in time"
    );
    eventually("every command was handled", || (placed(&journal).len() == CALLS).then_some(())).await;
    calling.shutdown().await.expect("a clean shutdown");
    drop(second);
    // In the temporary folder, which is the system's to clean.
    let _left = fs::remove_file(&journal);
}
