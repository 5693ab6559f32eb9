//! Promise 4: nobody works for a caller who has gone.

use std::time::{Duration, Instant};

use kafka_rpc::{CallError, Client, Deadline, Progress, RpcError, kafka_handler};
use tests::{
    BOUND, Cluster, Record,
    cluster::started,
    counted::{self, counted},
    orders::{GROUP, OrderService, Orders, OrdersClient, REPLIES, TOPIC, order, place},
    peer::millis_from_now,
    until,
};
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_request_is_dropped_before_its_handler_starts() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let late = |record: Record, by: i128| record.key("a").header("deadline", millis_from_now(-by));
    peer.send(&topic, &late(Record::new(place("a", 1)), 60_000)).await;
    peer.send(&topic, &late(Record::new(place("a", 2)), -60_000)).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    until("the later one is handled", || !service.ended().is_empty()).await;
    assert_eq!(service.started(), [order("a", 2)]);
    until("both are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 2).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_expires_while_it_waits_for_its_key_is_dropped_before_its_handler_starts() {
    counted::record();
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    service.hold("a");
    let config = cluster.config().clock_skew(Duration::ZERO);
    let running = cluster.serve_orders(config, &service).await;
    peer.send(&topic, &Record::new(place("a", 1)).key("a")).await;
    until("the first has started", || service.started().len() == 1).await;
    let deadline = millis_from_now(2_000);
    let sent = Instant::now();
    peer.send(&topic, &Record::new(place("a", 2)).key("a").header("deadline", deadline)).await;
    // A record behind the second: once it has ended, the second already waits for its key.
    peer.send(&topic, &Record::new(place("b", 3)).key("b")).await;
    until("it is taken", || service.ended().contains(&order("b", 3))).await;
    until("its deadline passes", || sent.elapsed() > Duration::from_secs(2)).await;
    service.release("a");
    until("all are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 3).await;
    assert_eq!(service.started(), [order("a", 1), order("b", 3)]);
    let expired = counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", "expired")]);
    assert_eq!(expired, 1);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_after_the_deadline_and_whoever_is_told_so_may_send_it_again() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let client = running.client();
    let not_sent =
        |ended| matches!(ended, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. }));
    let late = client.place(order("a", 1)).timeout(Duration::ZERO).notify().await;
    assert!(not_sent(late.clone()), "{late:?}");
    let late = client.place(order("a", 2)).timeout(Duration::ZERO).await.map(drop);
    assert!(not_sent(late.clone()), "{late:?}");
    client.place(order("a", 3)).await.expect("it is handled");
    assert_eq!(service.started(), [order("a", 3)]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_has_just_passed_is_forgiven_for_the_skew_of_clocks() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let service = OrderService::default();
    let config = cluster.config().clock_skew(Duration::from_hours(1));
    let running = cluster.serve_orders(config, &service).await;
    peer.send(&topic, &Record::new(place("a", 1)).key("a").header("deadline", millis_from_now(-60_000)))
        .await;
    until("it is handled", || !service.ended().is_empty()).await;
    running.shutdown().await.expect("a clean shutdown");
}

/// A service that calls another without setting a timeout. Some tests serve the other, and some do not.
struct Gateway {
    ended: mpsc::UnboundedSender<(Duration, CallError)>,
}

#[kafka_handler(topic = "gateway-commands", group = "gateway", register = false)]
impl Gateway {
    #[command("FORWARD")]
    async fn forward(&self, text: String, deadline: Deadline, client: Client) -> Result<String, RpcError> {
        let left = deadline.remaining();
        let error = client.echo(text).await.expect_err("nobody serves the orders");
        let _test_has_ended = self.ended.send((left, error.clone()));
        Err(error.into())
    }

    #[command("HELLO")]
    async fn hello(&self) -> Result<(), RpcError> {
        Ok(())
    }

    #[command("PASS")]
    async fn pass(&self, text: String, client: Client) -> Result<String, RpcError> {
        Ok(client.echo(text).await?)
    }

    /// Sends an event once its caller has gone: a second after the deadline, because on a busy machine the
    /// caller goes late.
    #[command("TELL_LATE")]
    async fn tell_late(&self, text: String, deadline: Deadline, client: Client) -> Result<(), RpcError> {
        tokio::time::sleep(deadline.remaining() + Duration::from_secs(1)).await;
        Ok(client.echo(text).notify().await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_call_inherits_what_is_left() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (ended, mut nested) = mpsc::unbounded_channel();
    let runtime = cluster.runtime(cluster.config()).provide(Gateway { ended }).handlers(Gateway::handlers());
    let running = started(runtime).await;
    let outer = running.client().forward("hello".to_owned()).timeout(Duration::from_secs(4)).await;
    assert!(matches!(outer, Err(CallError::DeadlineExceeded { .. } | CallError::Remote(_))), "{outer:?}");
    let (left, error) =
        tokio::time::timeout(BOUND, nested.recv()).await.expect("in time").expect("the handler ran");
    assert!(left <= Duration::from_secs(4), "{left:?}");
    let CallError::DeadlineExceeded { waited, .. } = error else { panic!("{error}") };
    assert!(waited < Duration::from_secs(5), "the default of 30 s was cut to {waited:?}");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_whose_deadline_is_forgiven_for_the_skew_of_clocks_can_call() {
    let cluster = Cluster::start();
    for topic in ["gateway-commands", "gateway-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, replies) = (cluster.peer(), cluster.name("gateway-responses"));
    let (ended, _nested) = mpsc::unbounded_channel();
    let runtime = cluster.runtime(cluster.config().clock_skew(Duration::from_hours(1)));
    let runtime = runtime.provide(Gateway { ended }).handlers(Gateway::handlers());
    let runtime = runtime.provide(OrderService::default()).handlers(<OrderService as Orders>::handlers());
    let running = started(runtime).await;
    let request = Record::new(r#"{"type":"PASS","payload":"hello"}"#)
        .header("correlation-id", "c-1")
        .header("reply-to", &replies)
        .header("deadline", millis_from_now(-60_000));
    peer.send(&cluster.name("gateway-commands"), &request).await;
    assert_eq!(peer.read(&replies, 1).await.remove(0).json()["data"], "hello");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_handler_is_sent_although_its_own_caller_has_gone() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (ended, _nested) = mpsc::unbounded_channel();
    let runtime = cluster.runtime(cluster.config()).provide(Gateway { ended }).handlers(Gateway::handlers());
    let running = started(runtime).await;
    // The first call to a service takes long.
    running.client().hello().await.expect("it is served");
    let outer = running.client().tell_late("hello".to_owned()).timeout(Duration::from_secs(3)).await;
    assert!(matches!(outer, Err(CallError::DeadlineExceeded { .. })), "{outer:?}");
    assert_eq!(cluster.peer().read(&cluster.name(TOPIC), 1).await.remove(0).json()["payload"], "hello");
    running.shutdown().await.expect("a clean shutdown");
}

/// A service that waits less for its nested call than its own caller waits.
struct Impatient;

#[kafka_handler(topic = "impatient-commands", group = "impatient", register = false)]
impl Impatient {
    #[command("PASS_ON", timeout = "1s", retry = none)]
    async fn pass_on(&self, text: String, client: Client) -> Result<String, RpcError> {
        Ok(client.echo(text).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_call_ends_with_the_timeout_of_its_handler() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let runtime = cluster.runtime(cluster.config()).provide(Impatient).handlers(Impatient::handlers());
    let running = started(runtime).await;
    let (client, peer, topic) = (running.client(), cluster.peer(), cluster.name(TOPIC));
    // The first call to a service takes long: it would use up the second that the handler has.
    let first = tokio::spawn(client.echo("first".to_owned()).timeout(BOUND));
    peer.read(&topic, 1).await;
    first.abort();
    let error = client.pass_on("hello".to_owned()).await.expect_err("nobody serves the orders");
    assert_eq!(error.remote().map(RpcError::name), Some("HandlerTimeout"), "{error}");
    let nested = peer.read(&topic, 2).await.remove(1);
    let deadline: u64 = nested.text("deadline").and_then(|text| text.parse().ok()).expect("a deadline");
    let sent: u64 = nested.text("timestamp").and_then(|text| text.parse().ok()).expect("a time");
    // The handler's second, less the time until the call was sent.
    assert!(deadline - sent <= 1_001, "{} ms", deadline - sent);
    running.shutdown().await.expect("a clean shutdown");
}
