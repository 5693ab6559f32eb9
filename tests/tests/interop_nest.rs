//! NestJS's own Kafka transport on the other side: `ClientKafka`, `@MessagePattern` and `@EventPattern`.

use std::{process::Command, time::Duration};

use kafka_rpc::{
    CallError, Headers, Progress, RecordInfo, ReplyReading, RpcError, Running, State, UserId, kafka_handler,
};
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

/// The handlers that Nest's clients call.
mod asked {
    use super::{Headers, Order, RecordInfo, RpcError, State, UserId, Value, json, kafka_handler, mpsc};

    #[kafka_handler(topic = "orders.place", group = "asked", dialect = "nest", register = false)]
    pub(super) async fn place(order: Order) -> Result<Option<Order>, RpcError> {
        match order.number {
            0 => {
                Err(RpcError::not_found("no such order").with_name("NoOrder").with_details(json!({"is": 0})))
            }
            1 => Ok(None),
            number => Ok(Some(Order { number: number + 1, ..order })),
        }
    }

    #[kafka_handler(topic = "orders.count", group = "asked", dialect = "nest", register = false)]
    pub(super) async fn count(numbers: Vec<u64>) -> Result<usize, RpcError> {
        Ok(numbers.len())
    }

    #[kafka_handler(topic = "orders.echo", group = "asked", dialect = "nest", register = false)]
    pub(super) async fn echo(text: String) -> Result<String, RpcError> {
        Ok(text)
    }

    #[kafka_handler(topic = "orders.facts", group = "asked", dialect = "nest", register = false)]
    pub(super) async fn facts(_: (), record: RecordInfo, headers: Headers) -> Result<Value, RpcError> {
        let key = record.key.as_deref().map(String::from_utf8_lossy);
        let [tenant, partition] =
            ["x-tenant", "kafka_replyPartition"].map(|name| headers.text(name).map(str::to_owned));
        Ok(json!({"key": key, "tenant": tenant, "partition": partition}))
    }

    #[kafka_handler(topic = "orders.commands", group = "asked", dialect = "nest", register = false)]
    #[command("PLACE")]
    pub(super) async fn command(order: Order, user: Option<UserId>) -> Result<Value, RpcError> {
        Ok(json!({"number": order.number, "user": user.map(|user| user.0)}))
    }

    #[derive(Clone)]
    pub(super) struct Events(pub(super) mpsc::UnboundedSender<(Order, RecordInfo)>);

    #[kafka_handler(topic = "orders.events", group = "asked", dialect = "nest", replies = none, register = false)]
    pub(super) async fn event(
        order: Order,
        record: RecordInfo,
        State(events): State<Events>,
    ) -> Result<(), RpcError> {
        events.0.send((order, record)).map_err(|_test_has_ended| RpcError::unavailable("nobody reads"))
    }
}

const ASKS: [&str; 5] = ["orders.place", "orders.count", "orders.echo", "orders.facts", "orders.commands"];

/// A cluster and a Nest program on it; `None` if either is missing.
async fn nest(topics: &[&str], arguments: Value) -> Option<(Cluster, Program)> {
    let (cluster, folder) = (real_kafka()?, interop::node_project("nest")?);
    for topic in topics {
        cluster.create_topic(topic, 1).await;
        // One partition for each of two clients, and one more.
        cluster.create_topic(&format!("{topic}.reply"), 3).await;
    }
    let mut arguments = arguments;
    arguments["brokers"] = cluster.brokers().into();
    arguments["prefix"] = cluster.name("").into();
    let mut node = Command::new("node");
    node.args(["-r", "ts-node/register/transpile-only", "peer.ts"]).arg(arguments.to_string());
    node.current_dir(folder);
    let program = Program::start(node).await;
    Some((cluster, program))
}

async fn serving(cluster: &Cluster) -> (Running, mpsc::UnboundedReceiver<(Order, RecordInfo)>) {
    let (events, received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(asked::Events(events))
        .handlers(asked::place_handlers())
        .handlers(asked::count_handlers())
        .handlers(asked::echo_handlers())
        .handlers(asked::facts_handlers())
        .handlers(asked::command_handlers())
        .handlers(asked::event_handlers());
    (started(runtime).await, received)
}

/// Returns what the `Observable` emitted until it ended: always one value.
async fn ask(nest: &Program, client: u8, topic: &str, data: impl Serialize) -> Result<Value, Value> {
    let question = json!({"client": client, "topic": topic, "data": data});
    let mut answer = nest.ask(question).await?;
    let Some([value]) = answer["values"].as_array_mut().map(Vec::as_mut_slice) else {
        panic!("not one value: {answer}")
    };
    Ok(value.take())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_nest_is_answered() {
    let Some((cluster, nest)) = nest(&ASKS, json!({"asks": ASKS})).await else { return };
    let (running, _events) = serving(&cluster).await;
    assert_eq!(ask(&nest, 0, "orders.place", order(7)).await, Ok(json!(order(8))));
    assert_eq!(ask(&nest, 0, "orders.place", order(1)).await, Ok(Value::Null));
    // Nest has no scalars but text.
    assert_eq!(ask(&nest, 0, "orders.count", [1, 2, 3]).await, Ok(json!("3")));
    for text in ["plain text", "7", "\u{2713} \"q\""] {
        assert_eq!(ask(&nest, 1, "orders.echo", text).await, Ok(json!(text)));
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_nest_gets_errors_as_objects() {
    let Some((cluster, nest)) = nest(&ASKS, json!({"asks": ASKS})).await else { return };
    let (running, _events) = serving(&cluster).await;
    let missing =
        json!({"statusCode": 404, "error": "NoOrder", "message": "no such order", "details": {"is": 0}});
    assert_eq!(ask(&nest, 0, "orders.place", order(0)).await, Err(missing));
    let poison = ask(&nest, 0, "orders.place", "no order").await.expect_err("no order");
    assert_eq!((&poison["statusCode"], &poison["error"]), (&json!(400), &json!("BadRequest")));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_nest_names_commands_by_the_envelope() {
    let Some((cluster, nest)) = nest(&ASKS, json!({"asks": ASKS})).await else { return };
    let (running, _events) = serving(&cluster).await;
    let command = json!({"type": "PLACE", "userId": "ada", "payload": order(7)});
    assert_eq!(ask(&nest, 0, "orders.commands", command).await, Ok(json!({"number": 7, "user": "ada"})));
    let unknown = ask(&nest, 0, "orders.commands", json!({"type": "NO_SUCH"})).await.expect_err("unknown");
    assert_eq!((&unknown["statusCode"], &unknown["error"]), (&json!(400), &json!("UnknownCommand")));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_of_nest_get_their_replies_each_on_its_own_partition() {
    let Some((cluster, nest)) = nest(&ASKS, json!({"asks": ASKS})).await else { return };
    let (running, _events) = serving(&cluster).await;
    let message = json!({"key": "k-1", "value": order(7), "headers": {"x-tenant": "acme"}});
    let mut partitions = Vec::new();
    for client in [0, 1] {
        let question = json!({"client": client, "topic": "orders.facts", "data": message});
        let answer = nest.ask(question).await.expect("an answer");
        let facts = &answer["values"][0];
        assert_eq!((&facts["key"], &facts["tenant"]), (&json!("k-1"), &json!("acme")));
        assert_eq!(facts["partition"], json!(answer["partition"].to_string()), "the one that it reads");
        partitions.push(answer["partition"].clone());
    }
    assert_ne!(partitions[0], partitions[1]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_nest_is_handled() {
    let Some((cluster, nest)) = nest(&ASKS, json!({"asks": ASKS})).await else { return };
    cluster.create_topic("orders.events", 1).await;
    let (running, mut events) = serving(&cluster).await;
    let data = json!({"key": "k-2", "value": order(7)});
    let told = json!({"client": 0, "topic": "orders.events", "data": data, "emit": true});
    nest.ask(told).await.expect("the broker has it");
    let event = tokio::time::timeout(tests::BOUND, events.recv()).await.expect("in time").expect("an event");
    assert_eq!((event.0, event.1.key.as_deref()), (order(7), Some(b"k-2".as_slice())));
    running.shutdown().await.expect("a clean shutdown");
}

/// The contracts that Nest serves; in Nest the topic names the handler.
mod asks {
    use super::{Order, RpcError, Value, kafka_handler};

    macro_rules! contracts {
        ($($contract:ident, $topic:literal: $name:ident($payload:ty) -> $reply:ty;)*) => {$(
            #[kafka_handler(topic = $topic, group = "asks", dialect = "nest")]
            pub(super) trait $contract {
                async fn $name(&self, payload: $payload) -> Result<$reply, RpcError>;
            }
        )*};
    }

    contracts! {
        PlaceOrder, "nest.order": order(Order) -> Value;
        Sum, "nest.sum": sum(Vec<u64>) -> u64;
        Greet, "nest.greet": greet(String) -> String;
        Nothing, "nest.nothing": nothing(String) -> ();
        Several, "nest.several": several(String) -> u64;
        Fail, "nest.fail": fail(String) -> ();
        Noted, "nest.noted": noted(Order) -> ();
    }
}
use asks::{
    FailClient as _, GreetClient as _, NotedClient as _, NothingClient as _, PlaceOrderClient as _,
    SeveralClient as _, SumClient as _,
};

const SERVED: [&str; 7] =
    ["nest.order", "nest.sum", "nest.greet", "nest.nothing", "nest.several", "nest.fail", "nest.noted"];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_pattern_of_nest_answers_a_call() {
    let Some((cluster, _nest)) = nest(&SERVED, json!({"serve": true})).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = running.client();
    let answer = client.order(order(7)).header("x-tenant", "acme").key("k-1").await.expect("an answer");
    assert_eq!((&answer["account"], &answer["number"]), (&json!("ada"), &json!(7)));
    assert_eq!((&answer["recordKey"], &answer["tenant"]), (&json!("k-1"), &json!("acme")));
    assert!(answer["deadline"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()), "{answer}");
    assert_eq!(client.sum(vec![1, 2, 3]).await, Ok(6));
    assert_eq!(client.greet("Ada".to_owned()).await.as_deref(), Ok("hello Ada, you are a string"));
    assert_eq!(client.greet("7".to_owned()).await.as_deref(), Ok("hello 7, you are a string"));
    assert_eq!(client.nothing(String::new()).await, Ok(()));
    // An `Observable` of three values is three replies, on any partitions; the call gets whichever comes
    // first.
    let one_of_three = client.several(String::new()).await;
    assert!(matches!(one_of_three, Ok(1..=3)), "{one_of_three:?}");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_pattern_of_nest_answers_on_the_partition_that_a_caller_reads() {
    let Some((cluster, _nest)) = nest(&SERVED, json!({"serve": true})).await else { return };
    let runtime = cluster.runtime(cluster.config()).client_only();
    let running = started(runtime.reply_reading(ReplyReading::OwnPartition)).await;
    let client = running.client();
    for number in 0..10 {
        let answer = client.order(order(number)).await.expect("an answer");
        assert_eq!(answer["number"], json!(number));
    }
    assert_eq!(client.several(String::new()).await, Ok(1), "on one partition the first value comes first");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_of_nest_is_a_remote_error() {
    let Some((cluster, _nest)) = nest(&SERVED, json!({"serve": true})).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    for (how, expected) in [
        ("object", RpcError::conflict("taken")),
        ("text", RpcError::internal("no luck")),
        ("otherwise", RpcError::internal("Internal server error")),
    ] {
        assert_eq!(running.client().fail(how.to_owned()).await, Err(CallError::Remote(expected)));
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_pattern_of_nest_gets_events_and_answers_nobody() {
    let Some((cluster, nest)) = nest(&SERVED, json!({"serve": true})).await else { return };
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = running.client();
    client.noted(order(7)).key("k-2").notify().await.expect("the broker has it");
    let event = nest.says("an event", |line| line["event"]["number"] == 7).await;
    assert_eq!(event, json!({"event": order(7), "key": "k-2"}));

    let unanswered = tokio::spawn(client.noted(order(8)).timeout(Duration::from_secs(10)));
    nest.says("what nobody answers", |line| line["event"]["number"] == 8).await;
    let ended = unanswered.await.expect("no panic");
    let Err(CallError::DeadlineExceeded { progress, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(progress, Progress::Acknowledged);
    running.shutdown().await.expect("a clean shutdown");
}
