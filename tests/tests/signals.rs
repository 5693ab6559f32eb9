//! A process ends on a signal, whatever it is doing.
#![cfg(unix)]

use std::{net::TcpListener, time::Duration};

use tests::{
    Cluster, Record, eventually,
    orders::{GROUP, HELD, RELEASED, TOPIC, place},
    service::{Journal, Service},
    until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_orders-service");

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_process_that_waits_for_brokers_to_start() {
    // A broker that accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let cluster = Cluster::at(&silent.local_addr().expect("an address").to_string());
    let journal = Journal::new();
    let mut service = Service::start(BINARY, &cluster, &journal);
    until("it listens for signals", || service.listens()).await;
    service.signal("TERM");
    let ended = eventually("it ends", || service.ended()).await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_process_once_its_handlers_have_ended_and_all_is_committed() {
    for signal in ["INT", "TERM"] {
        let cluster = Cluster::start();
        cluster.create_topic(TOPIC, 1).await;
        let journal = Journal::new();
        let mut service = Service::start(BINARY, &cluster, &journal);
        cluster.peer().send(&cluster.name(TOPIC), &Record::new(place(RELEASED, 7))).await;
        until("the handler runs", || !journal.placed().is_empty()).await;
        service.signal(signal);
        // A process that does not wait ends within this second, or else leaves the order uncommitted.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(service.ended().is_none(), "{signal}: it has not waited");
        journal.release();
        let ended = eventually("it ends", || service.ended()).await;
        assert!(ended.success(), "{signal}: {ended}");
        assert_eq!(journal.placed().len(), 2, "{signal}: its handler has ended");
        assert_eq!(cluster.committed_sum(GROUP, TOPIC, 1), 1, "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_process_that_waits_for_its_handlers() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let journal = Journal::new();
    let mut service = Service::start(BINARY, &cluster, &journal);
    cluster.peer().send(&cluster.name(TOPIC), &Record::new(place(HELD, 0))).await;
    until("the handler runs", || !journal.placed().is_empty()).await;
    let ended = eventually("it ends", || {
        // Two signals that come at once count as one.
        service.signal("TERM");
        service.ended()
    })
    .await;
    assert_eq!(ended.code(), Some(1), "it says that it has not waited");
}
