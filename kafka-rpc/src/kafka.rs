//! What all librdkafka clients of a process have in common.

use std::{ffi::CStr, ptr, slice, sync::Mutex};

use rdkafka::{
    ClientConfig,
    bindings::{
        rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_status, rd_kafka_msg_status_t,
    },
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use crate::{
    Config, Error,
    properties::{self, Role},
    unpoisoned::Unpoisoned as _,
    wire::received::UnreadableHeaders,
};

/// The properties of every client: who we are and how we talk to brokers.
pub(crate) fn client_config(config: &Config) -> ClientConfig {
    let mut properties = ClientConfig::new();
    properties
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", &config.client_id)
        // The default of 60 s outlives every call.
        .set("socket.timeout.ms", "10000")
        // librdkafka's default differs between its versions.
        .set("socket.nagle.disable", "true")
        // Closes idle connections before brokers (10 min) and load balancers (4 min) do: librdkafka takes a
        // connection that it did not close itself for a broker that is down. Once it has lost as many as
        // there are brokers, it reports that none can be reached.
        .set("connections.max.idle.ms", "230000")
        // Reconnects soon to a broker that is back: the default of 10 s is a long time for a call.
        .set("reconnect.backoff.max.ms", "1000");
    properties
}

/// Adds the user's properties, which override the runtime's.
pub(crate) fn with_user_properties(
    mut properties: ClientConfig,
    config: &Config,
    role: Role,
) -> ClientConfig {
    for (name, value) in config.properties.iter().filter(|(name, _)| properties::is_of(name, role)) {
        // If a property is set under two names, librdkafka takes the one that is set last, and rust-rdkafka
        // sets them in no particular order.
        if let Some(ours) = properties::other_name(name) {
            properties.remove(ours);
        }
        properties.set(name, value);
    }
    properties
}

/// Returns an error for each property that librdkafka does not know, or whose value it does not accept. Each
/// is checked alone, because librdkafka names only the first that is wrong.
pub(crate) fn property_mistakes(config: &Config) -> Vec<Error> {
    let mistake = |(name, value): (&String, &String)| {
        let refused = ClientConfig::new().set(name, value).create_native_config().err()?;
        Some(creation_error("a client", &refused))
    };
    config.properties.iter().filter_map(mistake).collect()
}

/// The properties of every consumer: librdkafka commits nothing but what the runtime asks for.
pub(crate) fn consumer_config(config: &Config, group: &str) -> ClientConfig {
    let mut properties = client_config(config);
    properties
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // With `latest`, records sent before the first join, to a new partition, or past a truncation would
        // be skipped.
        .set("auto.offset.reset", "earliest")
        // How long fetching pauses while the local queue is full: the default of a second is a second without
        // records.
        .set("fetch.queue.backoff.ms", "10");
    with_user_properties(properties, config, Role::Consumer)
}

/// The text of a consumer's last error, from librdkafka's error callback. The consumer's `poll` returns the
/// same error as a mere code; the code that logs the error adds this text.
#[derive(Debug, Default)]
pub(crate) struct LastReason(Mutex<String>);

impl LastReason {
    pub(crate) fn set(&self, reason: &str) {
        reason.clone_into(&mut self.0.lock().unpoisoned());
    }

    pub(crate) fn get(&self) -> String {
        self.0.lock().unpoisoned().clone()
    }
}

/// Identifies an error so that it is logged once: its code, and what librdkafka's text names first.
pub(crate) fn kind_of(error: &KafkaError, reason: &str) -> String {
    format!("{} {}", code_of(error), reason.split(": ").next().unwrap_or_default())
}

/// The error for a client that librdkafka refused to create: nearly always a property that it does not
/// accept.
pub(crate) fn creation_error(what: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            Error::config(name, properties::shown(name, value), reason)
        }
        other => Error::Kafka { action: format!("{what} could not be created"), reason: other.to_string() },
    }
}

/// The name of an error's code, for metrics.
pub(crate) fn code_of(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| "Other".to_owned(), |code| format!("{code:?}"))
}

/// Whether a right is missing. librdkafka reports a missing right once, keeps asking, and continues once the
/// right is granted.
pub(crate) fn is_unauthorized(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
        )
    )
}

/// Reads the headers of a record, in order.
///
/// Not through rust-rdkafka: it panics on a header name that is not UTF-8, which Kafka stores and anybody can
/// send, and a process may end at its first panic. And it reports a record whose headers librdkafka cannot
/// read, as one with more than 100,000, like a record without headers: what they say, such as the caller's
/// deadline, would be overlooked.
#[expect(
    unsafe_code,
    reason = "rust-rdkafka panics on names that are not UTF-8, and takes unreadable headers for none"
)]
pub(crate) fn read_headers<'a>(
    message: &'a BorrowedMessage<'_>,
    mut each: impl FnMut(&'a str, Option<&'a [u8]>),
) -> Result<(), UnreadableHeaders> {
    let mut headers = ptr::null_mut();
    // SAFETY: the message is borrowed for longer than the call, which sets `headers` if it succeeds.
    let code = unsafe { rd_kafka_message_headers(message.ptr(), &raw mut headers) };
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => {}
        RDKafkaErrorCode::NoEnt => return Ok(()),
        _ => return Err(UnreadableHeaders),
    }
    for index in 0.. {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the message owns its headers, and is borrowed for longer than the call.
        let code =
            unsafe { rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut size) };
        if RDKafkaErrorCode::from(code) != RDKafkaErrorCode::NoError {
            break; // There are no more.
        }
        // SAFETY: librdkafka ends names with a NUL, and keeps them as long as the message, for `'a`.
        let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_not_utf8| UnreadableHeaders)?;
        // SAFETY: a value that is not null has this size, and lives as long as the message, for `'a`.
        let value = (!value.is_null()).then(|| unsafe { slice::from_raw_parts(value.cast::<u8>(), size) });
        each(name, value);
    }
    Ok(())
}

/// Whether a broker may have a record although its delivery has failed: it was sent, and not acknowledged.
/// The error alone does not say so: it is that of the last attempt.
pub(crate) fn may_be_stored(message: &BorrowedMessage<'_>) -> bool {
    #[expect(unsafe_code, reason = "rust-rdkafka does not wrap the status of a message")]
    // SAFETY: the message is borrowed for longer than the call, which only reads it.
    let status = unsafe { rd_kafka_message_status(message.ptr()) };
    status != rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}
