//! Topics of a real Kafka, to be created, grown, truncated and deleted while clients use them.

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult},
    client::DefaultClientContext,
    error::KafkaError,
};

use crate::{BOUND, eventually};

/// The topics of a cluster, by their names on the brokers.
///
/// Every method but [`ask_to_delete`](Self::ask_to_delete) panics if the cluster refuses, and returns once
/// the brokers know of the change.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Topics")
    }
}

#[expect(clippy::missing_panics_doc, reason = "said of all of them, above")]
impl Topics {
    /// The topics of the cluster of these brokers.
    pub fn of(brokers: &str) -> Self {
        let admin = ClientConfig::new().set("bootstrap.servers", brokers).create();
        Self { admin: admin.unwrap_or_else(|error| panic!("{error}")) }
    }

    /// Creates a topic with `partitions` partitions.
    pub async fn create(&self, name: &str, partitions: i32) {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        accepted(self.admin.create_topics([&topic], &options()).await);
        self.until(name, partitions).await;
    }

    /// Creates a topic with one partition and one topic property.
    pub async fn create_with(&self, name: &str, property: &str, value: &str) {
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(-1)).set(property, value);
        accepted(self.admin.create_topics([&topic], &options()).await);
        self.until(name, 1).await;
    }

    /// Grows a topic to `partitions` partitions.
    pub async fn grow(&self, name: &str, partitions: i32) {
        let grown = NewPartitions::new(name, usize::try_from(partitions).unwrap_or(0));
        accepted(self.admin.create_partitions([&grown], &options()).await);
        self.until(name, partitions).await;
    }

    /// Asks for a topic to be deleted. Brokers may refuse, and may know the topic for a while.
    pub async fn ask_to_delete(&self, name: &str) {
        let asked = self.admin.delete_topics(&[name], &options()).await;
        let refused = asked.map(|topics| topics.into_iter().find_map(Result::err));
        if !matches!(refused, Ok(None)) {
            tracing::warn!(topic = name, ?refused, "not deleted");
        }
    }

    /// Deletes a topic, and creates it again.
    pub async fn recreate(&self, name: &str, partitions: i32) {
        accepted(self.admin.delete_topics(&[name], &options()).await);
        self.until(name, 0).await;
        self.create(name, partitions).await;
    }

    /// Deletes the records of a partition before this offset.
    pub async fn truncate(&self, name: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(name, partition, Offset::Offset(before));
        added.unwrap_or_else(|error| panic!("{error}"));
        let truncated = self.admin.delete_records(&list, &options()).await;
        let truncated = truncated.unwrap_or_else(|error| panic!("{error}"));
        for element in truncated.elements() {
            element.error().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    /// The end offset of a partition: the offset of its next record.
    pub fn end(&self, name: &str, partition: i32) -> i64 {
        let ends = self.admin.inner().fetch_watermarks(name, partition, BOUND);
        ends.unwrap_or_else(|error| panic!("{error}")).1
    }

    async fn until(&self, name: &str, partitions: i32) {
        eventually("the brokers know the topic's partitions", || {
            let metadata = self.admin.inner().fetch_metadata(Some(name), BOUND).ok()?;
            let known = metadata.topics().first()?.partitions();
            let have_leaders = known.iter().all(|partition| partition.leader() >= 0);
            (i32::try_from(known.len()) == Ok(partitions) && have_leaders).then_some(())
        })
        .await;
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(BOUND))
}

fn accepted(results: Result<Vec<TopicResult>, KafkaError>) {
    for result in results.unwrap_or_else(|error| panic!("{error}")) {
        result.unwrap_or_else(|(topic, code)| panic!("{topic}: {code}"));
    }
}
