//! Promise 6: nothing goes where it doesn't belong.

use std::time::Duration;

use tests::{
    Cluster, Record,
    cluster::started,
    eventually,
    orders::{GROUP, OrderService, Orders, REPLIES, TOPIC},
};

fn echo(reply_to: impl AsRef<[u8]>) -> Record {
    Record::new(r#"{"type":"ECHO","payload":"hello"}"#)
        .header("correlation-id", "c-1")
        .header("reply-to", reply_to)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_only_where_the_subscription_or_the_builder_says() {
    let cluster = Cluster::start();
    for topic in [TOPIC, REPLIES, "victim", "gateway-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    peer.send(&topic, &echo(cluster.name("victim"))).await;
    peer.send(&topic, &echo(&topic)).await;
    peer.send(&topic, &echo(b"\xff\xff")).await;
    peer.send(&topic, &echo(cluster.name("gateway-responses"))).await;
    peer.send(&topic, &echo(cluster.name(REPLIES))).await;
    let runtime = cluster
        .runtime(cluster.config())
        .provide(OrderService::default())
        .handlers(<OrderService as Orders>::handlers())
        .allow_reply_to(cluster.name("gateway-responses"));
    let running = started(runtime).await;
    assert_eq!(peer.read(&cluster.name(REPLIES), 1).await.len(), 1);
    assert_eq!(peer.read(&cluster.name("gateway-responses"), 1).await.len(), 1);
    eventually("all five are final", || (cluster.committed_sum(GROUP, TOPIC, 1) == 5).then_some(())).await;
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert!(peer.read_for(&cluster.name("victim"), 1, Duration::from_secs(1)).await.is_empty());
    assert_eq!(peer.read_for(&topic, 6, Duration::from_secs(1)).await.len(), 5);
}
