//! The errors of a consumer: those after which consuming continues, and those that end it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::commits::Failed;
use crate::{Error, caught::caught, kafka, repeats::Repeats, server::worker::Worker, telemetry};

/// Counts and logs an error after which consuming continues.
pub(super) fn report(worker: &Worker, repeats: &Repeats, error: &KafkaError, reason: &str) {
    let (topic, group, code) = (&*worker.source, &*worker.served.group, kafka::code_of(error));
    telemetry::consuming_failed(topic, group, &code);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InconsistentGroupProtocol) {
        telemetry::join_refused(topic, group);
    }
    if !repeats.is_news(&kafka::kind_of(error, reason)) {
        tracing::debug!(topic, group, %error, reason, "consumer error, logged before; consuming continues");
        return;
    }
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => tracing::error!(
            topic,
            group,
            reason,
            "nothing is read: the topic does not exist; it is read from its beginning once it does"
        ),
        Some(RDKafkaErrorCode::InconsistentGroupProtocol) => tracing::warn!(
            topic,
            group,
            "not in the group: its members share no assignment strategy with this process, most likely because they \
             use another client library; this process joins once they have left"
        ),
        Some(RDKafkaErrorCode::BadCompression) => tracing::error!(
            topic,
            group,
            partitions = ?stuck(&worker.positions(), reason),
            reason,
            "a partition is stuck at a batch that cannot be unpacked, or is larger than `receive.message.max.bytes` \
             once unpacked: raise that property, or move the group past the batch"
        ),
        _ if kafka::is_unauthorized(error) => tracing::error!(
            topic, group, %error, reason,
            "nothing is read: this client lacks the right to read the topic or to be in the group; reading continues \
             once it is granted"
        ),
        _ => tracing::warn!(topic, group, %error, reason, "consumer error; consuming continues"),
    }
}

/// The partitions that may be stuck at the batch that an error is about: those whose next offset is the one in
/// librdkafka's text (`rdkafka_msgset_reader.c`), or else all.
fn stuck(positions: &[(i32, Option<i64>)], reason: &str) -> Vec<i32> {
    let offset = reason.split_once(" of message at ").and_then(|(_, rest)| rest.split(' ').next());
    let offset: Option<i64> = offset.and_then(|offset| offset.parse().ok());
    let is_there = |next: &Option<i64>| offset.is_some() && *next == offset;
    let one = positions.iter().any(|(_, next)| is_there(next));
    let stuck = positions.iter().filter(|(_, next)| !one || is_there(next));
    let mut stuck: Vec<i32> = stuck.map(|(partition, _)| *partition).collect();
    stuck.sort_unstable();
    stuck
}

/// Counts and logs a commit that has failed, and that the next commit makes up for.
pub(super) fn report_commit(worker: &Worker, repeats: &Repeats, Failed { code, reason, .. }: &Failed) {
    let (topic, group) = (&*worker.source, &*worker.served.group);
    telemetry::consuming_failed(topic, group, code);
    if repeats.is_news(&format!("commit: {reason}")) {
        tracing::warn!(topic, group, reason, "a commit failed; the next one includes its offsets");
    } else {
        tracing::debug!(
            topic,
            group,
            reason,
            "a commit failed, as logged before; the next one includes its offsets"
        );
    }
}

/// Gives up all assigned partitions, and reports that consuming has ended without a request to stop.
pub(super) fn lose_and_report(worker: &Worker, error: &Error) {
    // Other members have these partitions, or soon will, and no commit of this one would count.
    worker.revoke(&worker.assigned());
    telemetry::consumer_ended(&worker.served.topic, &worker.served.group);
    // The log may be what panicked.
    caught("logging the end of a consumer", || {
        tracing::error!(
            topic = %worker.source, group = %worker.served.group, %error,
            "consuming has ended: this process no longer serves what it read here; restart it"
        );
    });
}

pub(super) fn no_thread(source: std::io::Error) -> Error {
    Error::System { action: "a consumer thread could not be started".to_owned(), source }
}

pub(super) fn cannot_go_on(worker: &Worker, reason: String) -> Error {
    Error::Kafka {
        action: format!("consuming `{}` in group `{}` cannot continue", worker.source, worker.served.group),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_of_a_broken_batch_is_told_by_its_offset_and_without_it_all_that_may_be_meant() {
        let positions = [(2, Some(7)), (0, None), (1, Some(5))];
        let reason = |offset| {
            format!(
                "Decompression (codec 0x4) of message at {offset} of 61 bytes failed: Local: Invalid compressed data"
            )
        };
        assert_eq!(stuck(&positions, &reason(5)), [1]);
        assert_eq!(stuck(&positions, &reason(6)), [0, 1, 2]);
        assert_eq!(stuck(&positions, "another text"), [0, 1, 2]);
    }
}
