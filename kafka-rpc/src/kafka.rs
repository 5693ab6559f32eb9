//! What every librdkafka client of a process has in common.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, Message as _,
    error::KafkaError,
    message::{BorrowedMessage, Header, Headers as _},
};

use crate::{Config, Error, Headers, server::received::UnreadableHeaders, wire::names};

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
        // A broker that is back should not be waited for: the default of 10 s is a long time for a call.
        .set("reconnect.backoff.max.ms", "1000");
    properties
}

/// The user's properties go over the runtime's.
pub(crate) fn with_user_properties(mut properties: ClientConfig, config: &Config) -> ClientConfig {
    for (name, value) in &config.properties {
        properties.set(name, value);
    }
    properties
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

/// A client that librdkafka refused to make: nearly always a property it does not take.
pub(crate) fn creation_error(what: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            Error::config(name, Config::shown(name, value), reason)
        }
        other => Error::Kafka { action: format!("{what} could not be made"), reason: other.to_string() },
    }
}

/// The key and the headers of a received record, owned.
pub(crate) struct KeyAndHeaders {
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Result<Headers, UnreadableHeaders>,
}

/// What a record's key and headers take in most cases.
const USUAL_BYTES: usize = 256;

/// Copies the key and the headers of a received record, all into one buffer.
///
/// Not the value with them: whoever keeps an id must not keep a megabyte for it.
///
/// rust-rdkafka panics at a header's name that is not UTF-8, which Kafka stores and anybody can send. The panic is
/// caught here, in the one place that reads names.
pub(crate) fn key_and_headers(message: &BorrowedMessage<'_>) -> KeyAndHeaders {
    let mut buffer = Vec::with_capacity(USUAL_BYTES);
    let mut append = |part: &[u8]| {
        let start = buffer.len();
        buffer.extend_from_slice(part);
        start..buffer.len()
    };
    let key = message.key().map(&mut append);
    let found = message.headers().map_or(Ok(Vec::new()), |headers| {
        catch_unwind(AssertUnwindSafe(|| {
            let part = |header: Header<'_, &[u8]>| (names::known(header.key), header.value.map(&mut append));
            headers.iter().map(part).collect::<Vec<_>>()
        }))
    });
    let buffer = Bytes::from(buffer);
    let headers = found.map_err(|_panic| UnreadableHeaders).map(|found| {
        let mut headers = Headers::with_capacity(found.len());
        for (name, value) in found {
            headers.push_received(name, value.map(|range| buffer.slice(range)));
        }
        headers
    });
    KeyAndHeaders { key: key.map(|range| buffer.slice(range)), headers }
}
