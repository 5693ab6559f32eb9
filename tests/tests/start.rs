//! What is reported before the first record: when the runtime is built, and when it starts.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use kafka_rpc::{
    __private::Subscription, CallError, Config, DeadLetter, Error, Handlers, Location, RpcError, Runtime,
    State, kafka_handler,
};
use tests::{
    Cluster,
    cluster::real_kafka,
    orders::{OrderService, Orders, OrdersClient, TOPIC, order},
};
use tokio::net::TcpSocket;

#[derive(Clone)]
struct Db;

#[kafka_handler(topic = "a-commands", group = "a", concurrency = 4, register = false)]
mod one {
    use super::{Db, RpcError, State};

    #[command("TWICE")]
    pub(super) async fn twice(_: (), State(_db): State<Db>) -> Result<(), RpcError> {
        Ok(())
    }
}

#[kafka_handler(topic = "a-commands", group = "a", concurrency = 8, register = false)]
mod other {
    use super::RpcError;

    #[command("TWICE")]
    pub(super) async fn twice() -> Result<(), RpcError> {
        Ok(())
    }
}

#[test]
fn build_reports_everything_that_is_wrong_at_once_with_file_and_line() {
    let built = Runtime::builder()
        .without_registry()
        .provide(7_u8)
        .provide(8_u8)
        .handlers(one::handlers())
        .handlers(other::handlers())
        .handlers(<OrderService as Orders>::handlers())
        .build();
    let Err(Error::Build(problems)) = built else { panic!("it was built") };
    let text = problems.to_string();
    for part in [
        "`u8` is provided more than once",
        "two handlers answer the command `TWICE` of `a-commands` in group `a`",
        "do not agree on `concurrency` (4, 8)",
        "::Db` was provided",
        "OrderService` was provided",
        "start.rs:",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert_eq!(problems.iter().count(), 5, "{text}");
    for problem in &problems {
        assert!(!problem.places.is_empty(), "{problem}");
    }
}

#[kafka_handler(topic = "b-commands", group = "b", replies = "b-answers", register = false)]
mod answers {
    use super::RpcError;

    #[command("ONE")]
    pub(super) async fn one() -> Result<(), RpcError> {
        Ok(())
    }
}

#[kafka_handler(topic = "b-commands", group = "b", register = false)]
#[command("OTHER")]
async fn other_answer() -> Result<(), RpcError> {
    Ok(())
}

#[test]
fn handlers_whose_callers_would_wait_on_different_topics_are_refused() {
    let built = Runtime::builder()
        .without_registry()
        .handlers(answers::handlers())
        .handlers(other_answer_handlers())
        .build();
    let error = built.expect_err("they do not agree").to_string();
    for part in ["`replies`", "\"b-answers\"", "\"b-responses\""] {
        assert!(error.contains(part), "`{part}` is missing in:\n{error}");
    }
}

#[kafka_handler(topic = "c-commands", group = "c", retry_topic = "c-retries", register = false)]
#[command("ONE")]
async fn one_with_retries() -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "c-commands", group = "c", retry_topic = "c-retries", register = false)]
#[command("OTHER")]
async fn other_with_retries() -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "d-commands", group = "d", retry_topic = "c-retries", register = false)]
#[command("ONE")]
async fn stranger_with_retries() -> Result<(), RpcError> {
    Ok(())
}

#[test]
fn a_retry_topic_that_two_subscriptions_share_is_refused_and_one_that_handlers_of_one_share_is_not() {
    let of_one = || {
        let runtime = Runtime::builder().without_registry();
        runtime.handlers(one_with_retries_handlers()).handlers(other_with_retries_handlers())
    };
    of_one().build().expect("they are one subscription");
    let built = of_one().handlers(stranger_with_retries_handlers()).build();
    let Err(Error::Build(problems)) = built else { panic!("it was built") };
    let text = problems.to_string();
    for part in ["`c-retries`", "`c-commands` in group `c`", "`d-commands` in group `d`"] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let places: Vec<usize> = problems.iter().map(|problem| problem.places.len()).collect();
    assert_eq!(places, [3], "{text}");
}

#[test]
fn topics_of_one_group_that_are_renamed_to_one_are_refused() {
    let both = |rename: fn(&str) -> String| {
        let runtime =
            Runtime::builder().without_registry().map_topics(rename).map_groups(|_| "all".to_owned());
        runtime.handlers(answers::handlers()).handlers(other::handlers()).build()
    };
    both(|topic| format!("staging.{topic}")).expect("their names differ");
    let error = both(|_| "commands".to_owned()).expect_err("their names do not").to_string();
    for part in
        ["`commands` would be read for `a-commands` in group `all`", "for `b-commands` in group `all`"]
    {
        assert!(error.contains(part), "`{part}` is missing in:\n{error}");
    }
}

#[test]
fn a_topic_that_kafka_refuses_is_named_whatever_has_made_it() {
    let runtime = Runtime::builder().without_registry().map_topics(|topic| format!("staging {topic}"));
    let Err(Error::Build(problems)) = runtime.handlers(other::handlers()).build() else {
        panic!("it was built")
    };
    let text = problems.to_string();
    for topic in ["staging a-commands", "staging a-responses", "staging a-commands.dlq"] {
        assert!(text.contains(&format!("Kafka refuses the topic `{topic}`")), "{text}");
    }
}

#[test]
fn a_group_that_no_handler_has_is_named() {
    let built = Runtime::builder().without_registry().handlers(other::handlers()).serve_groups(["b"]).build();
    let error = built.expect_err("no such group").to_string();
    assert!(error.contains("`b`"), "{error}");
}

#[test]
fn a_setting_that_cannot_work_is_named_with_its_value() {
    let built = Runtime::builder().config(Config::new("localhost:port")).build();
    let error = built.expect_err("no such port").to_string();
    assert!(error.contains("`brokers`") && error.contains("localhost:port"), "{error}");
}

#[test]
fn a_property_that_librdkafka_does_not_take_is_named_with_its_value() {
    let cluster = Cluster::start();
    for (name, value) in [("no.such.property", "1"), ("socket.timeout.ms", "soon")] {
        let built = cluster.runtime(cluster.config().property(name, value)).build();
        let error = built.expect_err("no such property").to_string();
        assert!(error.contains(name) && error.contains(value), "{error}");
    }
}

#[test]
fn a_secret_whose_name_librdkafka_does_not_know_is_not_in_the_error() {
    let cluster = Cluster::start();
    let runtime = cluster.runtime(cluster.config().property("sasl.passwd", "hunter2"));
    let error = runtime.build().expect_err("no such property").to_string();
    assert!(error.contains("sasl.passwd") && !error.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_cannot_be_reached_are_an_error_that_names_them_and_not_a_hang() {
    // The socket is bound until the test ends, so that nobody else gets the port, and it never listens.
    let bound = TcpSocket::new_v4().expect("a socket");
    bound.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let brokers = bound.local_addr().expect("its address").to_string();
    let config = Config::new(&brokers).connection_timeout(Duration::from_millis(500));
    let started = Instant::now();
    let runtime = Runtime::builder().without_registry().config(config).build().expect("nothing is wrong yet");
    let error = runtime.start().await.expect_err("nobody listens");
    assert!(matches!(&error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&brokers), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "a hang");
    drop(bound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_an_error_that_names_it() {
    // The embedded broker creates every topic that a client asks for, so none can be missing.
    let Some(cluster) = real_kafka() else { return };
    let runtime = cluster.runtime(cluster.config().create_topics(false));
    let runtime = runtime.provide(OrderService::default()).handlers(<OrderService as Orders>::handlers());
    let error = runtime.build().expect("nothing is wrong yet").start().await.expect_err("no topic");
    assert!(error.to_string().contains(&cluster.name(TOPIC)), "{error}");
}

#[kafka_handler(topic = "c-commands", group = "usual", register = false)]
async fn usual(_: ()) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(topic = "c-commands", group = "stated", dead_letter = "c-commands.dlq", register = false)]
async fn stated(_: ()) -> Result<(), RpcError> {
    Ok(())
}

#[kafka_handler(dead_letters_of = "c-commands", group = "undertaker", register = false)]
async fn undertaker(_letter: DeadLetter) -> Result<(), RpcError> {
    Ok(())
}

#[test]
fn dead_letters_whose_place_one_group_states_and_another_does_not_are_read_once() {
    let runtime = Runtime::builder().without_registry();
    let runtime = runtime.handlers(usual_handlers()).handlers(stated_handlers());
    runtime.handlers(undertaker_handlers()).build().expect("it is one place");
}

#[test]
fn dead_letters_that_would_go_round_for_ever_are_named() {
    let here = Location { file: file!(), line: line!() };
    let subscription = Subscription::of_dead_letters("orders", "undertaker", here).retry_topic("again");
    let runtime = Runtime::builder().without_registry().handlers(Handlers::new(subscription));
    let problem = runtime.build().expect_err("a letter has no retry topic").to_string();
    assert!(problem.contains("remove it: a dead letter is retried in the process"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_serves_until_it_is_told_to_stop() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let client = running.client();
    let ended = tokio::spawn(running.until(async { drop(stopped.await) }));
    client.place(order("a", 1)).await.expect("it serves");
    assert!(!ended.is_finished());
    drop(stop);
    ended.await.expect("no panic").expect("a clean shutdown");
    assert!(matches!(client.place(order("a", 2)).await, Err(CallError::ShuttingDown { .. })));
}
