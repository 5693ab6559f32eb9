//! For generated code only: everything it names, under one path. No promise of stability.

pub use std::{
    boxed::Box,
    convert::Into,
    file,
    future::Future,
    line,
    marker::{Send, Sync},
    option::Option::{self, None, Some},
    result::Result::{self, Err, Ok},
    string::{String, ToString},
};

pub use inventory;
use serde::Serialize;

pub use crate::{
    Call, Caller, Client, Command, Context, Encode, FromRecord, Handler, HandlerFuture, HandlerReturn, Handlers,
    IntoReply, Location, NameError, NoReply, Ordering, Payload, PayloadSource, Registration, Replies, Requirements,
    RpcError, Subscription,
};

use crate::handler::registry::wire_name;

/// What can stand in `#[command(..)]`: what serde serialises, and so not the constructor of a variant with fields.
#[diagnostic::on_unimplemented(
    message = "this cannot name a command",
    label = "a command is named by a unit variant",
    note = "write the path of a unit variant of an enum that derives `serde::Serialize`, or a string literal; what a command carries is its handler's first argument"
)]
pub trait CommandName: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> CommandName for T {}

/// The name of a command on the wire.
pub fn command_name<T: CommandName>(command: &T) -> Result<String, NameError> {
    wire_name(command)
}

/// What the caller of a handler that returns `R` gets.
pub type ReplyOf<R> = <R as HandlerReturn>::Reply;
