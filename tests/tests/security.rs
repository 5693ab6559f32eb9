//! TLS and SASL, as a user turns them on: by properties of the configuration.

use std::time::Duration;

use kafka_rpc::{Config, Error, Running, Runtime};
use tests::{
    Cluster, Record,
    cluster::{Brokers, Extras, Secured, real_brokers_with},
    counted::{self, counted},
    orders::{
        DEAD_LETTERS, GROUP, OrderService, Orders as _, OrdersClient as _, REPLIES, TOPIC, order, place,
    },
    until,
};

fn brokers(secured: Secured) -> Option<Brokers> {
    real_brokers_with(1, &Extras { secured: Some(secured), ..Extras::default() })
}

async fn start(config: Config) -> Result<Running, Error> {
    serving(config, &OrderService::default()).await
}

async fn serving(config: Config, service: &OrderService) -> Result<Running, Error> {
    Runtime::builder()
        .config(config.create_topics(true).connection_timeout(Duration::from_secs(10)))
        .provide(service.clone())
        .without_registry()
        .handlers(OrderService::handlers())
        .build()?
        .start()
        .await
}

/// Creates topics, sends a command and gets its reply, all through the secured listener.
async fn serves_and_calls(config: Config) {
    let running = start(config).await.expect("it is let in");
    let answer = running.client().echo("secret".to_owned()).timeout(tests::BOUND).await;
    assert_eq!(answer, Ok("secret".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

/// The error of a runtime that is not let in.
async fn refused(config: Config) -> String {
    let error = start(config).await.expect_err("it is not let in").to_string();
    assert!(!error.contains("guess"), "a password is never told: {error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn sasl_plain_without_tls() {
    let Some(brokers) = brokers(Secured::SaslPlain) else { return };
    let config = brokers.secured_config().expect("the listener is secured");
    serves_and_calls(config.clone()).await;

    let error = refused(config.property("sasl.password", "guess")).await;
    assert!(error.to_lowercase().contains("authentication"), "{error}");
}

#[cfg(feature = "ssl")]
#[tokio::test(flavor = "multi_thread")]
async fn tls() {
    let Some(brokers) = brokers(Secured::Tls) else { return };
    let config = brokers.secured_config().expect("the listener is secured");
    serves_and_calls(config.clone()).await;

    // No authority that this machine trusts has signed the broker's certificate.
    let error = refused(config.property("ssl.ca.location", "probe")).await;
    assert!(error.contains("certificate"), "{error}");
}

#[cfg(feature = "ssl")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_and_scram() {
    let Some(brokers) = brokers(Secured::TlsAndScram) else { return };
    let config = brokers.secured_config().expect("the listener is secured");
    serves_and_calls(config.clone()).await;

    let error = refused(config.property("sasl.password", "guess")).await;
    assert!(error.to_lowercase().contains("authentication"), "{error}");
}

/// Brokers that allow nothing on the secured listener without a right.
fn brokers_that_ask_for_rights() -> Option<Brokers> {
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let properties =
        vec![("authorizer.class.name", authorizer.to_owned()), ("super.users", "User:ANONYMOUS".to_owned())];
    real_brokers_with(1, &Extras { secured: Some(Secured::SaslPlain), properties, ..Extras::default() })
}

/// Grants the rights on the topics of commands and replies, and on the group.
fn allow_to_serve_and_call(brokers: &Brokers) {
    let both = ["--operation", "Read", "--operation", "Write"];
    for topic in [TOPIC, REPLIES] {
        brokers.allow(&[&both[..], &["--topic", topic]].concat()).expect("a right");
    }
    brokers.allow(&["--operation", "Read", "--group", GROUP]).expect("a right");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_to_a_topic_is_not_told_that_it_is_missing() {
    let Some(brokers) = brokers_that_ask_for_rights() else { return };
    Cluster::of(&brokers).create_topic(TOPIC, 1).await;
    let error = refused(brokers.secured_config().expect("the listener is secured")).await;
    assert!(error.contains("authorization failed") && error.contains(TOPIC), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_rights_to_serve_and_to_call_needs_none_to_dead_letters_and_none_to_the_group_of_replies()
{
    counted::record();
    let Some(brokers) = brokers_that_ask_for_rights() else { return };
    let cluster = Cluster::of(&brokers);
    for topic in [TOPIC, REPLIES, DEAD_LETTERS] {
        cluster.create_topic(topic, 1).await;
    }
    allow_to_serve_and_call(&brokers);
    serves_and_calls(brokers.secured_config().expect("the listener is secured")).await;
    assert_eq!(counted("kafka_rpc_reply_errors_total", &[]), 0, "nobody joins that group");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_may_not_be_written_hold_their_partition_until_they_may() {
    counted::record();
    let Some(brokers) = brokers_that_ask_for_rights() else { return };
    let cluster = Cluster::of(&brokers);
    for (topic, partitions) in [(TOPIC, 2), (REPLIES, 1), (DEAD_LETTERS, 1)] {
        cluster.create_topic(topic, partitions).await;
    }
    allow_to_serve_and_call(&brokers);
    let service = OrderService::default();
    let config = brokers.secured_config().expect("the listener is secured");
    let running = serving(config, &service).await.expect("it is let in");
    let peer = cluster.peer();
    peer.send(TOPIC, &Record::new("poison").key("a").partition(0)).await;
    // A record behind the poison, whether or not the poison is a letter by then.
    peer.send(TOPIC, &Record::new(place("a", 1)).key("a").partition(0)).await;
    let refused = || counted("kafka_rpc_deliveries_refused_total", &[("to", DEAD_LETTERS)]);
    until("the letter was refused, and sent again", || refused() >= 2).await;
    peer.send(TOPIC, &Record::new(place("b", 1)).key("b").partition(1)).await;
    let committed = |partition| cluster.committed(GROUP, TOPIC, 2).get(&partition).copied().unwrap_or(0);
    until("the other partition goes on", || committed(1) == 1).await;
    assert_eq!((committed(0), service.started()), (0, vec![order("b", 1)]));

    brokers.allow(&["--operation", "Write", "--topic", DEAD_LETTERS]).expect("a right");
    let letter = peer.read(DEAD_LETTERS, 1).await.remove(0);
    assert_eq!(letter.value.as_deref(), Some(b"poison".as_slice()));
    until("it goes on", || committed(0) == 2).await;
    assert!(service.ended().contains(&order("a", 1)));
    running.shutdown().await.expect("a clean shutdown");
}
