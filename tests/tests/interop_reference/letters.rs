//! Failed records: the retries and dead letters of one side, read by the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use kafka_rpc::{DeadLetter, RpcError, State, kafka_handler};
use serde_json::json;
use tests::{BOUND, Record, cluster::started};
use tokio::sync::mpsc;

use crate::{
    Reference,
    contract::{DEAD_LETTERS, Service, TOPIC},
};

/// A record whose handler fails.
fn failing() -> Record {
    let payload = r#"{"status":503,"name":"Down","message":"no luck","code":null,"details":null}"#;
    Record::new(format!(r#"{{"type":"FAIL","payload":{payload}}}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_retries_send_again_goes_on_from_its_count_in_our_service() {
    let Some(reference) = Reference::start().await else { return };
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    cluster.create_topic(DEAD_LETTERS, 1).await;
    peer.send(&cluster.name(TOPIC), &failing().key("k").header("x-own", "1")).await;
    let _failing = reference.core_that_fails(TOPIC, 2).await;
    let again = peer.read(&cluster.name(TOPIC), 3).await;
    let counts: BTreeSet<_> = again.iter().map(|record| record.text("retry-count")).collect();
    assert_eq!(counts, BTreeSet::from([None, Some("1"), Some("2")]));

    let service = Service::default();
    let serving = service.serve(cluster).await;
    // Our letters of the record and of each retry, and the reference's own.
    let letters = peer.read(&cluster.name(DEAD_LETTERS), 4).await;
    let mut tries: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for (_, headers) in service.handled() {
        *tries.entry(headers.get("retry-count").cloned()).or_default() += 1;
    }
    let two_retries_in_all = [(None, 3), (Some("1".to_owned()), 2), (Some("2".to_owned()), 1)];
    assert_eq!(tries, BTreeMap::from(two_retries_in_all));
    for letter in &letters {
        assert_eq!((letter.text("total-retries"), letter.text("x-own")), (Some("2"), Some("1")));
        assert_eq!(
            (letter.key.as_deref(), letter.value.as_deref()),
            (Some(b"k".as_slice()), failing().value.as_deref())
        );
    }
    let last_errors = letters.iter().filter(|letter| letter.text("last-error") == Some("not today")).count();
    assert_eq!(last_errors, 3, "what it noted stays in the letters of its retries");
    serving.shutdown().await.expect("a clean shutdown");
}

#[kafka_handler(
    topic = "later-commands",
    group = "later",
    retry_topic = "later-retries",
    retry(max = 1, base = "10ms"),
    register = false
)]
mod later {
    use super::RpcError;

    #[command("LATER")]
    pub(super) async fn later() -> Result<(), RpcError> {
        Err(RpcError::unavailable("not yet"))
    }
}
use later::LaterClient;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_we_send_again_goes_on_from_its_count_in_its_retries() {
    let Some(reference) = Reference::start().await else { return };
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    for topic in ["later-retries", "later-commands.dlq", "later-retries.dlq"] {
        cluster.create_topic(topic, 1).await;
    }
    let running = started(cluster.runtime(cluster.config()).handlers(later::handlers())).await;
    running.client().later().key("k").notify().await.expect("delivered");
    peer.read(&cluster.name("later-commands.dlq"), 1).await;
    running.shutdown().await.expect("a clean shutdown");

    let _failing = reference.core_that_fails("later-retries", 3).await;
    let letter = peer.read(&cluster.name("later-retries.dlq"), 1).await.remove(0);
    assert_eq!((letter.text("retry-count"), letter.text("last-error")), (Some("3"), Some("not today")));
    let retries = peer.read(&cluster.name("later-retries"), 3).await;
    let counts: Vec<_> = retries.iter().map(|record| record.text("retry-count")).collect();
    assert_eq!(counts, [Some("1"), Some("2"), Some("3")], "ours, and two of its");
    assert_eq!(retries[0].text("last-error"), Some("not yet"));
    for record in &retries {
        assert_eq!((&record.key, &record.value), (&retries[0].key, &retries[0].value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_dead_letter_is_read_by_its_handler_of_dead_letters() {
    let Some(reference) = Reference::start().await else { return };
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    cluster.create_topic(DEAD_LETTERS, 1).await;
    let core = reference.core_for_letters().await;
    let mut poison = Record::new(b"\xff poison").key(b"\x00\xffkey").header("x-own", "1");
    poison.headers.push(("x-null".to_owned(), None));
    peer.send(&cluster.name(TOPIC), &poison).await;
    let serving = Service::default().serve(cluster).await;
    let letter = core.says("a letter", |said| said["letter"]["key"] == "AP9rZXk=").await["letter"].clone();
    assert_eq!(letter["value"], "/yBwb2lzb24=", "the bytes of the record, in base64");
    assert_eq!(
        (&letter["topic"], &letter["originalTopic"]),
        (&json!(cluster.name(DEAD_LETTERS)), &json!(cluster.name(TOPIC)))
    );
    assert!(letter["error"].as_str().is_some_and(|error| error.contains("not a command envelope")));
    assert_eq!((&letter["errorStack"], &letter["totalRetries"]), (&json!(""), &json!(0)));
    assert!(is_recent(letter["failedAt"].as_u64().map(Duration::from_millis)));
    let headers = &letter["headers"];
    assert_eq!((&headers["x-own"], &headers["status-code"]), (&json!("1"), &json!("400")));

    // A letter after retries, of a record whose own headers include one with a name of ours.
    let own = failing().key("k").header("error", "the record's own");
    peer.send(&cluster.name(TOPIC), &own).await;
    let letter = core.says("a letter", |said| said["letter"]["key"] == "aw==").await["letter"].clone();
    assert_eq!(letter["totalRetries"], 2);
    assert_eq!(letter["error"], "the record's own", "it takes the first header of a name, we the last");
    assert_eq!(letter["headers"]["error-name"], "Down");
    serving.shutdown().await.expect("a clean shutdown");
}

#[derive(Clone)]
struct Letters(mpsc::UnboundedSender<DeadLetter>);

#[kafka_handler(dead_letters_of = TOPIC, group = "undertaker", register = false)]
async fn on_dead_letter(letter: DeadLetter, State(letters): State<Letters>) -> Result<(), RpcError> {
    letters.0.send(letter).map_err(|_test_has_ended| RpcError::unavailable("nobody reads the letters"))
}

#[tokio::test(flavor = "multi_thread")]
async fn its_dead_letter_is_read_by_our_handler_of_dead_letters() {
    let Some(reference) = Reference::start().await else { return };
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    cluster.create_topic(DEAD_LETTERS, 1).await;
    let record = Record::new(b"\xff poison").key(b"\x00\xffkey").header("x-own", b"\xff1");
    peer.send(&cluster.name(TOPIC), &record).await;
    let _failing = reference.core_that_fails(TOPIC, 1).await;

    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime = cluster.runtime(cluster.config()).provide(Letters(letters));
    let serving = started(runtime.handlers(on_dead_letter_handlers())).await;
    let letter = tokio::time::timeout(BOUND, received.recv()).await.expect("in time").expect("a letter");
    assert_eq!(
        (letter.key.as_deref(), letter.value.as_deref()),
        (record.key.as_deref(), record.value.as_deref())
    );
    assert_eq!(letter.original_topic(), Some(&*cluster.name(TOPIC)));
    assert_eq!((letter.error(), letter.total_retries()), (Some("not today"), Some(1)));
    assert!(is_recent(letter.failed_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())));
    assert_eq!(letter.headers.get("x-own"), Some(b"\xff1".as_slice()));
    assert_eq!(letter.headers.text("retry-count"), Some("1"));
    assert!(letter.headers.text("error-stack").is_some_and(|stack| stack.starts_with("Error: not today\n")));
    // Headers that only we write.
    assert_eq!((letter.original_partition(), letter.original_offset(), letter.status()), (None, None, None));
    serving.shutdown().await.expect("a clean shutdown");
}

/// Whether this moment is within the time that a test may take.
fn is_recent(since_epoch: Option<Duration>) -> bool {
    let at = since_epoch.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    at.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age < 5 * BOUND)
}
