//! Tests where a loopback and a stub must behave as Kafka does.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, mpsc as blocking},
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::poll;
use kafka_rpc::{CallError, Client, Config, Progress, RpcError, Runtime, State, Stub, kafka_handler};
use tokio::sync::mpsc;

/// The longest that a test waits.
const BOUND: Duration = Duration::from_secs(10);

type Told = mpsc::UnboundedSender<(&'static str, u64)>;

#[kafka_handler(topic = "arrivals", group = "audit", replies = none, register = false)]
async fn audit(parcel: u64, State(told): State<Told>) -> Result<(), RpcError> {
    told.send(("audit", parcel)).map_err(|_test_has_ended| RpcError::unavailable("nobody listens"))
}

#[kafka_handler(topic = "arrivals", group = "mail", register = false)]
async fn mail(parcel: u64, State(told): State<Told>) -> Result<u64, RpcError> {
    told.send(("mail", parcel)).map_err(|_test_has_ended| RpcError::unavailable("nobody listens"))?;
    Ok(parcel + 1)
}

/// Asserts that both groups have received this parcel.
async fn heard(heard: &mut mpsc::UnboundedReceiver<(&'static str, u64)>, parcel: u64) {
    let mut both = [heard.recv().await, heard.recv().await];
    both.sort_unstable();
    assert_eq!(both, [Some(("audit", parcel)), Some(("mail", parcel))]);
}

#[tokio::test]
async fn every_group_of_a_topic_gets_its_records_and_one_of_them_answers() {
    let (told, mut told_of) = mpsc::unbounded_channel();
    let runtime = Runtime::builder().without_registry().provide(told);
    let runtime = runtime.handlers(audit_handlers()).handlers(mail_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let client = loopback.client();
    client.mail(1).notify().await.expect("an event");
    heard(&mut told_of, 1).await;
    assert_eq!(client.mail(2).await.expect("an answer"), 3);
    heard(&mut told_of, 2).await;
}

/// A value that is made with a client.
struct Made;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_made_while_values_are_made_waits_for_the_handlers_within_its_timeout() {
    let (told, _told_of): (Told, _) = mpsc::unbounded_channel();
    let (made, made_here) = blocking::channel();
    let making = move |client: Client| {
        let (polled, was_polled) = blocking::channel();
        let (late, patient) =
            (client.mail(1).timeout(Duration::from_millis(10)), client.mail(2).timeout(BOUND));
        let patient = tokio::spawn(async move {
            let mut call = patient;
            let first = poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx))).await;
            polled.send(()).expect("it is waited for");
            match first {
                Poll::Ready(ended) => ended,
                Poll::Pending => call.await,
            }
        });
        was_polled.recv_timeout(BOUND).expect("it is polled while values are made");
        let (late, began) = (tokio::spawn(late), Instant::now());
        while !late.is_finished() {
            assert!(began.elapsed() < BOUND, "it does not end at its deadline");
            std::thread::yield_now();
        }
        made.send((late, patient)).expect("the test waits for it");
        Made
    };
    let runtime = Runtime::builder().without_registry().provide(told).provide_with(making);
    let loopback = runtime.handlers(mail_handlers()).build().expect("all is provided").loopback();
    let (late, patient) = made_here.recv_timeout(BOUND).expect("the value was made");
    let late = late.await.expect("no panic");
    assert!(matches!(late, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. })), "{late:?}");
    assert_eq!(patient.await.expect("no panic"), Ok(3));
    drop(loopback);
}

#[tokio::test]
async fn calls_end_once_the_loopback_is_dropped() {
    let (told, _told_of): (Told, _) = mpsc::unbounded_channel();
    let runtime = Runtime::builder().without_registry().provide(told);
    let runtime = runtime.handlers(mail_handlers()).handlers(silent_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let client = loopback.client();
    let mut waiting = client.silent("hi".to_owned()).timeout(BOUND);
    assert!(poll!(&mut waiting).is_pending());
    drop(loopback);
    assert_eq!(waiting.await, Err(CallError::ShuttingDown { progress: Progress::Acknowledged }));
    assert_eq!(client.mail(1).await, Err(CallError::ShuttingDown { progress: Progress::NotSent }));
    assert_eq!(client.mail(1).notify().await, Err(CallError::ShuttingDown { progress: Progress::NotSent }));
}

#[tokio::test]
async fn nothing_is_handled_whose_deadline_has_passed_before_it_is_sent() {
    let (told, mut told_of) = mpsc::unbounded_channel();
    let runtime = Runtime::builder().without_registry().provide(told);
    let loopback = runtime.handlers(mail_handlers()).build().expect("all is provided").loopback();
    let client = loopback.client();
    let not_sent =
        |ended| matches!(ended, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. }));
    assert!(not_sent(client.mail(1).timeout(Duration::ZERO).notify().await));
    assert!(not_sent(client.mail(2).timeout(Duration::ZERO).await.map(drop)));
    assert_eq!(client.mail(3).await.expect("an answer"), 4);
    assert_eq!(told_of.recv().await, Some(("mail", 3_u64)));
}

/// Does not end when a parcel first comes, and takes one of its two seconds the next time.
#[kafka_handler(
    topic = "slow-starts",
    group = "slow",
    timeout = "2s",
    retry(max = 1, base = "1m", max_delay = "1m"),
    register = false
)]
async fn slow_start(parcel: u64, State(seen): State<Arc<Mutex<Vec<u64>>>>) -> Result<u64, RpcError> {
    let is_first = {
        let mut seen = seen.lock().map_err(|_panic| RpcError::internal("another handler panicked"))?;
        seen.push(parcel);
        seen.iter().filter(|other| **other == parcel).count() == 1
    };
    if is_first {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(parcel)
}

#[tokio::test(start_paused = true)]
async fn a_test_may_skip_the_time_that_timeouts_and_retries_take() {
    let began = std::time::Instant::now();
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    let runtime = Runtime::builder().without_registry().provide(Arc::clone(&seen));
    let loopback = runtime.handlers(slow_start_handlers()).build().expect("all is provided").loopback();
    let client = loopback.client();
    for parcel in 0..3 {
        let answer = client.slow_start(parcel).timeout(Duration::from_mins(5)).await;
        assert_eq!(answer, Ok(parcel));
    }
    assert_eq!(*seen.lock().expect("no panic"), [0, 0, 1, 1, 2, 2], "each was tried twice");
    assert!(began.elapsed() < Duration::from_mins(1), "nobody waited for it");
}

/// Always fails, and is retried by the default policy: after one second, and then after two.
#[kafka_handler(topic = "failures", group = "failing", register = false)]
async fn failing(_: ()) -> Result<u64, RpcError> {
    Err(RpcError::internal("always"))
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_does_not_fit_into_what_is_left_of_the_deadline_is_not_waited_for() {
    let runtime = Runtime::builder().without_registry().handlers(failing_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let began = tokio::time::Instant::now();
    let ended = loopback.client().failing().timeout(Duration::from_secs(3)).await;
    assert_eq!(ended, Err(CallError::Remote(RpcError::internal("always"))));
    assert_eq!(began.elapsed().as_secs(), 1, "the second retry is after two more seconds, and two are left");
}

/// Never answers.
#[kafka_handler(topic = "silence", group = "silent", register = false)]
async fn silent(_: String) -> Result<u64, RpcError> {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_loopback_goes_by_the_config_that_it_was_built_with() {
    let config = Config::new("nowhere:9092").call_timeout(Duration::from_secs(1)).max_value_bytes(20);
    let runtime = Runtime::builder().without_registry().config(config).handlers(silent_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let ended = loopback.client().silent("short".to_owned()).await;
    assert!(
        matches!(ended, Err(CallError::DeadlineExceeded { waited, .. }) if waited == Duration::from_secs(1)),
        "{ended:?}"
    );
    let ended = loopback.client().silent("too long for the bound".to_owned()).await;
    assert_eq!(ended.expect_err("refused").remote().map(|error| error.status().as_u16()), Some(413));
}

/// Takes the answer of `mail` for text, which it is not.
#[kafka_handler(topic = "arrivals", group = "mail", register = false)]
async fn misread(parcel: u64) -> Result<String, RpcError> {
    Ok(parcel.to_string())
}

#[tokio::test(start_paused = true)]
async fn the_errors_of_a_loopback_name_topics_as_the_cluster_does() {
    let (told, _told_of): (Told, _) = mpsc::unbounded_channel();
    let runtime = Runtime::builder().without_registry().map_topics(|topic| format!("staging.{topic}"));
    let runtime = runtime.provide(told).handlers(mail_handlers()).handlers(silent_handlers());
    let loopback = runtime.build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.mail(1).await, Ok(2));
    let named = |error: Option<CallError>| match error {
        Some(
            CallError::DeadlineExceeded { topic, .. }
            | CallError::Undeliverable { topic, .. }
            | CallError::Decode { topic, .. },
        ) => topic,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(client.silent("hi".to_owned()).await.err()), "staging.silence");
    assert_eq!(named(client.mail(1).timeout(Duration::ZERO).notify().await.err()), "staging.arrivals");
    assert_eq!(named(client.price("a".to_owned()).await.err()), "staging.prices");
    assert_eq!(named(client.price("a".to_owned()).notify().await.err()), "staging.prices");
    let _not_served = misread_handlers();
    assert_eq!(named(client.misread(1).await.err()), "staging.arrivals");
}

#[tokio::test]
async fn an_event_that_nobody_awaits_is_not_sent() {
    let stub = Stub::new();
    drop(stub.client().audit(1).notify());
    assert!(stub.calls().is_empty());
    stub.client().audit(2).notify().await.expect("an event");
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn an_event_never_ends_as_an_error_of_the_other_side_on_a_stub_either() {
    let undeliverable = CallError::Undeliverable {
        topic: "arrivals".to_owned(),
        progress: Progress::NotSent,
        reason: "the brokers are away".to_owned(),
    };
    let refused = Stub::new().fail("", RpcError::forbidden("not yours"));
    let answered = Stub::new().answer_with("", |_: u64| Err::<u64, _>(RpcError::forbidden("not yours")));
    let lost = Stub::new().fail("", undeliverable.clone());
    for stub in [refused, answered] {
        assert!(matches!(stub.client().mail(1).await, Err(CallError::Remote(_))));
        assert_eq!(stub.client().mail(1).notify().await, Ok(()));
    }
    assert_eq!(lost.client().mail(1).notify().await, Err(undeliverable));
}

#[tokio::test]
async fn a_user_id_where_values_have_no_envelope_is_an_error_and_not_dropped() {
    let stub = Stub::new().answer("", 1);
    let client = stub.client();
    for ended in [
        client.price("a".to_owned()).user_id("ada").await.map(drop),
        client.price("a".to_owned()).user_id("ada").notify().await,
        client.mail(1).user_id("ada").await.map(drop),
    ] {
        let Err(CallError::Invalid { reason }) = &ended else { panic!("{ended:?}") };
        assert!(reason.contains("send it as a header"), "{reason}");
    }
    assert!(stub.calls().is_empty(), "nothing was sent");
}

#[kafka_handler(topic = "prices", group = "prices", dialect = "nest")]
trait Prices {
    async fn price(&self, of: String) -> Result<u64, RpcError>;
}

#[kafka_handler(topic = "stocks", group = "stocks", dialect = "nest")]
trait Stocks {
    async fn stock(&self, of: String) -> Result<u64, RpcError>;
}

#[tokio::test]
async fn a_stub_tells_apart_what_has_one_name_by_its_topic() {
    let stub = Stub::new().answer("", 1).on("stocks").answer("", 2);
    let client = stub.client();
    assert_eq!((client.price("a".to_owned()).await, client.stock("a".to_owned()).await), (Ok(1), Ok(2)));
    let only = Stub::new().on("stocks").answer("", 2).client();
    assert!(only.price("a".to_owned()).await.is_err());
}
