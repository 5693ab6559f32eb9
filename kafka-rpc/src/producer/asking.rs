//! Queries to the cluster: topics, partitions and offsets.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{error::KafkaResult, producer::Producer as _};

use super::{
    Producer,
    batches::Batches,
    topic::{ASK_FOR, Topic},
};
use crate::unpoisoned::Unpoisoned as _;

/// The partitions that a topic had at one moment; empty if no broker answered.
pub(super) struct Asked {
    topic: Arc<str>,
    at: Instant,
    partitions: Vec<i32>,
}

impl Producer {
    /// Asks the cluster for the partitions of a topic with their leaders; empty if the topic does not exist.
    /// Blocks.
    pub(crate) fn ask_partitions(&self, topic: &str, within: Duration) -> KafkaResult<Vec<(i32, i32)>> {
        self.single.ask_partitions(topic, within)
    }

    /// Like [`ask_partitions`](Self::ask_partitions), but waits for a topic that the cluster creates because
    /// of the query. Calls `missing` each time the topic is not there. Blocks.
    pub(crate) fn ask_until_made(
        &self,
        topic: &str,
        within: Duration,
        missing: impl FnMut(),
    ) -> KafkaResult<Vec<(i32, i32)>> {
        self.single.ask_until_made(topic, within, missing)
    }

    /// Asks any broker for the topics of the cluster. Blocks.
    pub(crate) fn ask_topics(&self, within: Duration) -> KafkaResult<HashSet<String>> {
        let metadata = self.single.handle().client().fetch_metadata(None, within)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    /// Sends a small query to any broker; what it answers does not matter. Blocks.
    pub(super) fn ask_anything(&self, within: Duration) -> KafkaResult<()> {
        let topic = self.topics.read().unpoisoned().keys().next().map(Arc::clone);
        self.single.handle().client().fetch_metadata(topic.as_deref(), within).map(drop)
    }

    /// Asks any broker for the cluster's id. Blocks.
    pub(crate) fn ask_cluster_id(&self, within: Duration) -> Option<String> {
        self.single.handle().client().fetch_cluster_id(within)
    }

    /// Whether a topic lacks a partition. Asks the cluster, since cached metadata may be older than the
    /// partition. False if no broker answers.
    ///
    /// Callers that arrive during a query share the next one: a stranger may name a missing partition in
    /// every record.
    pub(crate) async fn lacks_partition(self: &Arc<Self>, topic: &Arc<str>, partition: i32) -> bool {
        let came = Instant::now();
        let mut last = self.asked.lock().await;
        if last.as_ref().is_none_or(|asked| asked.topic != *topic || asked.at < came) {
            let (producer, topic, at) = (Arc::clone(self), Arc::clone(topic), Instant::now());
            let asking = self.runtime.spawn_blocking(move || {
                let found = producer.ask_partitions(&topic, ASK_FOR).unwrap_or_default();
                Asked { topic, at, partitions: found.into_iter().map(|(id, _)| id).collect() }
            });
            *last = asking.await.ok();
        }
        let found = last.as_ref().map_or(&[][..], |asked| &asked.partitions);
        !found.is_empty() && !found.contains(&partition)
    }

    /// Asks for the offset that the next record of a partition will get. Blocks.
    pub(crate) fn ask_end(&self, topic: &str, partition: i32, within: Duration) -> KafkaResult<i64> {
        self.single.handle().client().fetch_watermarks(topic, partition, within).map(|(_, end)| end)
    }

    /// Asks for a topic's partitions in the background; the known ones stay in use meanwhile.
    pub(super) fn ask_for_partitions(self: &Arc<Self>, topic: &Arc<Topic>) {
        let (producer, topic) = (Arc::clone(self), Arc::clone(topic));
        self.runtime.spawn_blocking(move || {
            let Ok(asked) = producer.ask_partitions(&topic.name, ASK_FOR) else { return };
            // A producer learns of a partition by asking, and cannot send to one that it does not know. So
            // the batch producers ask before new partitions are used.
            let mut others = producer.batches.iter().flat_map(Batches::ready);
            if others.any(|other| other.ask_partitions(&topic.name, ASK_FOR).is_err()) {
                return;
            }
            let ids: Vec<i32> = asked.iter().filter(|(_, leader)| *leader >= 0).map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                topic.answered(ids);
            }
        });
    }
}
