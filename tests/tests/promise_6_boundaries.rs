//! Promise 6: nothing goes where it doesn't belong.

use tests::{
    Cluster, Record,
    cluster::started,
    orders::{DEAD_LETTERS, GROUP, OrderService, Orders, REPLIES, TOPIC, order, place},
    until,
};

fn placing(number: u64, reply_to: impl AsRef<[u8]>) -> Record {
    Record::new(place("a", number)).key("a").header("correlation-id", "c-1").header("reply-to", reply_to)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_only_where_the_subscription_or_the_builder_says() {
    let cluster = Cluster::start();
    for topic in [TOPIC, REPLIES, DEAD_LETTERS, "victim", "gateway-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    peer.send(&topic, &placing(0, cluster.name("victim"))).await;
    peer.send(&topic, &placing(1, &topic)).await;
    peer.send(&topic, &placing(2, b"\xff\xff")).await;
    peer.send(&topic, &placing(3, cluster.name("gateway-responses"))).await;
    peer.send(&topic, &placing(4, cluster.name(REPLIES))).await;
    let service = OrderService::default();
    let runtime = cluster
        .runtime(cluster.config())
        .provide(service.clone())
        .handlers(<OrderService as Orders>::handlers())
        .allow_reply_to(cluster.name("gateway-responses"));
    let running = started(runtime).await;
    assert_eq!(peer.read(&cluster.name(REPLIES), 1).await.len(), 1);
    assert_eq!(peer.read(&cluster.name("gateway-responses"), 1).await.len(), 1);
    let letters = peer.read(&cluster.name(DEAD_LETTERS), 3).await;
    let told = |letter: &Record| {
        (letter.text("status-code").map(str::to_owned), letter.text("original-offset").map(str::to_owned))
    };
    let refused = ["0", "1", "2"].map(|offset| (Some("403".to_owned()), Some(offset.to_owned())));
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), refused);
    assert_eq!(service.started(), [order("a", 3), order("a", 4)], "what is refused is not handled");
    until("all five are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 5).await;
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    let found = async |topic: &str| peer.all(&cluster.name(topic)).await.len();
    assert_eq!((found("victim").await, found(TOPIC).await), (0, 5));
    assert_eq!(
        (found(REPLIES).await, found("gateway-responses").await, found(DEAD_LETTERS).await),
        (1, 1, 3)
    );
}
