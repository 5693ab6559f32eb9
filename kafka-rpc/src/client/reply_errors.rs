//! The errors of the reply consumer: reading continues after each of them.

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{kafka, repeats::Repeats, telemetry};

/// Counts and logs an error after which reading continues. `topics` are the topics that are read: librdkafka
/// does not always name the one that the error is about.
pub(super) fn report(error: &KafkaError, repeats: &Repeats, reason: &str, topics: &[Arc<str>]) {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
        // librdkafka looks up the coordinator of any group, although this one is never joined: replies are
        // read all the same.
        tracing::debug!(
            %error,
            "this client may not describe the group of the reply consumer; replies are read without that right"
        );
        return;
    }
    telemetry::reading_replies_failed(&kafka::code_of(error));
    // Before the repeats: librdkafka reports a missing right once for each partition or topic, and the error
    // of one topic looks like that of another.
    if kafka::is_unauthorized(error) {
        tracing::error!(
            ?topics, %error, reason,
            "replies are not read: this client lacks the right to read their topic; reading continues once it is \
             granted"
        );
    } else if !repeats.is_news(&kafka::kind_of(error, reason)) {
        tracing::debug!(?topics, %error, reason, "reply consumer error, logged before; reading replies continues");
    } else if error.rdkafka_error_code() == Some(RDKafkaErrorCode::BadCompression) {
        tracing::error!(
            ?topics,
            reason,
            "a batch of replies cannot be unpacked, or is larger than `receive.message.max.bytes` once unpacked: \
             replies on its partition are not read; a restart of this process skips it"
        );
    } else {
        tracing::warn!(?topics, %error, reason, "reply consumer error; reading replies continues");
    }
}
