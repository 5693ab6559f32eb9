//! Promise 5: what cannot be handled goes to the dead-letter topic, and is handled from there.

use std::{
    collections::BTreeSet,
    panic,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use kafka_rpc::{DeadLetter, RpcError, State, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::{real_brokers, real_kafka, started},
    counted,
    orders::{DEAD_LETTERS, GROUP, OrderService, Orders, REPLIES, TOPIC, fail, order, place},
    until,
};
use tokio::sync::mpsc;

#[derive(Clone)]
struct Letters(mpsc::UnboundedSender<DeadLetter>);

#[kafka_handler(dead_letters_of = "orders-commands", group = "undertaker", register = false)]
async fn on_dead_letter(letter: DeadLetter, State(letters): State<Letters>) -> Result<(), RpcError> {
    letters.0.send(letter).map_err(|_test_has_ended| RpcError::unavailable("nobody reads the letters"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_have_a_handler_of_their_own() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.peer().send(&cluster.name(TOPIC), &Record::new(fail(400)).key("k")).await;
    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(OrderService::default())
        .provide(Letters(letters))
        .handlers(<OrderService as Orders>::handlers())
        .handlers(on_dead_letter_handlers());
    let running = started(runtime).await;
    let letter =
        tokio::time::timeout(tests::BOUND, received.recv()).await.expect("in time").expect("a letter");
    assert_eq!(letter.key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(letter.value.as_deref(), Some(fail(400).as_bytes()));
    assert_eq!(letter.original_topic(), Some(&*cluster.name(TOPIC)));
    assert_eq!((letter.error(), letter.error_name()), (Some("no luck"), Some("Down")));
    assert_eq!(letter.status().map(|status| status.as_u16()), Some(400));
    assert_eq!((letter.total_retries(), letter.original_offset()), (Some(0), Some(0)));
    running.shutdown().await.expect("a clean shutdown");
}

#[kafka_handler(
    topic = "parcels-commands",
    group = "parcels",
    dead_letter = "returned-parcels",
    register = false
)]
mod parcels {
    use super::RpcError;

    #[command("SEND")]
    pub(super) async fn send() -> Result<(), RpcError> {
        Err(RpcError::bad_request("no address"))
    }
}

#[kafka_handler(dead_letters_of = "parcels-commands", group = "returns", register = false)]
async fn on_return(letter: DeadLetter, State(letters): State<Letters>) -> Result<(), RpcError> {
    letters.0.send(letter).map_err(|_test_has_ended| RpcError::unavailable("nobody reads the letters"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_where_they_are_said_to_lie_also_by_a_process_that_serves_nothing_else() {
    let cluster = Cluster::start();
    cluster.create_topic("returned-parcels", 1).await;
    cluster.peer().send(&cluster.name("returned-parcels"), &Record::new("parcel")).await;
    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(Letters(letters))
        .handlers(parcels::handlers())
        .handlers(on_return_handlers())
        .serve_groups(["returns"]);
    let running = started(runtime).await;
    let letter =
        tokio::time::timeout(tests::BOUND, received.recv()).await.expect("in time").expect("a letter");
    assert_eq!(letter.value.as_deref(), Some(b"parcel".as_slice()));
    running.shutdown().await.expect("a clean shutdown");
}

#[kafka_handler(
    topic = "parcels-commands",
    group = "customs",
    dead_letter = "confiscated-parcels",
    register = false
)]
mod customs {
    use super::RpcError;

    #[command("SEND")]
    pub(super) async fn send() -> Result<(), RpcError> {
        Err(RpcError::bad_request("not declared"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_a_topic_are_handled_wherever_its_groups_have_them() {
    let cluster = Cluster::start();
    for topic in ["returned-parcels", "confiscated-parcels"] {
        cluster.create_topic(topic, 1).await;
        cluster.peer().send(&cluster.name(topic), &Record::new(topic)).await;
    }
    let (letters, mut received) = mpsc::unbounded_channel();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(Letters(letters))
        .handlers(parcels::handlers())
        .handlers(customs::handlers())
        .handlers(on_return_handlers())
        .serve_groups(["returns"]);
    let running = started(runtime).await;
    let mut found = BTreeSet::new();
    // A letter may come twice: the consumers of both topics join one group, one after the other.
    while found.len() < 2 {
        let letter = tokio::time::timeout(tests::BOUND, received.recv()).await.expect("in time");
        found.insert(letter.expect("a letter").value.expect("a value"));
    }
    assert!(found.iter().eq(["confiscated-parcels", "returned-parcels"]), "{found:?}");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_dead_letter_topic_holds_the_partition_until_it_is_there() {
    // The embedded broker creates every topic that a client asks for, so none can be missing.
    let Some(cluster) = real_kafka() else { return };
    counted::record();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    peer.send(&topic, &Record::new("poison").key("a")).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config().create_topics(false), &service).await;
    // A record that follows on the partition, taken before it pauses or after, must not let the poison be
    // passed over.
    peer.send(&topic, &Record::new(place("b", 1)).key("b")).await;
    let letters = cluster.name(DEAD_LETTERS);
    let refused = || counted("kafka_rpc_deliveries_refused_total", &[("to", &letters)]);
    until("the letter was refused, and sent again", || refused() >= 2).await;
    assert_eq!(counted("kafka_rpc_partitions_held", &[("topic", &topic)]), 1);
    assert_eq!(cluster.committed_sum(GROUP, TOPIC, 1), 0);

    cluster.create_topic(DEAD_LETTERS, 1).await;
    assert_eq!(
        peer.read(&cluster.name(DEAD_LETTERS), 1).await[0].value.as_deref(),
        Some(b"poison".as_slice())
    );
    until("the partition goes on", || cluster.committed_sum(GROUP, TOPIC, 1) == 2).await;
    assert_eq!(service.ended(), [order("b", 1)]);
    running.shutdown().await.expect("a clean shutdown");
}

/// Fails for good, or succeeds; two at a time.
#[kafka_handler(topic = "narrow-commands", group = "narrow", concurrency = 2, register = false)]
async fn narrow(fails: bool) -> Result<(), RpcError> {
    if fails { Err(RpcError::bad_request("as it was told")) } else { Ok(()) }
}

/// More records than may wait at once until their letters can be delivered.
const POISONS: i64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dead_lettered_keeps_neither_other_partitions_nor_a_shutdown_waiting() {
    // The embedded broker creates every topic that a client asks for, so none can be missing.
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic("narrow-commands", 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name("narrow-commands"));
    for _ in 0..POISONS {
        peer.send(&topic, &Record::new("true").partition(0)).await;
    }
    let drain = tests::BOUND / 2;
    let start = async || {
        let config = cluster.config().create_topics(false).drain_timeout(drain);
        started(cluster.runtime(config).handlers(narrow_handlers())).await
    };
    let committed =
        |partition| cluster.committed("narrow", "narrow-commands", 2).get(&partition).copied().unwrap_or(0);

    let running = start().await;
    peer.send(&topic, &Record::new("false").partition(1)).await;
    until("the other partition goes on", || committed(1) == 1).await;
    let began = Instant::now();
    running.shutdown().await.expect("a clean shutdown");
    assert!(began.elapsed() < drain, "nobody waits for what waits for a topic");
    assert_eq!(committed(0), 0);

    let running = start().await;
    peer.send(&topic, &Record::new("false").partition(1)).await;
    until("it does again", || committed(1) == 2).await;
    cluster.create_topic("narrow-commands.dlq", 1).await;
    until("all are dead letters", || committed(0) == POISONS).await;
    // Some letters may exist twice: they were sent repeatedly.
    let letters = peer.all(&cluster.name("narrow-commands.dlq")).await;
    let mut offsets: Vec<i64> =
        letters.iter().filter_map(|letter| letter.text("original-offset")?.parse().ok()).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets, (0..POISONS).collect::<Vec<_>>());
    running.shutdown().await.expect("a clean shutdown");
}

/// A real Kafka whose dead-letter topic takes no record without a key, since it is compacted. The embedded broker
/// compacts nothing, and takes records without a key everywhere.
async fn real_kafka_with_compacted_letters() -> Option<Cluster> {
    let cluster = real_kafka()?;
    counted::record();
    cluster.create_topic(TOPIC, 1).await;
    cluster.topics().create_with(&cluster.name(DEAD_LETTERS), "cleanup.policy", "compact").await;
    Some(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_its_topic_refuses_for_good_is_counted_as_lost_and_stops_nothing() {
    let Some(cluster) = real_kafka_with_compacted_letters().await else { return };
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    peer.send(&topic, &Record::new("poison without a key")).await;
    peer.send(&topic, &Record::new(place("b", 1)).key("b")).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    until("both are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 2).await;
    let records = |outcome| counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", outcome)]);
    assert_eq!((records("lost"), records("dead_lettered"), records("handled")), (1, 0, 1));
    assert_eq!(service.ended(), [order("b", 1)]);
    running.shutdown().await.expect("a clean shutdown");
    assert!(peer.all(&cluster.name(DEAD_LETTERS)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_its_topic_refuses_takes_no_other_of_its_batch_with_it() {
    // A broker refuses the whole batch for one letter without a key.
    let Some(cluster) = real_kafka_with_compacted_letters().await else { return };
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    for number in 0..200 {
        let poison = Record::new("poison");
        let poison = if number % 20 == 7 { poison } else { poison.key(format!("k-{number}")) };
        peer.send(&topic, &poison).await;
    }
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    until("all are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 200).await;
    let records = |outcome| counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", outcome)]);
    assert_eq!((records("lost"), records("dead_lettered")), (10, 190));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_larger_than_its_topic_takes_goes_without_its_value() {
    // The embedded broker takes records of any size.
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 1).await;
    cluster.topics().create_with(&cluster.name(DEAD_LETTERS), "max.message.bytes", "10000").await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    peer.send(&topic, &Record::new("poison".repeat(10_000)).key("k")).await;
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let letter = peer.read(&cluster.name(DEAD_LETTERS), 1).await.remove(0);
    assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (Some(b"k".as_slice()), None));
    assert_eq!((letter.text("value-omitted"), letter.text("original-offset")), (Some("true"), Some("0")));
    until("it is final", || cluster.committed_sum(GROUP, TOPIC, 1) == 1).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_more_headers_than_are_read_is_not_taken_for_one_without_and_its_letter_can_be_read() {
    let cluster = Cluster::start();
    for topic in [TOPIC, DEAD_LETTERS] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    // librdkafka returns no headers of a record with more than 100,000. The letter of a record with slightly
    // fewer would exceed that.
    for (number, headers) in [(1, 100_001), (2, 99_999)] {
        let mut record = Record::new(place("a", number)).key("a");
        record.headers = vec![("h".to_owned(), None); headers];
        peer.send(&topic, &record).await;
    }
    peer.send(&topic, &Record::new(place("a", 3)).key("a")).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    let letters = peer.read(&cluster.name(DEAD_LETTERS), 2).await;
    let told = |name| letters.iter().map(|letter| letter.text(name)).collect::<Vec<_>>();
    assert_eq!(told("status-code"), [Some("400"), Some("413")]);
    assert_eq!(told("headers-omitted"), [Some("true"); 2]);
    assert_eq!(told("original-offset"), [Some("0"), Some("1")]);
    until("the next is handled", || service.ended() == [order("a", 3)]).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_whose_name_is_no_text_is_poison_and_panics_nowhere() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // A test that fails has a thread of its own.
        if thread::current().name() == Some("kafka-rpc-consumer") {
            PANICS.fetch_add(1, Ordering::Relaxed);
        }
        others(info);
    }));
    let cluster = Cluster::start();
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    #[expect(unsafe_code, reason = "Kafka stores any bytes as a name, and rust-rdkafka takes only text")]
    // SAFETY: nothing takes the name for text: rust-rdkafka copies its bytes into a `CString`.
    let name = unsafe { String::from_utf8_unchecked(b"\xff".to_vec()) };
    let mut poison = Record::new(place("a", 1)).key("a");
    poison.headers.push((name, Some(b"1".to_vec())));
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    peer.send(&topic, &poison).await;
    let letter = peer.read(&cluster.name(DEAD_LETTERS), 1).await.remove(0);
    assert_eq!((letter.text("status-code"), letter.text("headers-omitted")), (Some("400"), Some("true")));
    running.shutdown().await.expect("a clean shutdown");
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_with_too_few_replicas_in_sync_holds_its_partition_until_there_are_enough() {
    let Some(mut brokers) = real_brokers(3) else { return };
    let cluster = Cluster::of(&brokers);
    cluster.create_topic(TOPIC, 2).await;
    cluster.topics().create_with(DEAD_LETTERS, "min.insync.replicas", "3").await;
    let peer = cluster.peer();
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    brokers.kill(2).expect("it was alive");
    peer.send(TOPIC, &Record::new("poison").key("a").partition(0)).await;
    // A record behind the poison: it is not handled before the letter has arrived.
    peer.send(TOPIC, &Record::new(place("a", 1)).key("a").partition(0)).await;
    peer.send(TOPIC, &Record::new(place("b", 1)).key("b").partition(1)).await;
    let committed = |partition| cluster.committed(GROUP, TOPIC, 2).get(&partition).copied().unwrap_or(0);
    until("the other partition goes on", || committed(1) == 1).await;
    assert_eq!((committed(0), service.started()), (0, vec![order("b", 1)]));

    brokers.restart(2).expect("it starts again");
    until("it goes on", || committed(0) == 2).await;
    assert_eq!(peer.read(DEAD_LETTERS, 1).await.remove(0).text("status-code"), Some("400"));
    running.shutdown().await.expect("a clean shutdown");
}
