//! For generated code only: everything it names, under one path. No promise of stability.

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

/// What can stand in `#[command(..)]`: what serde serialises, and so not the constructor of a variant with fields.
#[diagnostic::on_unimplemented(
    message = "this cannot name a command",
    label = "not a unit variant of an enum that derives `serde::Serialize`",
    note = "name it by the path of such a variant, or by a string literal; what a command carries is the first argument of its handler"
)]
pub trait CommandName: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> CommandName for T {}

/// The name of a command on the wire.
pub fn command_name<T: CommandName>(command: &T) -> Result<String, NameError> {
    wire_name(command)
}

/// What a function with `dead_letters_of` takes.
#[diagnostic::on_unimplemented(
    message = "the records of a dead-letter topic are taken as a `DeadLetter`, and not as `{Self}`",
    label = "write `DeadLetter` here",
    note = "what a record was before it failed is read from the `value` of its letter"
)]
pub trait OfDeadLetters {}

impl OfDeadLetters for DeadLetter {}

/// That it is one.
pub const fn takes_dead_letters<T: OfDeadLetters>() {}

/// Runs the body of a method, which owns what it takes.
pub fn once<T, F: AsyncFnOnce() -> T>(body: F) -> impl Future<Output = T> {
    body()
}

/// What the caller of a handler that returns `R` gets.
pub type ReplyOf<R> = <R as HandlerReturn>::Reply;

/// The error of a handler, as it crosses the wire.
pub fn rpc_error<E: HandlerError>(error: E) -> RpcError {
    error.into_rpc_error()
}

/// What can stand in `key = ..`: what a record's key is made of.
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

/// The key of a record.
pub fn record_key<K: RecordKey + ?Sized>(key: &K) -> String {
    key.record_key()
}
