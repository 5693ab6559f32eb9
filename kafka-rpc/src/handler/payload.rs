//! The first argument of a handler.

use serde::de::DeserializeOwned;

use super::Context;
use crate::{RpcError, wire::codec};

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
        context.payload.decode().map_err(|error| {
            RpcError::bad_request(format!("the payload does not fit the command: {}", codec::explain(&error)))
        })
    }
}
