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

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Payload for T {
    fn from_context(context: &Context) -> Result<Self, RpcError> {
        context.payload.read()
    }
}

/// A payload that was not read yet.
pub(crate) enum Unread {
    /// It is all of this.
    Value(Encoded),
    /// It is that of this command envelope, which nobody has read, or not to its end: both are read in one.
    Envelope(Bytes),
}

impl Unread {
    /// Reads it; a 400 where it is something else.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, RpcError> {
        let payload = match self {
            Self::Value(value) => value.decode(),
            Self::Envelope(value) => envelope::decode_payload(value).map_err(|error| no_envelope(&error))?,
        };
        payload.map_err(|error| does_not_fit(&error))
    }

    /// Checks what it would be in, for whoever does not read it: who finds a handler has read no envelope to its end.
    pub(crate) fn check(&self) -> Result<(), RpcError> {
        match self {
            Self::Value(value) => value.check().map_err(|error| does_not_fit(&error)),
            Self::Envelope(value) => envelope::decode(value).map(drop).map_err(|error| no_envelope(&error)),
        }
    }

    /// What it is read from: of an envelope the payload alone, and `null` where there is none.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Value(value) => value.bytes(),
            Self::Envelope(value) => {
                let payload = envelope::decode(value).ok().and_then(|envelope| envelope.payload);
                payload.unwrap_or("null").as_bytes()
            }
        }
    }

    /// Who the caller acts for, as the envelope says.
    pub(crate) fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Value(_) => None,
            Self::Envelope(value) => envelope::decode(value).ok()?.user_id.map(UserId),
        }
    }
}

/// How long what it is read from is, and nothing of what it says.
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

/// Says what is wrong with a value that should be a command envelope.
pub(crate) fn no_envelope(error: &CodecError) -> RpcError {
    RpcError::bad_request(format!("the record is not a command envelope: {}", codec::explain(error)))
}
