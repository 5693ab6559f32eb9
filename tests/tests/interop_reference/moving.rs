//! A service that moves from the reference to this framework, and back: its group continues where the other
//! side stopped.

use std::ops::Range;

use serde_json::{Value, json};
use tests::{Record, counted, interop::Program, until};

use crate::{
    Reference,
    contract::{GROUP, Service, TOPIC},
};

/// Sends commands with these numbers as payloads and keys, for which nobody waits.
async fn send(reference: &Reference, numbers: Range<i64>) {
    for number in numbers {
        let command = json!({"type": "ECHO", "payload": number}).to_string();
        let record = Record::new(command).key(number.to_string());
        reference.cluster.peer().send(&reference.cluster.name(TOPIC), &record).await;
    }
}

/// Waits until `count` records are committed.
async fn committed(reference: &Reference, count: i64) {
    let sum = || reference.cluster.committed_sum(GROUP, TOPIC, 3);
    until("all is committed", || sum() == count).await;
}

fn numbers_of_its(service: &Program) -> Vec<i64> {
    let handled =
        service.said().into_iter().filter_map(|said| said["handled"]["message"]["payload"].as_i64());
    sorted(handled.collect())
}

fn numbers_of_ours(service: &Service) -> Vec<i64> {
    sorted(service.handled().into_iter().filter_map(|(value, _): (Value, _)| value.as_i64()).collect())
}

fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_moves_to_us_and_back_handles_every_record_once() {
    let Some(reference) = Reference::start().await else { return };
    let theirs = reference.service().await;
    send(&reference, 0..10).await;
    committed(&reference, 10).await;
    theirs.ask(json!({"ask": "stop"})).await.expect("it stops");
    assert_eq!(numbers_of_its(&theirs), (0..10).collect::<Vec<_>>());

    send(&reference, 10..20).await;
    let ours = Service::default();
    let serving = ours.serve(&reference.cluster).await;
    committed(&reference, 20).await;
    serving.shutdown().await.expect("a clean shutdown");
    assert_eq!(numbers_of_ours(&ours), (10..20).collect::<Vec<_>>());

    send(&reference, 20..30).await;
    let back = reference.service_that_goes_on().await;
    committed(&reference, 30).await;
    assert_eq!(numbers_of_its(&back), (20..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_service_beside_its_in_one_group_disturbs_nothing_and_takes_over_when_it_leaves() {
    let Some(reference) = Reference::start().await else { return };
    counted::record();
    let theirs = reference.service().await;
    let ours = Service::default();
    let serving = ours.serve(&reference.cluster).await;
    let (topic, group) = (reference.cluster.name(TOPIC), reference.cluster.name(GROUP));
    let refused = || counted("kafka_rpc_joins_refused_total", &[("topic", &topic), ("group", &group)]);
    until("ours is refused, and asks again", || refused() >= 2).await;
    send(&reference, 0..10).await;
    committed(&reference, 10).await;
    assert_eq!(numbers_of_its(&theirs), (0..10).collect::<Vec<_>>());

    theirs.ask(json!({"ask": "stop"})).await.expect("it stops");
    send(&reference, 10..20).await;
    committed(&reference, 20).await;
    assert_eq!(numbers_of_ours(&ours), (10..20).collect::<Vec<_>>());
    serving.shutdown().await.expect("a clean shutdown");
}
