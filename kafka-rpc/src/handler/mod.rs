//! What the attributes target: the description of a handler, and what a handler may ask for.
//!
//! - [`subscription`]: the topic, the group, and the options that belong to them
//! - [`registry`]: handlers as values, and the inventory they are collected in
//! - [`context`]: one record on its way to its handler
//! - [`payload`]: the first argument
//! - [`dead_letter`]: the same, of a handler of dead letters
//! - [`extract`]: the arguments after it
//! - [`extracting`]: the making of one
//! - [`state`]: what `.provide(..)` gave the runtime
//! - [`returns`]: what comes back
//! - [`retry`]: whether what failed is tried again

pub(crate) mod context;
pub(crate) mod dead_letter;
pub(crate) mod extract;
pub(crate) mod extracting;
pub(crate) mod payload;
pub(crate) mod registry;
pub(crate) mod retry;
pub(crate) mod returns;
pub(crate) mod state;
pub(crate) mod subscription;

pub use context::Context;
pub use dead_letter::DeadLetter;
pub use extract::{CorrelationId, Deadline, FromRecord, OptionalFromRecord, RecordInfo, State, UserId};
pub use payload::Payload;
pub use registry::{Handler, HandlerFuture, Handlers, Location, NameError, PayloadSource, Registration};
pub use retry::{Retry, RetryPolicy};
pub use returns::{HandlerError, HandlerReturn, IntoReply, NoReply, Reply};
pub use state::Requirements;
pub use subscription::{Destination, Ordering, Subscription};
