//! The reply topics that librdkafka says are gone.

use std::{collections::BTreeSet, mem, sync::Mutex};

use rdkafka::{
    ClientContext,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{kafka::LastReason, unpoisoned::Unpoisoned as _};

/// Hears of them, beside the `poll` of the consumer: that says an error, and not of which topic.
#[derive(Debug, Default)]
pub(super) struct Gone {
    topics: Mutex<BTreeSet<String>>,
    pub(super) last_reason: LastReason,
}

impl Gone {
    /// Those that were named since the last time.
    pub(super) fn take(&self) -> BTreeSet<String> {
        mem::take(&mut self.topics.lock().unpoisoned())
    }

    /// Notes one.
    pub(super) fn add(&self, topic: String) {
        self.topics.lock().unpoisoned().insert(topic);
    }
}

impl ClientContext for Gone {
    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
        // Before the log, which may panic.
        self.last_reason.set(reason);
        if let Some(UnknownPartition | UnknownTopic | UnknownTopicOrPartition) = error.rdkafka_error_code()
            && let Some(topic) = topic_of(reason)
        {
            self.add(topic.to_owned());
        }
        tracing::debug!(%error, reason, "the reply consumer met an error");
    }
}

impl ConsumerContext for Gone {}

/// The topic that an error is about: `orders-responses [3]: ..` (`rd_kafka_toppar_enq_error`).
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
