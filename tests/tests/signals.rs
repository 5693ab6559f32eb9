//! A process that is told to end does, whatever it is doing.
#![cfg(unix)]

use std::net::TcpListener;

use tests::{
    Cluster, Record, eventually,
    orders::{HELD, TOPIC, place},
    service::{Journal, Service},
};

const BINARY: &str = env!("CARGO_BIN_EXE_orders-service");

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_process_that_waits_for_brokers_to_start() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let cluster = Cluster::at(&silent.local_addr().expect("an address").to_string());
    let journal = Journal::new();
    let mut service = Service::start(BINARY, &cluster, &journal);
    eventually("it listens for signals", || service.listens().then_some(())).await;
    service.signal("TERM");
    let ended = eventually("it ends", || service.ended()).await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_process_that_waits_for_its_handlers() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    let journal = Journal::new();
    let mut service = Service::start(BINARY, &cluster, &journal);
    cluster.peer().send(&cluster.name(TOPIC), &Record::new(place(HELD, 0))).await;
    eventually("the handler runs", || (!journal.placed().is_empty()).then_some(())).await;
    let ended = eventually("it ends", || {
        // Two that come at once are one.
        service.signal("TERM");
        service.ended()
    })
    .await;
    assert_eq!(ended.code(), Some(1), "it says that it has not waited");
}
