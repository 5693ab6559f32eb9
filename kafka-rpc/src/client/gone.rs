//! The reply topics that librdkafka reports as gone.

use std::{collections::BTreeSet, mem, sync::Mutex};

use rdkafka::{
    ClientContext,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{kafka::LastReason, unpoisoned::Unpoisoned as _};

/// Collects the topics that are gone from librdkafka's error callback: the error that the consumer's `poll`
/// returns does not name its topic.
#[derive(Debug, Default)]
pub(super) struct Gone {
    topics: Mutex<BTreeSet<String>>,
    pub(super) last_reason: LastReason,
}

impl Gone {
    /// Returns the topics that were added since the last call.
    pub(super) fn take(&self) -> BTreeSet<String> {
        mem::take(&mut self.topics.lock().unpoisoned())
    }

    /// Adds a topic that is gone.
    pub(super) fn add(&self, topic: String) {
        self.topics.lock().unpoisoned().insert(topic);
    }
}

impl ClientContext for Gone {
    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
        // Comes before logging, which may panic.
        self.last_reason.set(reason);
        if let Some(UnknownPartition | UnknownTopic | UnknownTopicOrPartition) = error.rdkafka_error_code()
            && let Some(topic) = topic_of(reason)
        {
            self.add(topic.to_owned());
        }
        tracing::debug!(%error, reason, "the reply consumer reported an error");
    }
}

impl ConsumerContext for Gone {}

/// The topic that an error names, as in `orders-responses [3]: ..` (`rd_kafka_toppar_enq_error`).
fn topic_of(reason: &str) -> Option<&str> {
    reason.split_once(" [").map(|(topic, _)| topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_gone_is_named_once() {
        let gone = Gone::default();
        let unknown = || KafkaError::Global(RDKafkaErrorCode::UnknownTopicOrPartition);
        gone.error(
            unknown(),
            "orders-responses [0]: topic does not exist (Broker: Unknown topic or partition)",
        );
        gone.error(
            unknown(),
            "orders-responses [1]: topic does not exist (Broker: Unknown topic or partition)",
        );
        gone.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 [1]: brokers are down");
        gone.error(unknown(), "of what?");
        assert_eq!(gone.take(), BTreeSet::from(["orders-responses".to_owned()]));
        assert!(gone.take().is_empty());
    }
}
