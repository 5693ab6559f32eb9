//! Promise 5, when a batch of dead letters is too large. Alone in its process, because it counts producers.

use std::collections::BTreeSet;

use tests::{
    Record,
    cluster::real_kafka,
    counted::{self, counted},
    orders::{DEAD_LETTERS, OrderService, TOPIC},
};

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_refused_for_the_size_of_their_batch_arrive_each_alone() {
    const LETTERS: usize = 300;
    // The embedded broker takes records of any size.
    let Some(cluster) = real_kafka() else { return };
    counted::record();
    cluster.create_topic(TOPIC, 1).await;
    cluster.topics().create_with(&cluster.name(DEAD_LETTERS), "max.message.bytes", "20000").await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    for number in 0..LETTERS {
        peer.send(&topic, &Record::new("poison".repeat(800)).key(number.to_string())).await;
    }
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let letters = peer.read(&cluster.name(DEAD_LETTERS), LETTERS).await;
    let keys: BTreeSet<_> = letters.iter().map(|letter| letter.key.clone()).collect();
    assert_eq!((keys.len(), letters.iter().filter(|letter| letter.value.is_none()).count()), (LETTERS, 0));
    assert_eq!(counted("kafka_rpc_records_total", &[("topic", &topic), ("outcome", "lost")]), 0);
    let alone = counted("kafka_rpc_producers_made_total", &[("purpose", "alone")]);
    assert_eq!(alone, 1, "no batch was refused");
    running.shutdown().await.expect("a clean shutdown");
}
