//! The errors of a consumer: those that consuming goes on after, and those that end it.

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};

use super::worker::Worker;
use crate::{Error, caught::caught, kafka, repeats::Repeats, telemetry};

/// Counts an error that consuming goes on after, and tells of it.
pub(super) fn goes_on_after(worker: &Worker, repeats: &Repeats, error: &KafkaError, reason: &str) {
    let (topic, group, code) = (&*worker.source, &*worker.served.group, kafka::code_of(error));
    telemetry::consuming_failed(topic, group, &code);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InconsistentGroupProtocol) {
        telemetry::join_refused(topic, group);
    }
    match error.rdkafka_error_code() {
        _ if !repeats.is_news(&kafka::kind_of(error, reason)) => {
            tracing::debug!(topic, group, %error, reason, "consuming goes on after an error, as told before");
        }
        Some(RDKafkaErrorCode::InconsistentGroupProtocol) => tracing::warn!(
            topic,
            group,
            "not in the group: its members share no assignment strategy with this process, as those of another \
             client library do not; it joins when they have left"
        ),
        Some(RDKafkaErrorCode::BadCompression) => tracing::error!(
            topic,
            group,
            reason,
            "a partition stands still at a batch that cannot be unpacked, or takes more than `receive.message.max.bytes`: give \
             more to that property, or move the group past the batch"
        ),
        _ if kafka::is_unauthorized(error) => tracing::error!(
            topic, group, %error, reason,
            "nothing is read: this client lacks the right to read the topic or to be in the group; it goes on once it \
             has it"
        ),
        _ => tracing::warn!(topic, group, %error, reason, "consuming goes on after an error"),
    }
}

/// Has librdkafka begin once more with the partitions of which nothing was taken: it asks up to where they are committed. Those
/// that are read go on where they are.
pub(super) fn assign_once_more(
    consumer: &BaseConsumer<impl ConsumerContext>,
    worker: &Worker,
) -> KafkaResult<()> {
    let (mut unread, mut all) = (TopicPartitionList::new(), TopicPartitionList::new());
    for (partition, next) in worker.positions() {
        if let Some(next) = next {
            all.add_partition_offset(&worker.source, partition, Offset::Offset(next))?;
        } else {
            all.add_partition(&worker.source, partition);
            unread.add_partition(&worker.source, partition);
        }
    }
    if unread.count() == 0 {
        return Ok(());
    }
    if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
        // Where the last time ended between the two, they are not assigned now.
        let _unassigned_before = consumer.incremental_unassign(&unread);
        consumer.incremental_assign(&unread)
    } else {
        consumer.assign(&all)
    }
}

/// Notes that a consumer has ended that was not told to.
pub(super) fn end(worker: &Worker, error: &Error) {
    // What it has is somebody else's, or will be, and no commit of its would count.
    worker.lose(&worker.assigned());
    telemetry::consumer_ended(&worker.served.topic, &worker.served.group);
    // It may be the log that panicked.
    caught("what hears of a consumer's end", || {
        tracing::error!(
            topic = %worker.source, group = %worker.served.group, %error,
            "consuming has ended: what is read here is not served any more"
        );
    });
}

pub(super) fn no_thread(source: std::io::Error) -> Error {
    Error::System { action: "a consumer thread could not be started".to_owned(), source }
}

pub(super) fn cannot_go_on(worker: &Worker, reason: String) -> Error {
    Error::Kafka {
        action: format!("consuming `{}` in group `{}` cannot go on", worker.source, worker.served.group),
        reason,
    }
}
