//! Promise 5: retries through Kafka wait on their topic.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use kafka_rpc::{CallError, RecordInfo, RpcError, State, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::{real_kafka, started},
    until,
};

#[kafka_handler(
    topic = "later-commands",
    group = "later",
    retry_topic = "later-retries",
    retry(max = 2, base = "8s", factor = 1),
    register = false
)]
mod later {
    use super::{RecordInfo, RpcError, Run, Runs, State, SystemTime};

    #[command("SECOND_TIME")]
    pub(super) async fn second_time(
        name: String,
        record: RecordInfo,
        State(runs): State<Runs>,
    ) -> Result<String, RpcError> {
        let is_retry = record.topic.ends_with("later-retries");
        let run = Run { name: name.clone(), is_retry, at: SystemTime::now() };
        runs.0.lock().expect("nobody panicked").push(run);
        if is_retry { Ok(name) } else { Err(RpcError::unavailable("not yet")) }
    }

    /// Does the same, with a delay long enough for a failure, a check and a shutdown on a busy machine.
    #[command("SECOND_TIME_MUCH_LATER", retry(max = 2, base = "20s", factor = 1))]
    pub(super) async fn second_time_much_later(
        name: String,
        record: RecordInfo,
        runs: State<Runs>,
    ) -> Result<String, RpcError> {
        second_time(name, record, runs).await
    }
}
use later::LaterClient;

/// The runs of the handlers. A record that is delivered again fails again, and adds another retry.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<Run>>>);

#[derive(Clone)]
struct Run {
    name: String,
    is_retry: bool,
    at: SystemTime,
}

impl Runs {
    fn retries(&self) -> Vec<Run> {
        let runs = self.0.lock().expect("nobody panicked");
        runs.iter().filter(|run| run.is_retry).cloned().collect()
    }

    /// Asserts that the first retry did not run before the time in its header, and returns its record.
    async fn first_retry_was_due(&self, cluster: &Cluster) -> Record {
        let retry = cluster.peer().read(&cluster.name("later-retries"), 1).await.remove(0);
        let due = retry.text("retry-timestamp").and_then(|millis| millis.parse().ok()).expect("a time");
        let failed_at = self.0.lock().expect("nobody panicked")[0].at;
        let ran_at = self.retries()[0].at;
        assert!(ran_at >= SystemTime::UNIX_EPOCH + Duration::from_millis(due), "it was not due");
        assert!(ran_at > failed_at + Duration::from_secs(1), "the header says a time that is too soon");
        retry
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_kafka_waits_on_its_topic_and_answers_the_caller() {
    let cluster = Cluster::start();
    cluster.create_topic("later-retries", 1).await;
    let runs = Runs::default();
    let runtime = cluster.runtime(cluster.config()).provide(runs.clone()).handlers(later::handlers());
    let running = started(runtime).await;
    let answer = running.client().second_time("Ada".to_owned()).timeout(tests::BOUND).await;
    assert_eq!(answer, Ok("Ada".to_owned()));
    let retry = runs.first_retry_was_due(&cluster).await;
    assert_eq!((retry.text("retry-count"), retry.text("last-error")), (Some("1"), Some("not yet")));
    assert!(retry.text("retry-origin").is_some_and(|origin| origin.contains(":0:create:")));
    assert!(retry.text("correlation-id").is_some());
    until("it is final", || cluster.committed_sum("later", "later-retries", 1) >= 1).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_kafka_that_is_due_later_holds_none_that_is_behind_it() {
    let cluster = Cluster::start();
    cluster.create_topic("later-retries", 1).await;
    let (peer, retries) = (cluster.peer(), cluster.name("later-retries"));
    // Without a key, both records share a lane: not even the lane may wait for the one that is due later.
    for (name, wait) in [("later", 50_000), ("sooner", 0)] {
        let retry = Record::new(format!(r#"{{"type":"SECOND_TIME","payload":"{name}"}}"#));
        let due =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() + wait;
        peer.send(&retries, &retry.header("retry-count", "1").header("retry-timestamp", due.to_string()))
            .await;
    }
    let runs = Runs::default();
    let runtime = cluster.runtime(cluster.config()).provide(runs.clone()).handlers(later::handlers());
    let running = started(runtime).await;
    let names = || runs.retries().into_iter().map(|run| run.name).collect::<Vec<_>>();
    until("one has run", || !names().is_empty()).await;
    assert_eq!(names(), ["sooner"]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_kafka_survives_a_restart() {
    let cluster = Cluster::start();
    for topic in ["later-commands", "later-responses", "later-retries"] {
        cluster.create_topic(topic, 1).await;
    }
    let runs = Runs::default();
    let serve =
        || started(cluster.runtime(cluster.config()).provide(runs.clone()).handlers(later::handlers()));
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let serving = serve().await;
    let call =
        tokio::spawn(calling.client().second_time_much_later("Ada".to_owned()).timeout(2 * tests::BOUND));
    assert_eq!(cluster.peer().read(&cluster.name("later-retries"), 1).await.len(), 1, "it waits there");
    serving.shutdown().await.expect("a clean shutdown");
    assert!(runs.retries().is_empty(), "the retry is still to come");
    let serving = serve().await;
    assert_eq!(call.await.expect("no panic"), Ok("Ada".to_owned()));
    runs.first_retry_was_due(&cluster).await;
    for running in [serving, calling] {
        running.shutdown().await.expect("a clean shutdown");
    }
}

#[kafka_handler(topic = "bulky-commands", group = "bulky", retry_topic = "bulky-retries", register = false)]
#[command("FAIL")]
async fn bulky(_: String) -> Result<(), RpcError> {
    Err(RpcError::unavailable("no luck"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_retry_topic_refuses_for_good_ends_with_what_its_handler_said() {
    // The embedded broker takes records of any size.
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic("bulky-commands", 1).await;
    cluster.topics().create_with(&cluster.name("bulky-retries"), "max.message.bytes", "5000").await;
    let running = cluster.serve(bulky_handlers()).await;
    let answer = running.client().bulky("x".repeat(10_000)).timeout(tests::BOUND).await;
    let Err(CallError::Remote(error)) = answer else { panic!("{answer:?}") };
    assert_eq!((error.status().as_u16(), error.message()), (503, "no luck"));
    let letter = cluster.peer().read(&cluster.name("bulky-commands.dlq"), 1).await.remove(0);
    assert_eq!(letter.text("error"), Some("no luck"));
    running.shutdown().await.expect("a clean shutdown");
}
