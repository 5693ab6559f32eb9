//! The dialects of NestJS and of Spring Kafka, byte for byte, against a peer that speaks raw bytes.

use kafka_rpc::{CallError, DeadLetter, Handlers, RpcError, State, kafka_handler};
use serde::{Deserialize, Serialize};
use tests::{Cluster, Record, cluster::started, until};
use tokio::sync::mpsc;

const SPRING_ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    account: String,
    number: u64,
}

#[kafka_handler(topic = "orders.place", group = "nest", dialect = "nest", ordering = "none", retry = none)]
async fn place_in_nest(order: Order) -> Result<String, RpcError> {
    match order.number {
        0 => Err(RpcError::not_found("no such order").with_name("NoOrder")),
        number => Ok(format!("{number} for {}", order.account)),
    }
}

#[kafka_handler(topic = "spring-orders", group = "spring", dialect = "spring", retry = none)]
async fn place_in_spring(order: Order) -> Result<Order, RpcError> {
    match order.number {
        0 => Err(RpcError::unavailable("the shop is closed").with_source("sold out")),
        number => Ok(Order { number: number + 1, ..order }),
    }
}

#[kafka_handler(topic = "any-orders", group = "any", dialect = "any", retry = none, client = none)]
async fn place_in_any(order: Order) -> Result<Order, RpcError> {
    Ok(order)
}

fn all() -> [Handlers; 3] {
    [place_in_nest_handlers(), place_in_spring_handlers(), place_in_any_handlers()]
}

async fn serving(cluster: &Cluster, topics: &[(&str, u16)]) -> kafka_rpc::Running {
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions).await;
    }
    let runtime = cluster.runtime(cluster.config()).allow_reply_to(cluster.name("any-orders.reply"));
    started(all().into_iter().fold(runtime, kafka_rpc::RuntimeBuilder::handlers)).await
}

fn nest(value: &str, reply_to: &str) -> Record {
    Record::new(value)
        .header("kafka_correlationId", "lx2k9w7qz")
        .header("kafka_replyTopic", reply_to)
        .header("kafka_replyPartition", "2")
}

fn spring(value: &str, reply_to: &str) -> Record {
    Record::new(value)
        .key("account-7")
        .header("kafka_replyTopic", reply_to)
        .header("kafka_replyPartition", 2_i32.to_be_bytes())
        .header("kafka_correlationId", SPRING_ID)
}

const ORDER: &str = r#"{"account":"ada","number":7}"#;
const NO_ORDER: &str = r#"{"account":"ada","number":0}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_nest_is_answered_byte_for_byte_on_the_partition_that_it_reads() {
    let cluster = Cluster::start();
    let running = serving(&cluster, &[("orders.place", 1), ("orders.place.reply", 4)]).await;
    let (peer, replies) = (cluster.peer(), cluster.name("orders.place.reply"));
    peer.send(&cluster.name("orders.place"), &nest(ORDER, &replies)).await;
    let answer = peer.read(&replies, 1).await.remove(0);
    assert_eq!(answer.partition, Some(2));
    assert_eq!((answer.key, answer.value.as_deref()), (None, Some(b"7 for ada".as_slice())));
    let id = ("kafka_correlationId".to_owned(), Some(b"lx2k9w7qz".to_vec()));
    let disposed = ("kafka_nest-is-disposed".to_owned(), Some(vec![0]));
    assert_eq!(answer.headers, [id.clone(), disposed.clone()]);

    peer.send(&cluster.name("orders.place"), &nest(NO_ORDER, &replies)).await;
    peer.send(&cluster.name("orders.place"), &nest("poison", &replies)).await;
    let answers = peer.read(&replies, 3).await;
    let errors: Vec<&str> = answers.iter().filter_map(|answer| answer.text("kafka_nest-err")).collect();
    let missing = r#"{"statusCode":404,"error":"NoOrder","message":"no such order"}"#;
    let poison = r#"{"statusCode":400,"error":"BadRequest","message":"the payload does not fit the command: expected value at line 1 column 1"}"#;
    assert_eq!(errors.iter().filter(|error| [missing, poison].contains(error)).count(), 2, "{errors:?}");
    let error = answers.iter().find(|answer| answer.text("kafka_nest-err") == Some(missing)).expect("it");
    assert_eq!((&error.value, &error.headers[0], &error.headers[2]), (&None, &id, &disposed));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_spring_is_answered_byte_for_byte_with_its_key() {
    let cluster = Cluster::start();
    let running = serving(&cluster, &[("spring-orders", 1), ("spring-orders-responses", 4)]).await;
    let (peer, topic) = (cluster.peer(), cluster.name("spring-orders"));
    let replies = cluster.name("spring-orders-responses");
    peer.send(&topic, &spring(ORDER, &replies)).await;
    let answer = peer.read(&replies, 1).await.remove(0);
    assert_eq!((answer.partition, answer.key.as_deref()), (Some(2), Some(b"account-7".as_slice())));
    assert_eq!(answer.value.as_deref(), Some(br#"{"account":"ada","number":8}"#.as_slice()));
    let id = ("kafka_correlationId".to_owned(), Some(SPRING_ID.to_vec()));
    assert_eq!(answer.headers, std::slice::from_ref(&id));

    peer.send(&topic, &spring(NO_ORDER, &replies)).await;
    let error = peer.read(&replies, 2).await.remove(1);
    assert_eq!((error.value.as_deref(), error.key.as_deref()), (None, Some(b"account-7".as_slice())));
    assert_eq!(error.headers[0], id);
    assert_eq!(error.text("kafka_exception-fqcn"), Some("ServiceUnavailable"));
    assert_eq!(error.text("kafka_exception-message"), Some("the shop is closed"));
    let whole = r#"{"statusCode":503,"error":"ServiceUnavailable","message":"the shop is closed"}"#;
    assert_eq!(error.text("rpc-error"), Some(whole));

    let letter = peer.read(&cluster.name("spring-orders.dlq"), 1).await.remove(0);
    assert_eq!(letter.value.as_deref(), Some(NO_ORDER.as_bytes()));
    let header = |name: &str| letter.headers.iter().find(|(own, _)| own == name)?.1.clone();
    assert_eq!(header("kafka_dlt-original-topic"), Some(topic.into_bytes()));
    assert_eq!(header("kafka_dlt-original-partition"), Some(vec![0; 4]));
    assert_eq!(header("kafka_dlt-original-offset"), Some(1_i64.to_be_bytes().to_vec()));
    assert_eq!(header("kafka_dlt-original-timestamp").map(|bytes| bytes.len()), Some(8));
    assert_eq!(header("kafka_dlt-original-timestamp-type").as_deref(), Some(b"CreateTime".as_slice()));
    assert_eq!(
        header("kafka_dlt-original-consumer-group"),
        Some(cluster.name("spring").into_bytes()),
        "the group as the cluster has it"
    );
    assert_eq!(header("kafka_dlt-exception-stacktrace").as_deref(), Some(b"sold out".as_slice()));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answers_everyone_as_they_asked() {
    let cluster = Cluster::start();
    let topics = [("any-orders", 1), ("any-orders-responses", 4), ("any-orders.reply", 4)];
    let running = serving(&cluster, &topics).await;
    let (peer, topic) = (cluster.peer(), cluster.name("any-orders"));
    let (own, nests) = (cluster.name("any-orders-responses"), cluster.name("any-orders.reply"));
    let reference = Record::new(ORDER).header("correlation-id", "c-1").header("reply-to", &own);
    peer.send(&topic, &reference).await;
    let answer = peer.read(&own, 1).await.remove(0);
    assert_eq!(answer.names(), ["message-id", "message-type", "timestamp", "correlation-id"]);
    assert_eq!(answer.json()["data"]["number"], 7);

    peer.send(&topic, &nest(ORDER, &nests)).await;
    let answer = peer.read(&nests, 1).await.remove(0);
    assert_eq!(answer.names(), ["kafka_correlationId", "kafka_nest-is-disposed"]);
    assert_eq!((answer.json()["number"].as_u64(), answer.partition), (Some(7), Some(2)));

    peer.send(&topic, &spring(ORDER, &own)).await;
    let answers = peer.read(&own, 2).await;
    let answer = answers.iter().find(|answer| answer.key.as_deref() == Some(b"account-7")).expect("it");
    assert_eq!(answer.names(), ["kafka_correlationId"]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_only_where_it_may_in_every_dialect() {
    let cluster = Cluster::start();
    let topics = [("orders.place", 1), ("spring-orders", 1), ("any-orders", 1), ("victim", 4)];
    let running = serving(&cluster, &topics).await;
    let (peer, victim) = (cluster.peer(), cluster.name("victim"));
    for (topic, group, request) in [
        ("orders.place", "nest", nest(ORDER, &victim)),
        ("spring-orders", "spring", spring(ORDER, &victim)),
        ("any-orders", "any", nest(ORDER, &victim)),
    ] {
        peer.send(&cluster.name(topic), &request).await;
        until("it is final", || cluster.committed_sum(group, topic, 1) == 1).await;
    }
    for topic in ["orders.place", "spring-orders", "any-orders"] {
        let letter = peer.read(&cluster.name(&format!("{topic}.dlq")), 1).await.remove(0);
        let told = (letter.text("status-code"), letter.value.as_deref());
        assert_eq!(told, (Some("403"), Some(ORDER.as_bytes())), "{topic}");
    }
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert!(peer.all(&victim).await.is_empty());
}

/// The partition of a reply is an untrusted number, as `reply-to` is untrusted text.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_a_partition_that_is_not_there_is_a_dead_letter_and_holds_nothing() {
    let cluster = Cluster::start();
    let topics = [("orders.place", 1), ("orders.place.reply", 1), ("orders.place.dlq", 1)];
    let running = serving(&cluster, &topics).await;
    let (peer, topic) = (cluster.peer(), cluster.name("orders.place"));
    let replies = cluster.name("orders.place.reply");
    peer.send(&topic, &nest(ORDER, &replies)).await;
    let letter = peer.read(&cluster.name("orders.place.dlq"), 1).await.remove(0);
    assert_eq!(letter.value.as_deref(), Some(ORDER.as_bytes()));
    until("it is final", || cluster.committed_sum("nest", "orders.place", 1) == 1).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[derive(Clone)]
struct Letters(mpsc::UnboundedSender<DeadLetter>);

#[kafka_handler(dead_letters_of = "spring-orders", group = "undertaker", register = false)]
async fn on_dead_letter(letter: DeadLetter, State(letters): State<Letters>) -> Result<(), RpcError> {
    letters.0.send(letter).map_err(|_test_has_ended| RpcError::unavailable("nobody reads the letters"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_letter_of_a_request_that_was_answered_and_has_expired_is_handled() {
    let cluster = Cluster::start();
    for topic in ["spring-orders", "spring-orders-responses", "spring-orders.dlq"] {
        cluster.create_topic(topic, 3).await;
    }
    let (peer, replies) = (cluster.peer(), cluster.name("spring-orders-responses"));
    // A dead letter as it is found long after its caller has gone.
    let dead = spring(NO_ORDER, &replies)
        .header("deadline", "1000")
        .header("retry-count", "9")
        .header("kafka_dlt-exception-message", "the shop is closed")
        .header("kafka_dlt-original-offset", 7_i64.to_be_bytes());
    peer.send(&cluster.name("spring-orders.dlq"), &dead).await;
    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(Letters(letters))
        .handlers(place_in_spring_handlers())
        .handlers(on_dead_letter_handlers());
    let running = started(runtime).await;
    let letter =
        tokio::time::timeout(tests::BOUND, received.recv()).await.expect("in time").expect("a letter");
    assert_eq!(letter.value.as_deref(), Some(NO_ORDER.as_bytes()));
    assert_eq!((letter.error(), letter.original_offset()), (Some("the shop is closed"), Some(7)));
    let committed = || cluster.committed_sum("undertaker", "spring-orders.dlq", 3) == 1;
    until("it is final", committed).await;
    running.shutdown().await.expect("a clean shutdown");
    assert!(peer.all(&replies).await.is_empty(), "the caller is not answered a second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_nest_is_what_its_server_expects_and_its_replies_are_read() {
    let cluster = Cluster::start();
    cluster.create_topic("orders.place", 1).await;
    cluster.create_topic("orders.place.reply", 3).await;
    let (peer, replies) = (cluster.peer(), cluster.name("orders.place.reply"));
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let order = || Order { account: "ada".to_owned(), number: 7 };
    let call = tokio::spawn(running.client().place_in_nest(order()).header("x-tenant", "acme"));
    let request = peer.read(&cluster.name("orders.place"), 1).await.remove(0);
    assert_eq!(request.names(), ["kafka_correlationId", "kafka_replyTopic", "deadline", "x-tenant"]);
    assert_eq!(request.text("kafka_replyTopic"), Some(&*replies));
    assert_eq!(request.value.as_deref(), Some(ORDER.as_bytes()));
    let id = request.text("kafka_correlationId").expect("an id");
    assert_eq!(request.key.as_deref(), Some(id.as_bytes()));
    let reply = Record::new("7").header("kafka_correlationId", id).header("kafka_nest-is-disposed", [0]);
    peer.send(&replies, &reply.partition(1)).await;
    assert_eq!(call.await.expect("no panic"), Ok("7".to_owned()), "a text, though it looks like a number");

    let call = tokio::spawn(running.client().place_in_nest(order()));
    let request = peer.read(&cluster.name("orders.place"), 2).await.remove(1);
    let id = request.text("kafka_correlationId").expect("an id");
    let error = Record::default()
        .header("kafka_correlationId", id)
        .header("kafka_nest-err", r#"{"statusCode":409,"message":"taken","error":"Conflict"}"#);
    peer.send(&replies, &error).await;
    assert_eq!(call.await.expect("no panic"), Err(CallError::Remote(RpcError::conflict("taken"))));

    running.client().place_in_nest(order()).notify().await.expect("delivered");
    let event = peer.read(&cluster.name("orders.place"), 3).await.remove(2);
    assert_eq!((event.names(), event.value.as_deref()), (vec![], Some(ORDER.as_bytes())));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_spring_is_what_its_listener_expects_and_hostile_replies_are_harmless() {
    let cluster = Cluster::start();
    cluster.create_topic("spring-orders", 1).await;
    cluster.create_topic("spring-orders-responses", 3).await;
    let (peer, replies) = (cluster.peer(), cluster.name("spring-orders-responses"));
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let order = Order { account: "ada".to_owned(), number: 7 };
    let call = tokio::spawn(running.client().place_in_spring(order.clone()));
    let request = peer.read(&cluster.name("spring-orders"), 1).await.remove(0);
    assert_eq!(request.names(), ["kafka_correlationId", "kafka_replyTopic", "deadline"]);
    assert_eq!((request.key.as_deref(), request.value.as_deref()), (None, Some(ORDER.as_bytes())));
    let id = request.text("kafka_correlationId").expect("an id");

    let mut null = Record::default();
    null.headers.push(("kafka_correlationId".to_owned(), None));
    for hostile in [
        null,
        Record::new(b"\xff\xfe"),
        Record::new(ORDER).header("kafka_correlationId", SPRING_ID),
        Record::new(ORDER).header("kafka_correlationId", "x".repeat(100_000)),
        Record::new(ORDER).header("correlation-id", b"\xff").header("kafka_correlationId", b""),
        Record::default().header("rpc-error", "{").header("kafka_nest-err", b"\xff"),
    ] {
        peer.send(&replies, &hostile).await;
    }
    let reply = Record::new(ORDER).key("account-7").header("KAFKA_CORRELATIONID", id);
    peer.send(&replies, &reply).await;
    assert_eq!(call.await.expect("no panic"), Ok(order.clone()));

    let call = tokio::spawn(running.client().place_in_spring(order));
    let request = peer.read(&cluster.name("spring-orders"), 2).await.remove(1);
    let error = Record::default()
        .header("kafka_correlationId", request.text("kafka_correlationId").expect("an id"))
        .header("kafka_exception-fqcn", "java.lang.IllegalStateException")
        .header("kafka_exception-message", "closed");
    peer.send(&replies, &error).await;
    let expected = RpcError::internal("closed").with_name("java.lang.IllegalStateException");
    assert_eq!(call.await.expect("no panic"), Err(CallError::Remote(expected)));
    running.shutdown().await.expect("a clean shutdown");
}
