//! Promise 3: no caller hangs, none leaks.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, future::join_all, poll, stream};
use kafka_rpc::{CallError, Client, Config, Progress, Running, Runtime, WhenFull, testing::EmbeddedBroker};
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tests::{
    BOUND, Cluster, Peer, Record,
    cluster::{real_kafka, started},
    load::Load,
    mocked::{caller_on, caller_with, runs_here},
    orders::{GROUP, OrderService, OrdersClient, REPLIES, TOPIC, order},
    until,
};

/// Within this time a call that nothing can answer any more has ended, even on a busy machine: long before
/// its deadline of 30 s.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn caller(cluster: &Cluster) -> Running {
    started(cluster.runtime(cluster.config()).client_only()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_with_its_reply() {
    let cluster = Cluster::start();
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let client = running.client();
    assert_eq!(client.echo("hello".to_owned()).await, Ok("hello".to_owned()));
    assert_eq!(client.nothing().await, Ok(()));
    assert_eq!(client.place(order("a", 7)).await, Ok(7));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_on_the_other_side_a_call_ends_at_its_deadline() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let running = caller(&cluster).await;
    // Long enough for the broker's acknowledgement to arrive on a slow machine.
    let call = running.client().echo("hello".to_owned()).timeout(Duration::from_secs(3));
    let Err(CallError::DeadlineExceeded { topic, waited, progress }) = call.await else {
        panic!("no deadline")
    };
    assert_eq!((topic, progress), (cluster.name(TOPIC), Progress::Acknowledged));
    assert!(waited >= Duration::from_secs(3));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_the_timeout_of_the_configuration_unless_it_has_its_own() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let config = cluster.config().call_timeout(Duration::from_secs(1));
    let running = started(cluster.runtime(config).client_only()).await;
    let client = running.client();
    let own = tokio::spawn(client.echo("hello".to_owned()).timeout(BOUND));
    let ended = client.echo("hello".to_owned()).await;
    let Err(CallError::DeadlineExceeded { waited, .. }) = ended else { panic!("{ended:?}") };
    assert!(waited >= Duration::from_secs(1) && waited < AT_ONCE, "{waited:?}");
    assert!(!own.is_finished(), "it has its own");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_sends_no_reply_sends_none_and_leaves_nobody_hanging() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (peer, replies) = (cluster.peer(), cluster.name(REPLIES));
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let request =
        Record::new(r#"{"type":"SILENT"}"#).header("correlation-id", "c-1").header("reply-to", &replies);
    peer.send(&cluster.name(TOPIC), &request).await;
    assert_eq!(running.client().silent().notify().await, Ok(()));
    until("both are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 2).await;
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert!(peer.all(&replies).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_pending_calls() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let running = caller(&cluster).await;
    let client = running.client();
    let pending = tokio::spawn({
        let client = client.clone();
        async move { client.echo("hello".to_owned()).await }
    });
    let sent = cluster.peer();
    assert_eq!(sent.read(&cluster.name(TOPIC), 1).await.len(), 1, "the request is on its way");
    let began = Instant::now();
    let (ended, shut_down) = tokio::join!(
        async {
            let ended = pending.await.expect("no panic");
            (ended, began.elapsed())
        },
        running.shutdown()
    );
    shut_down.expect("a clean shutdown");
    let progress = ended.0.as_ref().err().and_then(CallError::progress);
    assert!(matches!(ended.0, Err(CallError::ShuttingDown { .. })), "{:?}", ended.0);
    assert!(
        progress.is_some_and(|progress| progress != Progress::NotSent),
        "the broker has it: {progress:?}"
    );
    assert!(ended.1 < AT_ONCE, "it ended after {:?}", ended.1);
    assert_eq!(
        client.echo("too late".to_owned()).await,
        Err(CallError::ShuttingDown { progress: Progress::NotSent })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_reply_topic_ends_with_an_error_that_names_it() {
    // The embedded broker creates every topic that a client asks for, so none can be missing.
    let Some(cluster) = real_kafka() else { return };
    let running = caller(&cluster).await;
    let Err(CallError::Undeliverable { topic, .. }) = running.client().echo("hello".to_owned()).await else {
        panic!("it was delivered")
    };
    assert_eq!(topic, cluster.name(REPLIES));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_more_than_the_bound_is_refused_and_the_others_are_not() {
    let cluster = Cluster::start();
    let held = OrderService::default();
    held.hold("held");
    let serving = cluster.serve_orders(cluster.config(), &held).await;
    let calling = started(cluster.runtime(cluster.config().max_calls_in_flight(1)).client_only()).await;
    let client = calling.client();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.place(order("held", 1)).await }
    });
    until("the first call is at work", || held.started().len() == 1).await;
    assert!(matches!(client.echo("one more".to_owned()).await, Err(CallError::Overloaded { .. })));
    held.release("held");
    assert_eq!(first.await.expect("no panic"), Ok(1));
    assert_eq!(client.echo("room again".to_owned()).await, Ok("room again".to_owned()));
    calling.shutdown().await.expect("a clean shutdown");
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_more_than_the_bound_waits_where_that_is_wanted() {
    let cluster = Cluster::start();
    let held = OrderService::default();
    held.hold("held");
    let serving = cluster.serve_orders(cluster.config(), &held).await;
    let config = cluster.config().max_calls_in_flight(1).when_full(WhenFull::Wait);
    let calling = started(cluster.runtime(config).client_only()).await;
    let client = calling.client();
    let first = tokio::spawn(client.place(order("held", 1)));
    until("the first call is at work", || held.started().len() == 1).await;
    let second = tokio::spawn(client.echo("one more".to_owned()));
    let Err(CallError::DeadlineExceeded { progress, .. }) =
        client.echo("no place".to_owned()).timeout(Duration::from_millis(50)).await
    else {
        panic!("there was a place")
    };
    assert_eq!(progress, Progress::NotSent);
    held.release("held");
    assert_eq!(first.await.expect("no panic"), Ok(1));
    assert_eq!(second.await.expect("no panic"), Ok("one more".to_owned()));
    calling.shutdown().await.expect("a clean shutdown");
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_brokers_end_pending_calls() {
    // A separate broker, which the test can lose.
    let broker = EmbeddedBroker::start().expect("an embedded broker");
    let runtime = Runtime::builder().config(broker.config()).without_registry().client_only().build();
    let running = runtime.expect("nothing is wrong").start().await.expect("the broker is there");
    let pending = tokio::spawn(running.client().echo("hello".to_owned()));
    let peer = Peer::new(broker.brokers());
    assert_eq!(peer.read(TOPIC, 1).await.len(), 1, "the request is on its way");
    drop(peer);
    drop(broker);
    let lost = Instant::now();
    let ended = tokio::time::timeout(BOUND, pending).await.expect("long before its deadline of 30 s");
    assert!(
        matches!(ended, Ok(Err(CallError::Undeliverable { progress: Progress::Acknowledged, .. }))),
        "the command may have been executed: {ended:?}"
    );
    assert!(lost.elapsed() < AT_ONCE, "it ended after {:?}", lost.elapsed());
}

/// The number of threads of this process with this name.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|own| own.trim_end() == name).count()
}

#[cfg(target_os = "linux")]
#[test]
fn calls_that_end_while_brokers_are_away_leave_no_threads_behind() {
    const NAME: &str = "one-of-a-few";
    let mut own = tokio::runtime::Builder::new_multi_thread();
    let own = own.worker_threads(2).thread_name(NAME).enable_all().build().expect("a runtime");
    own.block_on(async {
        let broker = EmbeddedBroker::start().expect("an embedded broker");
        let runtime = Runtime::builder().config(broker.config()).without_registry().client_only().build();
        let running = runtime.expect("nothing is wrong").start().await.expect("the broker is there");
        drop(broker);
        for _ in 0..20 {
            let ended = running.client().echo("hello".to_owned()).timeout(Duration::from_millis(20)).await;
            assert!(ended.is_err(), "{ended:?}");
        }
        let threads = threads(NAME);
        assert!((2..10).contains(&threads), "{threads}");
    });
    own.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_ends_its_call() {
    // A separate broker, which refuses on demand.
    let broker = MockCluster::new(1).expect("an embedded broker");
    let running = caller_on(&broker).await;
    let client = running.client();
    let forbidden = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    broker.request_errors(RDKafkaApiKey::Produce, &forbidden);
    let called = Instant::now();
    let ended = client.echo("hello".to_owned()).await;
    assert!(matches!(ended, Err(CallError::Undeliverable { progress: Progress::NotSent, .. })), "{ended:?}");
    assert!(called.elapsed() < AT_ONCE, "it ended after {:?}", called.elapsed());
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_of_the_producer_ends_its_calls_and_the_next_ones_are_sent() {
    let broker = MockCluster::new(1).expect("an embedded broker");
    let running = caller_on(&broker).await;
    let client = running.client();
    // An idempotent producer cannot survive this error: it no longer knows what the broker has.
    let fatal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER];
    broker.request_errors(RDKafkaApiKey::Produce, &fatal);
    let called = Instant::now();
    let ended = client.echo("lost".to_owned()).await;
    assert!(matches!(ended, Err(CallError::Undeliverable { progress: Progress::Unknown, .. })), "{ended:?}");
    assert!(called.elapsed() < AT_ONCE, "it ended after {:?}", called.elapsed());

    client.echo("sent".to_owned()).notify().await.expect("there is a new producer");
    let sent = Peer::new(&broker.bootstrap_servers()).read(TOPIC, 2).await;
    let payloads: Vec<_> = sent.iter().map(|request| request.json()["payload"].clone()).collect();
    assert_eq!(payloads, ["first", "sent"]);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_queue_of_the_producer_is_full_records_wait_for_space_and_none_of_them_for_ever() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 3).await;
    let config = cluster.config().property("queue.buffering.max.messages", "1");
    let running = started(cluster.runtime(config).client_only()).await;
    let client = running.client();
    let keyed = join_all((0..100).map(|number| client.place(order("a", number)).notify()));
    let gathered = join_all((0..100).map(|_| client.echo("one".to_owned()).notify()));
    let (keyed, gathered) = tokio::join!(keyed, gathered);
    for sent in keyed.into_iter().chain(gathered) {
        sent.expect("there was space in the end");
    }
    assert_eq!(cluster.peer().all(&cluster.name(TOPIC)).await.len(), 200);
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_which_the_queue_of_the_producer_is_full_is_refused_at_once_and_the_others_arrive() {
    if !runs_here() {
        return;
    }
    let broker = MockCluster::new(1).expect("an embedded broker");
    let config = |config: Config| config.property("queue.buffering.max.messages", "1");
    let running = caller_with(&broker, config).await;
    let client = running.client();
    // From now on, each request is on its way for this long.
    broker.broker_round_trip_time(1, Duration::from_secs(1)).expect("a delay");
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for number in 0..20 {
        let mut call = client.place(order("a", number)).timeout(BOUND);
        match poll!(&mut call) {
            Poll::Pending => waiting.push((number, call)),
            Poll::Ready(Err(CallError::Overloaded { reason })) => {
                assert!(reason.contains("queue"), "{reason}");
                refused += 1;
            }
            Poll::Ready(ended) => panic!("{number}: {ended:?}"),
        }
    }
    assert!(refused > 0 && !waiting.is_empty(), "{refused} of 20 were refused");
    broker.broker_round_trip_time(1, Duration::ZERO).expect("no delay");
    let peer = Peer::new(&broker.bootstrap_servers());
    let requests = peer.read(TOPIC, 1 + waiting.len()).await;
    for ((number, call), request) in waiting.into_iter().zip(&requests[1..]) {
        assert_eq!(request.json()["payload"]["number"], number);
        let reply = Record::new(format!(r#"{{"success":true,"data":{number}}}"#));
        let id = request.text("correlation-id").expect("an id");
        peer.send(REPLIES, &reply.header("correlation-id", id)).await;
        assert_eq!(call.await, Ok(number));
    }
    running.shutdown().await.expect("a clean shutdown");
}

/// Makes many calls, and asserts that each gets its own reply.
async fn call_many(client: &Client, name: &str, count: usize) {
    let calls = (0..count).map(|number| {
        let text = format!("{name}-{number}");
        let call = client.echo(text.clone());
        async move { assert_eq!(call.await, Ok(text)) }
    });
    stream::iter(calls).buffer_unordered(64).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_one_of_many_callers_gets_its_own_replies_and_none_is_lost() {
    let cluster = Cluster::start();
    let serving = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let (one, other) = (caller(&cluster).await, caller(&cluster).await);
    let clients = (one.client(), other.client());
    tokio::join!(call_many(&clients.0, "one", 2_000), call_many(&clients.1, "other", 2_000));
    for running in [one, other, serving] {
        running.shutdown().await.expect("a clean shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_survive_instances_that_come_and_go() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 6).await;
    let first = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let calling = caller(&cluster).await;
    let load = Load::start(calling.client(), BOUND);
    until("there is load", || load.answered() > 100).await;
    let coming = OrderService::default();
    let second = cluster.serve_orders(cluster.config(), &coming).await;
    first.shutdown().await.expect("a clean shutdown");
    until("the other has taken over", || coming.ended().len() > 100).await;
    load.stop().await;
    second.shutdown().await.expect("a clean shutdown");
    calling.shutdown().await.expect("a clean shutdown");
}
