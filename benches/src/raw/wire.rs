//! The records, written by hand.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use rdkafka::{
    Message,
    message::{Header, Headers as _, OwnedHeaders},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize)]
pub(crate) struct Request<'a, T> {
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) command: &'a str,
    pub(crate) payload: &'a T,
    pub(crate) timestamp: u64,
}

#[derive(Deserialize)]
pub(crate) struct Received<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) command: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) payload: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Reply<T> {
    pub(crate) success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<T>,
    pub(crate) timestamp: u64,
}

pub(crate) fn now_millis() -> u64 {
    millis(SystemTime::now())
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn request_headers(id: &str, reply_to: &str, timeout: Duration) -> OwnedHeaders {
    let now = SystemTime::now();
    OwnedHeaders::new_with_capacity(5)
        .insert(header("correlation-id", id))
        .insert(header("reply-to", reply_to))
        .insert(header("message-type", "request-reply"))
        .insert(header("timestamp", &millis(now).to_string()))
        .insert(header("deadline", &millis(now + timeout).to_string()))
}

pub(crate) fn reply_headers(message_id: &str, correlation_id: &[u8]) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(4)
        .insert(header("message-id", message_id))
        .insert(header("message-type", "request-reply"))
        .insert(header("timestamp", &now_millis().to_string()))
        .insert(Header { key: "correlation-id", value: Some(correlation_id) })
}

pub(crate) fn event_headers(message_id: &str) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(3)
        .insert(header("message-id", message_id))
        .insert(header("message-type", "fire-and-forget"))
        .insert(header("timestamp", &now_millis().to_string()))
}

fn header<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a [u8]> {
    Header { key, value: Some(value.as_bytes()) }
}

/// Returns the value of the first header with this name, in any case.
pub(crate) fn get<'a, M: Message>(message: &'a M, name: &str) -> Option<&'a [u8]> {
    message.headers()?.iter().find(|header| header.key.eq_ignore_ascii_case(name))?.value
}

/// Returns whether the deadline has passed, with a second of tolerance for clocks that differ.
pub(crate) fn has_expired<M: Message>(message: &M) -> bool {
    get(message, "deadline")
        .and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok())
        .is_some_and(|deadline| deadline + 1_000 < now_millis())
}
