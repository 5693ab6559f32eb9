//! For generated code only: everything it names, under one path. No promise of stability.

pub use std::{
    boxed::Box,
    convert::Into,
    future::Future,
    marker::{Send, Sync},
    option::Option::{self, None, Some},
    result::Result::{self, Err, Ok},
    string::{String, ToString},
};

pub use inventory;

pub use crate::{
    Call, Caller, Client, Command, Context, Encode, FromRecord, Handler, HandlerFuture, HandlerReturn, Handlers,
    IntoReply, Location, NameError, NoReply, Ordering, Payload, PayloadSource, Registration, Replies, Requirements,
    RpcError, Subscription, handler::registry::wire_name,
};

/// What the caller of a handler that returns `R` gets.
pub type ReplyOf<R> = <R as HandlerReturn>::Reply;
