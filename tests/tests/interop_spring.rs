//! Spring Kafka on the other side: `ReplyingKafkaTemplate`, `@KafkaListener` with `@SendTo`, and dead letters
//! of both.

use std::{process::Command, time::Duration};

use kafka_rpc::{CallError, DeadLetter, RecordInfo, ReplyReading, RpcError, Running, State, kafka_handler};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tests::{
    Cluster,
    cluster::{real_kafka, started},
    interop::{self, Program},
};
use tokio::sync::mpsc;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    account: String,
    number: u64,
}

fn order(number: u64) -> Order {
    Order { account: "ada".to_owned(), number }
}

/// The handlers that Spring's templates call.
mod asked {
    use super::{Order, RecordInfo, RpcError, State, kafka_handler, mpsc};

    #[kafka_handler(topic = "orders", group = "asked", dialect = "spring", register = false, retry = none)]
    pub(super) async fn place(order: Order) -> Result<Option<Order>, RpcError> {
        match order.number {
            0 => Err(RpcError::unavailable("the shop is closed").with_code("E1").with_source("sold out")),
            1 => Ok(None),
            number => Ok(Some(Order { number: number + 1, ..order })),
        }
    }

    #[kafka_handler(topic = "texts", group = "asked", dialect = "spring", register = false)]
    pub(super) async fn echo(text: String) -> Result<String, RpcError> {
        Ok(text)
    }

    #[kafka_handler(topic = "commands", group = "asked", dialect = "spring", register = false)]
    #[command("PLACE")]
    pub(super) async fn command(order: Order) -> Result<u64, RpcError> {
        Ok(order.number)
    }

    #[derive(Clone)]
    pub(super) struct Events(pub(super) mpsc::UnboundedSender<(Order, RecordInfo)>);

    #[kafka_handler(topic = "events", group = "asked", dialect = "spring", replies = none, register = false)]
    pub(super) async fn event(
        order: Order,
        record: RecordInfo,
        State(events): State<Events>,
    ) -> Result<(), RpcError> {
        events.0.send((order, record)).map_err(|_test_has_ended| RpcError::unavailable("nobody reads"))
    }
}

/// A cluster and a Spring program on it; `None` if either is missing.
async fn spring(topics: &[(&str, u16)], serve: bool) -> Option<(Cluster, Program)> {
    let (cluster, folder) = (real_kafka()?, interop::maven_project("spring")?);
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions).await;
    }
    let arguments = json!({"brokers": cluster.brokers(), "prefix": cluster.name(""), "serve": serve});
    let mut java = Command::new("java");
    java.args(["-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    java.args(["-cp", "target/classes:target/lib/*", "peer.Peer"]).arg(arguments.to_string());
    java.current_dir(folder);
    let program = Program::start(java).await;
    Some((cluster, program))
}

const ASKED: [(&str, u16); 7] = [
    ("orders", 1),
    ("orders-responses", 3),
    ("texts", 1),
    ("texts-responses", 3),
    ("commands", 1),
    ("commands-responses", 1),
    ("events", 1),
];

async fn serving(cluster: &Cluster) -> (Running, mpsc::UnboundedReceiver<(Order, RecordInfo)>) {
    let (events, received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(asked::Events(events))
        // Each template has one reply topic, whichever topic it calls.
        .allow_reply_to(cluster.name("orders-responses"))
        .handlers(asked::place_handlers())
        .handlers(asked::echo_handlers())
        .handlers(asked::command_handlers())
        .handlers(asked::event_handlers());
    (started(runtime).await, received)
}

async fn ask(spring: &Program, template: &str, topic: &str, value: impl Serialize) -> Result<Value, Value> {
    let question = json!({"template": template, "topic": topic, "key": "account-7", "value": value});
    spring.ask(question).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_answered_with_its_key_and_on_its_partition() {
    let Some((cluster, spring)) = spring(&ASKED, false).await else { return };
    let (running, _events) = serving(&cluster).await;
    let answer = ask(&spring, "grouped", "orders", order(7)).await.expect("an answer");
    assert_eq!((&answer["value"], &answer["key"]), (&json!(order(8)), &json!("account-7")));
    let nothing = ask(&spring, "grouped", "orders", order(1)).await.expect("an answer");
    assert_eq!(nothing["value"], Value::Null);
    for _ in 0..5 {
        let answer = ask(&spring, "assigned", "orders", order(7)).await.expect("an answer");
        assert_eq!((&answer["value"], &answer["partition"]), (&json!(order(8)), &json!(2)));
    }
    for text in ["plain text", "7", "\u{2713} \"q\""] {
        let answer = ask(&spring, "text", "texts", text).await.expect("an answer");
        assert_eq!(answer["value"], json!(text));
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_finds_an_error_by_its_headers() {
    let Some((cluster, spring)) = spring(&ASKED, false).await else { return };
    let (running, _events) = serving(&cluster).await;
    let whole = json!({"statusCode": 503, "error": "ServiceUnavailable", "message": "the shop is closed", "code": "E1"});
    let error = ask(&spring, "grouped", "orders", order(0)).await.expect_err("an error");
    assert_eq!(
        (&error["name"], &error["message"]),
        (&json!("ServiceUnavailable"), &json!("the shop is closed"))
    );
    let read: Value = serde_json::from_str(error["whole"].as_str().expect("text")).expect("JSON");
    assert_eq!(read, whole);
    let poison = ask(&spring, "assigned", "orders", "no order").await.expect_err("no order");
    assert_eq!(poison["name"], json!("BadRequest"));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_names_commands_by_the_envelope() {
    let Some((cluster, spring)) = spring(&ASKED, false).await else { return };
    let (running, _events) = serving(&cluster).await;
    let command = json!({"type": "PLACE", "payload": order(7)});
    let answer = ask(&spring, "grouped", "commands", command).await.expect("an answer");
    assert_eq!(answer["value"], json!(7));
    let unknown = ask(&spring, "grouped", "commands", json!({"type": "NO_SUCH"})).await;
    assert_eq!(unknown.expect_err("unknown")["name"], json!("UnknownCommand"));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_template_is_handled() {
    let Some((cluster, spring)) = spring(&ASKED, false).await else { return };
    let (running, mut events) = serving(&cluster).await;
    let told = json!({"topic": "events", "key": "account-9", "value": order(7)});
    spring.ask(told).await.expect("the broker has it");
    let event = tokio::time::timeout(tests::BOUND, events.recv()).await.expect("in time").expect("an event");
    assert_eq!((event.0, event.1.key.as_deref()), (order(7), Some(b"account-9".as_slice())));
    running.shutdown().await.expect("a clean shutdown");
}

/// The contracts that Spring serves; in Spring the topic names the listener.
mod asks {
    use super::{Order, RpcError, Value, kafka_handler};

    macro_rules! contracts {
        ($($contract:ident, $topic:literal: $name:ident($payload:ty) -> $reply:ty;)*) => {$(
            #[kafka_handler(topic = $topic, group = "asks", replies = "asks-responses", dialect = "spring")]
            #[allow(dead_code, reason = "only its client is used: Spring serves it")]
            pub(super) trait $contract {
                async fn $name(&self, payload: $payload) -> Result<$reply, RpcError>;
            }
        )*};
    }

    contracts! {
        PlaceOrder, "spring.order": order(Order) -> Value;
        Greet, "spring.greet": greet(String) -> String;
        Text, "spring.text": text(String) -> String;
        Fail, "spring.fail": fail(Order) -> Order;
        Refuse, "spring.refuse": refuse(Order) -> Order;
        Noted, "spring.noted": noted(Order) -> ();
        Dead, "spring.dead": dead(Order) -> ();
    }
}
use asks::{
    DeadClient as _, FailClient as _, GreetClient as _, NotedClient as _, PlaceOrderClient as _,
    RefuseClient as _, TextClient as _,
};

const SERVED: [(&str, u16); 10] = [
    ("spring.order", 1),
    ("spring.greet", 1),
    ("spring.text", 1),
    ("spring.fail", 1),
    ("spring.refuse", 1),
    ("spring.noted", 1),
    ("spring.dead", 1),
    ("asks-responses", 3),
    ("dead-orders.dlq", 1),
    ("orders.dlq", 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_with_send_to_answers_a_call() {
    let Some((cluster, _spring)) = spring(&SERVED, true).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = running.client();
    let answer = client.order(order(7)).header("x-tenant", "acme").key("k-1").await;
    assert_eq!(answer, Ok(json!({"account": "ada", "number": 7, "key": "k-1", "tenant": "acme"})));
    let answer = client.order(order(7)).await;
    assert_eq!(answer, Ok(json!({"account": "ada", "number": 7, "key": null, "tenant": null})));
    assert_eq!(client.greet("Ada".to_owned()).await.as_deref(), Ok("hello Ada"));
    // A `StringSerializer` writes text, not JSON; the listener gets our JSON unparsed.
    assert_eq!(client.text("Ada".to_owned()).await.as_deref(), Ok("got \"Ada\""));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_answers_on_the_partition_that_a_caller_reads() {
    let Some((cluster, _spring)) = spring(&SERVED, true).await else { return };
    let runtime = cluster.runtime(cluster.config()).client_only();
    let running = started(runtime.reply_reading(ReplyReading::OwnPartition)).await;
    for number in 0..10 {
        let answer = running.client().order(order(number)).await.expect("an answer");
        assert_eq!(answer["number"], json!(number));
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_a_listener_is_read_from_the_headers_of_its_error_handler() {
    let Some((cluster, _spring)) = spring(&SERVED, true).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let closed = RpcError::internal("the shop is closed").with_name("java.lang.IllegalStateException");
    assert_eq!(running.client().fail(order(7)).await, Err(CallError::Remote(closed)));
    assert_eq!(running.client().refuse(order(7)).await, Err(CallError::Remote(RpcError::conflict("taken"))));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_send_to_gets_events_and_answers_nobody() {
    let Some((cluster, spring)) = spring(&SERVED, true).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = running.client();
    client.noted(order(7)).key("k-2").notify().await.expect("the broker has it");
    let event = spring.says("an event", |line| line["event"]["number"] == 7).await;
    assert_eq!(event, json!({"event": order(7), "key": "k-2"}));

    let unanswered = tokio::spawn(client.noted(order(8)).timeout(Duration::from_secs(10)));
    spring.says("what nobody answers", |line| line["event"]["number"] == 8).await;
    let ended = unanswered.await.expect("no panic");
    assert!(matches!(ended, Err(CallError::DeadlineExceeded { .. })), "{ended:?}");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_ours_is_read_as_one_of_springs() {
    let Some((cluster, spring)) = spring(&SERVED, true).await else { return };
    cluster.create_topic("orders", 1).await;
    let runtime = cluster.runtime(cluster.config()).handlers(asked::place_handlers());
    let running = started(runtime).await;
    let poison = serde_json::to_vec(&order(0)).expect("JSON");
    cluster.peer().send(&cluster.name("orders"), &tests::Record::new(poison).key("k")).await;
    let letter = spring.says("a dead letter", |line| line["letter"]["number"] == 0).await;
    let expected = json!({
        "letter": order(0),
        "topic": cluster.name("orders"),
        "partition": 0,
        "offset": 0,
        "timestamp": letter["timestamp"],
        "type": "CreateTime",
        "group": cluster.name("asked"),
        "name": "ServiceUnavailable",
        "message": "the shop is closed",
        "stacktrace": "sold out",
    });
    assert_eq!(letter, expected);
    assert!(letter["timestamp"].as_i64().is_some_and(|millis| millis > 1_700_000_000_000), "{letter}");
    running.shutdown().await.expect("a clean shutdown");
}

#[derive(Clone)]
struct Letters(mpsc::UnboundedSender<DeadLetter>);

#[kafka_handler(dead_letters_of = "dead-orders", group = "undertaker", register = false)]
async fn on_dead_letter(letter: DeadLetter, State(letters): State<Letters>) -> Result<(), RpcError> {
    letters.0.send(letter).map_err(|_test_has_ended| RpcError::unavailable("nobody reads the letters"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_springs_is_read_as_one_of_ours() {
    let Some((cluster, _spring)) = spring(&SERVED, true).await else { return };
    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime =
        cluster.runtime(cluster.config()).provide(Letters(letters)).handlers(on_dead_letter_handlers());
    let running = started(runtime).await;
    running.client().dead(order(7)).key("k").notify().await.expect("the broker has it");
    let letter =
        tokio::time::timeout(tests::BOUND, received.recv()).await.expect("in time").expect("a letter");
    assert_eq!(letter.key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(letter.original_topic(), Some(&*cluster.name("spring.dead")));
    assert_eq!((letter.original_partition(), letter.original_offset()), (Some(0), Some(0)));
    assert!(letter.error().is_some_and(|message| message.ends_with("never")), "{:?}", letter.error());
    let thrown = letter.error_name().expect("a class");
    assert!(thrown.ends_with("ListenerExecutionFailedException"), "{thrown}");
    running.shutdown().await.expect("a clean shutdown");
}
