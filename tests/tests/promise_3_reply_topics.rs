//! Promise 3, while the reply topic changes under its readers: no reply is skipped.

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use kafka_rpc::{CallError, Progress, ReplyReading, RpcError, kafka_handler};
use rdkafka::types::RDKafkaApiKey;
use tests::{
    BOUND, Cluster, Peer, Record,
    cluster::{Extras, real_brokers_with, real_kafka, started},
    load::Load,
    mocked::{broker_with, runs_here, runtime_on},
    orders::{OrderService, Orders, OrdersClient, REPLIES, TOPIC},
    process, until,
};

/// How soon an added partition must be read.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The topic of calls that only the test answers, on a reply topic that others use too.
const ASKS: &str = "asks-commands";

/// A contract that nobody serves.
#[kafka_handler(topic = ASKS, group = "asks", replies = REPLIES)]
pub trait Asks {
    /// Asks for anything.
    #[command("ASK")]
    async fn ask(&self, what: u32) -> Result<String, RpcError>;
}

/// Answers a request on a partition of the reply topic.
async fn answer(peer: &Peer, request: &Record, replies: &str, partition: i32) {
    let id = request.text("correlation-id").expect("an id");
    let reply = Record::new(r#"{"success":true,"data":"answer"}"#).header("correlation-id", id);
    peer.send(replies, &reply.partition(partition)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_under_load_are_read_within_ten_seconds_from_their_beginning() {
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(ASKS, 1).await;
    cluster.create_topic(REPLIES, 3).await;
    let (peer, replies) = (cluster.peer(), cluster.name(REPLIES));
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let load = Load::start(running.client(), BOUND);
    let topics = cluster.topics();
    let answers = || (0..3).map(|partition| topics.end(&replies, partition)).sum::<i64>();
    until("there is load", || answers() > 100).await;

    let asked: Vec<_> =
        (3..6).map(|partition| tokio::spawn(running.client().ask(partition).timeout(BOUND))).collect();
    let requests = peer.read(&cluster.name(ASKS), 3).await;
    topics.grow(&replies, 6).await;
    let grown = Instant::now();
    // Replies before any reader knows of the new partitions.
    for (request, partition) in requests.iter().zip(3..6) {
        answer(&peer, request, &replies, partition).await;
    }
    for call in asked {
        assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));
    }
    assert!(grown.elapsed() < READ_WITHIN, "they were read after {:?}", grown.elapsed());
    assert!(load.stop().await > 100);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_topic_that_is_made_anew_is_read_again() {
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 3).await;
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let load = Load::start(running.client(), BOUND);
    until("there is load", || load.answered() > 100).await;
    load.stop().await;

    cluster.topics().recreate(&cluster.name(REPLIES), 3).await;
    // Replies sent before anybody knows of the new topic are lost through the change of topics, not through
    // the reader.
    let again = async || running.client().echo("again".to_owned()).timeout(Duration::from_secs(1)).await;
    let at_latest = Instant::now() + BOUND;
    while again().await.is_err() {
        assert!(Instant::now() < at_latest, "the reply topic is not read again");
    }
    let load = Load::start(running.client(), BOUND);
    until("there is load again", || load.answered() > 100).await;
    load.stop().await;
    running.shutdown().await.expect("a clean shutdown");
}

/// A caller in a separate process, which the test can stop from reading.
struct Caller(Child);

impl Caller {
    fn signal(&self, signal: &str) {
        process::signal(&self.0, signal).expect("it is there");
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_survives_when_what_was_to_be_read_before_it_is_deleted() {
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (peer, replies) = (cluster.peer(), cluster.name(REPLIES));
    let mut calling = Command::new(env!("CARGO_BIN_EXE_orders-caller"));
    calling.arg(cluster.brokers()).arg(cluster.name("")).stdout(Stdio::piped());
    let mut calling = Caller(calling.spawn().expect("it starts"));
    let request = peer.read(&cluster.name(TOPIC), 1).await.remove(0);

    calling.signal("STOP");
    let somebody_elses = Record::new(r#"{"success":true}"#).header("correlation-id", "another").partition(0);
    for _ in 0..50 {
        peer.send(&replies, &somebody_elses).await;
    }
    let before = cluster.topics().end(&replies, 0);
    answer(&peer, &request, &replies, 0).await;
    cluster.topics().truncate(&replies, 0, before).await;
    calling.signal("CONT");

    let mut output = calling.0.stdout.take().expect("it is piped");
    let printed = tokio::task::spawn_blocking(move || {
        let mut printed = String::new();
        output.read_to_string(&mut printed).map(|_| printed)
    });
    assert_eq!(printed.await.expect("no panic").expect("text"), "answer\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_makes_topics_when_asked_makes_those_that_are_needed() {
    let properties = vec![("auto.create.topics.enable", "true".to_owned())];
    let Some(brokers) = real_brokers_with(1, &Extras { properties, ..Extras::default() }) else { return };
    let cluster = Cluster::of(&brokers);
    let at_latest = Instant::now() + BOUND;
    // Busy brokers may take longer than a start or a call waits. Then the next start, or the next call, finds
    // the topic.
    let running = loop {
        let runtime = cluster.runtime(cluster.config().create_topics(false)).provide(OrderService::default());
        let runtime = runtime.handlers(<OrderService as Orders>::handlers()).build();
        match runtime.expect("nothing is wrong").start().await {
            Ok(running) => break running,
            Err(error) => assert!(Instant::now() < at_latest, "{error}"),
        }
    };
    loop {
        match running.client().echo("hi".to_owned()).timeout(BOUND).await {
            Ok(answer) => break assert_eq!(answer, "hi"),
            Err(error) => assert!(Instant::now() < at_latest, "{error}"),
        }
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_only_partition_that_is_read_has_no_leader_any_more_the_next_calls_name_another() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[(TOPIC, 1), (REPLIES, 2)]);
    // Responses to later versions of Fetch name the current leader, and without one the mock crashes.
    broker.apiversion(RDKafkaApiKey::Fetch, Some(0), Some(11)).expect("versions");
    let runtime = runtime_on(&broker, |config| config).client_only();
    let running = started(runtime.reply_reading(ReplyReading::OwnPartition)).await;
    let (client, peer) = (running.client(), Peer::new(&broker.bootstrap_servers()));
    let named = |request: &Record| request.text("reply-partition").and_then(|text| text.parse::<i32>().ok());

    let call = tokio::spawn(client.echo("hi".to_owned()).timeout(BOUND));
    let request = peer.read(TOPIC, 1).await.remove(0);
    let own = named(&request).expect("a partition");
    answer(&peer, &request, REPLIES, own).await;
    assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));

    broker.partition_leader(REPLIES, own, None).expect("no leader");
    let (began, mut sent) = (Instant::now(), 1);
    loop {
        // A call that ends at its deadline makes the client check the partitions.
        let late = client.echo("hi".to_owned()).timeout(Duration::from_secs(1)).await;
        let Err(CallError::DeadlineExceeded { progress, .. }) = late else { panic!("{late:?}") };
        sent += usize::from(progress != Progress::NotSent);
        if peer.read(TOPIC, sent).await.last().and_then(named) != Some(own) {
            break;
        }
        assert!(began.elapsed() < BOUND, "{sent} requests name the partition that nobody leads");
    }
    let call = tokio::spawn(client.echo("hi".to_owned()).timeout(BOUND));
    let request = peer.read(TOPIC, sent + 1).await.remove(sent);
    assert_eq!(named(&request), Some(1 - own));
    answer(&peer, &request, REPLIES, 1 - own).await;
    assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}
