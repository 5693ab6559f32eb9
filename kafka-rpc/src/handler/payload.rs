//! The first argument of a handler.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Context, UserId};
use crate::{
    RpcError,
    wire::{
        Encoded,
        codec::{self, CodecError},
        envelope,
    },
};

/// Types that can be the first argument of a handler: all that serde can deserialise without borrowing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the payload of a command",
    label = "the first argument is the payload, and this cannot be deserialised",
    note = "derive `serde::Deserialize` for it; if it is an extractor, put `_: ()` before it"
)]
pub trait Payload: Sized {
    /// Reads the payload of a record. A payload that cannot be read is a 400 for the caller.
    #[doc(hidden)]
    fn from_context(context: &Context) -> Result<Self, RpcError>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Payload for T {
    fn from_context(context: &Context) -> Result<Self, RpcError> {
        context.payload.read()
    }
}

/// A payload that has not been read yet.
pub(crate) enum Unread {
    /// The payload is this whole value.
    Value(Encoded),
    /// The payload is in this command envelope, not yet read to its end: both are read in one pass.
    Envelope(Bytes),
}

impl Unread {
    /// Reads the payload; a 400 if it is not a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, RpcError> {
        let payload = match self {
            Self::Value(value) => value.decode(),
            Self::Envelope(value) => envelope::decode_payload(value).map_err(|error| no_envelope(&error))?,
        };
        payload.map_err(|error| does_not_fit(&error))
    }

    /// Checks the value that holds the payload, for a handler that does not read it: dispatch does not read
    /// an envelope to its end.
    pub(crate) fn check(&self) -> Result<(), RpcError> {
        match self {
            Self::Value(value) => value.check().map_err(|error| does_not_fit(&error)),
            Self::Envelope(value) => envelope::decode(value).map(drop).map_err(|error| no_envelope(&error)),
        }
    }

    /// The bytes of the payload: only the `payload` of an envelope, and `null` if there is none.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Value(value) => value.bytes(),
            Self::Envelope(value) => {
                let payload = envelope::decode(value).ok().and_then(|envelope| envelope.payload);
                payload.unwrap_or("null").as_bytes()
            }
        }
    }

    /// The user that the caller acts for, as stated in the envelope.
    pub(crate) fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Value(_) => None,
            Self::Envelope(value) => envelope::decode(value).ok()?.user_id.map(UserId),
        }
    }
}

/// Shows the length of the bytes, never their content.
impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Envelope(value) => write!(f, "Envelope({} bytes)", value.len()),
        }
    }
}

fn does_not_fit(error: &CodecError) -> RpcError {
    RpcError::bad_request(format!("the payload does not fit the command: {}", codec::explain(error)))
}

/// The 400 that says why a value is not a command envelope.
pub(crate) fn no_envelope(error: &CodecError) -> RpcError {
    RpcError::bad_request(format!("the record is not a command envelope: {}", codec::explain(error)))
}
