//! The exact counts of metrics. They are global to a process, so this program has only tests of metrics, one
//! at a time.

mod documented;

use std::time::Duration;

use futures_util::poll;
use kafka_rpc::{Call, CallError, RecordInfo, RpcError, Running, State, kafka_handler};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    Cluster, Peer, Record,
    cluster::started,
    counted::{alone, counted, is_counted},
    mocked::{broker_with, caller_on, runs_here, serving_on},
    orders::{OrderService, OrdersClient as _, REPLIES, TOPIC, order, place},
    until,
};
use tokio::sync::watch;
use uuid::Uuid;

use crate::documented::all_is_documented;

/// The counts of a topic's metric for each of `values` of one label. Asserts that no other value is counted.
fn by<const N: usize>(metric: &str, topic: &str, label: &str, values: [&str; N]) -> [u64; N] {
    let found = values.map(|value| counted(metric, &[("topic", topic), (label, value)]));
    assert_eq!(
        found.iter().sum::<u64>(),
        counted(metric, &[("topic", topic)]),
        "{metric} by another {label}"
    );
    found
}

fn records(topic: &str) -> [u64; 6] {
    let outcomes = ["handled", "replied", "expired", "dead_lettered", "discarded", "lost"];
    by("kafka_rpc_records_total", topic, "outcome", outcomes)
}

/// How many calls ended in each way, in the order of the documentation.
fn calls(topic: &str) -> [u64; 9] {
    let outcomes = [
        "replied",
        "remote_error",
        "deadline",
        "undeliverable",
        "overloaded",
        "shutting_down",
        "invalid",
        "decode",
        "dropped",
    ];
    by("kafka_rpc_calls_total", topic, "outcome", outcomes)
}

fn dropped(reason: &str) -> u64 {
    counted("kafka_rpc_replies_dropped_total", &[("reason", reason)])
}

/// Handlers that end in every way.
#[kafka_handler(topic = "runs-commands", group = "runs", retry(max = 1, base = "1ms"), register = false)]
mod runs {
    use super::RpcError;

    #[command("ADD_ONE")]
    pub(super) async fn add_one(number: u64) -> Result<u64, RpcError> {
        Ok(number + 1)
    }

    #[command("GO_WRONG")]
    pub(super) async fn go_wrong(is_ours: bool) -> Result<(), RpcError> {
        Err(if is_ours { RpcError::unavailable("as told") } else { RpcError::not_found("as told") })
    }

    #[command("BREAK_DOWN", retry = none)]
    pub(super) async fn break_down() -> Result<(), RpcError> {
        panic!("on purpose")
    }

    #[command("NEVER_ENDS", timeout = "50ms", retry = none)]
    pub(super) async fn never_ends() -> Result<(), RpcError> {
        std::future::pending().await
    }

    #[command("ONCE", dedupe = "10m")]
    pub(super) async fn once() -> Result<(), RpcError> {
        Ok(())
    }

    #[command("GROW")]
    pub(super) async fn grow(bytes: usize) -> Result<String, RpcError> {
        Ok("x".repeat(bytes))
    }
}
use runs::RunsClient as _;

#[tokio::test(flavor = "multi_thread")]
async fn each_run_of_a_record_is_counted_once_and_so_is_what_becomes_of_it() {
    let _alone = alone().await;
    let cluster = Cluster::start();
    for topic in ["runs-commands", "runs-responses", "runs-commands.dlq"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic, replies) =
        (cluster.peer(), cluster.name("runs-commands"), cluster.name("runs-responses"));
    let running = cluster.serve(runs::handlers()).await;
    let (client, late) = (running.client(), dropped("not_waited_for"));
    assert_eq!(client.add_one(1).await, Ok(2));
    let errors = [
        client.go_wrong(false).await.err(),
        client.go_wrong(true).await.err(),
        client.break_down().await.err(),
        client.never_ends().await.err(),
        // More than our producer takes.
        client.grow(17 << 20).await.err(),
    ];
    let statuses = errors.map(|error| error.and_then(|error| Some(error.remote()?.status().as_u16())));
    assert_eq!(statuses, [404, 503, 500, 504, 500].map(Some));
    let nobody_waits = Record::new(r#"{"type":"ADD_ONE","payload":1}"#);
    peer.send(&topic, &nobody_waits).await;
    peer.send(&topic, &nobody_waits.header("deadline", "1000")).await;
    peer.send(&topic, &Record::new("poison")).await;
    for _ in 0..2 {
        let once = Record::new(r#"{"type":"ONCE"}"#).key("k").header("correlation-id", "not one of our own");
        peer.send(&topic, &once.header("reply-to", &replies)).await;
    }
    until("all are final", || cluster.committed_sum("runs", "runs-commands", 1) == 11).await;
    until("the peer's answers are read", || dropped("not_waited_for") == late + 2).await;
    running.shutdown().await.expect("a clean shutdown");

    assert_eq!(records(&topic), [1, 5, 1, 4, 0, 0]);
    let failures = by("kafka_rpc_failures_total", &topic, "status", ["400", "404", "500", "503", "504"]);
    assert_eq!(failures, [1, 1, 1, 2, 1], "of what is tried again, each");
    assert_eq!(by("kafka_rpc_retries_total", &topic, "through", ["process", "topic"]), [1, 0]);
    let group = cluster.name("runs");
    for (metric, count) in [
        ("kafka_rpc_handler_panics_total", 1),
        ("kafka_rpc_handler_timeouts_total", 1),
        ("kafka_rpc_handler_slow_total", 0),
        ("kafka_rpc_repeated_requests_total", 1),
        ("kafka_rpc_redelivered_total", 0),
        ("kafka_rpc_consumers_ended_total", 0),
        ("kafka_rpc_joins_refused_total", 0),
        ("kafka_rpc_consumer_errors_total", 0),
        ("kafka_rpc_partitions_assigned", 0),
        ("kafka_rpc_partitions_held", 0),
        ("kafka_rpc_partitions_paused", 0),
    ] {
        assert_eq!(counted(metric, &[("topic", &topic), ("group", &group)]), count, "{metric}");
    }
    let rebalances = by("kafka_rpc_rebalances_total", &topic, "kind", ["assigned", "revoked", "lost"]);
    assert!(rebalances[0] == rebalances[1] && rebalances[0] > 0 && rebalances[2] == 0, "{rebalances:?}");
    assert_eq!(counted("kafka_rpc_replies_replaced_total", &[("to", &replies)]), 1);
    assert_eq!(counted("kafka_rpc_deliveries_refused_total", &[("to", &replies)]), 0);
    assert_eq!(calls(&topic), [1, 5, 0, 0, 0, 0, 0, 0, 0]);
    all_is_documented();
}

#[kafka_handler(
    topic = "again-commands",
    group = "again",
    retry_topic = "again-retries",
    retry(max = 1, base = "1ms"),
    register = false
)]
#[command("PASS")]
async fn pass(fails: bool, record: RecordInfo) -> Result<(), RpcError> {
    if fails && !record.topic.ends_with("again-retries") {
        Err(RpcError::unavailable("not yet"))
    } else {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_librdkafka_reports_once_is_counted_from_zero_on_and_assigned_partitions_while_they_are_read() {
    let _alone = alone().await;
    let cluster = Cluster::start();
    for topic in ["again-commands", "again-retries"] {
        cluster.create_topic(topic, 2).await;
    }
    let (topic, group) = (cluster.name("again-commands"), cluster.name("again"));
    let running = cluster.serve(pass_handlers()).await;
    for source in [&topic, &cluster.name("again-retries")] {
        let labels = [("topic", source.as_str()), ("group", &group)];
        until("both are read", || counted("kafka_rpc_partitions_assigned", &labels) == 2).await;
        for code in ["TopicAuthorizationFailed", "GroupAuthorizationFailed", "UnknownTopicOrPartition"] {
            assert!(is_counted("kafka_rpc_consumer_errors_total", &[labels[0], ("code", code)]), "{code}");
        }
    }
    for code in ["TopicAuthorizationFailed", "UnknownTopicOrPartition"] {
        assert!(is_counted("kafka_rpc_reply_errors_total", &[("code", code)]), "{code}");
    }
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(counted("kafka_rpc_partitions_assigned", &[("group", &group)]), 0);
    all_is_documented();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_through_kafka_is_counted_with_the_topic_of_its_record() {
    let _alone = alone().await;
    let cluster = Cluster::start();
    for topic in ["again-commands", "again-retries"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic, retries) =
        (cluster.peer(), cluster.name("again-commands"), cluster.name("again-retries"));
    let pass = |fails: bool| Record::new(format!(r#"{{"type":"PASS","payload":{fails}}}"#));
    // The consumers of both topics join one group, one after the other. Until both have joined, a record may
    // be delivered twice.
    for topic in [&topic, &retries] {
        peer.send(topic, &pass(false)).await;
    }
    let running = cluster.serve(pass_handlers()).await;
    let both_are_at = async |committed| {
        for topic in ["again-commands", "again-retries"] {
            let committed = || cluster.committed_sum("again", topic, 1) == committed;
            until("it is final", committed).await;
        }
    };
    both_are_at(1).await;
    let before = records(&topic)[0];
    peer.send(&topic, &pass(true)).await;
    both_are_at(2).await;
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(by("kafka_rpc_retries_total", &topic, "through", ["process", "topic"]), [0, 1]);
    assert_eq!(by("kafka_rpc_failures_total", &topic, "status", ["503"]), [1]);
    assert_eq!((records(&topic), records(&retries)), ([before + 1, 0, 0, 0, 0, 0], [0; 6]));
    all_is_documented();
}

/// A gate at which long-running handlers wait.
#[derive(Clone)]
struct Gate(watch::Sender<bool>);

impl Gate {
    async fn opened(&self) -> Result<(), RpcError> {
        let mut gate = self.0.subscribe();
        // The sender lives in `self`, so the wait ends only once the gate is open.
        let _opened = gate.wait_for(|is_open| *is_open).await;
        Ok(())
    }
}

#[kafka_handler(topic = "slow-commands", group = "slow", register = false, client = none)]
#[command("WAIT")]
async fn wait(_: (), State(gate): State<Gate>) -> Result<(), RpcError> {
    gate.opened().await
}

#[kafka_handler(topic = "slower-commands", group = "slow", register = false, client = none)]
#[command("WAIT")]
async fn wait_too(_: (), State(gate): State<Gate>) -> Result<(), RpcError> {
    gate.opened().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_runs_for_long_is_counted_once() {
    let _alone = alone().await;
    let cluster = Cluster::start();
    let (peer, gate) = (cluster.peer(), Gate(watch::Sender::new(false)));
    let runtime = cluster.runtime(cluster.config().slow_handler(Duration::from_millis(50)));
    let runtime = runtime.provide(gate.clone()).handlers(wait_handlers()).handlers(wait_too_handlers());
    let running = started(runtime).await;
    let slow = |topic: &str| counted("kafka_rpc_handler_slow_total", &[("topic", &cluster.name(topic))]);
    // By the time the second handler is counted, the first has been checked once more.
    for topic in ["slow-commands", "slower-commands"] {
        peer.send(&cluster.name(topic), &Record::new(r#"{"type":"WAIT"}"#)).await;
        until("it is counted", || slow(topic) > 0).await;
    }
    gate.0.send_replace(true);
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!((slow("slow-commands"), slow("slower-commands")), (1, 1));
    all_is_documented();
}

/// A caller whose requests a peer answers in raw bytes.
struct Caller {
    cluster: Cluster,
    peer: Peer,
    running: Running,
    sent: usize,
}

impl Caller {
    /// Starts a caller with at most one call in flight.
    async fn start() -> Self {
        let cluster = Cluster::start();
        for topic in [TOPIC, REPLIES] {
            cluster.create_topic(topic, 1).await;
        }
        let running = started(cluster.runtime(cluster.config().max_calls_in_flight(1)).client_only()).await;
        Self { peer: cluster.peer(), cluster, running, sent: 0 }
    }

    /// Waits for the next request that is sent.
    async fn request(&mut self) -> Record {
        self.sent += 1;
        self.peer.read(&self.cluster.name(TOPIC), self.sent).await.remove(self.sent - 1)
    }

    async fn answer(&self, request: &Record, reply: &str) {
        let id = request.text("correlation-id").expect("an id");
        self.peer.send(&self.cluster.name(REPLIES), &Record::new(reply).header("correlation-id", id)).await;
    }

    /// Sends a call, and answers its request with `reply`.
    async fn answered(&mut self, call: Call<u64>, reply: &str) -> Result<u64, CallError> {
        let call = tokio::spawn(call);
        let request = self.request().await;
        self.answer(&request, reply).await;
        call.await.expect("no panic")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_counted_by_how_it_ends_and_while_it_waits() {
    let _alone = alone().await;
    let mut caller = Caller::start().await;
    let (client, topic) = (caller.running.client(), caller.cluster.name(TOPIC));
    let in_flight = || counted("kafka_rpc_calls_in_flight", &[]);
    let (late, other) = (dropped("not_waited_for"), dropped("not_a_reply"));
    assert_eq!((calls(&topic), in_flight()), ([0; 9], 0));

    let waits = tokio::spawn(client.place(order("a", 1)));
    let first = caller.request().await;
    assert_eq!(in_flight(), 1);
    let one_more = client.place(order("a", 2)).await;
    assert!(matches!(one_more, Err(CallError::Overloaded { .. })), "{one_more:?}");
    caller.answer(&first, r#"{"success":true,"data":1}"#).await;
    assert_eq!(waits.await.expect("no panic"), Ok(1));
    assert_eq!(in_flight(), 0);

    let own = |number| client.place(order("a", number));
    let failed =
        caller.answered(own(3), r#"{"success":false,"statusCode":404,"error":"E","message":"m"}"#).await;
    assert!(matches!(failed, Err(CallError::Remote(_))), "{failed:?}");
    let unreadable = || counted("kafka_rpc_replies_unreadable_total", &[("topic", &topic)]);
    let failed = caller.answered(own(4), "no JSON").await;
    assert!(matches!(failed, Err(CallError::Decode { .. })) && unreadable() == 0, "{failed:?}");
    let failed = caller.answered(own(5), r#"{"success":true,"data":"no number"}"#).await;
    assert!(matches!(failed, Err(CallError::Decode { .. })) && unreadable() == 1, "{failed:?}");
    let failed = own(6).timeout(Duration::from_millis(100)).await;
    assert!(matches!(failed, Err(CallError::DeadlineExceeded { .. })), "{failed:?}");
    caller.request().await;
    let mut forgotten = own(7);
    assert!(poll!(&mut forgotten).is_pending());
    assert_eq!(in_flight(), 1);
    drop(forgotten);
    assert_eq!(in_flight(), 0);
    caller.request().await;
    own(8).notify().await.expect("delivered");
    caller.request().await;

    // The first reply once more, somebody else's reply, and a record that is no reply.
    caller.answer(&first, r#"{"success":true,"data":1}"#).await;
    let foreign =
        Record::new(r#"{"success":true,"data":1}"#).header("correlation-id", Uuid::new_v4().to_string());
    for record in [foreign, Record::new("a rumour")] {
        caller.peer.send(&caller.cluster.name(REPLIES), &record).await;
    }
    until("all are read", || dropped("not_a_reply") == other + 1).await;
    assert_eq!(dropped("not_waited_for"), late + 2);

    let waits = tokio::spawn(own(9));
    caller.request().await;
    caller.running.shutdown().await.expect("a clean shutdown");
    let ended = waits.await.expect("no panic");
    assert!(matches!(ended, Err(CallError::ShuttingDown { .. })), "{ended:?}");
    assert_eq!(calls(&topic), [3, 1, 1, 0, 1, 1, 0, 1, 1]);
    assert_eq!(in_flight(), 0);
    all_is_documented();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_refuse_is_counted_for_the_call_and_for_the_consumer() {
    if !runs_here() {
        return;
    }
    let _alone = alone().await;
    let broker = broker_with(&[]);
    let running = caller_on(&broker).await;
    let forbidden = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    broker.request_errors(RDKafkaApiKey::Produce, &forbidden);
    let failed = running.client().echo("hi".to_owned()).await;
    assert!(matches!(failed, Err(CallError::Undeliverable { .. })), "{failed:?}");
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(calls(TOPIC), [1, 0, 0, 1, 0, 0, 0, 0, 0]);

    let broker = broker_with(&[(TOPIC, 1)]);
    // The topic needs a record: on an empty one, librdkafka takes the error for the end of the topic.
    Peer::new(&broker.bootstrap_servers()).send(TOPIC, &Record::new(place("a", 1)).key("a")).await;
    broker.request_errors(RDKafkaApiKey::Fetch, &forbidden);
    let service = OrderService::default();
    let running = serving_on(&broker, &service).await;
    until("it goes on", || service.ended() == [order("a", 1)]).await;
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(by("kafka_rpc_consumer_errors_total", TOPIC, "code", ["TopicAuthorizationFailed"]), [1]);
    all_is_documented();
}
