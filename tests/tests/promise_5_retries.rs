//! Promise 5: failures that may pass are retried by policy, then dead-lettered and answered.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kafka_rpc::{CallError, RpcError, Running, State, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::started,
    counted::{self, counted},
    orders::{DEAD_LETTERS, Failure, GROUP, OrderService, OrdersClient, TOPIC, fail},
    peer::millis_from_now,
    until,
};
use tokio::sync::Semaphore;

fn failure(status: u16) -> Failure {
    Failure { status, name: "Down".to_owned(), message: "no luck".to_owned(), code: None, details: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_retried_then_dead_lettered_and_answered() {
    let cluster = Cluster::start();
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let Err(CallError::Remote(error)) = running.client().fail(failure(503)).await else {
        panic!("it did not fail")
    };
    assert_eq!((error.status().as_u16(), error.name(), error.message()), (503, "Down", "no luck"));
    assert_eq!(service.failures(), 3, "once, and two retries");
    running.shutdown().await.expect("a clean shutdown");
    let letters = cluster.peer().all(&cluster.name(DEAD_LETTERS)).await;
    let [letter] = &*letters else { panic!("{} letters", letters.len()) };
    assert_eq!((letter.text("total-retries"), letter.text("status-code")), (Some("2"), Some("503")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_error_is_final_at_once() {
    let cluster = Cluster::start();
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    assert!(matches!(running.client().fail(failure(404)).await, Err(CallError::Remote(_))));
    assert_eq!(service.failures(), 1);
    until("it is final", || cluster.committed_sum(GROUP, TOPIC, 4) == 1).await;
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert!(cluster.peer().all(&cluster.name(DEAD_LETTERS)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_retried_as_any_server_error() {
    let cluster = Cluster::start();
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let Err(CallError::Remote(error)) = running.client().panic().await else { panic!("it did not fail") };
    assert_eq!((error.status().as_u16(), service.failures()), (500, 3));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_the_record_byte_for_byte_with_why_it_failed() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let mut poison =
        Record::new(b"\xff poison").key(b"\x00key").header("x-own", "1").header("error", "theirs");
    poison.headers.push(("x-null".to_owned(), None));
    peer.send(&topic, &poison).await;
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let letter = peer.read(&cluster.name(DEAD_LETTERS), 1).await.remove(0);
    assert_eq!((&letter.key, &letter.value), (&poison.key, &poison.value));
    assert_eq!(letter.headers[..3], poison.headers[..]);
    let ours: Vec<&str> = letter.names().split_off(3);
    assert_eq!(
        ours,
        [
            "original-topic",
            "error",
            "error-stack",
            "failed-at",
            "total-retries",
            "original-partition",
            "original-offset",
            "original-timestamp",
            "original-group",
            "error-name",
            "status-code",
        ]
    );
    assert_eq!(letter.text("original-topic"), Some(&*topic));
    assert_eq!((letter.text("original-offset"), letter.text("status-code")), (Some("0"), Some("400")));
    assert_eq!(letter.text("original-group"), Some(&*cluster.name(GROUP)));
    until("it is final", || cluster.committed_sum(GROUP, TOPIC, 1) == 1).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_retried_elsewhere_goes_on_from_there() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let peer = cluster.peer();
    peer.send(&cluster.name(TOPIC), &Record::new(fail(500)).header("retry-count", "1")).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let letter = peer.read(&cluster.name(DEAD_LETTERS), 1).await.remove(0);
    assert_eq!((service.failures(), letter.text("total-retries")), (2, Some("2")));
    running.shutdown().await.expect("a clean shutdown");
}

/// Counts the attempts of handlers, each of which fails in a different way.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Panics when it is dropped, as a guard of something that must not be given up.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        panic!("given up");
    }
}

#[kafka_handler(topic = "flaky-commands", group = "flaky", register = false)]
mod flaky {
    use super::{Attempts, Guard, RpcError, State};

    #[command("THIRD_TIME", retry(max = 5, base = "10ms", factor = 1))]
    pub(super) async fn third_time(
        name: String,
        State(attempts): State<Attempts>,
    ) -> Result<String, RpcError> {
        match attempts.next() {
            1 | 2 => Err(RpcError::unavailable("not yet")),
            _ => Ok(name),
        }
    }

    #[command("SLOW_TO_FAIL", retry(max = 1, base = "15s"))]
    pub(super) async fn slow_to_fail(_: (), State(attempts): State<Attempts>) -> Result<(), RpcError> {
        attempts.next();
        Err(RpcError::unavailable("not yet"))
    }

    #[command("REPEAT")]
    pub(super) async fn repeat(name: String) -> Result<String, RpcError> {
        Ok(name)
    }

    #[command("TOO_LONG", timeout = "50ms", retry = none)]
    pub(super) async fn too_long() -> Result<(), RpcError> {
        std::future::pending().await
    }

    #[command("GUARDED", timeout = "50ms", retry(max = 1, base = "10ms"))]
    pub(super) async fn guarded(_: (), State(attempts): State<Attempts>) -> Result<usize, RpcError> {
        attempts.next();
        let _guard = Guard;
        std::future::pending().await
    }

    #[command("ONCE", dedupe = "10m")]
    pub(super) async fn once(_: (), State(attempts): State<Attempts>) -> Result<usize, RpcError> {
        Ok(attempts.next())
    }
}
use flaky::FlakyClient;

async fn serving_flaky(cluster: &Cluster, attempts: &Attempts) -> Running {
    let runtime = cluster.runtime(cluster.config()).provide(attempts.clone()).handlers(flaky::handlers());
    started(runtime).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_gets_the_answer_of_the_retry_that_works() {
    let cluster = Cluster::start();
    let attempts = Attempts::default();
    let running = serving_flaky(&cluster, &attempts).await;
    assert_eq!(running.client().third_time("Ada".to_owned()).await, Ok("Ada".to_owned()));
    assert_eq!(attempts.next(), 4);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_waits_for_its_retry_holds_nothing_but_its_key() {
    let cluster = Cluster::start();
    cluster.create_topic("flaky-commands", 1).await;
    let attempts = Attempts::default();
    let running = serving_flaky(&cluster, &attempts).await;
    let client = running.client();
    let waits = tokio::spawn(client.slow_to_fail().key("held").timeout(tests::BOUND));
    until("it has failed once", || attempts.0.load(Ordering::Relaxed) == 1).await;
    let same_key = tokio::spawn(client.repeat("behind".to_owned()).key("held").timeout(tests::BOUND));
    assert_eq!(client.repeat("beside".to_owned()).key("other").await, Ok("beside".to_owned()));
    assert_eq!(attempts.0.load(Ordering::Relaxed), 1, "the retry is still to come");
    assert!(!same_key.is_finished());
    assert!(waits.await.expect("no panic").is_err());
    assert_eq!(same_key.await.expect("no panic"), Ok("behind".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_retry_is_begun_that_could_not_end_before_the_deadline() {
    let cluster = Cluster::start();
    let attempts = Attempts::default();
    let running = serving_flaky(&cluster, &attempts).await;
    let answer = running.client().slow_to_fail().timeout(Duration::from_secs(14)).await;
    let Err(CallError::Remote(error)) = answer else { panic!("{answer:?}") };
    assert_eq!((error.status().as_u16(), attempts.next()), (503, 2));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_longer_than_its_timeout_is_a_504() {
    let cluster = Cluster::start();
    let running = serving_flaky(&cluster, &Attempts::default()).await;
    let Err(CallError::Remote(error)) = running.client().too_long().await else { panic!("it ended") };
    assert_eq!((error.status().as_u16(), error.name()), (504, "HandlerTimeout"));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_where_its_timeout_stops_it_is_retried_as_any_that_takes_too_long() {
    counted::record();
    let cluster = Cluster::start();
    let (attempts, topic) = (Attempts::default(), cluster.name("flaky-commands"));
    let running = serving_flaky(&cluster, &attempts).await;
    let Err(CallError::Remote(error)) = running.client().guarded().await else { panic!("it ended") };
    assert_eq!((error.status().as_u16(), error.name(), attempts.next()), (504, "HandlerTimeout", 3));
    let of = |metric| counted(metric, &[("topic", &*topic)]);
    assert_eq!((of("kafka_rpc_handler_timeouts_total"), of("kafka_rpc_handler_panics_total")), (2, 0));
    running.shutdown().await.expect("a clean shutdown");
}

/// Counts the payments, which end once there are permits.
#[derive(Clone)]
struct Payments {
    begun: Arc<AtomicUsize>,
    may_end: Arc<Semaphore>,
}

#[kafka_handler(topic = "payments-commands", group = "payments", ordering = "none", register = false)]
mod payments {
    use super::{Ordering, Payments, RpcError, State};

    #[command("PAY", dedupe = "10m")]
    pub(super) async fn pay(_: (), State(payments): State<Payments>) -> Result<usize, RpcError> {
        let number = payments.begun.fetch_add(1, Ordering::Relaxed) + 1;
        drop(payments.may_end.acquire().await.map_err(|closed| RpcError::internal(closed.to_string()))?);
        Ok(number)
    }
}

/// A payment that is answered, and that no key puts in order.
fn payment(cluster: &Cluster, id: &str) -> Record {
    Record::new(r#"{"type":"PAY"}"#).answered_to(id, &cluster.name("payments-responses"))
}

/// Serves payments, none of which may end yet. Forgives no skew of clocks.
async fn serving_payments(cluster: &Cluster) -> (Payments, Running) {
    for topic in ["payments-commands", "payments-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let payments = Payments { begun: Arc::default(), may_end: Arc::new(Semaphore::new(0)) };
    let runtime = cluster.runtime(cluster.config().clock_skew(Duration::ZERO)).provide(payments.clone());
    (payments, started(runtime.handlers(payments::handlers())).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_while_it_runs_is_answered_with_the_first_answer() {
    let cluster = Cluster::start();
    let (payments, running) = serving_payments(&cluster).await;
    let (peer, replies) = (cluster.peer(), cluster.name("payments-responses"));
    for id in ["one", "one", "other"] {
        peer.send(&cluster.name("payments-commands"), &payment(&cluster, id)).await;
    }
    until("two have begun", || payments.begun.load(Ordering::Relaxed) >= 2).await;
    payments.may_end.add_permits(3);
    let answers = peer.read(&replies, 3).await;
    let of = |id| {
        let own = answers.iter().filter(move |answer| answer.text("correlation-id") == Some(id));
        own.map(|answer| answer.json()["data"].as_u64()).collect::<Vec<_>>()
    };
    let (first, other) = (of("one"), of("other"));
    assert_eq!((first.len(), other.len()), (2, 1));
    assert!(first[0] == first[1] && first[0] != other[0], "{first:?} {other:?}");
    assert_eq!(payments.begun.load(Ordering::Relaxed), 2);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_repeats_one_that_runs_is_dropped_once_its_caller_has_gone() {
    counted::record();
    let cluster = Cluster::start();
    let (payments, running) = serving_payments(&cluster).await;
    let (peer, topic) = (cluster.peer(), cluster.name("payments-commands"));
    peer.send(&topic, &payment(&cluster, "one")).await;
    until("it has begun", || payments.begun.load(Ordering::Relaxed) == 1).await;
    let sent = Instant::now();
    peer.send(&topic, &payment(&cluster, "one").header("deadline", millis_from_now(2_000))).await;
    // The oldest are taken first: the repeat most likely waits when the next begins.
    peer.send(&topic, &payment(&cluster, "other")).await;
    until("the next has begun", || payments.begun.load(Ordering::Relaxed) == 2).await;
    assert!(sent.elapsed() < Duration::from_secs(2), "the machine is too slow: it has expired before");
    let expired = || counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", "expired")]);
    until("the repeat has expired", || expired() == 1).await;
    payments.may_end.add_permits(2);
    running.shutdown().await.expect("a clean shutdown");
    let replies = peer.all(&cluster.name("payments-responses")).await;
    assert_eq!((replies.len(), payments.begun.load(Ordering::Relaxed)), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_with_the_first_answer() {
    let cluster = Cluster::start();
    cluster.create_topic("flaky-commands", 1).await;
    cluster.create_topic("flaky-responses", 1).await;
    let (peer, replies) = (cluster.peer(), cluster.name("flaky-responses"));
    let running = serving_flaky(&cluster, &Attempts::default()).await;
    for id in ["one", "one", "other"] {
        let request = Record::new(r#"{"type":"ONCE"}"#).key("k").header("correlation-id", id);
        peer.send(&cluster.name("flaky-commands"), &request.header("reply-to", &replies)).await;
    }
    let answers = peer.read(&replies, 3).await;
    let data: Vec<_> = answers.iter().map(|answer| answer.json()["data"].clone()).collect();
    assert_eq!(data, [1, 1, 2]);
    running.shutdown().await.expect("a clean shutdown");
}

/// The numbers that the handler got, each time.
#[derive(Clone, Default)]
struct Came(Arc<Mutex<Vec<u64>>>);

#[kafka_handler(topic = "sums-commands", group = "sums", retry(max = 1, base = "15s"), register = false)]
mod sums {
    use super::{Came, RpcError, State};

    #[command("ADD")]
    pub(super) async fn add(number: u64, State(came): State<Came>) -> Result<(), RpcError> {
        let mut came = came.0.lock().expect("nobody panicked");
        came.push(number);
        if came.len() == 1 { Err(RpcError::unavailable("not yet")) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_a_record_that_waits_for_its_retry_does_not_run_before_it_where_the_runtime_is_dropped()
 {
    let cluster = Cluster::start();
    cluster.create_topic("sums-commands", 1).await;
    for number in [1, 2] {
        let add = Record::new(format!(r#"{{"type":"ADD","payload":{number}}}"#)).key("k");
        cluster.peer().send(&cluster.name("sums-commands"), &add).await;
    }
    let came = Came::default();
    let serve =
        || started(cluster.runtime(cluster.config()).provide(came.clone()).handlers(sums::handlers()));
    let running = serve().await;
    until("the first has failed", || came.0.lock().expect("nobody panicked").len() == 1).await;
    drop(running);
    let running = serve().await;
    until("both are final", || cluster.committed_sum("sums", "sums-commands", 1) == 2).await;
    assert_eq!(*came.0.lock().expect("nobody panicked"), [1, 1, 2]);
    running.shutdown().await.expect("a clean shutdown");
}

#[kafka_handler(topic = "careless-commands", group = "careless", dead_letter = none, register = false)]
mod careless {
    use super::RpcError;

    #[command("FAIL")]
    pub(super) async fn fail() -> Result<(), RpcError> {
        Err(RpcError::bad_request("no"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_decision_discards_what_cannot_be_handled() {
    counted::record();
    let cluster = Cluster::start();
    cluster.create_topic("careless-commands", 1).await;
    cluster.peer().send(&cluster.name("careless-commands"), &Record::new(r#"{"type":"FAIL"}"#)).await;
    let running = started(cluster.runtime(cluster.config()).handlers(careless::handlers())).await;
    let committed = || cluster.committed_sum("careless", "careless-commands", 1) == 1;
    until("it is final", committed).await;
    running.shutdown().await.expect("a clean shutdown");
    let topic = cluster.name("careless-commands");
    let outcome = |outcome| counted("kafka_rpc_records_total", &[("topic", &*topic), ("outcome", outcome)]);
    assert_eq!((outcome("discarded"), outcome("dead_lettered")), (1, 0));
}
