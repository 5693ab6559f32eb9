//! Everything that generated code names, under one path. For generated code only: no promise of stability.

pub use std::{
    assert,
    boxed::Box,
    convert::Into,
    file,
    future::Future,
    line,
    marker::{Send, Sized, Sync},
    option::Option::{self, None, Some},
    result::Result::{self, Err, Ok},
    string::{String, ToString},
    time::Duration,
};

pub use inventory;
use serde::Serialize;

pub use crate::{
    Call, Caller, Client, Context, DeadLetter, Dialect, Encode, FromRecord, HandlerError, HandlerReturn,
    Handlers, IntoReply, Location, NoReply, Payload, Requirements, Retry, RetryPolicy, RpcError,
    client::Command,
    handler::{
        Destination, Handler, HandlerFuture, NameError, Ordering, PayloadSource, Registration, Reply,
        Subscription, registry::wire_name,
    },
};

/// A value that `#[command(..)]` accepts: anything that serde serialises, which rules out the constructor of
/// a variant with fields.
#[diagnostic::on_unimplemented(
    message = "this cannot name a command",
    label = "not a unit variant of an enum that derives `serde::Serialize`",
    note = "derive `serde::Serialize` for the enum and name the command by the path of a unit variant, or by a string literal; what a command carries is the first argument of its handler"
)]
pub trait CommandName: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> CommandName for T {}

/// Returns the name of a command on the wire.
pub fn command_name<T: CommandName>(command: &T) -> Result<String, NameError> {
    wire_name(command)
}

/// The payload type of a function with `dead_letters_of`.
#[diagnostic::on_unimplemented(
    message = "the records of a dead-letter topic are taken as a `DeadLetter`, and not as `{Self}`",
    label = "write `DeadLetter` here",
    note = "what a record was before it failed is read from the `value` of its letter"
)]
pub trait OfDeadLetters {}

impl OfDeadLetters for DeadLetter {}

/// Asserts at compile time that `T` is a payload [of dead letters](OfDeadLetters).
pub const fn takes_dead_letters<T: OfDeadLetters>() {}

/// Runs the body of a method, which owns its arguments.
pub fn once<T, F: AsyncFnOnce() -> T>(body: F) -> impl Future<Output = T> {
    body()
}

/// The reply that the caller of a handler returning `R` receives.
pub type ReplyOf<R> = <R as HandlerReturn>::Reply;

/// Converts a handler's error into the one that crosses the wire.
pub fn rpc_error<E: HandlerError>(error: E) -> RpcError {
    error.into_rpc_error()
}

/// A value that `key = ..` accepts: anything that a record's key can be made from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the key of a record",
    label = "this does not implement `Display`",
    note = "name a field that does; where the key may be absent, leave `key = ..` out and use `.key(..)` on the call"
)]
pub trait RecordKey {
    fn record_key(&self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: ToString + ?Sized> RecordKey for T {
    fn record_key(&self) -> String {
        self.to_string()
    }
}

/// Returns the record key made from a value.
pub fn record_key<K: RecordKey + ?Sized>(key: &K) -> String {
    key.record_key()
}
