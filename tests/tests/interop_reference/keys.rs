//! The partition of a key.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::cluster::started;

use crate::{
    Reference,
    contract::{DEAD_LETTERS, OursClient, TOPIC},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_users_goes_to_one_partition_from_both_sides() {
    let Some(reference) = Reference::start().await else { return };
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    cluster.topics().grow(&cluster.name(TOPIC), 8).await;
    cluster.create_topic(DEAD_LETTERS, 1).await;
    let calling = started(cluster.runtime(cluster.config()).client_only()).await;
    let long = "a key that is rather long ".repeat(20);
    let mut keys: BTreeSet<String> = (0..60).map(|number| format!("account-{number}")).collect();
    keys.extend([String::new(), "é".to_owned(), "ключ".to_owned(), "🦀✓".to_owned(), long]);
    for key in &keys {
        calling.client().echo(Value::Null).key(key.clone()).notify().await.expect("delivered");
    }

    // The reference keys its requests and events by their ids. It writes a user's key only when it sends a
    // record again.
    let _failing = reference.core_that_fails(TOPIC, 1).await;
    let mut partitions: BTreeMap<Vec<u8>, Vec<(Option<&str>, i32)>> = BTreeMap::new();
    let records = peer.read(&cluster.name(TOPIC), 2 * keys.len()).await;
    for record in &records {
        let (key, partition) = (record.key.clone().expect("a key"), record.partition.expect("a partition"));
        partitions.entry(key).or_default().push((record.text("retry-count"), partition));
    }
    let used: BTreeSet<i32> = partitions.values().flatten().map(|(_, partition)| *partition).collect();
    assert_eq!(used.len(), 8, "the keys are spread");
    for key in keys {
        let found = &partitions[key.as_bytes()];
        let [(None, ours), (Some("1"), theirs)] = found[..] else { panic!("{key}: {found:?}") };
        assert_eq!(ours, theirs, "{key}");
    }
    calling.shutdown().await.expect("a clean shutdown");
}
