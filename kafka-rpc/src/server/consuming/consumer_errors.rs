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
        Some(RDKafkaErrorCode::InconsistentGroupProtocol) => tracing::warn!(
            topic,
            group,
            "not in the group: its members share no assignment strategy with this process, most likely because they \
             use another client library; this process joins once they have left"
        ),
        Some(RDKafkaErrorCode::BadCompression) => tracing::error!(
            topic,
            group,
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
