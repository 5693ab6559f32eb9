//! The first argument of a handler.

use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::Context;
use crate::{
    Headers, RpcError,
    wire::{clock, codec, names},
};

/// What the first argument of a handler can be: anything that serde can deserialise without borrowing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the payload of a command",
    label = "the first argument is the payload, and this cannot be deserialised",
    note = "derive `serde::Deserialize` for it; if it is an extractor, put `_: ()` before it"
)]
pub trait Payload: Sized {
    /// Reads the payload of a record. What cannot be read is a 400 for the caller.
    #[doc(hidden)]
    fn from_context(context: &Context) -> Result<Self, RpcError>;
}

/// A record that could not be handled, as it lies in the dead-letter topic: the payload of a handler with
/// `dead_letters_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The key of the record.
    pub key: Option<Bytes>,
    /// The value of the record; `None` too where it was too large for the dead-letter topic.
    pub value: Option<Bytes>,
    /// The headers of the record, and after them what is known of its failure.
    pub headers: Headers,
}

impl DeadLetter {
    /// The topic that the record came from.
    pub fn original_topic(&self) -> Option<&str> {
        self.text(names::ORIGINAL_TOPIC)
    }

    /// The partition that the record came from.
    pub fn original_partition(&self) -> Option<i32> {
        self.text(names::ORIGINAL_PARTITION)?.parse().ok()
    }

    /// The offset that the record had.
    pub fn original_offset(&self) -> Option<i64> {
        self.text(names::ORIGINAL_OFFSET)?.parse().ok()
    }

    /// The message of the error.
    pub fn error(&self) -> Option<&str> {
        self.text(names::ERROR)
    }

    /// The name of the error, such as `ValidationError`.
    pub fn error_name(&self) -> Option<&str> {
        self.text(names::ERROR_NAME)
    }

    /// The status of the error.
    pub fn status(&self) -> Option<StatusCode> {
        self.text(names::STATUS_CODE)?.parse().ok()
    }

    /// When it was given up.
    pub fn failed_at(&self) -> Option<SystemTime> {
        clock::from_millis(self.text(names::FAILED_AT)?.parse().ok()?)
    }

    /// How often it was tried again.
    pub fn total_retries(&self) -> Option<u32> {
        self.text(names::TOTAL_RETRIES)?.parse().ok()
    }

    /// Ours come after the record's own, so the last of a name is the one that counts here.
    fn text(&self, name: &str) -> Option<&str> {
        let own = self.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        std::str::from_utf8(own.last()?.1?).ok()
    }
}

#[diagnostic::do_not_recommend]
impl Payload for DeadLetter {
    fn from_context(context: &Context) -> Result<Self, RpcError> {
        let value = context.has_value.then(|| context.payload.clone());
        Ok(Self { key: context.info.key.clone(), value, headers: context.headers.clone() })
    }
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Payload for T {
    fn from_context(context: &Context) -> Result<Self, RpcError> {
        codec::decode(context.payload()).map_err(|error| {
            RpcError::bad_request(format!("the payload does not fit the command: {}", codec::explain(&error)))
        })
    }
}
