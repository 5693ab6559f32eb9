//! What a handler returns.

use std::{any::TypeId, fmt};

use bytes::Bytes;
use serde::Serialize;

use crate::{RpcError, caught::caught, wire::codec};

/// The answer of a handler.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// Success with this data, encoded.
    Data(Bytes),
    /// Success without data: `Ok(())`.
    Empty,
    /// No reply, even if the caller waits for one: `Ok(NoReply)`.
    None,
}

/// Shows the length of the data, never its content.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::Empty => f.write_str("Empty"),
            Self::None => f.write_str("None"),
        }
    }
}

/// Sends no reply, although the caller may wait for one.
///
/// A command of a contract that returns `Result<NoReply, RpcError>` can only be
/// [notified](crate::Call::notify), not awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReply;

/// What a handler can return: `Result<T, E>`, where `T` can be serialised and `E` becomes an [`RpcError`].
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "return `Result<T, E>` where `E: Into<RpcError>`",
    note = "`Ok(())` answers without data, and `Ok(NoReply)` sends no reply"
)]
pub trait HandlerReturn: sealed::Sealed {
    /// What the caller gets.
    type Reply;

    /// The error, which becomes an [`RpcError`].
    type Error;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Reply, Self::Error>;
}

// Without a bound on `E`: `HandlerError` reports an error type that does not fit, once, and not at every
// place that names the reply.
impl<T, E> HandlerReturn for Result<T, E> {
    type Reply = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// What a handler's `Err` can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a handler",
    label = "this does not become an `RpcError`",
    note = "for a type of your own write `impl From<{Self}> for RpcError`; return `RpcError` for another, and `.map_err(|error| RpcError::internal(\"..\").with_source(error))?` where it comes from"
)]
pub trait HandlerError {
    #[doc(hidden)]
    fn into_rpc_error(self) -> RpcError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<RpcError>> HandlerError for E {
    fn into_rpc_error(self) -> RpcError {
        self.into()
    }
}

/// What a handler's `Ok` can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a reply",
    label = "this cannot be serialised",
    note = "derive `serde::Serialize` for it, or return `()` or `NoReply`"
)]
pub trait IntoReply {
    #[doc(hidden)]
    fn into_reply(self) -> Result<Reply, RpcError>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + 'static> IntoReply for T {
    fn into_reply(self) -> Result<Reply, RpcError> {
        // `()` and `None` are both `null` to serde, but only `()` is the reference's `undefined`.
        if TypeId::of::<T>() == TypeId::of::<()>() {
            return Ok(Reply::Empty);
        }
        let reason = match caught("serialising a reply", || codec::encode(&self)) {
            Some(Ok(data)) => return Ok(Reply::Data(data)),
            Some(Err(error)) => error.to_string(),
            None => "it panics".to_owned(),
        };
        // Final, since the handler has done its work and would repeat it.
        Err(RpcError::internal(format!("the reply cannot be serialised: {reason}")).into_final())
    }
}

impl IntoReply for NoReply {
    fn into_reply(self) -> Result<Reply, RpcError> {
        Ok(Reply::None)
    }
}

mod sealed {
    /// Keeps the set of return types closed, so that a stream of replies can join it.
    pub trait Sealed {}

    impl<T, E> Sealed for Result<T, E> {}
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn unit_is_success_without_data_and_none_is_null() {
        assert_eq!(().into_reply(), Ok(Reply::Empty));
        assert_eq!(None::<u8>.into_reply(), Ok(Reply::Data(Bytes::from_static(b"null"))));
        assert_eq!(NoReply.into_reply(), Ok(Reply::None));
    }

    #[test]
    fn a_reply_that_cannot_be_serialised_is_no_reason_to_handle_the_record_again() {
        struct Panics;

        impl Serialize for Panics {
            fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                panic!("instead of a text")
            }
        }

        let no_text = HashMap::from([((1, 2), 3)]).into_reply().expect_err("a key is no text");
        let panicked = Panics.into_reply().expect_err("it panics");
        for error in [no_text, panicked] {
            assert_eq!((error.status().as_u16(), error.is_final()), (500, true), "{error}");
        }
    }
}
