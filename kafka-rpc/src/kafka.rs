//! What every librdkafka client of a process has in common.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Mutex,
};

use rdkafka::{
    ClientConfig, Message as _,
    bindings::rd_kafka_message_headers,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _},
};

use crate::{Config, Error, properties, unpoisoned::Unpoisoned as _, wire::received::UnreadableHeaders};

/// The properties of any client: who we are and how we talk to brokers.
pub(crate) fn client_config(config: &Config) -> ClientConfig {
    let mut properties = ClientConfig::new();
    properties
        .set("bootstrap.servers", &config.brokers)
        .set("client.id", &config.client_id)
        // 60 s outlive every call.
        .set("socket.timeout.ms", "10000")
        // librdkafka's default differs between its versions.
        .set("socket.nagle.disable", "true")
        // Before brokers (10 min) and balancers (4 min) close them: librdkafka takes a connection that it has not closed itself for
        // a broker that is down, and with as many as there are brokers it says that none can be reached.
        .set("connections.max.idle.ms", "230000")
        // A broker that is back should not be waited for: the default of 10 s is a long time for a call.
        .set("reconnect.backoff.max.ms", "1000");
    properties
}

/// The user's properties go over the runtime's.
pub(crate) fn with_user_properties(mut properties: ClientConfig, config: &Config) -> ClientConfig {
    for (name, value) in &config.properties {
        // Of two names for one property librdkafka takes the one that it is told last, and rust-rdkafka tells them in no order.
        if let Some(ours) = properties::other_name(name) {
            properties.remove(ours);
        }
        properties.set(name, value);
    }
    properties
}

/// Every property that librdkafka does not know, or whose value it does not take. Each is asked about by itself: librdkafka names the
/// first that is wrong.
pub(crate) fn property_mistakes(config: &Config) -> Vec<Error> {
    let mistake = |(name, value): (&String, &String)| {
        let refused = ClientConfig::new().set(name, value).create_native_config().err()?;
        Some(creation_error("a client", &refused))
    };
    config.properties.iter().filter_map(mistake).collect()
}

/// The properties of any consumer: nothing is committed but what the runtime says.
pub(crate) fn consumer_config(config: &Config, group: &str) -> ClientConfig {
    let mut properties = client_config(config);
    properties
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // With `latest`, what was sent before the first join, to a new partition, or past a truncation is skipped.
        .set("auto.offset.reset", "earliest")
        // How long a full queue is left alone: the default of a second is a second without records.
        .set("fetch.queue.backoff.ms", "10");
    with_user_properties(properties, config)
}

/// What librdkafka last said of a consumer in words. Its `poll` returns the error too, as a mere code, and there it is told of.
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

/// What an error is of, for whoever tells of it once: its code, and of whom librdkafka speaks first.
pub(crate) fn kind_of(error: &KafkaError, reason: &str) -> String {
    format!("{} {}", code_of(error), reason.split(": ").next().unwrap_or_default())
}

/// A client that librdkafka refused to make: nearly always a property it does not take.
pub(crate) fn creation_error(what: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            Error::config(name, properties::shown(name, value), reason)
        }
        other => Error::Kafka { action: format!("{what} could not be made"), reason: other.to_string() },
    }
}

/// The name of what librdkafka says went wrong, for metrics.
pub(crate) fn code_of(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| "Other".to_owned(), |code| format!("{code:?}"))
}

/// Whether a right is missing. librdkafka says so once, asks again by itself, and goes on once the right is there.
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
/// rust-rdkafka panics at a header's name that is not UTF-8, which Kafka stores and anybody can send. The panic is
/// caught here, in the one place that reads names, with any of `each`.
pub(crate) fn read_headers<'a>(
    message: &'a BorrowedMessage<'_>,
    mut each: impl FnMut(&'a str, Option<&'a [u8]>),
) -> Result<(), UnreadableHeaders> {
    let Some(headers) = message.headers() else {
        return if has_no_headers(message) { Ok(()) } else { Err(UnreadableHeaders) };
    };
    catch_unwind(AssertUnwindSafe(|| {
        for header in headers.iter() {
            each(header.key, header.value);
        }
    }))
    .map_err(|_panic| UnreadableHeaders)
}

/// Whether a record has no headers. To rust-rdkafka it has none either where librdkafka cannot read them, as of a record with more
/// than 100,000: what they say, such as until when somebody waits, would be overlooked.
fn has_no_headers(message: &BorrowedMessage<'_>) -> bool {
    let mut unread = ptr::null_mut();
    #[expect(
        unsafe_code,
        reason = "rust-rdkafka has one answer for a record without headers and for one whose headers are refused"
    )]
    // SAFETY: the message is borrowed for longer than the call, which reads nothing of `unread`, and nor do we.
    let code = unsafe { rd_kafka_message_headers(message.ptr(), &raw mut unread) };
    RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoEnt
}
