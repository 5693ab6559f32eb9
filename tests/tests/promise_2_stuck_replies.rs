//! Promise 2, where replies to one partition do not arrive and their callers wait for a while only: alone in its process, since it
//! looks at counters that others have too.

use std::time::Duration;

use futures_util::future::join_all;
use tests::{
    Peer, Record,
    counted::{self, counted},
    eventually,
    mocked::{broker_with, runs_here, serving_on},
    orders::{OrderService, REPLIES, TOPIC, order, place},
    peer::millis_from_now,
};

/// More than handlers run at once.
const CALLS: u64 = 300;

/// Asks for replies on the partition without a leader, each with a key of its own, and waits for them for so many milliseconds.
async fn ask(peer: &Peer, account: &str, wait: i128) {
    let deadline = millis_from_now(wait);
    let asked = (0..CALLS).map(|number| {
        let asks = Record::new(place(account, number))
            .key(format!("{account}-{number}"))
            .partition(0)
            .answered_to(&format!("{account}-{number}"), REPLIES)
            .header("reply-partition", "1")
            .header("deadline", deadline.clone());
        async move { peer.send(TOPIC, &asks).await }
    });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_do_not_arrive_take_no_places_from_others_although_their_callers_go_soon() {
    if !runs_here() {
        return;
    }
    counted::record();
    let broker = broker_with(&[(TOPIC, 2), (REPLIES, 2)]);
    broker.partition_leader(REPLIES, 1, None).expect("a topic");
    let service = OrderService::default();
    let running = serving_on(&broker, &service).await;
    let peer = Peer::new(&broker.bootstrap_servers());

    // Nobody knows yet that they do not arrive.
    ask(&peer, "first", 5_000).await;
    let expired = || counted("kafka_rpc_records_total", &[("topic", TOPIC), ("outcome", "expired")]);
    eventually("nobody waits for them any more", || (expired() >= CALLS).then_some(())).await;

    ask(&peer, "second", 60_000).await;
    let of_second =
        || (0..CALLS).filter(|number| service.ended().contains(&order("second", *number))).count();
    eventually("some of the next are handled", || (of_second() > 0).then_some(())).await;
    peer.send(TOPIC, &Record::new(place("other", 0)).key("other").partition(1)).await;
    let other = eventually("an order on another partition is placed", || {
        service.ended().contains(&order("other", 0)).then_some(())
    });
    // They were to have their places for 15 s.
    tokio::time::timeout(Duration::from_secs(10), other)
        .await
        .expect("it does not wait for replies to others");

    broker.partition_leader(REPLIES, 1, Some(1)).expect("a topic");
    eventually("all are handled once replies arrive", || (of_second() == 300).then_some(())).await;
    running.shutdown().await.expect("a clean shutdown");
}
